"""Heat-map targets: what the network should answer for a set of particle centres.

Everything here is on the *grid*, the network's output map: axes (z, y, x), as coarse as the network's
stride makes it. `published_targets` draws the published maps around integer grid centres;
`gaussian_targets` draws the default preset's maps around the true sub-voxel positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.scale import Factors

UNLABELLED = -1.0
"""Value of a voxel of which nothing is known, in positive-unlabelled training."""
IGNORED = -2.0
"""Value of a voxel outside the mask: it has no part in any loss."""
CUT = 3.0
"""A Gaussian of the default preset ends at this many standard deviations."""

Map = NDArray[np.float32]


def published_grid_centres(points_xyz: ArrayLike, voxel_per_output: Factors) -> NDArray[np.int64]:
    """Grid centres of particle positions, as the published program rounds them.

    Parameters
    ----------
    points_xyz
        (n, 3) positions x, y, z in voxels of the tomogram.
    voxel_per_output
        Voxels of the tomogram per grid voxel, z, y, x.

    Returns
    -------
    ndarray
        (n, 3) int64, columns x, y, z on the grid. Positions are cut to integers toward zero and
        divided rounding down (published method), which places them half to one voxel low.
    """
    whole = np.trunc(_table(points_xyz, "particle positions"))
    return (whole // np.array(voxel_per_output[::-1])).astype(np.int64)


def published_radius(bbox: int) -> int:
    """Kernel radius in grid voxels of a particle of `bbox` tomogram voxels.

    The published method takes the smallest of the three CornerNet radii for a square box of
    `bbox // 2` and an overlap of 0.7, which is floor((sqrt(2.8) - 1.4) (bbox // 2)).

    Raises
    ------
    UsageError
        `bbox` below 2.
    """
    if bbox < 2:
        raise UsageError(f"{bbox}", where="--bbox", expected="the particle's diameter in voxels, at least 2")
    return math.floor((math.sqrt(2.8) - 1.4) * (bbox // 2))


def published_kernel(radius: int, fibre: bool = False) -> NDArray[np.float64]:
    """Published kernel, a cube of edge d = 2 radius + 1.

    Parameters
    ----------
    radius
        Radius in grid voxels, 0 or more.
    fibre
        Binary kernel for filaments.

    Returns
    -------
    ndarray
        (d, d, d) float64: a Gaussian of standard deviation d / 6 in which values above 0.9 are 1;
        or, for fibres, 1 where the Gaussian is at least 0.2, else 0. The same in z as in the
        plane although z has another voxel size (published method).
    """
    edge = 2 * radius + 1
    square = np.arange(-radius, radius + 1, dtype=np.float64) ** 2
    distance = square[:, None, None] + square[:, None] + square
    bell = np.exp(-distance / (2.0 * (edge / 6.0) ** 2))
    if fibre:
        return (bell >= 0.2).astype(np.float64)
    return np.where(bell > 0.9, 1.0, bell)


def published_targets(
    points_grid: ArrayLike, shape: Sequence[int], bbox: int, fibre: bool = False, unlabelled: float = UNLABELLED
) -> Map:
    """Target map of a whole tomogram as in the published method.

    Parameters
    ----------
    points_grid
        (n, 3) integer grid centres, columns x, y, z (see `published_grid_centres`).
    shape
        (D, h, w) of the map.
    bbox
        Particle diameter in tomogram voxels.
    fibre
        Binary kernels for filaments.
    unlabelled
        Value that replaces 0 in the finished map: -1 for positive-unlabelled training, 0 for
        positive-negative training and for validation.

    Returns
    -------
    ndarray
        (D, h, w) float32; 1 at the centres. Kernels are cut at the border and merged by maximum,
        so two annotations in one voxel are one positive.

    Raises
    ------
    InputError
        A centre outside the map, or a table that is not (n, 3).
    UsageError
        `bbox` below 2.

    Notes
    -----
    Deviation: the published map is floor(H/2) x floor(W/2) while the network's is rounded up, which
    stops validation for odd sizes. The size is the caller's here; pass the network's.
    """
    table = _table(points_grid, "grid centres")
    centres = table.astype(np.int64)
    if np.any(centres != table):
        raise InputError("grid centres with fractions", expected="whole numbers from published_grid_centres")
    _check_inside(centres, shape)
    radius = published_radius(bbox)
    kernel = published_kernel(radius, fibre).astype(np.float32)
    result: Map = np.zeros(tuple(shape), np.float32)
    for centre in centres[:, ::-1]:
        low, high = np.maximum(centre - radius, 0), np.minimum(centre + radius + 1, shape)
        inside = tuple(slice(a, b) for a, b in zip(low, high))
        part = tuple(slice(a, b) for a, b in zip(low - centre + radius, high - centre + radius))
        np.maximum(result[inside], kernel[part], out=result[inside])
    if unlabelled != 0.0:
        result[result == 0.0] = unlabelled
    return result


def gaussian_targets(centres_zyx: ArrayLike, shape: Sequence[int], sigma_zyx: Sequence[float]) -> Map:
    """Target map of the default preset: Gaussians around sub-voxel centres.

    Parameters
    ----------
    centres_zyx
        (n, 3) float positions z, y, x on the grid; the centre of the first grid voxel is 0.
        Positions outside the map are allowed, their Gaussians are cut at the border.
    shape
        (D, h, w) of the map.
    sigma_zyx
        Standard deviations in grid voxels.

    Returns
    -------
    ndarray
        (D, h, w) float32: maximum over particles of exp(-q/2), q = sum over axes of
        ((voxel - centre) / sigma)^2, and 0 where q > 9 (three standard deviations). The largest
        voxel of a particle is below 1 unless its centre falls on a voxel.

    Raises
    ------
    InputError
        A table that is not (n, 3) or holds values that are not finite.
    UsageError
        A standard deviation that is not positive.
    """
    centres, sigma = _table(centres_zyx, "particle centres"), np.asarray(sigma_zyx, np.float64)
    if sigma.shape != (3,) or not np.all(sigma > 0.0):
        raise UsageError(f"standard deviations {sigma.tolist()}", expected="three positive numbers, z, y, x")
    result: Map = np.zeros(tuple(shape), np.float32)
    low = np.clip(np.ceil(centres - CUT * sigma), 0, None).astype(np.int64)
    high = np.minimum(np.floor(centres + CUT * sigma).astype(np.int64) + 1, shape)
    for centre, first, last in zip(centres, low, high):
        if np.any(first >= last):
            continue
        z, y, x = (((np.arange(a, b) - c) / s) ** 2 for a, b, c, s in zip(first, last, centre, sigma))
        q = z[:, None, None] + y[:, None] + x
        inside = tuple(slice(a, b) for a, b in zip(first, last))
        np.maximum(result[inside], np.where(q <= CUT**2, np.exp(-0.5 * q), 0.0), out=result[inside])
    return result


def nearest_voxels(centres_zyx: ArrayLike, shape: Sequence[int]) -> NDArray[np.bool_]:
    """The voxel nearest to each sub-voxel centre, where the particle's Gaussian is largest.

    Parameters
    ----------
    centres_zyx
        (n, 3) float positions z, y, x on the grid.
    shape
        (D, h, w) of the map.

    Returns
    -------
    ndarray
        (D, h, w) bool, the positives of the default preset's focal loss. A centre half-way between
        two voxels takes the upper one; centres whose nearest voxel is outside leave no mark.

    Raises
    ------
    InputError
        A table that is not (n, 3) or holds values that are not finite.
    """
    voxels = np.floor(_table(centres_zyx, "particle centres") + 0.5).astype(np.int64)
    mark = np.zeros(tuple(shape), bool)
    inside = np.all((voxels >= 0) & (voxels < np.asarray(shape)), axis=1)
    mark[tuple(voxels[inside].T)] = True
    return mark


def _table(values: ArrayLike, what: str) -> NDArray[np.float64]:
    """The values as a finite (n, 3) float64 table; an empty one may have any shape."""
    table = np.asarray(values, np.float64)
    if table.size == 0:
        return np.zeros((0, 3))
    if table.ndim != 2 or table.shape[1] != 3:
        raise InputError(f"{what} of shape {table.shape}", expected="a table of three columns")
    if not np.all(np.isfinite(table)):
        raise InputError(f"{what} with values that are not finite", expected="numbers")
    return table


def _check_inside(centres_xyz: NDArray[np.int64], shape: Sequence[int]) -> None:
    """Refuse centres outside the map: their particle would be lost without a word."""
    outside = np.any((centres_xyz < 0) | (centres_xyz >= np.asarray(shape)[::-1]), axis=1)
    if np.any(outside):
        first = centres_xyz[outside][0].tolist()
        raise InputError(
            f"{int(outside.sum())} of {len(centres_xyz)} grid centres are outside the map, first x, y, z = {first}",
            expected=f"0 <= x, y, z < {list(shape)[::-1]}",
            remedy="Check the axis order of the coordinates and that they belong to this tomogram.",
        )
