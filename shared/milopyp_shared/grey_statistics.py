"""Which number of a tomogram becomes grey, and how far from it black and white are: two formulas, both streaming."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE = 1 << 20  # voxels that quantiles are taken of: they are then known to some thousandths of a standard deviation
ONE_SIGMA = 0.158655254  # of a normal distribution lie below the mean by more than a standard deviation

Formula = Literal["moments", "quantiles"]


class Scale(NamedTuple):
    """The number that z-score 0 stands for, and how much one z-score is."""

    centre: float
    unit: float


class GreyStatistics(Protocol):
    """Takes a volume in slabs from top to bottom, and says what its grey levels are; the same for every cut."""

    def add(self, block: NDArray[np.float32], counted: NDArray[np.bool_], first: int) -> None:
        """The next slab ``(z, y, x)``, which of its voxels belong to the sample, and its first section."""

    def scale(self) -> Scale:
        """Of all slabs together; a unit of 0 means that there is no contrast."""


@dataclass
class Moments:
    """Mean and standard deviation of all voxels, counted or not: what the published program and the first models do."""

    total: float = 0.0
    squares: float = 0.0
    count: int = 0

    def add(self, block: NDArray[np.float32], counted: NDArray[np.bool_], first: int) -> None:
        """See `GreyStatistics`."""
        self.total += float(block.sum(dtype=np.float64))
        self.squares += float(np.einsum("zyx,zyx->", block, block, dtype=np.float64))
        self.count += block.size

    def scale(self) -> Scale:
        """See `GreyStatistics`."""
        mean = self.total / self.count
        return Scale(mean, float(np.sqrt(max(self.squares / self.count - mean * mean, 0.0))))


@dataclass
class Quantiles:
    """Median and half the distance of the quantiles at -1 and +1 standard deviation of a normal distribution.

    Gold, hot voxels and a few percent of anything else hardly move them. They are taken of evenly spread voxels. Of a
    volume without noise, most of which is one number, they say nothing: there it is the moments of the same voxels.

    Attributes
    ----------
    shape
        ``(z, y, x)`` of the volume.
    """

    shape: tuple[int, int, int]
    _sample: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, block: NDArray[np.float32], counted: NDArray[np.bool_], first: int) -> None:
        """See `GreyStatistics`."""
        skipped = -first * self.shape[1] * self.shape[2] % self._step
        every = slice(skipped, None, self._step)
        self._sample.append(block.reshape(-1)[every][counted.reshape(-1)[every]])

    def scale(self) -> Scale:
        """See `GreyStatistics`."""
        sample = np.concatenate(self._sample)
        if not len(sample):
            return Scale(0.0, 0.0)
        low, middle, high = np.quantile(sample, (ONE_SIGMA, 0.5, 1 - ONE_SIGMA))
        if high == low:
            return Scale(float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64)))
        return Scale(float(middle), float(high - low) / 2)

    @property
    def _step(self) -> int:
        """Voxels from one of the sample to the next, along rows of which it meets all columns."""
        step = -(-self.shape[0] * self.shape[1] * self.shape[2] // SAMPLE)
        while gcd(step, self.shape[2]) > 1:
            step += 1
        return step
