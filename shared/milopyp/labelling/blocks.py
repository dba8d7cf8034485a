"""A tomogram's voxels in 256 levels and in blocks, of which a slice in any direction is read in a moment."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.scratch_array import scratch_array
from milopyp_shared.tiles import Shape
from milopyp_shared.tomogram import Tomogram

SIDE = 64  # of a block, voxels
LARGEST = 2 << 30  # bytes of a copy; of what is larger, every second voxel along each axis is kept, or every fourth
_SAMPLED = 9  # sections that tell the limits
_TAIL = 1e-4  # of the voxels beyond each limit


class Blocks:
    """A copy of a tomogram, a byte per voxel.

    Parameters
    ----------
    tomogram
        Whose sections are read one after the other, once.
    between
        What becomes level 0 and level 255, see `limits`.
    told
        Is told how much of it is read, 0..1, and may raise to end it.

    Attributes
    ----------
    step
        Voxels per kept voxel, along each axis.

    Raises
    ------
    InputError
        The tomogram cannot be read, or there is no room for the copy.
    """

    def __init__(self, tomogram: Tomogram, between: tuple[float, float], told: Callable[[float], None]) -> None:
        self.low, self.high = between
        self.step = _step(tomogram.shape)
        self.shape: Shape = tuple(-(-size // self.step) for size in tomogram.shape)  # type: ignore[assignment]
        counts = [-(-size // SIDE) for size in self.shape]
        self._blocks = scratch_array((*counts, SIDE, SIDE, SIDE), np.uint8)
        for number in range(counts[0]):
            self._fill(number, tomogram)
            told((number + 1) / counts[0])

    def _fill(self, number: int, tomogram: Tomogram) -> None:
        first, scale = number * SIDE * self.step, 255 / (self.high - self.low)
        for z in range(SIDE):
            at = first + z * self.step
            if at >= tomogram.shape[0]:
                break
            section = tomogram.sections(at, at + 1)[0, :: self.step, :: self.step].astype(np.float32)
            levels = as_levels(section, self.low, scale)
            y, x = self._blocks.shape[1] * SIDE, self._blocks.shape[2] * SIDE
            padded = np.pad(levels, ((0, y - levels.shape[0]), (0, x - levels.shape[1])), mode="edge")
            self._blocks[number, :, :, z] = padded.reshape(y // SIDE, SIDE, x // SIDE, SIDE).swapaxes(1, 2)

    def box(self, first: Shape, last: Shape) -> NDArray[np.uint8]:
        """Levels of the kept voxels ``first <= (z, y, x) < last``, which must lie inside."""
        found = np.empty([end - start for start, end in zip(first, last, strict=True)], np.uint8)
        spans = [range(start // SIDE, (end - 1) // SIDE + 1) for start, end in zip(first, last, strict=True)]
        for block in itertools.product(*spans):
            there, here = [], []
            for number, start, end in zip(block, first, last, strict=True):
                low, high = max(start, number * SIDE), min(end, (number + 1) * SIDE)
                there.append(slice(low - number * SIDE, high - number * SIDE))
                here.append(slice(low - start, high - start))
            found[tuple(here)] = self._blocks[block][tuple(there)]
        return found


def limits(tomogram: Tomogram) -> tuple[float, float]:
    """What becomes level 0 and level 255: all that occurs but the very rarest, judged by a few sections."""
    sections = np.unique(np.linspace(0, tomogram.shape[0] - 1, _SAMPLED + 2).astype(int)[1:-1])
    some = np.concatenate([tomogram.sections(z, z + 1).ravel()[::7] for z in sections.tolist()]).astype(np.float64)
    low, high = quantiles(some, _TAIL)
    return low, max(high, low + 1e-6 * max(abs(low), 1e-30))


def quantiles(values: NDArray[np.floating], tail: float) -> tuple[float, float]:
    """Between what all values lie but the part `tail` at each end; of those that are numbers."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [tail, 1 - tail]).tolist() if values.size else (0.0, 1.0)
    return low, high


def as_levels(values: NDArray[np.float32], low: float, scale: float) -> NDArray[np.uint8]:
    """Levels 0 to 255, `scale` per unit above `low`; what is no number gets one, too."""
    with np.errstate(invalid="ignore"):
        levels: NDArray[np.uint8] = np.clip((values - low) * scale, 0, 255).astype(np.uint8)
    return levels


def around(
    centre: NDArray[np.float64], sides: NDArray[np.float64], shape: Shape
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First voxel, and the one behind the last, of what lies within `sides` of a place, cut at the faces; z, y, x."""
    size = np.array(shape)
    first = np.clip(np.floor(centre - sides), 0, size - 1).astype(np.int64)
    return first, np.clip(np.ceil(centre + sides) + 1, first + 1, size).astype(np.int64)


def as_shape(numbers: Sequence[int] | NDArray[np.int64]) -> Shape:
    """Three numbers, z, y, x."""
    z, y, x = (int(number) for number in numbers)
    return (z, y, x)


def _step(shape: Shape) -> int:
    step = 1
    while math.prod(shape) / step**3 > LARGEST:
        step *= 2
    return step
