"""Masks: where a tomogram holds what is of interest, and where carbon, gold and edges are.

A mask is an MRC file in its tomogram's frame. Voxels above 0.5 count, the others are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import axes, stores
from .errors import InputError
from .imod_header import AS_UNSIGNED
from .lists import ImageEntry
from .scale import Factors
from .scratch_array import scratch_array
from .tomogram import TomogramHeader, open_tomogram, read_header

INSIDE = 0.5
_SECTIONS = 16  # read at once
SUFFIXES = tuple(f"{suffix}{packed}" for suffix in (".mrc", ".rec", ".map") for packed in ("", ".gz"))


@dataclass(frozen=True)
class Mask:
    """One tomogram's mask.

    Attributes
    ----------
    zyx
        ``(z, y, x)``, True where it is set; of a file, on a temporary file.
    binning
        Voxels of the tomogram per voxel of the mask.
    """

    zyx: NDArray[np.bool_]
    binning: float = 1

    def rescaled(self, scale: float) -> Mask:
        """For the tomogram with `scale` voxels in the place of one, see `milopyp_shared.resample`."""
        return replace(self, binning=self.binning * scale)

    def keeps(self, xyz: NDArray[np.floating[Any] | np.integer[Any]]) -> NDArray[np.bool_]:
        """``(n,)``: which of ``(n, 3)`` positions x, y, z in voxels of the tomogram lie where the mask is set."""
        places = self._nearest(np.asarray(xyz, dtype=np.float64)[:, ::-1], np.array(self.zyx.shape))
        kept: NDArray[np.bool_] = self.zyx[tuple(places.T)]
        return kept

    def on_grid(self, start: tuple[int, ...], shape: tuple[int, ...], voxels: Factors) -> NDArray[np.bool_]:
        """Where the mask is set, for a box of a coarser grid.

        Parameters
        ----------
        start, shape
            First voxel and size of the box, z, y, x of the grid.
        voxels
            Of the tomogram per voxel of the grid, z, y, x.
        """
        places = [
            self._nearest(
                ((first + np.arange(count)) * float(step) + (step - 1) / 2).astype(np.float64), np.array(size)
            )
            for first, count, step, size in zip(start, shape, voxels, self.zyx.shape, strict=True)
        ]
        box: NDArray[np.bool_] = self.zyx[np.ix_(*places)]
        return box

    def _nearest(self, position: NDArray[np.float64], size: NDArray[np.int64]) -> NDArray[np.int64]:
        """The mask's voxel that holds a position of the tomogram; beyond a face the one there."""
        nearest: NDArray[np.int64] = np.floor((position + 0.5) / self.binning).astype(np.int64)
        return np.clip(nearest, 0, size - 1)


def find_mask(path: Path, image: ImageEntry) -> Path | None:
    """The mask file of a tomogram.

    Parameters
    ----------
    path
        A file, which is the mask of every tomogram; or a folder of ``NAME_mask.mrc`` or ``NAME.mrc`` (also ``.rec``,
        ``.map``, packed with gzip), in which a tomogram may have none. The tomogram itself is never its own mask.

    Raises
    ------
    InputError
        No such file or folder, or several masks of one tomogram.
    """
    if not path.is_dir() or stores.split(path):
        if not stores.is_there(path):
            raise InputError("no such file or folder", where=path, expected="an MRC mask, or a folder of NAME_mask.mrc")
        return path
    for end in ("_mask", ""):
        files = [file for suffix in SUFFIXES if (file := path / f"{image.name}{end}{suffix}").exists()]
        files = [file for file in files if not image.path.exists() or not file.samefile(image.path)]
        if len(files) > 1:
            raise InputError(
                f"several masks of {image.name}: {', '.join(file.name for file in files)}", where=path,
                expected="one each", remedy="Move the others elsewhere.",
            )  # fmt: skip
        if files:
            return files[0]
    return None


def find_masks(path: Path, images: Sequence[ImageEntry], say: Callable[[str], None]) -> dict[str, Path]:
    """The masks of several tomograms by name; those without one are said.

    Raises
    ------
    InputError
        As `find_mask`, or there is none of any.
    """
    found = {image.name: mask for image in images if (mask := find_mask(path, image)) is not None}
    without = [image.name for image in images if image.name not in found]
    if not found:
        raise InputError(
            f"no mask of {', '.join(without[:3])}", where=path, expected=f"files such as {without[0]}_mask.mrc"
        )
    if without:
        some = ", ".join(without[:3]) + (" ..." if len(without) > 3 else "")
        say(f"{path} has no mask of {some}: no part of {'it' if len(without) == 1 else 'them'} is left out")
    return found


def check_mask_header(path: Path, tomogram: TomogramHeader) -> None:
    """Raise what `open_mask` would raise, as far as the mask's header tells."""
    _binning(read_header(path, tomogram.order, shortest=1).shape, tomogram, path)


def open_mask(path: Path, tomogram: TomogramHeader) -> Mask:
    """The mask of a tomogram, as IMOD reads it: its signed bytes count from -128, and its rows from the bottom.

    Raises
    ------
    InputError
        No readable MRC file, neither the tomogram's size nor that of the tomogram binned, or nowhere set.
    """
    mask = open_tomogram(path, tomogram.order, shortest=1)
    binning = _binning(mask.shape, tomogram, path)
    kept = scratch_array(mask.shape, np.bool_)
    above = INSIDE - AS_UNSIGNED if mask.mrc.biased else INSIDE
    for first in range(0, mask.shape[0], _SECTIONS):
        kept[first : first + _SECTIONS] = mask.sections(first, first + _SECTIONS) > above
    mask.raise_if_modified()
    if mask.mrc.stamped and tomogram.mrc.placement.rows_downwards:
        kept = np.flip(kept, axes.to_zyx(tomogram.order).index(1))
    return _set_somewhere(Mask(kept, binning), path)


def array_mask(zyx: NDArray[Any], tomogram: TomogramHeader) -> Mask:
    """A mask ``(z, y, x)`` in memory, booleans or numbers; the same errors as those of `open_mask`."""
    binning = _binning(zyx.shape, tomogram, "mask")
    return _set_somewhere(Mask(zyx if zyx.dtype == np.bool_ else zyx > INSIDE, binning), "mask")


def _binning(shape: tuple[int, ...], tomogram: TomogramHeader, where: object) -> int:
    """Voxels of the tomogram per voxel of a mask of sizes ``(z, y, x)``."""
    longest = max(range(3), key=lambda axis: tomogram.shape[axis])  # where rounding says least
    binning = max(round(tomogram.shape[longest] / max(shape[longest], 1)), 1)
    if any(abs(own - whole / binning) >= 1 for whole, own in zip(tomogram.shape, shape, strict=True)):
        along_the_file = axes.from_zyx(tomogram.order)
        sizes, wanted = (
            " x ".join(str(each[axis]) for axis in reversed(along_the_file)) for each in (shape, tomogram.shape)
        )
        raise InputError(
            f"{sizes} voxels",
            where=where,
            expected=f"the {wanted} of {tomogram.path.name}, or a whole fraction of them",
            remedy="The mask must lie on the tomogram as it is stored, in the same axis order.",
        )
    return binning


def _set_somewhere(mask: Mask, where: object) -> Mask:
    if not mask.zyx.any():
        raise InputError(
            "is nowhere above 0.5",
            where=where,
            expected="1 where particles may be, 0 elsewhere",
            remedy="Is it the right file? A mask marks what is kept.",
        )
    return mask
