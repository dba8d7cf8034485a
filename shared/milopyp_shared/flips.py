"""Heat maps averaged over mirrored copies of the volume: slower, steadier, and without a preferred direction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .recipe import Geometry
from .slabs import Network, heat_map

# Axes (z, y, x) = (0, 1, 2) that each copy is mirrored along. Two: the volume and its point inversion. Four: the turns
# by 180 degrees, which keep the hand of the particles and the missing wedge. Both sets treat the two directions of
# every axis alike, so what a network prefers cancels.
SETS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((),),
    2: ((), (0, 1, 2)),
    4: ((), (1, 2), (0, 2), (0, 1)),
}


def averaged_heat_map(
    sections: Callable[[int, int], NDArray[np.uint8]],
    shape: tuple[int, int, int],
    network: Network,
    geometry: Geometry,
    flips: int = 1,
    own: int | None = None,
) -> NDArray[np.float32]:
    """Mean of the heat maps of `flips` mirrored copies (1, 2 or 4), each computed slab by slab.

    Parameters and result as for `milopyp_shared.slabs.heat_map`. An odd in-plane size is filled up by its last line
    before mirroring, so that the copies' grids coincide.
    """
    total: NDArray[np.float32] | None = None
    for axes in SETS[flips]:
        even = (shape[0], shape[1] + shape[1] % 2, shape[2] + shape[2] % 2) if axes else shape
        part = heat_map(_mirrored(sections, shape, axes), even, network, geometry, own)
        part = np.flip(part, axes)
        total = part.copy() if total is None else np.add(total, part, out=total)
    assert total is not None
    if flips > 1:
        total /= np.float32(flips)
    return total


def _mirrored(
    sections: Callable[[int, int], NDArray[np.uint8]], shape: tuple[int, int, int], axes: tuple[int, ...]
) -> Callable[[int, int], NDArray[np.uint8]]:
    """The volume mirrored along `axes`, read by sections."""
    if not axes:
        return sections
    depth, rows, columns = shape

    def read(first: int, last: int) -> NDArray[np.uint8]:
        block = sections(depth - last, depth - first) if 0 in axes else sections(first, last)
        block = np.pad(block, ((0, 0), (0, rows % 2), (0, columns % 2)), mode="edge")
        return np.ascontiguousarray(np.flip(block, axes))

    return read
