"""Which number of a tomogram becomes grey, and how far from it black and white are: two formulas, both streaming."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE = 1 << 20  # voxels that quantiles are taken of: they are then known to some thousandths of a standard deviation
ONE_SIGMA = 0.158655254  # of a normal distribution lie below the mean by more than a standard deviation

OUTERMOST = 0.01  # of the voxels lie beyond either of the outer levels
NOISELESS = 0.02  # z-scores: with less, most voxels are one number, as in simulations without noise
COLLAPSED = 0.6  # z-scores of one standard deviation, below which something else than the sample makes the z-scores
FAR, FURTHER = 1.5, 1.0  # times and z-scores that outer levels are from those of the training, and more is said

Formula = Literal["moments", "quantiles"]


class Scale(NamedTuple):
    """The number that z-score 0 stands for, and how much one z-score is."""

    centre: float
    unit: float


class Levels(NamedTuple):
    """z-scores that `OUTERMOST` and `ONE_SIGMA` of the voxels lie below and above: -2.3, -1, 1, 2.3 of noise."""

    lowest: float
    low: float
    high: float
    highest: float

    def doubt(self, formula: Formula, trained: Levels | None) -> str | None:
        """One sentence where these are not grey levels that a network was `trained` on, if that is known; else None.

        Of quantiles two thirds are always within one z-score.
        """
        one_sigma = (self.high - self.low) / 2
        if formula == "moments" and NOISELESS < one_sigma < COLLAPSED:
            return (
                f"W15 grey levels collapse: two thirds of the voxels have z-scores within {one_sigma:.2f}, because few "
                "others are very dark or bright (a border, gold, hot voxels)"
            )
        if trained is None:
            return None
        for side, own, known in (("dark", -self.lowest, -trained.lowest), ("bright", self.highest, trained.highest)):
            further, nearer = max(own, known), max(min(own, known), 1e-3)
            if further / nearer > FAR and further - nearer > FURTHER:
                return (
                    f"W15 grey levels differ from those of the training: the {side}est {OUTERMOST:.0%} of the voxels "
                    f"begin at {own:.1f} standard deviations, there at {known:.1f} (contrast, filter or content)"
                )
        return None


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
        sample = self._all
        if not len(sample):
            return Scale(0.0, 0.0)
        low, middle, high = np.quantile(sample, (ONE_SIGMA, 0.5, 1 - ONE_SIGMA))
        if high == low:
            return Scale(float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64)))
        return Scale(float(middle), float(high - low) / 2)

    def levels(self, scale: Scale) -> Levels | None:
        """Of all slabs, in these z-scores; None where the sample has met nothing that counts."""
        if not len(sample := self._all):
            return None
        places = (OUTERMOST, ONE_SIGMA, 1 - ONE_SIGMA, 1 - OUTERMOST)
        return Levels(*(float(value) for value in (np.quantile(sample, places) - scale.centre) / scale.unit))

    @property
    def _all(self) -> NDArray[np.float32]:
        return np.concatenate(self._sample)

    @property
    def _step(self) -> int:
        """Voxels from one of the sample to the next, along rows of which it meets all columns."""
        step = -(-self.shape[0] * self.shape[1] * self.shape[2] // SAMPLE)
        while gcd(step, self.shape[2]) > 1:
            step += 1
        return step
