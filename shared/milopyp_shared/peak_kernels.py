"""The loops of `milopyp_shared.peaks`, compiled: a module of its own, because numba takes a second to be ready."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from .kernels import compiled

CELLS_PER_AXIS = 128  # of the grid that finds neighbours


@compiled
def lines(heat: NDArray[np.float32], index: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 3, 2 reach + 1)`` lines through the peaks along z, y and x, smoothed across; faces are repeated."""
    reach = len(weights) // 2
    through = np.zeros((len(index), 3, len(weights)))
    for i in range(len(index)):
        for a in range(-reach, reach + 1):
            z = min(max(index[i, 0] + a, 0), heat.shape[0] - 1)
            for b in range(-reach, reach + 1):
                y = min(max(index[i, 1] + b, 0), heat.shape[1] - 1)
                for c in range(-reach, reach + 1):
                    value = heat[z, y, min(max(index[i, 2] + c, 0), heat.shape[2] - 1)]
                    wa, wb, wc = weights[a + reach], weights[b + reach], weights[c + reach]
                    through[i, 0, a + reach] += value * wb * wc
                    through[i, 1, b + reach] += value * wa * wc
                    through[i, 2, c + reach] += value * wa * wb
    return through


@compiled
def local_maxima(heat: NDArray[np.float32], floor: np.float32) -> NDArray[np.int64]:
    """``(n, 3)`` voxels z, y, x above `floor` that are local maxima, in their order in memory."""
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
