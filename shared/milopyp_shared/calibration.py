"""What a model file promises of its picks: a threshold, and the precision and recall that are to be expected."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """The suggested score threshold and how it was found."""

    score: float
    method: str
    calibrated: bool = False

    @property
    def basis(self) -> str:
        """What it rests on, in the words of every command and page."""
        return self.method if self.calibrated else f"{self.method}, uncalibrated"


@dataclass(frozen=True)
class Calibration:
    """What is to be expected of picks in tomograms like those of the training.

    Made by `milopyp_training.evaluation.calibration`.

    Attributes
    ----------
    particles
        Estimated number per training tomogram.
    score
        Thresholds, rising.
    precision, recall
        Expected of the picks above each.
    """

    particles: float
    score: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what `at` cannot look up.

        Raises
        ------
        ValueError
            Scores that do not rise, or columns of different lengths.
        """
        rising = all(a < b for a, b in itertools.pairwise(self.score))
        if not (len(self.score) >= 2 and rising and len(self.score) == len(self.precision) == len(self.recall)):
            raise ValueError("is no table of rising scores")

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall of picks above `threshold`, interpolated."""
        upper = min(max(bisect_right(self.score, threshold), 1), len(self.score) - 1)
        low, high = self.score[upper - 1], self.score[upper]
        part = min(max((threshold - low) / (high - low), 0.0), 1.0)
        precision, recall = (
            values[upper - 1] + part * (values[upper] - values[upper - 1]) for values in (self.precision, self.recall)
        )
        return precision, recall

    def threshold_for(self, precision: float) -> float | None:
        """The lowest threshold above which at least this precision is expected; None when there is none."""
        return next((s for s, p in zip(self.score, self.precision, strict=True) if p >= precision), None)
