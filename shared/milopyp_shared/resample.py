"""Tomograms with more or fewer voxels than they have, resampled section by section while they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ContradictionError, InputError
from .tomogram import Tomogram, TomogramHeader

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SAME = 0.005  # voxel sizes that differ by less are the same
FURTHEST = 4.0  # beyond it, the particle in the tomogram is no longer what the network has seen
_REACH = 2.0  # of the cubic kernel, samples


@dataclass(frozen=True)
class ResampledTomogram:
    """A tomogram as if it had voxels of another size; read like a `Tomogram`.

    Attributes
    ----------
    tomogram
        What is on disk.
    scale
        Voxels here per voxel there, along every axis. Voxel i there is at ``(i + 0.5) scale - 0.5`` here, so that
        both cover the same space.
    """

    tomogram: Tomogram
    scale: float

    @property
    def path(self) -> Path:
        """The file."""
        return self.tomogram.path

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)``."""
        return resampled_shape(self.tomogram.shape, self.scale)

    def sections(self, first: int, last: int) -> NDArray[np.float32]:
        """Sections ``first <= z < last``, ``(z, y, x)`` float32."""
        along_z, along_y, along_x = self._kernels
        used = along_z[first:last].indices
        low, high = int(used.min()), int(used.max()) + 1
        block = self.tomogram.sections(low, high).astype(np.float32)
        with np.errstate(invalid="ignore", over="ignore"):  # refused later
            block = _along(0, along_z[first:last, low:high], block)
            return _along(2, along_x, _along(1, along_y, block))

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the file has been written to since it was opened."""
        self.tomogram.raise_if_modified()

    def back(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions here -> positions in the tomogram on disk, voxels."""
        stored: NDArray[np.float64] = (xyz + 0.5) / self.scale - 0.5
        return stored

    @cached_property
    def _kernels(self) -> tuple[csr_array, ...]:
        return tuple(
            _kernel(here, there, self.scale) for here, there in zip(self.shape, self.tomogram.shape, strict=True)
        )


def resampled(tomogram: Tomogram, scale: float) -> Tomogram | ResampledTomogram:
    """The tomogram with `scale` voxels in the place of one along every axis; itself where that is 1.0."""
    return tomogram if scale == 1.0 else ResampledTomogram(tomogram, scale)


def resampled_shape(shape: tuple[int, int, int], scale: float) -> tuple[int, int, int]:
    """Sizes ``(z, y, x)`` of what `resampled` gives of a tomogram of this shape."""
    z, y, x = (max(round(size * scale), 1) for size in shape)
    return (z, y, x)


def scale_to(header: TomogramHeader, voxel_size: float | None) -> float:
    """Voxels of `voxel_size` (Angstrom) per voxel of the file; exactly 1.0 where they are the same.

    Raises
    ------
    InputError
        One of the two voxel sizes is unknown.
    ContradictionError
        They differ by a factor of more than `FURTHEST`.
    """
    if voxel_size is None:
        raise InputError(
            "the model does not know the voxel size it was trained at",
            where="--rescale",
            expected="training tomograms whose headers have one",
            remedy="Leave --rescale out, or resample the tomogram yourself.",
        )
    if header.voxel_size is None:
        raise InputError(
            "the voxel size is unknown",
            where=header.path,
            expected="a voxel size in the header, for --rescale",
            remedy="Give --voxel-size.",
        )
    scale = header.voxel_size / voxel_size
    if not 1 / FURTHEST <= scale <= FURTHEST:
        raise ContradictionError(
            f"voxels of {header.voxel_size:.3g} A for a model trained at {voxel_size:.3g} A",
            where=header.path,
            expected=f"voxel sizes within a factor of {FURTHEST:g}",
            remedy="Check the header, give --voxel-size, or train a model at this voxel size.",
        )
    return 1.0 if abs(scale - 1) < SAME else scale


def _along(axis: int, kernel: csr_array, block: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = np.moveaxis(block, axis, 0)
    result = kernel @ moved.reshape(moved.shape[0], -1)
    return np.moveaxis(result.reshape(-1, *moved.shape[1:]), 0, axis)


def _kernel(here: int, there: int, scale: float) -> csr_array:
    """Matrix ``(here, there)`` of the cubic kernel (Keys 1981, a = -1/2), widened where the sampling gets coarser."""
    from scipy.sparse import csr_array

    wide = max(1.0, 1.0 / scale)
    places = (np.arange(here) + 0.5) / scale - 0.5
    first = np.ceil(places - _REACH * wide).astype(np.int64)
    index = first[:, None] + np.arange(int(np.ceil(2 * _REACH * wide)))
    inside = (index >= 0) & (index < there)
    weights = np.where(inside, _cubic((index - places[:, None]) / wide), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    row = np.broadcast_to(np.arange(here)[:, None], index.shape)
    return csr_array(
        (weights[inside].astype(np.float32), (row[inside], index[inside])), shape=(here, there), dtype=np.float32
    )


def _cubic(distance: ArrayLike) -> NDArray[np.float64]:
    d = np.abs(np.asarray(distance, dtype=np.float64))
    near, far = (1.5 * d - 2.5) * d * d + 1.0, ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d < 1.0, near, np.where(d < _REACH, far, 0.0))
