"""The threshold that a model suggests: from calibrated expectations, from labels, or from a simulated tomogram."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.calibration import Calibration, Threshold
from milopyp_shared.matching import max_score_within
from milopyp_shared.recipe import Recipe

from .calibration import logit
from .picking import scores_of_labels

if TYPE_CHECKING:  # heads are fitted without PyTorch
    from ..data.dataset import LabelledVolume
    from .validation import Prediction

RECALL_OF_LABELS = 0.9
LOWEST_PRECISION = 0.75  # of a suggested threshold
FARTHEST = 1.2  # from the median, of a label that counts with its own score
AS_GOOD = 0.1  # of F1: thresholds whose expectations differ by less are about as good


@dataclass(frozen=True)
class Rule:
    """A suggested score's logit: `of_scores` of the typical logit of labels, `of_count` of ln(number), `offset`."""

    of_scores: float
    of_count: float
    offset: float


# Found on the validation tomograms of six particles, the last one on the ten tomograms of the benchmark's tables
# (decisions 88, 96 and 97).
OF_HEADS = Rule(0.375, 0.3, -1.25)
OF_NETWORKS = Rule(0.5, 0.0, -0.1)  # fine-tuned
OF_SIMULATED = Rule(0.375, 0.0, -0.32)  # that of heads with the 22 particles of a usual simulated tomogram
OF_BEGINNING = Rule(0.375, 0.0, 0.25)  # of a head that was fitted at once to all particles of sixteen of these


def threshold_of_left_out(labels: NDArray[np.float64], rule: Rule, expected: Calibration | None) -> Threshold:
    """`suggested_score`, and what is expected of it."""
    score = suggested_score(labels, rule)
    if expected is None:
        return Threshold(score, "from what labels score that were left out")
    return _promised(score, expected)


def suggested_score(labels: NDArray[np.float64], rule: Rule, learned: float = 0.0) -> float:
    """A score that loses little, from what labels score that a network or head has not seen.

    Not the one with the best expectations: how many particles have no label is uncertain, and what looks like particles
    scores like them, whereas what begins with the same weights is so much alike that the best score follows from how
    high labels score.

    Parameters
    ----------
    labels
        Scores.
    learned
        By how much the logits are higher because they have been seen after all.
    """
    logits = logit(labels)
    middle = float(np.median(logits))
    typical = float(np.clip(logits, middle - FARTHEST, middle + FARTHEST).mean()) - learned
    place = rule.offset + rule.of_scores * typical + rule.of_count * math.log(len(labels))
    return round(1.0 / (1.0 + math.exp(-place)), 4)


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
    good = np.array(expected.score)[worth >= worth.max() - AS_GOOD]
    middle = float(logit(good[[0, -1]]).mean())
    score = round(1.0 / (1.0 + math.exp(-middle)), 4)
    return _promised(score, expected)


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
    heat_maps: Iterable[tuple[LabelledVolume, NDArray[np.float32]]], recipe: Recipe, rule: Rule = OF_SIMULATED
) -> Threshold:
    """`suggested_score` from the particles of simulated tomograms that were not learned from.

    Parameters
    ----------
    heat_maps
        Of each of them, ``(z, y, x)`` 0..1; all of their particles are labels.
    """
    score = suggested_score(scores_of_labels(heat_maps, recipe), rule)
    return Threshold(score, "from what simulated particles score that were not learned from")


def _promised(score: float, expected: Calibration) -> Threshold:
    precision, recall = expected.at(score)
    return Threshold(score, f"expected precision {precision:.2f}, recall {recall:.2f}", calibrated=True)
