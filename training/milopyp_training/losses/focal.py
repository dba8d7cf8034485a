"""Focal losses of heat maps (CornerNet): on logits for training, on probabilities for what the published program does.

`soft_focal_loss` is what the default preset trains with. `focal_loss` is a part of the published criterion, and the
validation loss of both presets; its targets are 1 at positives, -1 at unlabelled voxels and anything between for
soft labels. Voxels of `targets.IGNORED` contribute nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from milopyp_shared.errors import InputError

CLAMP = 1e-4
"""The published probability map stays this far from 0 and 1."""


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
    return _of_voxels(logits, target, positive).sum() / positive.sum().clamp(min=1)


def class_focal_loss(logits: Tensor, target: Tensor, positive: Tensor) -> Tensor:
    """Mean over classes of their focal losses, as `soft_focal_loss` has them; all of shape ``(b, classes, z, y, x)``.

    The background of a class is divided by the number of classes: each is seen with the patches that were drawn for the
    others as well, and unlabelled particles are in all of them. A class with few positives in a batch, or none, is
    divided by half of what the classes have on average: its background would weigh many times as much as anything else.
    """
    over, classes = (0, 2, 3, 4), logits.shape[1]
    count = positive.sum(over)
    least = (count.float().mean() / 2).clamp(min=1)
    loss = _of_voxels(logits, target, positive)
    loss = torch.where(positive, loss, loss / classes)
    return (loss.sum(over) / count.clamp(min=least)).mean()


def _of_voxels(logits: Tensor, target: Tensor, positive: Tensor) -> Tensor:
    log_p, log_rest = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    # Powers of p and 1 - p from the logarithms: no 0 * inf in the gradient of saturated voxels.
    hit = (2.0 * log_rest).exp() * log_p
    miss = (1.0 - target) ** 4 * (2.0 * log_p).exp() * log_rest
    return -torch.where(positive, hit, miss)


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
    Deviation: in positive-negative training the published program broadcasts a pair of patches against
    a pair of targets and so compares each patch with the other one's target too. Here a
    prediction meets its own target only.
    """
    p, t = matched(probability, target)
    positive, negative = t == 1.0, (t > -1.0) & (t < 1.0)
    loss = -masked_sum((1 - p) ** 2 * p.log(), positive) - masked_sum((1 - t) ** 4 * p**2 * torch.log1p(-p), negative)
    return loss / positive.sum().clamp(min=1)


def clamped(probability: Tensor) -> Tensor:
    """Probabilities in [1e-4, 1 - 1e-4], as the published losses take them; the clamp has no gradient outside."""
    return probability.clamp(CLAMP, 1.0 - CLAMP)


def matched(probability: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The target in the shape of the probabilities; they may differ in axes of length one only."""
    if [n for n in probability.shape if n != 1] != [n for n in target.shape if n != 1]:
        raise InputError(
            f"probabilities {tuple(probability.shape)} and target {tuple(target.shape)}",
            expected="the same voxels, apart from axes of length one",
        )
    return probability, target.reshape(probability.shape)


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Sum over the mask."""
    return torch.where(mask, values, torch.zeros_like(values)).sum()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the mask, 0 when it is empty."""
    return masked_sum(values, mask) / mask.sum().clamp(min=1)
