"""Voxels of an open file, read when they are asked for."""

from __future__ import annotations

import math
import os
import weakref
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .system import read_at

_READ_AT_ONCE = 1 << 30  # bytes; Linux reads at most 2 GiB in one call
_KEPT = 32 << 20  # bytes of layers that are read together where they do not lie together in the file


class Voxels(Protocol):
    """The voxels of a volume in its own axes (slowest first) and number type, wherever they are."""

    def read_slices(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Slices ``first <= i < last`` across an axis, as an array of three axes, not to be written to."""

    def mapped(self) -> NDArray[Any]:
        """All of them, to look at a few here and there."""

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when they are others by now."""


class VoxelReader:
    """The voxels of a file in its own axes and number type.

    The file stays open: one that is deleted or replaced meanwhile is read to its end. One that is cut short, or on a
    disk that fails, is an error; through a memory map it would be the end of the process (SIGBUS).

    Parameters
    ----------
    path
        The file's name, for messages.
    stream
        The open file; may be closed afterwards.
    dtype, shape, offset
        Number type with its byte order, sizes (slowest axis first), and bytes before the first voxel.
    """

    def __init__(
        self, path: Path, stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, int, int], offset: int
    ) -> None:
        self.path, self.dtype, self.shape = path, dtype, shape
        self._offset = offset
        self._handle = os.dup(stream.fileno())
        weakref.finalize(self, os.close, self._handle)
        self._facts = self._stat()
        self._kept: tuple[int, int, NDArray[Any]] | None = None  # axis, first layer, layers

    def __reduce__(self) -> Any:
        raise TypeError("an open file cannot be copied: open the tomogram again")

    def read_slices(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Layers ``first <= i < last`` across a file axis, as an array of three axes, not to be written to.

        Raises
        ------
        InputError
            The file has become shorter, or cannot be read.
        """
        first, last, _ = slice(first, last).indices(self.shape[axis])
        last = max(first, last)
        if axis == 0:
            return self._read(axis, first, last)
        kept = self._kept
        if kept is None or kept[0] != axis or not kept[1] <= first <= last <= kept[1] + kept[2].shape[axis]:
            layer = math.prod(self.shape) // self.shape[axis] * self.dtype.itemsize
            thick = max(last - first, _KEPT // layer)
            kept = self._kept = (axis, first, self._read(axis, first, min(first + thick, self.shape[axis])))
        inside: list[slice] = [slice(None)] * 3
        inside[axis] = slice(first - kept[1], last - kept[1])
        return kept[2][tuple(inside)]

    def _read(self, axis: int, first: int, last: int) -> NDArray[Any]:
        shape = list(self.shape)
        shape[axis] = last - first
        block = np.empty(shape, self.dtype)
        if axis == 2:  # single voxels of every row: whole rows are read
            for index in range(shape[0]):
                block[index] = self._rows(index, 0, self.shape[1])[:, first:last]
        elif axis == 1:
            for index in range(shape[0]):
                block[index] = self._rows(index, first, last)
        else:
            self._fill(block, first * math.prod(self.shape[1:]))
        return block

    def mapped(self) -> NDArray[Any]:
        """A read-only memory map, for a few voxels here and there; see above for what it does not survive."""
        with os.fdopen(os.dup(self._handle), "rb") as stream:
            return np.memmap(stream, dtype=self.dtype, mode="r", offset=self._offset, shape=self.shape)

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the file has been written to since it was opened."""
        if self._stat() != self._facts:
            raise InputError(
                "has changed while it was read",
                where=self.path,
                expected="a file that nothing writes to",
                remedy="Repeat it when the file is complete.",
            )

    def _rows(self, layer: int, first: int, last: int) -> NDArray[Any]:
        rows = np.empty((last - first, self.shape[2]), self.dtype)
        self._fill(rows, (layer * self.shape[1] + first) * self.shape[2])
        return rows

    def _fill(self, block: NDArray[Any], voxel: int) -> None:
        """Read consecutive voxels from `voxel` on into a contiguous array."""
        waiting = block.reshape(-1).view(np.uint8).data
        place = self._offset + voxel * self.dtype.itemsize
        try:
            while waiting:
                read = read_at(self._handle, waiting[:_READ_AT_ONCE], place)
                if not read:
                    self.raise_if_modified()
                    raise InputError("ends too early", where=self.path, remedy="Copy it again.")
                waiting, place = waiting[read:], place + read
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror or error})", where=self.path, remedy="Check the disk it lies on."
            ) from error

    def _stat(self) -> tuple[int, int]:
        facts = os.fstat(self._handle)
        return facts.st_size, facts.st_mtime_ns
