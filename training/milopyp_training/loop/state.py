"""What a training holds between two epochs: all that a checkpoint stores and a resumed run needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..data.cross_validated import CrossValidated
from ..methods.base import ALONE, Method, WorldInfo
from ..networks.base import PickingNetwork

Losses = dict[str, float]
"""Loss terms, or figures of a validation, by name."""


@dataclass
class TrainingState:
    """The networks with their optimiser, and what has happened so far.

    Attributes
    ----------
    averaged
        Averaged weights; None where the method does not average.
    epoch
        Finished epochs.
    history
        Mean of every loss term per finished epoch.
    validation
        Figures of every validated epoch.
    cross_validated
        What was found of each class before the first epoch; None without cross-validation.
    """

    network: PickingNetwork
    averaged: AveragedModel | None
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch: int = 0
    history: list[Losses] = field(default_factory=list)
    validation: list[Losses] = field(default_factory=list)
    cross_validated: Sequence[CrossValidated] | None = None

    @property
    def ema_network(self) -> PickingNetwork:
        """The weights that pick: averaged where the method averages."""
        return self.network if self.averaged is None else cast(PickingNetwork, self.averaged.module)


def new_state(method: Method, epochs: int, world: WorldInfo = ALONE) -> TrainingState:
    """State before the first epoch of a run of `epochs` epochs."""
    averaged = None
    if method.averaging is not None:
        averaged = AveragedModel(method.network, multi_avg_fn=get_ema_multi_avg_fn(method.averaging), use_buffers=True)
    optimizer, scheduler = method.configure_optimizer(epochs * world.steps(method.steps_per_epoch))
    return TrainingState(method.network, averaged, optimizer, scheduler)
