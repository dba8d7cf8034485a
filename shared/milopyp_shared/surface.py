"""How far places lie from the surface of a mask, and where that surface faces.

The surface runs halfway between set and unset voxels that touch by a face; the faces of the tomogram are no surface. It
is looked for around the places alone, block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .masks import Mask

Floats = NDArray[np.float64]

BLOCK = 128  # voxels of the mask: places that are looked at together
FEWEST_VOXELS = 2.0  # of the mask, over which a normal is taken: its surface is made of steps
UNSURE = 0.1  # of the slope that a distance has: below it, either side is as near
_AROUND = np.array([step for step in product((-1.0, 0.0, 1.0), repeat=3) if any(step)])
_AROUND /= np.linalg.norm(_AROUND, axis=1, keepdims=True)  # 26 directions, of which the mean of u u' is a third


def refuse_without_surface(mask: Mask, where: object) -> None:
    """Refuse a mask that is set everywhere.

    Raises
    ------
    InputError
        It is.
    """
    if mask.zyx.all():
        raise InputError(
            "is above 0.5 everywhere", where=where, expected="1 in a membrane or an organelle, 0 elsewhere",
            remedy="Distances are measured from where the two meet.",
        )  # fmt: skip


def signed_distances(mask: Mask, xyz: Floats, reach: float) -> Floats:
    """Distances ``(n,)`` of places from the surface, negative inside the mask; infinite beyond `reach`.

    Parameters
    ----------
    xyz
        ``(n, 3)`` voxels of the tomogram.
    reach
        Voxels of the tomogram, as the result. Memory grows with its cube: 1 byte per voxel of the mask in a block of
        `BLOCK` and twice this.
    """
    from scipy.spatial import cKDTree

    zyx = (np.asarray(xyz, dtype=np.float64)[:, ::-1] + 0.5) / mask.binning - 0.5
    limit = reach / mask.binning * (1 + 1e-9)
    found = np.full(len(zyx), np.inf)
    for chosen in _blocks(zyx):
        low = np.maximum(np.floor(zyx[chosen].min(axis=0) - limit).astype(int), 0)
        high = np.maximum(np.ceil(zyx[chosen].max(axis=0) + limit).astype(int) + 1, 0)
        points = _surface(np.asarray(mask.zyx[tuple(map(slice, low, high))]))
        if len(points):
            tree = cKDTree(points + low, balanced_tree=False, compact_nodes=False)  # built once, asked a little
            found[chosen] = tree.query(zyx[chosen], distance_upper_bound=limit)[0]
    return found * mask.binning * np.where(mask.keeps(xyz), -1.0, 1.0)


def normals(mask: Mask, xyz: Floats, reach: float, radius: float) -> Floats:
    """Unit vectors x, y, z ``(n, 3)`` along which the distance grows: off the surface to places outside the mask.

    Of a place inside a membrane the nearer side counts; NaN where neither is clearly nearer, and where no surface is.

    Parameters
    ----------
    xyz, reach
        As in `signed_distances`, which must be finite there.
    radius
        Voxels of the tomogram. The slope is that of the distances on a sphere of this radius around the place, so the
        steps of the surface and what is smaller than a particle even out.
    """
    radius = max(radius, FEWEST_VOXELS * mask.binning)
    around = np.asarray(xyz)[:, None] + radius * _AROUND
    distances = signed_distances(mask, around.reshape(-1, 3), reach + radius).reshape(-1, len(_AROUND))
    slope = np.where(np.isfinite(distances), distances, np.nan) @ _AROUND * (3 / len(_AROUND) / radius)
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    return np.where(length >= UNSURE, slope / np.where(length > 0, length, 1.0), np.nan)


def _blocks(zyx: Floats) -> Iterator[NDArray[np.int64]]:
    """Indices of the places in each block that has some."""
    _, block = np.unique(np.floor(zyx / BLOCK).astype(np.int64), axis=0, return_inverse=True)
    order = np.argsort(block.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(block.ravel()))
    return (part for part in np.split(order, ends[:-1]) if len(part))


def _surface(box: NDArray[np.bool_]) -> Floats:
    """Middles of the faces ``(n, 3)`` z, y, x between set and unset voxels of a box."""
    parts = []
    for axis in range(3):
        parts.append(np.argwhere(np.diff(box, axis=axis)) + 0.5 * (np.arange(3) == axis))
    return np.concatenate(parts)
