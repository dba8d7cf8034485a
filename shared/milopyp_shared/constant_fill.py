"""Constant fill: borders, corners and surroundings of a tomogram in which every voxel is the same.

Reconstruction programs pad with a constant, rotation leaves corners of it, and masking sets what is outside to one. It
is no part of the sample: it must neither move the grey levels nor stand beside them as a wall. It reaches the edge of a
section; a gold bead that saturates 8 bits does not, and remains what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SQUARE, REACH = 5, 2  # edge of the squares that are looked for: smoothed 8-bit noise has equal neighbours, but not 25
ROUNDING = 1e-6  # relative: a constant that was resampled is no longer one to the last bit
SAMPLED, EVERY = 8, 7  # sections, spread over the depth, and voxels of them that the level is made of


class Sections(Protocol):
    """What is looked for fill; see `milopyp_shared.preprocessing.Sections`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)``."""

    def sections(self, first: int, last: int) -> NDArray[Any]:
        """Sections ``first <= z < last``, ``(z, y, x)``."""


@dataclass(frozen=True)
class Fill:
    """What stands in for constant fill.

    Attributes
    ----------
    level
        The constant itself where other voxels have such numbers, too (it may be the background of a volume without
        noise); else the middle of the others.
    """

    level: np.float32

    def replaced(self, sections: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Sections ``(z, y, x)`` in float32 with `level` in place of constant fill, and where that is."""
        replaced, constant = sections.astype(np.float32), constant_fill(sections)
        if constant is not None:
            replaced[constant] = self.level
        return replaced, constant


def find_fill(tomogram: Sections) -> Fill | None:
    """What is to stand in for the constant fill of a tomogram; None where a sample of it is nothing else."""
    chosen = np.unique(np.linspace(0, tomogram.shape[0] - 1, SAMPLED).round().astype(int))
    kept, filled = [], []
    for z in chosen:
        section = tomogram.sections(int(z), int(z) + 1)
        constant = constant_fill(section)
        kept.append(section.ravel() if constant is None else section[~constant])
        filled.append(section.ravel()[:0] if constant is None else section[constant])
    voxels = np.sort(np.concatenate(kept).astype(np.float32)[::EVERY])
    if not len(voxels):
        return None
    middle = voxels[len(voxels) // 6 : len(voxels) - len(voxels) // 6]
    level, half = float(middle.mean(dtype=np.float64)), float(middle[-1] - middle[0]) / 2
    if len(constants := np.concatenate(filled)):
        usual = float(np.sort(constants)[len(constants) // 2])
        level = usual if abs(usual - level) <= 2 * half else level
    return Fill(np.nan_to_num(np.float32(level), posinf=0.0, neginf=0.0))


def constant_fill(sections: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Voxels ``(z, y, x)`` of constant fill; None: there is none.

    It consists of squares of `SQUARE` x `SQUARE` equal voxels of a section that hang together and reach its edge.
    Beyond its edges a section goes on as it ends, so that a border of three voxels is found.
    """
    found = None
    for z in np.flatnonzero(_may_have_fill(sections)):
        from scipy.ndimage import label  # few tomograms need it, and it takes a quarter of a second to load

        squares = _constant_squares(sections[z])
        parts, _ = label(squares)
        at_the_edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        if at_the_edge.any():
            if found is None:
                found = np.zeros(sections.shape, dtype=np.bool_)
            found[z] = np.isin(parts, at_the_edge[at_the_edge > 0])
    return found


def _may_have_fill(sections: NDArray[Any]) -> NDArray[np.bool_]:
    """``(z,)``: whether there are as many equal voxels at an edge of a section as a square has."""
    may = np.zeros(len(sections), dtype=np.bool_)
    for line in (sections[:, 0], sections[:, -1], sections[:, :, 0], sections[:, :, -1]):
        edge = np.pad(line, ((0, 0), (REACH, REACH)), mode="edge")  # three in a corner are as many as five
        may |= _all_of(_equal(edge[:, 1:], edge[:, :-1]), SQUARE - 1, axis=1).any(axis=1)
    return may


def _constant_squares(section: NDArray[Any]) -> NDArray[np.bool_]:
    """Voxels ``(y, x)`` that lie in a square of equal ones."""
    padded = np.pad(section, REACH, mode="edge")
    along_x, along_y = _equal(padded[:, 1:], padded[:, :-1]), _equal(padded[1:], padded[:-1])
    # of the corners of squares with the lowest x and y: all pairs of neighbours in the square are equal
    runs = _all_of(along_x, SQUARE - 1, axis=1)
    corners = _all_of(runs, SQUARE, axis=0) & _all_of(along_y, SQUARE - 1, axis=0)[:, : runs.shape[1]]
    return _any_of(_any_of(corners, axis=0), axis=1)[REACH:-REACH, REACH:-REACH]


def _equal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    if a.dtype.kind != "f":
        return np.asarray(a == b)
    with np.errstate(invalid="ignore", over="ignore"):
        same: NDArray[np.bool_] = np.abs(a - b) <= np.abs(a) * a.dtype.type(ROUNDING)
        return same


def _all_of(flags: NDArray[np.bool_], count: int, axis: int) -> NDArray[np.bool_]:
    """Whether `count` neighbours along an axis are all set, from each on; shorter by ``count - 1``."""
    flags = np.moveaxis(flags, axis, 0)
    rest = len(flags) - count + 1
    together: NDArray[np.bool_] = flags[:rest].copy()
    for step in range(1, count):
        together &= flags[step : rest + step]
    return np.moveaxis(together, 0, axis)


def _any_of(corners: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """What squares cover along an axis, from their corners; longer by ``SQUARE - 1``."""
    corners = np.moveaxis(corners, axis, 0)
    covered = np.zeros((len(corners) + SQUARE - 1, *corners.shape[1:]), dtype=np.bool_)
    for step in range(SQUARE):
        covered[step : len(corners) + step] |= corners
    return np.moveaxis(covered, 0, axis)
