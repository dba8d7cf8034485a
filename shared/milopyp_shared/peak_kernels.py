"""The loops of `milopyp_shared.peaks`, compiled: a module of its own, because numba takes a second to be ready."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from .kernels import compiled

CELLS_PER_AXIS = 128  # of the grid that finds neighbours
REACH = 4  # of the window around a peak: smoothing over 3 voxels, one voxel to either side
_WINDOW = 2 * REACH + 1  # known when it is compiled, so that loops over it are unrolled


@compiled
def lines(heat: NDArray[np.float32], index: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 3, window)`` lines through the peaks along z, y and x, smoothed across; faces are repeated.

    Sums over one axis serve two of the lines: along x those of z and y, along z that of x.
    """
    through = np.zeros((len(index), 3, _WINDOW))
    along_x, along_z = np.empty((_WINDOW, _WINDOW)), np.empty((_WINDOW, _WINDOW))
    for i in range(len(index)):
        along_z[:] = 0.0
        for a in range(_WINDOW):
            z = min(max(index[i, 0] + a - REACH, 0), heat.shape[0] - 1)
            for b in range(_WINDOW):
                y = min(max(index[i, 1] + b - REACH, 0), heat.shape[1] - 1)
                total = 0.0
                for c in range(_WINDOW):
                    value = np.float64(heat[z, y, min(max(index[i, 2] + c - REACH, 0), heat.shape[2] - 1)])
                    total += value * weights[c]
                    along_z[b, c] += value * weights[a]
                along_x[a, b] = total
        for a in range(_WINDOW):
            for b in range(_WINDOW):
                through[i, 0, a] += along_x[a, b] * weights[b]
                through[i, 1, b] += along_x[a, b] * weights[a]
                through[i, 2, b] += along_z[a, b] * weights[a]
    return through


@compiled
def local_maxima(heat: NDArray[np.float32], floor: np.float32) -> NDArray[np.int64]:
    """``(n, 3)`` voxels z, y, x above `floor` that are local maxima, in their order in memory."""
    depth, rows, columns = heat.shape
    found = numba.typed.List.empty_list(numba.int64)
    peak = np.empty(columns, dtype=np.bool_)
    for z in range(depth):
        for y in range(rows):
            for x in range(columns):
                peak[x] = heat[z, y, x] > floor
            _drop_lower_than_faces(heat, z, y, peak)
            for x in range(columns):
                if peak[x] and _is_maximum(heat, z, y, x):
                    found.append((z * rows + y) * columns + x)
    index = np.empty((len(found), 3), dtype=np.int64)
    for i, flat in enumerate(found):
        index[i, 0] = flat // (rows * columns)
        index[i, 1] = flat // columns % rows
        index[i, 2] = flat % columns
    return index


@compiled
def _drop_lower_than_faces(heat: NDArray[np.float32], z: int, y: int, peak: NDArray[np.bool_]) -> None:
    """Leave in `peak` the voxels of a row that may be maxima by their six nearest neighbours: few are left."""
    row = heat[z, y]
    _drop_lower(peak[1:], row[1:], row[:-1], False)
    _drop_lower(peak[:-1], row[:-1], row[1:], True)
    if z > 0:
        _drop_lower(peak, row, heat[z - 1, y], False)
    if y > 0:
        _drop_lower(peak, row, heat[z, y - 1], False)
    if z < len(heat) - 1:
        _drop_lower(peak, row, heat[z + 1, y], True)
    if y < heat.shape[1] - 1:
        _drop_lower(peak, row, heat[z, y + 1], True)


@compiled
def _drop_lower(peak: NDArray[np.bool_], row: NDArray[np.float32], other: NDArray[np.float32], equal: bool) -> None:
    """Leave in `peak` the voxels of a row that are above those of another, or `equal`: many in one instruction."""
    for x in range(len(row)):
        peak[x] &= (row[x] > other[x]) | (equal & (row[x] == other[x]))


@compiled
def _is_maximum(heat: NDArray[np.float32], z: int, y: int, x: int) -> bool:
    """Whether no neighbour is larger, and none with a lower index equal."""
    depth, rows, columns = heat.shape
    value = heat[z, y, x]
    for k in range(max(z - 1, 0), min(z + 2, depth)):
        for j in range(max(y - 1, 0), min(y + 2, rows)):
            for i in range(max(x - 1, 0), min(x + 2, columns)):
                other = heat[k, j, i]
                earlier = (k * rows + j) * columns + i < (z * rows + y) * columns + x
                if other > value or (earlier and other == value):
                    return False
    return True


@compiled
def keep(xyz: NDArray[np.float64], distance: float) -> NDArray[np.bool_]:
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
