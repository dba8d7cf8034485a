"""Big arrays on temporary files: memory pages that the system can take back, and that vanish with the array."""

from __future__ import annotations

import errno
import math
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

_BLOCK = 1 << 24  # bytes written at once


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
            _reserve(stream, bytes_needed)
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


def _reserve(stream: IO[bytes], size: int) -> None:
    """Take the space now: where a mapped page has none, the process would be ended."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), 0, size)
        return
    for first in range(0, size, _BLOCK):  # macOS and Windows have no such call
        stream.write(bytes(min(_BLOCK, size - first)))
    stream.flush()
