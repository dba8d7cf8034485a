"""The fitted head: its loss is that of training, its slope that of PyTorch, and it finds what is there to be found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from milopyp_shared.errors import InputError
from milopyp_shared.head import fit_head, focal_loss
from milopyp_training.losses.focal import soft_focal_loss


def examples(count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, targets and positives: the first feature tells particles, the second one look-alikes."""
    rng = np.random.default_rng(seed)
    features = np.abs(rng.normal(size=(count, 6))).astype(np.float32)
    positive = np.arange(count) < 40
    alike = (np.arange(count) >= 40) & (np.arange(count) < 140)
    features[positive | alike, 0] += 3
    features[alike, 1] += 4
    return features, rng.uniform(0, 0.1, count).astype(np.float32), positive


def test_loss_and_slope_are_those_of_the_training() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, 500).astype(np.float32)
    target, positive = rng.random(500).astype(np.float32), rng.random(500) < 0.1
    tensor = torch.from_numpy(logits).double().requires_grad_()
    wanted = soft_focal_loss(tensor, torch.from_numpy(target).double(), torch.from_numpy(positive))
    wanted.backward()
    value, slope = focal_loss(logits, target, positive)
    assert value == pytest.approx(float(wanted.detach()), rel=1e-5)
    assert tensor.grad is not None
    np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-3, atol=1e-7)


def test_no_step_from_the_fitted_head_is_better() -> None:
    features, target, positive = examples()
    head = fit_head(features, target, positive, decay=0.0)

    def loss(weights: np.ndarray, bias: float) -> float:
        return focal_loss(features @ weights + np.float32(bias), target, positive)[0]

    least = loss(head.weights, head.bias)
    for step in np.random.default_rng(1).normal(0, 0.05, (20, 7)).astype(np.float32):
        assert loss(head.weights + step[:-1], head.bias + float(step[-1])) > least - 1e-5


def test_look_alikes_in_the_background_are_told_apart_unless_they_do_not_count() -> None:
    features, target, positive = examples()
    alike = slice(40, 140)

    def scores(target: np.ndarray) -> np.ndarray:
        head = fit_head(features, target, positive)
        return features @ head.weights + head.bias

    told = scores(target)
    assert np.quantile(told[positive], 0.1) > np.quantile(told[alike], 0.9)
    ignored = target.copy()
    ignored[alike] = 1.0
    assert np.median(scores(ignored)[alike]) > np.median(told[alike]) + 1


def test_one_positive_is_enough_and_none_is_refused() -> None:
    features, target, positive = examples()
    one = positive & (np.arange(len(positive)) == 0)
    head = fit_head(features, target, one)
    assert (features @ head.weights)[0] > np.quantile(features[140:] @ head.weights, 0.99)
    with pytest.raises(InputError, match="no label"):
        fit_head(features, target, np.zeros_like(positive))
