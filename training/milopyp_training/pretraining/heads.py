"""A head for every species of the simulated world, and the loss by which features learn to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..losses.focal import soft_focal_loss
from ..networks.unet3d import INITIAL_LOGIT
from .patches import Patch


class SpeciesHeads(nn.Module):
    """Linear heads of all species of all groups; they are left behind when pre-training ends.

    Parameters
    ----------
    counts
        Species of each group.
    features
        Of the network.
    """

    def __init__(self, counts: Sequence[int], features: int) -> None:
        super().__init__()
        self._counts = list(counts)
        total = sum(counts)
        self.weight = nn.Parameter(torch.randn(total, features) * 0.05)
        self.bias = nn.Parameter(torch.full((total,), INITIAL_LOGIT))

    def loss(self, features: Tensor, patches: Sequence[Patch]) -> Tensor:
        """Focal loss of all species of the patches' groups, those that are not there included.

        Parameters
        ----------
        features
            ``(b, d, z, y, x)`` of the patches.
        """
        logits, targets, positives = [], [], []
        for own, patch in zip(features, patches, strict=True):
            first = sum(self._counts[: patch.group])
            species = slice(first, first + self._counts[patch.group])
            flat = own.flatten(1)
            logits.append(torch.addmm(self.bias[species, None], self.weight[species], flat).flatten())
            targets.append(patch.target.flatten())
            positives.append(patch.positive.flatten())
        device = features.device
        return soft_focal_loss(torch.cat(logits), torch.cat(targets).to(device), torch.cat(positives).to(device))
