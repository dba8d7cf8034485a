"""From a heat map to picks: local maxima, sub-voxel positions, suppression of close neighbours.

Positions leave this module in full-resolution voxels, x y z, with the centre of the first voxel at 0.0: heat-map
voxel k of an axis with factor f covers input voxels fk .. fk + f - 1, so its centre is at fk + (f - 1)/2. So it is
where f is no whole number, because the network sees a resampled tomogram.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from .kernels import compiled
from .picks import Picks
from .scale import Factors

CANDIDATE_FLOOR = 0.01
CELLS_PER_AXIS = 128  # of the grid that finds neighbours
_TINY = 1e-6  # keeps the logarithm of a heat-map value finite
_PEAKS_AT_ONCE = 16384  # bounds the memory in heat maps that are all peaks
_REACH = 4  # of the window around a peak: smoothing over 3 voxels, one voxel to either side
# rows: weights of the window's voxels for the smoothed values one voxel below, at, and one voxel above the peak
_SMOOTH = np.array([np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) - shift) ** 2.0) for shift in (-1, 0, 1)])


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
    heat = np.asarray(np.ascontiguousarray(heat, dtype=np.float32))  # of a memory map the plain array: one kernel
    index = _local_maxima(heat, np.float32(floor))
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
    return candidates[_keep(np.ascontiguousarray(candidates.xyz), float(distance))]


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
    last = np.array(heat.shape) - 1
    offsets = np.zeros(index.shape, dtype=np.float64)
    for first in range(0, len(index), _PEAKS_AT_ONCE):
        part = index[first : first + _PEAKS_AT_ONCE]
        lines = _lines(heat, part, _SMOOTH[1])
        to_face = np.minimum(part, last - part)
        three = np.where(to_face[..., None] < _REACH, lines[..., _REACH - 1 : _REACH + 2], lines @ _SMOOTH.T)
        below, centre, above = np.moveaxis(np.log(np.maximum(three, _TINY)), 2, 0)
        curvature = below - 2.0 * centre + above
        flat = (curvature > -1e-9) | (to_face == 0)
        shift = np.where(flat, 0.0, 0.5 * (below - above) / np.where(flat, 1.0, curvature))
        offsets[first : first + _PEAKS_AT_ONCE] = np.clip(shift, -1.0, 1.0)
    return offsets


@compiled
def _lines(heat: NDArray[np.float32], index: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 3, 2 reach + 1)`` lines through the peaks along z, y and x, smoothed across; faces are repeated."""
    reach = len(weights) // 2
    lines = np.zeros((len(index), 3, len(weights)))
    for i in range(len(index)):
        for a in range(-reach, reach + 1):
            z = min(max(index[i, 0] + a, 0), heat.shape[0] - 1)
            for b in range(-reach, reach + 1):
                y = min(max(index[i, 1] + b, 0), heat.shape[1] - 1)
                for c in range(-reach, reach + 1):
                    value = heat[z, y, min(max(index[i, 2] + c, 0), heat.shape[2] - 1)]
                    wa, wb, wc = weights[a + reach], weights[b + reach], weights[c + reach]
                    lines[i, 0, a + reach] += value * wb * wc
                    lines[i, 1, b + reach] += value * wa * wc
                    lines[i, 2, c + reach] += value * wa * wb
    return lines


@compiled
def _local_maxima(heat: NDArray[np.float32], floor: np.float32) -> NDArray[np.int64]:
    depth, rows, columns = heat.shape
    found = numba.typed.List.empty_list(numba.int64)
    for z in range(depth):
        for y in range(rows):
            for x in range(columns):
                if heat[z, y, x] > floor and _is_maximum(heat, z, y, x):
                    found.append((z * rows + y) * columns + x)
    index = np.empty((len(found), 3), dtype=np.int64)
    for i, flat in enumerate(found):
        index[i, 0] = flat // (rows * columns)
        index[i, 1] = flat // columns % rows
        index[i, 2] = flat % columns
    return index


@compiled
def _is_maximum(heat: NDArray[np.float32], z: int, y: int, x: int) -> bool:
    """Whether no neighbour is larger, and none with a lower index equal; of most voxels their own row says it."""
    depth, rows, columns = heat.shape
    value = heat[z, y, x]
    if (x > 0 and heat[z, y, x - 1] >= value) or (x < columns - 1 and heat[z, y, x + 1] > value):
        return False
    for k in range(max(z - 1, 0), min(z + 2, depth)):
        for j in range(max(y - 1, 0), min(y + 2, rows)):
            for i in range(max(x - 1, 0), min(x + 2, columns)):
                other = heat[k, j, i]
                earlier = (k * rows + j) * columns + i < (z * rows + y) * columns + x
                if other > value or (earlier and other == value):
                    return False
    return True


@compiled
def _keep(xyz: NDArray[np.float64], distance: float) -> NDArray[np.bool_]:
    """Greedy suppression with kept points in a grid of cells of edge `distance` or more: 27 cells to look at."""
    n = len(xyz)
    cells, around, count = _grid(xyz, distance)
    newest = np.full(count, -1, dtype=np.int64)  # last kept point of a cell; `older` chains the rest
    older = np.full(n, -1, dtype=np.int64)
    kept = np.zeros(n, dtype=np.bool_)
    for i in range(n):
        free = True
        for step in around:
            if _one_is_near(xyz, i, newest[cells[i] + step], older, distance):
                free = False
                break
        if free:
            kept[i] = True
            older[i] = newest[cells[i]]
            newest[cells[i]] = i
    return kept


@compiled
def _grid(xyz: NDArray[np.float64], distance: float) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Numbers of the points' cells, steps to a cell's 27 neighbours with itself, and how many cells there are."""
    low = np.array([xyz[:, axis].min() for axis in range(3)])
    edge = distance
    for axis in range(3):  # bounds the grid when the points are few and far between
        edge = max(edge, (xyz[:, axis].max() - low[axis]) / CELLS_PER_AXIS)
    places = ((xyz - low) // edge).astype(np.int64) + 1
    sx, sy, sz = places[:, 0].max() + 2, places[:, 1].max() + 2, places[:, 2].max() + 2
    around = np.empty(27, dtype=np.int64)
    for k in range(27):
        around[k] = ((k // 9 - 1) * sy + k // 3 % 3 - 1) * sx + k % 3 - 1
    return (places[:, 2] * sy + places[:, 1]) * sx + places[:, 0], around, sx * sy * sz


@compiled
def _one_is_near(xyz: NDArray[np.float64], i: int, newest: int, older: NDArray[np.int64], distance: float) -> bool:
    """Whether a kept point of a cell, of which `newest` is the last, is closer than `distance` to point i."""
    j = newest
    while j >= 0:
        d2 = 0.0
        for axis in range(3):
            d2 += (xyz[i, axis] - xyz[j, axis]) ** 2
        if d2 < distance * distance:
            return True
        j = older[j]
    return False
