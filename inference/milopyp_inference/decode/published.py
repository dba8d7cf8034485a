"""Decoding as the published program does it (``--published``): whole even positions, margins, a text of x z y.

Heat-map voxels that equal the largest value of their window are candidates; the best `limit` of them are taken before
any filter. Two deviations: candidates of value 0, which fill up the published list and cannot pass a
threshold, are left out, so a `limit` above the number of voxels is no error; and voxel indices are divided as whole
numbers, where the published program divides in float32 and, above 2^24 voxels, moves the last voxels of a section's
last row to row -1 of the next section. Equal scores come in the order of z, y, x; the published order is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.masks import Mask
from milopyp_shared.picks import Picks
from milopyp_shared.scale import Factors

from .filaments import FibreOptions, trace

ORDER = "xzy"  # of the text's columns and of the heat map's axes, whatever the tomogram's
MARGIN = 20  # full-resolution voxels in x and y


@dataclass(frozen=True)
class PublishedOptions:
    """How the published program picks, but for the threshold.

    Attributes
    ----------
    limit
        Candidates at most, before any filter.
    nms
        Edge of the window of local maxima in y and x, odd.
    cutoff_z
        Heat-map sections at either end in which nothing is picked.
    fibre
        How fibres are traced; None: single particles.
    """

    limit: int = 900
    nms: int = 3
    cutoff_z: int = 10
    fibre: FibreOptions | None = None

    def leaves_nothing(self, shape: tuple[int, int, int], voxel_per_output: Factors) -> bool:
        """True when the margins leave no voxel of a tomogram of sizes ``(z, y, x)``."""
        depth, rows, columns = (-(-size // factor) for size, factor in zip(shape, voxel_per_output, strict=True))
        across = min(rows * voxel_per_output[1], columns * voxel_per_output[2])
        return depth < 2 * self.cutoff_z or across <= 2 * MARGIN + 2


@dataclass(frozen=True)
class Candidates:
    """Local maxima, best first: ``zyx`` (n, 3) heat-map voxels and ``score`` (n,) float32."""

    zyx: NDArray[np.int64]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)


def pick(
    heat: NDArray[np.float32],
    options: PublishedOptions,
    threshold: float,
    voxel_per_output: Factors,
    mask: Mask | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None, str]:
    """Picks of one heat map in the order of the published text.

    Parameters
    ----------
    mask
        Peaks outside count for nothing, not even for ``--K``.

    Returns
    -------
    xyz
        ``(n, 3)`` whole voxels of the full-resolution tomogram, inside frame.
    score
        ``(n,)``; None for fibres, whose points have none.
    left_out
        What became of the peaks above the threshold that are no picks; empty where there are none.
    """
    kept = None if mask is None else mask.on_grid((0, 0, 0), heat.shape, voxel_per_output)
    found = decode(heat, nms=options.nms, limit=options.limit, fibre=options.fibre is not None, kept=kept)
    picks = above_threshold(found, heat.shape, threshold, cutoff_z=options.cutoff_z, voxel_per_output=voxel_per_output)
    xyz = picks.xyz.astype(np.int64)
    above = int((found.score > threshold).sum())
    left_out = ""
    if above > len(xyz):
        left_out = (
            f"{above - len(xyz)} of {above} peaks above the threshold lie in the published margins ({MARGIN} voxels in "
            f"x and y, {options.cutoff_z} heat-map sections in z)"
        )
    if options.fibre is None:
        return xyz, picks.score, left_out
    points = trace(xyz, options.fibre)
    if len(xyz) and not len(points):
        no_fibre = f"{len(xyz)} peaks make no fibre (--distance-cutoff, --curvature-cutoff)"
        left_out = f"{left_out}; {no_fibre}" if left_out else no_fibre
    return points, None, left_out


def decode(
    heat: NDArray[np.float32],
    *,
    nms: int = 3,
    limit: int,
    fibre: bool = False,
    kept: NDArray[np.bool_] | None = None,
) -> Candidates:
    """The `limit` best voxels that equal the maximum of their window; every voxel of a plateau counts.

    Parameters
    ----------
    heat
        ``(z, y, x)`` float32.
    nms
        Edge k of the window, odd: 3 sections x k x k; with `fibre` first 1 x k x k, then k x 1 x 1 on the result.
    kept
        The same shape; None: everywhere.
    """
    peaks = window_maxima(heat, nms, fibre)
    peaks = (peaks if kept is None else np.where(kept, peaks, np.float32(0))).ravel()
    index = np.flatnonzero(peaks > 0)
    value = peaks[index]
    if len(index) > limit:  # a clamped background is one plateau of millions: sort no more than needed
        least = np.partition(value, -limit)[-limit]
        above = np.flatnonzero(value > least)
        chosen = np.concatenate([above, np.flatnonzero(value == least)[: limit - len(above)]])
        index, value = index[chosen], value[chosen]
    best_first = np.argsort(-value, kind="stable")
    zyx = np.stack(np.unravel_index(index[best_first], heat.shape), axis=1)
    return Candidates(zyx, value[best_first])


def window_maxima(heat: NDArray[np.float32], edge: int = 3, fibre: bool = False) -> NDArray[np.float32]:
    """`heat` with 0 wherever a voxel is less than the maximum of its window, of this `edge` (as for `decode`)."""
    from scipy.ndimage import maximum_filter  # a run that does not pick as published needs no scipy for its peaks

    windows = [(1, edge, edge), (edge, 1, 1)] if fibre else [(3, edge, edge)]
    for window in windows:
        largest = maximum_filter(heat, window, mode="constant", cval=-np.inf)
        heat = np.where(heat == largest, heat, np.float32(0))
    return heat


def above_threshold(
    candidates: Candidates,
    shape: tuple[int, ...],
    threshold: float,
    *,
    cutoff_z: int = 10,
    voxel_per_output: Factors = (2, 2, 2),
) -> Picks:
    """Candidates above `threshold` and away from the border.

    Parameters
    ----------
    shape
        ``(z, y, x)`` of the heat map.
    cutoff_z
        Section z counts when ``cutoff_z <= z <= depth - cutoff_z``: one section fewer is dropped at the end.
    voxel_per_output
        Full-resolution voxels per heat-map voxel; z 2 with ``--compress``.

    Returns
    -------
    Whole voxels of the full-resolution tomogram; in the order of the text: by section, best first within a section.
    """
    depth, rows, columns = shape
    z, y, x = (candidates.zyx * np.array(voxel_per_output)).T
    section = candidates.zyx[:, 0]
    inside = (section >= cutoff_z) & (section <= depth - cutoff_z)
    for position, size in ((y, rows * voxel_per_output[1]), (x, columns * voxel_per_output[2])):
        inside &= (position > MARGIN) & (position < size - MARGIN)
    score = candidates.score.astype(np.float64)
    kept = np.flatnonzero(inside & (score > threshold))
    kept = kept[np.argsort(section[kept], kind="stable")]
    return Picks(np.stack([x, y, z], axis=1)[kept].astype(np.float64), score[kept])
