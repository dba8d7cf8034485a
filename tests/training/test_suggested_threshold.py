"""The suggested threshold finds the labels it speaks of."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from milopyp_shared.peaks import above_threshold
from milopyp_shared.picks import Picks
from milopyp_training.evaluation.threshold import threshold_of_labels, threshold_of_look_alikes
from milopyp_training.evaluation.validation import Prediction

RADIUS = 5.0


def prediction(scores: np.ndarray) -> Prediction:
    """Labels in a row, each with a pick of the given score 3 voxels away, and a better pick far from all."""
    xyz = np.stack([20.0 * np.arange(len(scores)), np.zeros(len(scores)), np.zeros(len(scores))], axis=1)
    order = np.argsort(-scores)
    picks = Picks(np.concatenate([[[0.0, 90.0, 90.0]], xyz[order] + (0.0, 3.0, 0.0)]), np.append(0.999, scores[order]))
    empty = np.zeros((1, 1, 1), np.float32)
    volume: Any = SimpleNamespace(xyz=xyz)  # all that is asked of it
    return Prediction(volume, empty, empty, picks)


@pytest.mark.parametrize("n", [1, 2, 8, 9, 10, 11, 13, 40])
def test_picks_above_it_find_nine_of_ten_labels_and_no_more_than_needed(n: int) -> None:
    scores = np.random.default_rng(n).permutation(np.linspace(0.2, 0.9, n))
    half = max(n // 2, 1)
    predictions = [prediction(part) for part in (scores[:half], scores[half:]) if len(part)]
    threshold = threshold_of_labels(predictions, RADIUS, "training")
    assert not threshold.calibrated
    assert "training" in threshold.method
    found = sum(len(above_threshold(p.picks, threshold.score)) - 1 for p in predictions)
    assert found == math.ceil(0.9 * n)


def test_labels_without_a_pick_count_as_missed() -> None:
    lost = prediction(np.linspace(0.5, 0.9, 8))
    lost.volume.xyz[:2] += 300.0
    assert threshold_of_labels([lost], RADIUS, "training").score == 0.0


def test_places_that_look_like_labels_say_more_than_labels_that_were_learned_by_heart() -> None:
    shown = prediction(np.array([0.9, 0.95, 0.2, 0.4, 0.6]))
    shown.volume.ignored, shown.volume.xyz = shown.volume.xyz[2:], shown.volume.xyz[:2]
    threshold = threshold_of_look_alikes([shown], RADIUS)
    assert threshold is not None and not threshold.calibrated
    assert threshold.score == 0.2  # half of 0.4, the middle one of 0.2, 0.4 and 0.6
    shown.volume.ignored, shown.volume.xyz = shown.volume.xyz, shown.volume.ignored[:1]
    threshold = threshold_of_look_alikes([shown], RADIUS)
    assert threshold is not None  # never above what finds the labels
    assert threshold.score == threshold_of_labels([shown], RADIUS, "training").score
    shown.volume.ignored = np.empty((0, 3))
    assert threshold_of_look_alikes([shown], RADIUS) is None
