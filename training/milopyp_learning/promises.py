"""What a learned head suggests and promises: from heads that have not seen the labels that they are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milopyp_shared.calibration import Calibration, Threshold
from milopyp_shared.head import Head
from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.recipe import Recipe
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.calibration import calibrate
from milopyp_training.evaluation.held_out import FEWEST_LABELS, summarise
from milopyp_training.evaluation.picking import picks_of
from milopyp_training.evaluation.threshold import OF_HEADS, suggested_score, threshold_of_left_out

from .heads import Known, ask_heads

LEARNED = 0.8  # by how much the logit of a single label is higher, since it has been seen


@dataclass(frozen=True)
class Promises:
    """Of a head: the score that it suggests, and what to expect of picks, where there are labels enough to tell."""

    threshold: Threshold
    calibration: Calibration | None = None


def find_promises(known: Sequence[Known], head: Head, target_map: TargetMap, recipe: Recipe) -> Promises:
    """What to suggest and to expect of `head`, which has learned from all labels of the tomograms."""
    labelled = [one for one in known if not one.volume.is_empty]
    picks = [picks_of(one.features.heat_map(head), one.volume, recipe) for one in labelled]
    radius, count = recipe.diameter / 2, sum(len(one.volume.xyz) for one in labelled)
    if count == 1:
        own = [max_score_within(found, one.volume.xyz, radius) for found, one in zip(picks, labelled, strict=True)]
        return Promises(Threshold(suggested_score(own[0], OF_HEADS, LEARNED), "from what the label scores"))
    found = summarise([one.volume for one in labelled], ask_heads(known, target_map, recipe), per_label=0)
    places = np.concatenate(
        [exclude_near(own, one.volume.xyz, radius).score for own, one in zip(picks, labelled, strict=True)]
    )
    expected = calibrate(found, places, len(labelled)) if count >= FEWEST_LABELS else None
    return Promises(threshold_of_left_out(found.label_scores, OF_HEADS, expected), expected)
