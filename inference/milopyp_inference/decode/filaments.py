"""Fibres as the published program traces them: chains of picks, each fitted by parabolas over x and sampled evenly.

The method is kept with its weaknesses, because the results are to be the published ones: x is the free variable, so a
fibre along y is lost or badly fitted, and the curvature has the exponent 2/3 where the geometric one has 3/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_CHAIN = 7  # points; chains of 6 and fewer are dropped
NO_FIT = 10_000.0  # residual of a fit that the points do not determine
LOOSE_RESIDUAL, STRICT_CURVATURE = 3.0, 0.1  # a residual up to this factor is accepted in a line as straight as this


@dataclass(frozen=True)
class FibreOptions:
    """Options of the published program; lengths in full-resolution voxels.

    Attributes
    ----------
    distance_cutoff
        Picks at most this far apart belong to one fibre.
    r2_cutoff
        Sum of the mean squared residuals of both parabolas below which a chain is a fibre.
    curvature_cutoff
        Curvature of either parabola below which a chain is a fibre.
    distance_scale
        Distance of the sampled points along x.
    """

    distance_cutoff: float = 15.0
    r2_cutoff: float = 30.0
    curvature_cutoff: float = 0.003
    distance_scale: float = 2.0


def trace(points: NDArray[np.int64], options: FibreOptions | None = None) -> NDArray[np.int64]:
    """Points along the fibres among some picks, cut to whole voxels.

    A coordinate that should be a whole number comes out a rounding error above or below it, and is cut accordingly:
    which one, depends on the processor's least squares, here as in the published program.

    Parameters
    ----------
    points
        ``(n, 3)`` x, y, z, full-resolution voxels; n can be 0. Fibres come in the order of their first points.

    Returns
    -------
    ``(m, 3)`` x, y, z, fibre after fibre, each from low to high x.
    """
    options = options or FibreOptions()
    followed = [follow(chain, options) for chain in chains(points, options.distance_cutoff)]
    return np.concatenate([np.empty((0, 3)), *followed]).astype(np.int64)


def chains(points: NDArray[np.int64], distance: float) -> list[NDArray[np.int64]]:
    """Groups of 7 and more of the ``(n, 3)`` `points`, linked by steps of at most `distance`; by their first points."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if len(points) < SMALLEST_CHAIN:
        return []
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    _, label = connected_components(links, directed=False)
    _, first, count = np.unique(label, return_index=True, return_counts=True)
    return [points[label == label[start]] for start in np.sort(first[count >= SMALLEST_CHAIN])]


def curvature(a: float, b: float, x: NDArray[np.float64]) -> float:
    """Largest value of 2a / (1 + (2ax + b)^2)^(2/3) over `x`, sign included: the published curvature of ax^2 + bx."""
    return float((2.0 * a / (1.0 + (2.0 * a * x + b) ** 2) ** (2.0 / 3.0)).max())


def follow(chain: NDArray[np.int64], options: FibreOptions) -> NDArray[np.float64]:
    """Points ``(m, 3)`` of one chain's parabolas, from one voxel before it to one behind it; none if it is no fibre."""
    x = chain[:, 0].astype(np.float64)
    low, high, span = x.min() - 1.0, x.max() + 1.0, x.max() - x.min()
    nothing = np.empty((0, 3))
    fine = np.linspace(low, high, int(span / 2.0))
    if len(fine) == 0:
        return nothing
    fits, residual, bent = [], 0.0, 0.0
    for axis in (1, 2):
        fit, squares, *_ = np.polyfit(x, chain[:, axis], 2, full=True)
        fits.append(fit)
        residual += float(squares[0]) / len(x) if len(squares) else NO_FIT
        bent = max(bent, abs(curvature(fit[0], fit[1], fine)))
    limit, bend = options.r2_cutoff, options.curvature_cutoff
    close = residual < limit and bent < bend
    straight = limit <= residual < LOOSE_RESIDUAL * limit and bent < STRICT_CURVATURE * bend
    if not (close or straight):
        return nothing
    along = np.linspace(low, high, int(span / options.distance_scale))
    return np.stack([along, *(np.polyval(fit, along) for fit in fits)], axis=1)
