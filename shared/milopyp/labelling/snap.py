"""Where a click was meant: the middle of the blob around it, in all three directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from milopyp_shared.preprocessing import Contrast
from milopyp_shared.tiles import Shape

from .blocks import around, as_shape

Box = Callable[[Shape, Shape], NDArray[np.float32]]
"""First voxel and the one behind the last, z, y, x -> their values."""

SIGMA = 0.25  # of the smoothing, diameters: a particle becomes a blob
REACH = 0.4  # of a click's error, diameters
SPREAD = 0.24  # of the Gaussian by which a blob counts less the farther away it is, diameters


def snap(xyz: NDArray[np.float64], diameter: float, box: Box, shape: Shape, contrast: Contrast) -> NDArray[np.float64]:
    """The locally best centre of a particle.

    Parameters
    ----------
    xyz
        ``(3,)`` click, voxels.
    diameter
        Voxels.
    shape
        Of the tomogram, z, y, x.

    Returns
    -------
    ``(3,)``, at most `REACH` diameters away; the click itself where nothing stands out.
    """
    centre, reach = xyz[::-1], REACH * diameter
    first, last = around(centre, np.full(3, reach + 2 * SIGMA * diameter), shape)
    values = box(as_shape(first), as_shape(last)).astype(np.float32)
    smooth = gaussian_filter(-values if contrast == "dark" else values, SIGMA * diameter, mode="nearest")
    axes = [np.arange(start, end) - middle for start, end, middle in zip(first, last, centre, strict=True)]
    away = sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    near = away <= reach**2
    if not near.any():
        return xyz
    spread = smooth - np.median(smooth)
    weighed = np.where(near, spread * np.exp(-away / (2 * (SPREAD * diameter) ** 2)), -np.inf)
    best = np.unravel_index(int(np.argmax(weighed)), weighed.shape)
    if weighed[best] <= 0:
        return xyz
    found = [first[axis] + best[axis] + _vertex(smooth, best, axis) for axis in range(3)]
    return np.array(found[::-1], np.float64)


def _vertex(values: NDArray[np.float32], at: tuple[np.intp, ...], axis: int) -> float:
    """Where along an axis, from `at`, the parabola through three values has its top; 0 where it has none."""
    if not 0 < at[axis] < values.shape[axis] - 1:
        return 0.0
    below, above = list(at), list(at)
    below[axis], above[axis] = at[axis] - 1, at[axis] + 1
    low, middle, high = float(values[tuple(below)]), float(values[at]), float(values[tuple(above)])
    curvature = low - 2 * middle + high
    return float(np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
