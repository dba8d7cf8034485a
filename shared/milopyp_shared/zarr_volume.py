"""The voxels of a tomogram in OME-Zarr, read by whole chunks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, MilopypError, is_out_of_memory
from .imod_header import FURTHEST, Placement, Three
from .mrc import MrcHeader
from .ome_zarr import Level
from .scratch_array import scratch_array
from .store_facts import facts_of
from .urls import RemoteError
from .zarr_image import array_of, open_image, reading, words_of

if TYPE_CHECKING:
    from zarr import Array
    from zarr.abc.store import Store

_IN_MEMORY = 32 << 20  # bytes of decoded chunks; more are kept on a temporary file
_AT_ONCE = 8 << 20  # bytes that are decoded in one go


class ZarrVolume:
    """The voxels of a level, as if they were in an MRC file: `milopyp_shared.voxel_reader.Voxels`.

    Whole chunks are read, as many at a time as lie beside each other, and the last ones are kept.

    Attributes
    ----------
    header
        What an MRC header would say.
    """

    def __init__(self, path: Path, store: Store | None = None, facts: Callable[[], object] | None = None) -> None:
        """Open a level; parameters and errors are those of `open_image`, and the array's own.

        Parameters
        ----------
        facts
            What is another once somebody has written to it; None: see `milopyp_shared.store_facts.facts_of`.
        """
        self._path, self._ask = path, facts or partial(facts_of, path)
        with reading(path):
            self._facts = self._ask()
            opened = open_image(path, store)
            self._array, self._zyx = array_of(opened), opened.image.zyx
        self.header = _header(opened.level, self._array, self._zyx)
        self._kept: tuple[int, int, NDArray[Any]] | None = None  # axis, first slice, slices

    def read_slices(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Slices ``first <= i < last`` across an axis (z, y, x), not to be written to.

        Raises
        ------
        InputError
            A chunk is damaged, cannot be read, or has changed.
        """
        size, thick = self.header.stored_shape[axis], self._array.chunks[self._zyx[axis]]
        first, last, _ = slice(first, last).indices(size)
        last = max(first, last)
        kept = self._kept
        if kept is None or kept[0] != axis or not kept[1] <= first <= last <= kept[1] + kept[2].shape[axis]:
            start, end = first // thick * thick, min(-(-last // thick) * thick, size)
            kept = self._kept = (axis, start, self._whole_chunks(axis, start, end))
        inside: list[slice] = [slice(None)] * 3
        inside[axis] = slice(first - kept[1], last - kept[1])
        return kept[2][tuple(inside)]

    def mapped(self) -> NDArray[Any]:
        """A copy of all voxels on a temporary file."""
        copy = scratch_array(self.header.stored_shape, self.header.dtype)
        thick = self._array.chunks[self._zyx[0]]
        for first in range(0, len(copy), thick):
            copy[first : first + thick] = self.read_slices(0, first, first + thick)
        return copy

    @property
    def missed(self) -> int:
        """Chunks that were looked for and are not there, where the store counts them."""
        return len(getattr(self._array.store_path.store, "absent", ()))

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the store has been written to since it was opened."""
        with reading(self._path):
            now = self._ask()
        if now != self._facts:
            raise InputError(
                "has changed while it was read", where=self._path, expected="a store that nothing writes to",
                remedy="Repeat it when the store is complete.",
            )  # fmt: skip

    def _whole_chunks(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Slices between the faces of chunks; those that are kept already are not decoded again."""
        seen, self._kept = self._kept, None
        known = 0
        if seen is not None and seen[0] == axis and seen[1] <= first < seen[1] + seen[2].shape[axis]:
            known = seen[1] + seen[2].shape[axis] - first
        else:
            seen = None  # its memory is free before more is taken
        shape = list(self.header.stored_shape)
        shape[axis] = last - first
        block = self._room(shape)
        if seen is not None:
            _along(block, axis, 0, known)[...] = _along(seen[2], axis, first - seen[1], known)
        self._fill(_along(block, axis, known, last - first - known), axis, first + known)
        return block

    def _room(self, shape: list[int]) -> NDArray[Any]:
        dtype = self.header.dtype
        if math.prod(shape) * dtype.itemsize > _IN_MEMORY:
            return scratch_array(tuple(shape), dtype)
        return np.empty(shape, dtype)

    def _fill(self, block: NDArray[Any], axis: int, first: int) -> None:
        """Decode slices from `first` on, some rows of chunks at a time."""
        across = 0 if axis else 1
        thick = self._array.chunks[self._zyx[across]]
        at_once = max(_AT_ONCE * block.shape[across] // (max(block.nbytes, 1) * thick), 1) * thick
        try:
            for begin in range(0, block.shape[across], at_once):
                piece, start = _along(block, across, begin, at_once), [0, 0, 0]
                start[axis], start[across] = first, begin
                piece[...] = self._read(start, piece.shape)
        except Exception as error:  # every codec has errors of its own
            if isinstance(error, MilopypError) or is_out_of_memory(error):
                raise
            if isinstance(error, RemoteError):
                with reading(self._path):
                    raise
            self.raise_if_modified()
            raise self._damaged(axis, first, block.shape, error) from error

    def _read(self, start: list[int], shape: tuple[int, ...]) -> NDArray[Any]:
        cut = [slice(0, 1)] * self._array.ndim
        for axis, begin, size in zip(self._zyx, start, shape, strict=True):
            cut[axis] = slice(begin, begin + size)
        found = np.asarray(self._array[tuple(cut)])
        others = [axis for axis in range(found.ndim) if axis not in self._zyx]
        return found.transpose(*others, *self._zyx).reshape(shape)

    def _damaged(self, axis: int, first: int, shape: tuple[int, ...], error: Exception) -> InputError:
        """Which chunk it is, and why it cannot be decoded."""
        thick = [self._array.chunks[own] for own in self._zyx]
        place = "?"
        for corner in np.ndindex(*(-(-size // own) for size, own in zip(shape, thick, strict=True))):
            start = [number * own for number, own in zip(corner, thick, strict=True)]
            start[axis] += first
            ends = zip(start, thick, self.header.stored_shape, strict=True)
            try:
                self._read(start, tuple(min(begin + own, size) - begin for begin, own, size in ends))
            except Exception as own_error:
                error, place = own_error, ", ".join(map(str, start))
                break
        return InputError(
            f"the chunk that begins at z, y, x = {place} cannot be decoded ({words_of(error)})",
            where=self._path, expected="whole chunks, of a compressor that zarr knows", remedy="Copy it again.",
        )  # fmt: skip


def _header(level: Level, array: Array[Any], zyx: tuple[int, int, int]) -> MrcHeader:
    z, y, x = (array.shape[axis] for axis in zyx)
    return MrcHeader((z, y, x), array.dtype, placement=Placement(level.voxel_size, _origin(level, (x, y, z))))


def _origin(level: Level, size: tuple[int, int, int]) -> Three | None:
    """That of the metadata; None where it is no place, see `milopyp_shared.imod_header.Placement`."""
    longest = max(count * voxel for count, voxel in zip(size, level.voxel_size or (1.0, 1.0, 1.0), strict=True))
    return level.origin if max(map(abs, level.origin)) <= FURTHEST * longest else None


def _along(block: NDArray[Any], axis: int, first: int, count: int) -> NDArray[Any]:
    return block[(slice(None),) * axis + (slice(first, first + count),)]
