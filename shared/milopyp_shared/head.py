"""A particle's head: the linear function of a network's features whose sigmoid is the heat map, fitted to examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Float = NDArray[np.float64]

RIDGE = 0.05  # of the first guess, in units of the features' mean square
GAIN, OFFSET = 8.0, -6.0  # from its answers, about 0 and 1, to logits
ITERATIONS = 100
FEWEST = 20_000  # places of the background
NEAR = 1e-3  # target from which on a place is near a label


@dataclass(frozen=True)
class Head:
    """Logit = `weights` . features + `bias`.

    Attributes
    ----------
    weights
        ``(d,)`` float32.
    """

    weights: NDArray[np.float32]
    bias: float


def fit_head(
    features: NDArray[np.float32],
    target: NDArray[np.float32],
    positive: NDArray[np.bool_],
    *,
    decay: float = 0.1,
    hardest: float = 1.0,
    tolerance: float = 2e-9,
) -> Head:
    """The head with the least focal loss.

    It starts from ridge regression of positives against background, both with the same weight, and stays near it.

    Parameters
    ----------
    features
        ``(n, d)`` of n voxels.
    target
        ``(n,)``, 0..1: how near they are to a label; 1 without being positive: they do not count.
    positive
        ``(n,)``: those of the labels.
    decay
        Of the weights' distance from the start, per positive.
    hardest
        Part of the background that counts, `FEWEST` places at least: what looks most like particles to the start. The
        rest tells little and takes the time.
    tolerance
        Relative decrease of the loss at which it is good enough.

    Raises
    ------
    InputError
        None of the voxels is positive.
    """
    from scipy.optimize import minimize

    if not positive.any():
        raise InputError("no label lies in what the head is fitted to", expected="at least one labelled particle")
    start = ridge(features, target, positive)
    if hardest < 1:
        kept = _hardest(features @ start[:-1].astype(np.float32), target, positive, hardest)
        features, target, positive = features[kept], target[kept], positive[kept]

    def loss(head: Float) -> tuple[float, Float]:
        value, slope = focal_loss(features @ head[:-1].astype(np.float32) + np.float32(head[-1]), target, positive)
        away = head[:-1] - start[:-1]
        gradient = np.append((slope @ features).astype(np.float64) + 2 * decay * away, slope.sum(dtype=np.float64))
        return value + decay * float(away @ away), gradient

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "ftol": tolerance}).x
    return Head(found[:-1].astype(np.float32), float(found[-1]))


def _hardest(
    alike: NDArray[np.float32], target: NDArray[np.float32], positive: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """All places near labels, and of the others those that look most like particles."""
    near: NDArray[np.bool_] = positive | (target > NEAR)
    others = alike[~near]
    count = max(round(share * len(others)), FEWEST)
    if count >= len(others):
        return np.ones_like(near)
    kept: NDArray[np.bool_] = near | (alike >= np.partition(others, -count)[-count])
    return kept


def focal_loss(
    logits: NDArray[np.float32], target: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[float, NDArray[np.float32]]:
    """The loss that networks are trained with (CornerNet's, per positive), and its slope along every logit.

    Parameters
    ----------
    logits, target, positive
        ``(n,)``; as for `fit_head`.
    """
    logits = np.clip(logits, -80, 80)
    rest = -np.logaddexp(0, logits, dtype=np.float32)  # log(1 - p)
    log_p, p = logits + rest, np.exp(logits + rest)
    weight = (1 - target) ** 4
    value = np.where(positive, -((1 - p) ** 2) * log_p, -weight * p**2 * rest)
    at_positives = 2 * p * (1 - p) ** 2 * log_p - (1 - p) ** 3
    elsewhere = weight * (p**3 - 2 * p**2 * (1 - p) * rest)
    count = np.float32(max(int(np.count_nonzero(positive)), 1))
    slope: NDArray[np.float32] = np.where(positive, at_positives, elsewhere) / count
    return float(np.sum(value, dtype=np.float64)) / float(count), slope


def ridge(features: NDArray[np.float32], target: NDArray[np.float32], positive: NDArray[np.bool_]) -> Float:
    """Weights and bias ``(d + 1,)`` from least squares to 1 at positives and 0 at background, as logits.

    Parameters as those of `fit_head`.
    """
    background = ~positive & (target < np.exp(-2.0))  # two standard deviations of the target from a label
    scale = float(np.mean(features[positive] ** 2, dtype=np.float64)) + 1e-12
    square, answer = np.zeros((features.shape[1] + 1,) * 2), np.zeros(features.shape[1] + 1)
    for chosen, wanted in ((positive, 1.0), (background, 0.0)):
        some = np.column_stack([features[chosen], np.ones(np.count_nonzero(chosen), np.float32)])
        share = 1.0 / max(len(some), 1)
        square += share * (some.T @ some)
        answer += share * wanted * some.sum(axis=0)
    square += np.diag([RIDGE * scale] * features.shape[1] + [1e-9])
    head = np.linalg.solve(square, answer) * GAIN
    head[-1] += OFFSET
    return head
