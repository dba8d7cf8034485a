"""Heat maps averaged over mirrored copies of the volume: slower, steadier, and without a preferred direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .recipe import Geometry
from .tiles import VOXELS_AT_ONCE, Network, Piece, Read, Shape, heat_map_shape, iter_heat_map, plan_tiles

# Axes (z, y, x) = (0, 1, 2) that each copy is mirrored along. Two: the volume and its point inversion. Four: the turns
# by 180 degrees, which keep the hand of the particles and the missing wedge. Both sets treat the two directions of
# every axis alike, so what a network prefers cancels.
SETS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((),),
    2: ((), (0, 1, 2)),
    4: ((), (1, 2), (0, 2), (0, 1)),
}


def averaged_heat_map(
    read: Read,
    shape: Shape,
    run: Callable[[Read, Shape], Iterator[Piece]],
    out: NDArray[np.float32],
    flips: int = 1,
    *,
    stride: Shape,
) -> None:
    """Mean of the heat maps of `flips` mirrored copies (1, 2 or 4).

    A size that the network's stride does not divide is filled up by its last line before mirroring, so that the
    copies' grids coincide.

    Parameters
    ----------
    read
        Gives grey levels.
    shape
        ``(z, y, x)`` after pairing.
    run
        Gives the heat map of one copy in pieces.
    out
        The result's place, float32, sizes divided by the stride and rounded up, behind an axis of classes where the
        network has several; may be a memory map.
    stride
        Of the network.
    """
    for number, axes in enumerate(SETS[flips]):
        mirrored = np.flip(out, tuple(axis - 3 for axis in axes))
        for place, piece in run(
            mirrored_reader(read, shape, axes, stride), filled_shape(shape, stride) if axes else shape
        ):
            here = mirrored[..., *place]
            if number == 0:
                here[...] = piece
            else:
                here += piece
            if number == flips - 1 and flips > 1:
                here /= np.float32(flips)


def heat_map(
    read: Read,
    shape: Shape,
    network: Network,
    geometry: Geometry,
    *,
    flips: int = 1,
    at_once: int = VOXELS_AT_ONCE,
    classes: int = 1,
) -> NDArray[np.float32]:
    """Heat map of a whole volume, tile by tile, averaged over mirrored copies.

    Parameters
    ----------
    read
        Gives grey levels.
    shape
        ``(z, y, x)`` after pairing.
    network
        Runs one tile.
    flips
        Mirrored copies, 1, 2 or 4.
    at_once
        Voxels per tile, halo included.
    classes
        That the network has.

    Returns
    -------
    float32, sizes divided by the stride and rounded up, of several classes behind an axis of them; the same for every
    choice of `at_once` up to rounding.
    """

    def run(read: Read, shape: Shape) -> Iterator[Piece]:
        return iter_heat_map(plan_tiles(shape, geometry, at_once), read, network, geometry)

    out = np.empty(heat_map_shape(shape, geometry, classes), np.float32)
    averaged_heat_map(read, shape, run, out, flips, stride=geometry.stride)
    return out


def filled_shape(shape: Shape, stride: Shape) -> Shape:
    """The sizes, rounded up to whole voxels of the heat map."""
    z, y, x = (-(-size // step) * step for size, step in zip(shape, stride, strict=True))
    return (z, y, x)


def mirrored_reader(read: Read, shape: Shape, axes: tuple[int, ...], stride: Shape) -> Read:
    """Reads the volume mirrored along `axes`, filled up to whole voxels of the heat map by its last line."""
    if not axes:
        return read

    def mirrored(start: Shape, end: Shape) -> NDArray[np.uint8]:
        low, high, fill = [], [], []
        for axis, (size, filled) in enumerate(zip(shape, filled_shape(shape, stride), strict=True)):
            first, last = (filled - end[axis], filled - start[axis]) if axis in axes else (start[axis], end[axis])
            low.append(min(first, size - 1))  # a tile of nothing but the line that fills up still needs that line
            high.append(min(last, size))
            fill.append((0, last - first - (high[-1] - low[-1])))
        block = np.pad(read((low[0], low[1], low[2]), (high[0], high[1], high[2])), fill, mode="edge")
        return np.ascontiguousarray(np.flip(block, axes))

    return mirrored
