"""Where this package keeps what is costly to make and can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE = "MILOPYP_CACHE"


def cache_folder() -> Path:
    """``$MILOPYP_CACHE``, else ``milopyp`` in the user's cache folder; engines and exports have a folder each in it."""
    if own := os.environ.get(CACHE):
        return Path(own)
    return user_cache_path("milopyp", appauthor=False)
