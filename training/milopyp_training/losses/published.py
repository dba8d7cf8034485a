"""The published training loss: heat map, contrastive term and flip consistency together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from milopyp_shared.errors import UsageError

from ..data.targets import IGNORED
from .contrastive import Sampling, debiased_contrastive, supervised_contrastive
from .focal import clamped, focal_loss
from .positive_unlabelled import pu_focal_loss, puge_loss

UNSUPERVISED_WEIGHT = 0.1
"""Of the unsupervised part in the published contrastive term."""

Output = tuple[Tensor, Tensor]
"""What the network says of a patch pair: logits (2, 1, D, h, w) and unit embeddings (2, C, D, h, w)."""


@dataclass(frozen=True)
class PublishedLoss:
    """Options of the published training loss.

    Attributes
    ----------
    kind
        "pu" (positive-unlabelled), "pn" (positive-negative) or "ge" (generalised expectation).
    tau
        Prior probability of a positive voxel.
    contrastive
        Add the contrastive term and the consistency of the two branches.
    cr_weight, temperature, thresh
        Weight of the contrastive term, its temperature, and the label above which a voxel is positive.
    """

    kind: str = "pu"
    tau: float = 0.01
    contrastive: bool = True
    cr_weight: float = 0.1
    temperature: float = 0.07
    thresh: float = 0.85

    def __post_init__(self) -> None:
        if self.kind not in ("pu", "pn", "ge"):
            raise UsageError(f"loss {self.kind!r}", expected="pu, pn or ge")
        if not 0.0 < self.tau < 1.0:
            raise UsageError(f"{self.tau}", where="--tau", expected="a probability between 0 and 1")
        if not self.temperature > 0.0:
            raise UsageError(f"{self.temperature}", where="--temp", expected="a positive number")


@dataclass(frozen=True)
class LossParts:
    """Scalars of one training step; `total` is the one to differentiate."""

    total: Tensor
    heat_map: Tensor
    contrastive: Tensor
    consistency: Tensor


def published_criterion(
    output: Output,
    mirrored: Output | None,
    target: Tensor,
    options: PublishedLoss,
    *,
    flip_y: bool,
    sample: Sampling | None = None,
) -> LossParts:
    """Whole training loss of the published method.

    Parameters
    ----------
    output
        Of the network for the patches.
    mirrored
        Of the network for their mirror images, not yet mirrored back. None without `options.contrastive`, where
        nothing reads it.
    target
        (2, D, h, w) or (1, 2, D, h, w).
    options
        See `PublishedLoss`.
    flip_y
        The mirror images are mirrored along y (rows), else along x (columns).
    sample
        None for the exact contrastive term.

    Returns
    -------
    LossParts
        total = heat map + cr_weight * contrastive + consistency. Only the unflipped branch enters
        the heat-map loss; the contrastive term is the debiased one, or the supervised one for "pn".

    Raises
    ------
    CheckError
        The patches hold no positive voxel.
    InputError
        Shapes that do not fit each other.
    """
    logits, embedding = output
    p = clamped(logits.sigmoid())
    heat_map = _heat_map_loss(p, target, options)
    if mirrored is None or not options.contrastive:
        zero = torch.zeros_like(heat_map)
        return LossParts(heat_map, heat_map, zero, zero)
    axis = -2 if flip_y else -1
    p_back = clamped(mirrored[0].sigmoid()).flip(axis)
    rows, rows_back = _as_rows(embedding), _as_rows(mirrored[1].flip(axis))
    labels, one_way, other_way = target.flatten(), p.flatten(), p_back.flatten()
    if not bool((kept := labels != IGNORED).all()):
        rows, rows_back, labels = rows[kept], rows_back[kept], labels[kept]
        one_way, other_way = one_way[kept], other_way[kept]
    contrastive = _contrastive_loss((rows, rows_back), labels, (one_way, other_way), options, sample)
    consistency = consistency_loss(one_way, other_way)
    return LossParts(heat_map + options.cr_weight * contrastive + consistency, heat_map, contrastive, consistency)


def consistency_loss(probability: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference of two probability maps of the same shape."""
    return functional.mse_loss(probability, other)


def _heat_map_loss(probability: Tensor, target: Tensor, options: PublishedLoss) -> Tensor:
    if options.kind == "pu":
        return pu_focal_loss(probability, target, options.tau)
    if options.kind == "pn":
        return focal_loss(probability, target)
    return puge_loss(probability, target, options.tau)


def _contrastive_loss(
    rows: tuple[Tensor, Tensor],
    labels: Tensor,
    probabilities: tuple[Tensor, Tensor],
    options: PublishedLoss,
    sample: Sampling | None,
) -> Tensor:
    """The contrastive term of embeddings (n, C) and probabilities (n,) of both branches."""
    if options.kind == "pn":
        return supervised_contrastive(
            *rows, labels, thresh=options.thresh, temperature=options.temperature, sample=sample
        )
    supervised, unsupervised = debiased_contrastive(
        *rows,
        labels,
        *probabilities,
        thresh=options.thresh,
        temperature=options.temperature,
        tau=options.tau,
        sample=sample,
    )
    return supervised + UNSUPERVISED_WEIGHT * unsupervised


def _as_rows(embedding: Tensor) -> Tensor:
    """(B, C, D, h, w) -> (B D h w, C), voxels in the order patch, z, y, x."""
    return embedding.movedim(1, -1).flatten(0, -2)
