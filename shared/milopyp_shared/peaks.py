"""From a heat map to picks: local maxima, sub-voxel positions, suppression of close neighbours.

Positions leave this module in full-resolution voxels, x y z, with the centre of the first voxel at 0.0: heat-map
voxel k of an axis with factor f covers input voxels fk .. fk + f - 1, so its centre is at fk + (f - 1)/2. So it is
where f is no whole number, because the network sees a resampled tomogram.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .picks import Picks
from .scale import Factors

CANDIDATE_FLOOR = 0.01
_TINY = 1e-6  # keeps the logarithm of a heat-map value finite
_PEAKS_AT_ONCE = 16384  # bounds the memory in heat maps that are all peaks


def find_candidates(heat: NDArray[np.float32], voxel_per_output: Factors, floor: float = CANDIDATE_FLOOR) -> Picks:
    """All local maxima of a heat map above `floor`, best first, with sub-voxel positions.

    A voxel is a local maximum when none of its 26 neighbours is larger; of equal neighbours the one with the lowest
    index counts. The position is refined along each axis by the parabola through the logarithms of three values
    of the smoothed map (right to 0.01 for a Gaussian peak), clamped to one heat-map voxel.

    Parameters
    ----------
    heat
        ``(z, y, x)`` float32, 0..1.
    voxel_per_output
        Full-resolution voxels per heat-map voxel, ``(z, y, x)``.
    """
    from .peak_kernels import local_maxima

    heat = np.asarray(np.ascontiguousarray(heat, dtype=np.float32))  # of a memory map the plain array: one kernel
    index = local_maxima(heat, np.float32(floor))
    z, y, x = (index[:, axis] for axis in range(3))
    score = heat[z, y, x].astype(np.float64)
    best_first = np.argsort(-score, kind="stable")
    factor = np.array(voxel_per_output, dtype=np.float64)
    zyx = (index + _offsets(heat, index)) * factor + (factor - 1.0) / 2.0
    return Picks(zyx[best_first, ::-1].copy(), score[best_first])


def nms(candidates: Picks, distance: float) -> Picks:
    """Greedy suppression: best first, a candidate closer than `distance` voxels to a kept one is dropped.

    Parameters
    ----------
    candidates
        Best first.
    distance
        Full-resolution voxels; 0 keeps all.
    """
    if distance <= 0 or len(candidates) == 0:
        return candidates
    from .peak_kernels import keep

    return candidates[keep(np.ascontiguousarray(candidates.xyz), float(distance))]


def above_threshold(candidates: Picks, threshold: float, limit: int | None = None) -> Picks:
    """Candidates with a score above `threshold`, the best `limit` of them at most."""
    return candidates[candidates.score > threshold][:limit]


def warm_up() -> None:
    """Compile the kernels, or read them from where they are kept: seconds in which something else can be done."""
    heat = np.ones((1, 1, 1), np.float32)
    nms(find_candidates(heat, (1, 1, 1)), 1.0)


def _offsets(heat: NDArray[np.float32], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(n, 3)`` offsets z, y, x of the peaks from their voxels, in heat-map voxels, clamped to one.

    The surroundings are smoothed (Gaussian, sigma 1) before the parabola: trained heat maps peak more sharply and more
    raggedly than the Gaussians they were trained on, and a smoothed Gaussian is still one. Nearer to a face than the
    smoothing reaches, an axis is not smoothed; on the face, a peak stays where it is.
    """
    from .peak_kernels import REACH, lines

    # rows: weights of the window's voxels for the smoothed values one voxel below, at, and one voxel above the peak
    window = np.arange(-REACH, REACH + 1)
    smooth = np.exp(-0.5 * (window - np.array([[-1], [0], [1]])) ** 2.0)
    last = np.array(heat.shape) - 1
    offsets = np.zeros(index.shape, dtype=np.float64)
    for first in range(0, len(index), _PEAKS_AT_ONCE):
        part = index[first : first + _PEAKS_AT_ONCE]
        through = lines(heat, part, smooth[1])
        to_face = np.minimum(part, last - part)
        three = np.where(to_face[..., None] < REACH, through[..., REACH - 1 : REACH + 2], through @ smooth.T)
        below, centre, above = np.moveaxis(np.log(np.maximum(three, _TINY)), 2, 0)
        curvature = below - 2.0 * centre + above
        flat = (curvature > -1e-9) | (to_face == 0)
        shift = np.where(flat, 0.0, 0.5 * (below - above) / np.where(flat, 1.0, curvature))
        offsets[first : first + _PEAKS_AT_ONCE] = np.clip(shift, -1.0, 1.0)
    return offsets
