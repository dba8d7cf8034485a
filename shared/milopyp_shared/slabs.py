"""Cut a volume into slabs of sections whose heat maps join exactly, whatever the network.

A slab is read with a halo as large as the network's receptive field and begins at a multiple of the network's
alignment, so that pooling windows fall where they fall in the whole volume. At the volume's ends nothing is
added: the network's own zero padding is part of its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .recipe import Geometry

#: ``(z, y, x)`` uint8 grey levels -> ``(z, ceil(y/2), ceil(x/2))`` float32 heat map.
Network = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

# Voxels that go through a network at once; a 3D U-Net of 16 channels holds about 100 bytes of results per voxel.
VOXELS_AT_ONCE = 24_000_000


@dataclass(frozen=True)
class Slab:
    """Sections ``first <= z < last`` of the heat map, computed from sections ``read_first <= z < read_last``."""

    first: int
    last: int
    read_first: int
    read_last: int


def plan_slabs(depth: int, own: int, geometry: Geometry) -> list[Slab]:
    """Slabs of `own` sections each (the last one may be shorter) that cover `depth` sections.

    Parameters
    ----------
    depth, own
        Sections after pairing; `own` is at least 1.
    geometry
        Halo and alignment along z are used.
    """
    halo, alignment = geometry.halo[0], geometry.alignment[0]
    slabs = []
    for first in range(0, depth, own):
        last = min(first + own, depth)
        read_first = max(first - halo, 0) // alignment * alignment
        slabs.append(Slab(first, last, read_first, min(last + halo, depth)))
    return slabs


def default_own_sections(shape: tuple[int, int, int], geometry: Geometry) -> int:
    """Sections per slab that keep a slab with its halo under `VOXELS_AT_ONCE`, at least 8."""
    depth, rows, columns = shape
    at_once = VOXELS_AT_ONCE // (rows * columns)
    return depth if at_once >= depth else max(8, at_once - 2 * geometry.halo[0])


def heat_map(
    sections: Callable[[int, int], NDArray[np.uint8]],
    shape: tuple[int, int, int],
    network: Network,
    geometry: Geometry,
    own: int | None = None,
) -> NDArray[np.float32]:
    """Heat map of a whole volume, computed slab by slab.

    Parameters
    ----------
    sections
        Gives grey levels of sections ``first <= z < last``, e.g. `GreyVolume.sections`.
    shape
        ``(z, y, x)`` after pairing.
    network
        Runs one slab.
    own
        Sections per slab; chosen from the volume's size when None.

    Returns
    -------
    ``(z, ceil(y/2), ceil(x/2))`` float32; the same for every choice of `own` up to rounding.
    """
    _, sy, sx = geometry.stride
    out = np.empty((shape[0], -(-shape[1] // sy), -(-shape[2] // sx)), dtype=np.float32)
    for slab in plan_slabs(shape[0], own or default_own_sections(shape, geometry), geometry):
        piece = network(sections(slab.read_first, slab.read_last))
        out[slab.first : slab.last] = piece[slab.first - slab.read_first : slab.last - slab.read_first]
    return out
