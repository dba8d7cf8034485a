"""Heat-map losses of the published method that know of unlabelled voxels.

They take clamped probabilities (`focal.clamped`) and targets in which 1 is a positive, -1 an unlabelled voxel and
anything between a soft label; voxels of `targets.IGNORED` contribute nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from milopyp_shared.errors import CheckError

from .focal import focal_loss, masked_mean, matched


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
    p, t = matched(probability, target)
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
    risk_positive = -masked_mean(if_positive, positive) - masked_mean((1 - t) ** 4 * if_negative, soft)
    risk_negative = -masked_mean(if_negative, positive) - masked_mean(t**4 * if_positive, soft)
    rest = -masked_mean(if_negative, unlabelled) - tau * risk_negative
    return tau * risk_positive + torch.where(rest >= 0.0, rest, torch.zeros_like(rest))


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
    Deviation: the logarithm of the binomial coefficient is computed in float64; in the published
    program's float32 it is off by about a hundredth for a patch pair's N.
    """
    p, t = matched(probability, target)
    free = p[t == -1.0]
    mean, spread = free.sum(), (free * (1 - free)).sum()
    k = torch.arange(len(free) + 1, dtype=torch.float64, device=p.device)
    n = k[-1]
    prior = torch.tensor(tau, dtype=torch.float64, device=p.device)
    choose = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    binomial = choose + k * prior.log() + (n - k) * (-prior).log1p()
    expected = torch.softmax(-((mean - k.to(p.dtype)) ** 2) / (2 * (spread + 1e-7)), dim=0)
    return focal_loss(p, t) - (expected * binomial.to(p.dtype)).sum()
