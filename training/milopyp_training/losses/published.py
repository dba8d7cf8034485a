"""The published training loss: heat map, contrastive term and flip consistency together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from milopyp_shared.errors import UsageError

from ..data.targets import IGNORED
from ..networks.section_unet import clamped_probability
from .contrastive import Sampling, debiased_contrastive, supervised_contrastive
from .focal import consistency_loss, focal_loss, pu_focal_loss, puge_loss

UNSUPERVISED_SHARE = 0.1
"""Weight of the unsupervised part in the published contrastive term."""


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
    logits: Tensor,
    embedding: Tensor,
    logits_flipped: Tensor,
    embedding_flipped: Tensor,
    target: Tensor,
    flip_y: bool,
    options: PublishedLoss,
    sample: Sampling | None = None,
) -> LossParts:
    """Whole training loss of the published method.

    Parameters
    ----------
    logits, logits_flipped
        (2, 1, D, h, w) network output for the patches and for their mirror images (not yet
        mirrored back).
    embedding, embedding_flipped
        (2, C, D, h, w) unit embeddings of the same. Unused without `options.contrastive`.
    target
        (2, D, h, w) or (1, 2, D, h, w).
    flip_y
        The mirror images are mirrored along y (rows), else along x (columns).
    options
        See `PublishedLoss`.
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
    p = clamped_probability(logits)
    if options.kind == "pu":
        heat_map = pu_focal_loss(p, target, options.tau)
    else:
        heat_map = focal_loss(p, target) if options.kind == "pn" else puge_loss(p, target, options.tau)
    if not options.contrastive:
        zero = torch.zeros_like(heat_map)
        return LossParts(heat_map, heat_map, zero, zero)
    axis = -2 if flip_y else -1
    p_back = clamped_probability(logits_flipped).flip(axis)
    rows, rows_back = _as_rows(embedding), _as_rows(embedding_flipped.flip(axis))
    labels, one_way, other_way = target.flatten(), p.flatten(), p_back.flatten()
    if not bool((kept := labels != IGNORED).all()):
        rows, rows_back, labels = rows[kept], rows_back[kept], labels[kept]
        one_way, other_way = one_way[kept], other_way[kept]
    if options.kind == "pn":
        contrastive = supervised_contrastive(
            rows, rows_back, labels, thresh=options.thresh, temperature=options.temperature, sample=sample
        )
    else:
        supervised, unsupervised = debiased_contrastive(
            rows,
            rows_back,
            labels,
            one_way,
            other_way,
            thresh=options.thresh,
            temperature=options.temperature,
            tau=options.tau,
            sample=sample,
        )
        contrastive = supervised + UNSUPERVISED_SHARE * unsupervised
    consistency = consistency_loss(one_way, other_way)
    return LossParts(heat_map + options.cr_weight * contrastive + consistency, heat_map, contrastive, consistency)


def _as_rows(embedding: Tensor) -> Tensor:
    """(B, C, D, h, w) -> (B D h w, C), voxels in the order patch, z, y, x."""
    return embedding.movedim(1, -1).flatten(0, -2)
