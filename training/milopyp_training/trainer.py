"""The training loop, the same for every method.

Random numbers are drawn anew from (seed, epoch, rank) at every epoch, so a run that is resumed after epoch k goes
on exactly as if it had never stopped, without storing generator states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from milopyp_shared.errors import CheckError

from .method import Method

Losses = dict[str, float]


@dataclass
class TrainingState:
    """What a checkpoint stores and a resumed run needs.

    Attributes
    ----------
    epoch
        Finished epochs.
    history
        Mean of every loss term per finished epoch.
    """

    network: nn.Module
    averaged: AveragedModel | None
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch: int = 0
    history: list[Losses] = field(default_factory=list)

    @property
    def picking_network(self) -> nn.Module:
        """The weights that pick: averaged where the method averages."""
        return self.network if self.averaged is None else self.averaged.module


def new_state(method: Method, epochs: int) -> TrainingState:
    """State before the first epoch of a run of `epochs` epochs."""
    averaged = None
    if method.averaging is not None:
        averaged = AveragedModel(method.network, multi_avg_fn=get_ema_multi_avg_fn(method.averaging), use_buffers=True)
    optimizer, scheduler = method.optimizer(epochs * method.steps_per_epoch)
    return TrainingState(method.network, averaged, optimizer, scheduler)


def train_epoch(
    method: Method,
    state: TrainingState,
    seed: int,
    on_step: Callable[[Losses], None] = lambda losses: None,
    *,
    rank: int = 0,
    network: Callable[..., Any] | None = None,
) -> Losses:
    """Run one epoch; returns the mean of every loss term.

    Parameters
    ----------
    on_step
        Called with the loss terms of every step.
    rank, network
        For several processes: this one's number and the wrapped network.

    Raises
    ------
    CheckError
        A loss is NaN or infinite.
    """
    torch.manual_seed(_mixed(seed, state.epoch, rank))
    state.network.train()
    sums: Losses = {}
    steps = 0
    for batch in method.epoch(np.random.default_rng([seed, state.epoch, rank])):
        terms = method.losses(network or state.network, batch)
        values = {name: float(term.detach()) for name, term in terms.items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise CheckError(
                f"the loss is {values['loss']} at step {steps + 1} of epoch {state.epoch + 1}",
                expected="finite numbers",
                remedy="Lower --lr, or look for labels on broken places of a tomogram.",
            )
        state.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        state.optimizer.step()
        state.scheduler.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.network)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
        steps += 1
        on_step(values)
    means = {name: value / steps for name, value in sums.items()}
    state.epoch += 1
    state.history.append(means)
    return means


def _mixed(*numbers: int) -> int:
    """One seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
