"""Heat-map losses: the published ones, and the default preset's.

Published losses take probabilities (`unet2d.clamped_probability`) and targets in which 1 is a
positive, -1 an unlabelled voxel and anything between a soft label; voxels of `targets.LEFT_OUT` contribute nothing.
`soft_focal_loss` takes logits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from milopyp_shared.errors import CheckError, InputError


def pu_focal_loss(probability: Tensor, target: Tensor, tau: float) -> Tensor:
    """Non-negative positive-unlabelled focal loss of the published method.

    Parameters
    ----------
    probability
        Clamped probabilities, e.g. (2, 1, D, h, w).
    target
        Same voxels, axes of length one apart, e.g. (1, 2, D, h, w): 1 positive (P), -1 unlabelled
        (U), between them soft (S).
    tau
        Prior probability of a positive voxel, between 0 and 1.

    Returns
    -------
    Tensor
        Scalar tau R+ + (Ru - tau R-) where the bracket is left out when negative, with

        R+ = -mean_P[(1-p)^2 log p] - mean_S[(1-t)^4 p^2 log(1-p)],
        R- = -mean_P[p^2 log(1-p)] - mean_S[t^4 (1-p)^2 log p],
        Ru = -mean_U[p^2 log(1-p)]; means over empty S or U are 0.

    Raises
    ------
    CheckError
        No positive voxel.
    InputError
        Shapes that do not fit each other.
    """
    p, t = _matched(probability, target)
    positive, unlabelled = t == 1.0, t == -1.0
    soft = (t > -1.0) & (t < 1.0)
    if not bool(positive.any()):
        raise CheckError(
            "no positive voxel in a patch pair",
            where="positive-unlabelled loss",
            expected="an annotation in one of the two patches",
            remedy="Check the axis order of the coordinates; labels near the border can fall outside their patch.",
        )
    if_positive, if_negative = (1 - p) ** 2 * p.log(), p**2 * torch.log1p(-p)
    risk_positive = -_mean(if_positive, positive) - _mean((1 - t) ** 4 * if_negative, soft)
    risk_negative = -_mean(if_negative, positive) - _mean(t**4 * if_positive, soft)
    rest = -_mean(if_negative, unlabelled) - tau * risk_negative
    return tau * risk_positive + torch.where(rest >= 0.0, rest, torch.zeros_like(rest))


def focal_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Focal loss of the published method, for positive-negative training and for validation.

    Parameters
    ----------
    probability
        Clamped probabilities, e.g. (2, 1, D, h, w).
    target
        Same voxels, axes of length one apart, e.g. (1, 2, D, h, w): 1 positive (P), between -1
        and 1 soft or background (N); unlabelled voxels (-1) contribute nothing.

    Returns
    -------
    Tensor
        Scalar (-sum_P[(1-p)^2 log p] - sum_N[(1-t)^4 p^2 log(1-p)]) / max(|P|, 1).

    Raises
    ------
    InputError
        Shapes that do not fit each other.

    Notes
    -----
    Mend: in positive-negative training the published program broadcasts a pair of patches against
    a pair of targets and so compares each patch with the other one's target too. Here a
    prediction meets its own target only.
    """
    p, t = _matched(probability, target)
    positive, negative = t == 1.0, (t > -1.0) & (t < 1.0)
    loss = -_sum((1 - p) ** 2 * p.log(), positive) - _sum((1 - t) ** 4 * p**2 * torch.log1p(-p), negative)
    return loss / positive.sum().clamp(min=1)


def puge_loss(probability: Tensor, target: Tensor, tau: float) -> Tensor:
    """Generalised-expectation loss of the published method (`--ge`).

    Parameters
    ----------
    probability, target
        As for `pu_focal_loss`.
    tau
        Prior probability of a positive among the unlabelled voxels.

    Returns
    -------
    Tensor
        Scalar: focal loss of the labelled voxels, minus sum_k q_k log Binomial(k; N, tau), where
        N is the number of unlabelled voxels U, k = 0..N, and q_k the softmax over k of
        -(sum_U p - k)^2 / (2 (sum_U p (1-p) + 1e-7)).

    Raises
    ------
    InputError
        Shapes that do not fit each other.

    Notes
    -----
    Mend: the logarithm of the binomial coefficient is computed in float64; in the published
    program's float32 it is off by about a hundredth for a patch pair's N.
    """
    p, t = _matched(probability, target)
    free = p[t == -1.0]
    mean, spread = free.sum(), (free * (1 - free)).sum()
    k = torch.arange(len(free) + 1, dtype=torch.float64, device=p.device)
    n = k[-1]
    prior = torch.tensor(tau, dtype=torch.float64, device=p.device)
    choose = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    binomial = choose + k * prior.log() + (n - k) * (-prior).log1p()
    expected = torch.softmax(-((mean - k.to(p.dtype)) ** 2) / (2 * (spread + 1e-7)), dim=0)
    return focal_loss(p, t) - (expected * binomial.to(p.dtype)).sum()


def consistency_loss(probability: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference of two probability maps of the same shape (published method)."""
    return functional.mse_loss(probability, other)


def soft_focal_loss(logits: Tensor, target: Tensor, positive: Tensor) -> Tensor:
    """Focal loss of the default preset, for Gaussians around sub-voxel centres.

    Parameters
    ----------
    logits
        Network output before the sigmoid, any shape.
    target
        `targets.gaussian_targets`, the same shape, 0..1.
    positive
        Boolean, the same shape: the largest voxel of each particle (`targets.nearest_voxels`).
        A mask is needed because no voxel of a sub-voxel Gaussian is exactly 1.

    Returns
    -------
    Tensor
        Scalar (-sum_positive[(1-p)^2 log p] - sum_others[(1-t)^4 p^2 log(1-p)]) / max(n, 1), n the
        number of positives: CornerNet's focal loss. Finite for any finite logits.

    Raises
    ------
    InputError
        Shapes that differ.
    """
    if not logits.shape == target.shape == positive.shape:
        raise InputError(
            f"logits {tuple(logits.shape)}, target {tuple(target.shape)}, positives {tuple(positive.shape)}",
            expected="the same shape",
        )
    log_p, log_rest = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    # Powers of p and 1 - p from the logarithms: no 0 * inf in the gradient of saturated voxels.
    hit = (2.0 * log_rest).exp() * log_p
    miss = (1.0 - target) ** 4 * (2.0 * log_p).exp() * log_rest
    return -torch.where(positive, hit, miss).sum() / positive.sum().clamp(min=1)


def _matched(probability: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The target in the shape of the probabilities; they may differ in axes of length one only."""
    if [n for n in probability.shape if n != 1] != [n for n in target.shape if n != 1]:
        raise InputError(
            f"probabilities {tuple(probability.shape)} and target {tuple(target.shape)}",
            expected="the same voxels, apart from axes of length one",
        )
    return probability, target.reshape(probability.shape)


def _sum(values: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, values, torch.zeros_like(values)).sum()


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the mask, 0 when it is empty."""
    return _sum(values, mask) / mask.sum().clamp(min=1)
