"""The suggested threshold finds the labels it speaks of."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from milopyp_shared.peaks import above_threshold
from milopyp_shared.picks import Picks
from milopyp_training.evaluation.threshold import threshold_of_labels
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
