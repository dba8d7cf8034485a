"""Where this package keeps what is costly to make and can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from milopyp_shared.errors import InputError
from milopyp_shared.system import user_cache

CACHE = "MILOPYP_CACHE"


def cache_folder() -> Path:
    """``$MILOPYP_CACHE``, else ``milopyp`` in the user's cache folder; engines and exports have a folder each in it.

    Raises
    ------
    InputError
        The user has no home folder.
    """
    if own := os.environ.get(CACHE):
        return Path(own)
    if found := user_cache("milopyp"):
        return found
    raise InputError(
        "there is no home folder",
        expected=f"HOME or {CACHE} in the environment",
        remedy=f"Set {CACHE} to a folder for what is kept: engines of TensorRT, exports of checkpoints.",
    )
