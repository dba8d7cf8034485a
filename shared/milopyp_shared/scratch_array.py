"""Big arrays on temporary files: memory pages that the system can take back, and that vanish with the array."""

from __future__ import annotations

import errno
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .system import reserve


def scratch_array(shape: tuple[int, ...], dtype: Any = np.float32, folder: Path | None = None) -> NDArray[Any]:
    """An array of zeros on an unlinked temporary file whose space is reserved (no SIGBUS on a full disk).

    Parameters
    ----------
    folder
        The system's folder for temporary files by default.

    Raises
    ------
    InputError
        There is no room.
    MemoryError
        The process may not take as much address space.
    """
    bytes_needed = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile(prefix="milopyp-", dir=folder) as stream:
            reserve(stream, bytes_needed)
            return np.memmap(stream, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(f"{bytes_needed / 2**20:.0f} MiB of address space cannot be had") from error
        raise InputError(
            f"{bytes_needed / 2**20:.0f} MiB of temporary space cannot be had ({error.strerror})",
            where=folder or "the temporary folder",
            expected="room for the grey levels, the heat map and the mask of one tomogram",
            remedy="Set TMPDIR to a folder with free space.",
        ) from error
