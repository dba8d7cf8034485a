"""What a learned head suggests and promises: from heads that have not seen the labels that they are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milopyp_shared.head import Head
from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.recipe import Calibration, Recipe, Threshold
from milopyp_training.data.wanted import Wanted
from milopyp_training.evaluation.calibration import calibrate
from milopyp_training.evaluation.held_out import FEWEST_LABELS, OutOfFold, summarise
from milopyp_training.evaluation.picking import picks_of
from milopyp_training.evaluation.threshold import calibrated_threshold

from .heads import Known, ask_heads


@dataclass(frozen=True)
class Promises:
    """Of a head.

    Attributes
    ----------
    out_of_fold
        What was said of labels that were left out, per tomogram with labels; none with a single label.
    """

    threshold: Threshold
    calibration: Calibration | None
    out_of_fold: Sequence[OutOfFold]


def find_promises(known: Sequence[Known], head: Head, wanted: Wanted, recipe: Recipe) -> Promises:
    """What to suggest and to expect of `head`, which has learned from all labels of the tomograms."""
    labelled = [one for one in known if not one.volume.is_empty]
    picks = [picks_of(one.features.heat_map(head), one.volume, recipe) for one in labelled]
    radius, count = recipe.diameter / 2, sum(len(one.volume.xyz) for one in labelled)
    if count == 1:
        [score] = np.concatenate([max_score_within(own, one.volume.xyz, radius) for own, one in zip(picks, labelled)])
        return Promises(Threshold(float(score) / 2, "half of what the label scores"), None, [])
    out_of_fold = ask_heads(known, wanted, recipe)
    found = summarise([one.volume for one in labelled], out_of_fold, per_label=0)
    places = np.concatenate(
        [exclude_near(own, one.volume.xyz, radius).score for own, one in zip(picks, labelled, strict=True)]
    )
    expected = calibrate(found, places, len(labelled)) if count >= FEWEST_LABELS else None
    return Promises(calibrated_threshold(expected, found.label_scores), expected, out_of_fold)
