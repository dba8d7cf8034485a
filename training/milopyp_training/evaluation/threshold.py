"""The threshold that a model suggests: from calibrated expectations, from labels, or from a simulated tomogram."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.matching import evaluate_many, f_beta, max_score_within
from milopyp_shared.recipe import Calibration, Recipe, Threshold

from .calibration import logit
from .picking import picks_of

if TYPE_CHECKING:  # heads are fitted without PyTorch
    from ..data.dataset import LabelledVolume
    from .validation import Prediction

RECALL_OF_LABELS = 0.9
LOWEST_PRECISION = 0.75  # of a suggested threshold
AS_GOOD = 0.1  # of F1: thresholds that differ by less are about as good


def calibrated_threshold(expected: Calibration | None, labels: NDArray[np.float64]) -> Threshold:
    """The middle of the scores whose expected F1 is about the best, among those with a good precision.

    Not the best itself: expectations are flat there, and wrong to either side. Without expectations, a score that finds
    three quarters of the labels that a network has not seen.

    Parameters
    ----------
    labels
        Scores of labels by networks that have not seen them.
    """
    if expected is None:
        score = 0.999 * float(np.quantile(labels, 0.25))  # picks score above it
        return Threshold(score, "finds 75% of labels that a network has not seen", calibrated=False)
    precision, recall = np.array(expected.precision), np.array(expected.recall)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    worth = np.where(precision >= LOWEST_PRECISION, f1, precision - 1.0)
    score = _middle_of_good(np.array(expected.score), worth)
    promised = expected.at(score)
    text = f"expected precision {promised[0]:.2f}, recall {promised[1]:.2f}"
    return Threshold(score, text, calibrated=True)


def threshold_of_labels(predictions: Sequence[Prediction], radius: float, kind: str) -> Threshold:
    """The score above which 90 % of the labels have a pick within `radius` voxels.

    It says nothing about false positives: uncalibrated. `kind` names the labels, e.g. ``training``, whose scores are
    too high for new particles.
    """
    scores: list[float] = []
    for p in predictions:
        scores.extend(max_score_within(p.picks, p.volume.xyz, radius))
    # picks score above the threshold, so it must lie a little below the weakest label that is to be found
    score = 0.999 * float(np.sort(scores)[-math.ceil(RECALL_OF_LABELS * len(scores))])
    return Threshold(score, f"finds {RECALL_OF_LABELS:.0%} of the {kind} labels", calibrated=False)


def threshold_of_look_alikes(predictions: Sequence[Prediction], radius: float) -> Threshold | None:
    """Half the score that places have which look like particles and have no label; None without such places.

    The training has not shown them to the network, neither as particles nor as background, while few labels are learned
    by heart. They are the most certain ones, so that most other particles score lower: half of it, and never more than
    `threshold_of_labels`.
    """
    scores = np.concatenate([max_score_within(p.picks, p.volume.ignored, radius) for p in predictions])
    if not len(scores):
        return None
    score = min(float(np.median(scores)) / 2, threshold_of_labels(predictions, radius, "training").score)
    return Threshold(score, "half of what places score that look like the labels", calibrated=False)


def threshold_of_simulated(
    heat_maps: Iterable[tuple[LabelledVolume, NDArray[np.float32]]], recipe: Recipe
) -> Threshold:
    """The middle of the scores that are about the best on simulated tomograms that were not learned from.

    Not the best itself: scores in the user's tomograms are mostly lower.

    Parameters
    ----------
    heat_maps
        Of each of them; all of their particles are labels.
    """
    found = [(picks_of(heat, volume, recipe), volume.xyz) for volume, heat in heat_maps]
    curve = evaluate_many(found, recipe.diameter / 2).curve
    if not len(curve.threshold):
        return Threshold(0.5, "nothing was found on a simulated tomogram")
    score = _middle_of_good(curve.threshold, f_beta(curve.precision, curve.recall))
    return Threshold(score, "good on a simulated tomogram that was not learned from")


def _middle_of_good(scores: NDArray[np.float64], worth: NDArray[np.float64]) -> float:
    """Between the lowest and the highest of the scores that are about as good as the best."""
    good = scores[worth >= worth.max() - AS_GOOD]
    return round(1.0 / (1.0 + math.exp(-float(logit(good[[0, -1]]).mean()))), 4)
