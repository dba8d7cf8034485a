"""A head for every species of the simulated world, and the loss by which features learn to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..losses.focal import soft_focal_loss
from ..networks.unet3d import INITIAL_LOGIT
from .batches import Batch


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
        self.weight = nn.Parameter(torch.randn(sum(counts), features) * 0.05)
        self.bias = nn.Parameter(torch.full((sum(counts),), INITIAL_LOGIT))

    def loss(self, features: Tensor, batch: Batch) -> Tensor:
        """Focal loss of all species of the patches' groups, those that are not there included.

        Parameters
        ----------
        features
            ``(b, d, z, y, x)`` of the patches.
        """
        weight, bias = self.weight[batch.species], self.bias[batch.species]
        logits = torch.baddbmm(bias[..., None], weight, features.flatten(2))
        return soft_focal_loss(logits, batch.target.flatten(2), batch.positive.flatten(2))
