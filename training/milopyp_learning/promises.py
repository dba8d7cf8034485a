"""What a learned head suggests and promises: from heads that have not seen the labels that they are asked about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.head import Head
from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.recipe import Calibration, Recipe, Threshold
from milopyp_training.data.wanted import Wanted
from milopyp_training.evaluation.calibration import calibrate, logit
from milopyp_training.evaluation.held_out import FEWEST_LABELS, summarise
from milopyp_training.evaluation.picking import picks_of

from .heads import Known, ask_heads

COUNTED = (2.0, 6.0)  # see `calibrate`
# The suggested score's logit, by the typical one of labels that were left out and by their number. Found on the
# validation tomograms of six particles, with 5 to 37 labels (decision 88); and so was `COUNTED`.
OFFSET, OF_SCORES, OF_COUNT = -1.25, 0.375, 0.3
FARTHEST = 1.2  # from the median, of a label that counts with its own score
LEARNED = 0.8


@dataclass(frozen=True)
class Promises:
    """Of a head: the score that it suggests, and what to expect of picks, where there are labels enough to tell."""

    threshold: Threshold
    calibration: Calibration | None = None


def find_promises(known: Sequence[Known], head: Head, wanted: Wanted, recipe: Recipe) -> Promises:
    """What to suggest and to expect of `head`, which has learned from all labels of the tomograms."""
    labelled = [one for one in known if not one.volume.is_empty]
    picks = [picks_of(one.features.heat_map(head), one.volume, recipe) for one in labelled]
    radius, count = recipe.diameter / 2, sum(len(one.volume.xyz) for one in labelled)
    if count == 1:
        own = [max_score_within(found, one.volume.xyz, radius) for found, one in zip(picks, labelled, strict=True)]
        return Promises(Threshold(_suggested(own[0], LEARNED), "from what the label scores"))
    found = summarise([one.volume for one in labelled], ask_heads(known, wanted, recipe), per_label=0)
    score = _suggested(found.label_scores)
    places = np.concatenate(
        [exclude_near(own, one.volume.xyz, radius).score for own, one in zip(picks, labelled, strict=True)]
    )
    expected = calibrate(found, places, len(labelled), COUNTED) if count >= FEWEST_LABELS else None
    if expected is None:
        return Promises(Threshold(score, "from what labels score that were left out"))
    precision, recall = expected.at(score)
    text = f"expected precision {precision:.2f}, recall {recall:.2f}"
    return Promises(Threshold(score, text, calibrated=True), expected)


def _suggested(labels: NDArray[np.float64], learned: float = 0.0) -> float:
    """A score that loses little, from what labels score that a head has not seen.

    Not the one with the best expectations: how many particles have no label is uncertain, and what looks like particles
    scores like them, whereas heads are so much alike that the best score follows from how high they score.

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
    place = OFFSET + OF_SCORES * typical + OF_COUNT * math.log(len(labels))
    return round(1.0 / (1.0 + math.exp(-place)), 4)
