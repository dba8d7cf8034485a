"""Arrays where files are accepted: a volume in memory as a tomogram, or as a mask."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import axes
from .errors import ContradictionError, InputError, UsageError
from .files import as_path
from .imod_header import Placement
from .masks import Mask, array_mask, open_mask
from .mrc import MrcHeader
from .tomogram import SHORTEST_AXIS, Tomogram, TomogramHeader, open_tomogram

TomogramLike: TypeAlias = "str | os.PathLike[str] | Tomogram | NDArray[Any]"
MaskLike: TypeAlias = "str | os.PathLike[str] | NDArray[Any]"

_NAME = Path("tomogram")  # what messages call it


@dataclass(frozen=True)
class ArrayVoxels:
    """The voxels of a volume in memory; not copied, and not written to."""

    zyx: NDArray[Any]

    def read_slices(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Slices ``first <= i < last`` along an axis."""
        return self.zyx[(slice(None),) * axis + (slice(first, last),)]

    def mapped(self) -> NDArray[Any]:
        """All of them."""
        return self.zyx

    def raise_if_modified(self) -> None:
        """Do nothing: an array is whatever it is when it is read."""


def as_tomogram(value: TomogramLike, order: str = axes.AUTO, voxel_size: float | None = None) -> Tomogram:
    """An open tomogram, whatever it is given as.

    Parameters
    ----------
    value
        A file or store, an open tomogram, or an array ``(z, y, x)`` of real numbers, which stays where it is.
    order
        Of a file; ``auto`` for the others, or what they are in.
    voxel_size
        Angstrom; overrides what a file says.

    Raises
    ------
    UsageError
        It is none of them, or no order or voxel size.
    InputError
        A file that `open_tomogram` refuses, or an array of something else, or with an axis that is too short.
    ContradictionError
        Another order than that of the tomogram.
    """
    if voxel_size is not None and not (isinstance(voxel_size, (int, float, np.number)) and 0 < voxel_size < np.inf):
        raise UsageError(f"{voxel_size!r}", where="voxel_size", expected="Angstrom per voxel, above 0")
    if isinstance(value, np.ndarray):
        tomogram = _in_memory(value, voxel_size)
    elif isinstance(value, Tomogram):
        tomogram = replace(value, given_voxel_size=voxel_size or value.given_voxel_size)
    else:
        path = as_path(value, "tomogram", "the name of a file, an open tomogram, or an array (z, y, x)")
        return open_tomogram(path, order, voxel_size)
    if order not in (axes.AUTO, tomogram.order):
        raise ContradictionError(f"order {order!r}", where=tomogram.path, expected=f"{tomogram.order}, in which it is")
    return tomogram


def as_mask(value: MaskLike, tomogram: TomogramHeader) -> Mask:
    """The mask of a tomogram, whatever it is given as.

    Parameters
    ----------
    value
        A file, or an array ``(z, y, x)`` of the tomogram's size or of a whole fraction of it: booleans, or numbers of
        which those above 0.5 count.

    Raises
    ------
    UsageError
        It is neither.
    InputError
        A file that `open_mask` refuses, or an array of another size or that is nowhere set.
    """
    if not isinstance(value, np.ndarray):
        return open_mask(as_path(value, "mask", "the name of a file, or an array (z, y, x)"), tomogram)
    _refuse_other_kinds(value, "mask", "biuf", "booleans, or numbers of which those above 0.5 count")
    return array_mask(value, tomogram)


def _in_memory(zyx: NDArray[Any], voxel_size: float | None) -> Tomogram:
    _refuse_other_kinds(zyx, "tomogram", "iuf", "grey levels: integers or floating-point numbers")
    z, y, x = zyx.shape
    if min(zyx.shape) < SHORTEST_AXIS:
        raise InputError(
            f"{z} x {y} x {x} voxels (z, y, x)", where="tomogram", expected=f"at least {SHORTEST_AXIS} along every axis"
        )
    said = None if voxel_size is None else (float(voxel_size),) * 3
    header = MrcHeader((z, y, x), zyx.dtype, placement=Placement(said))
    return Tomogram(_NAME, header, "xyz", voxel_size, ArrayVoxels(zyx))


def _refuse_other_kinds(zyx: NDArray[Any], what: str, kinds: str, expected: str) -> None:
    if zyx.ndim != 3:
        raise InputError(f"an array of shape {zyx.shape}", where=what, expected="three axes, (z, y, x)")
    if zyx.dtype.kind not in kinds:
        raise InputError(f"an array of {zyx.dtype}", where=what, expected=expected)
