"""The training loop, the same for every method.

Random numbers are drawn anew from (seed, epoch) at every epoch, so a run that is resumed after epoch k goes on
exactly as if it had never stopped, without storing generator states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from milopyp_shared.errors import CheckError
from milopyp_shared.prefetch import prefetch

from ..data.dataset import CrossValidated
from ..methods.base import ALONE, Method, WorldInfo
from ..networks.base import PickingNetwork

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
    validation
        Figures of every validated epoch.
    cross_validated
        What was found before the first epoch; None when nothing was looked for.
    """

    network: PickingNetwork
    averaged: AveragedModel | None
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch: int = 0
    history: list[Losses] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    cross_validated: CrossValidated | None = None

    @property
    def ema_network(self) -> PickingNetwork:
        """The weights that pick: averaged where the method averages."""
        return self.network if self.averaged is None else cast(PickingNetwork, self.averaged.module)


def new_state(method: Method, epochs: int, share: WorldInfo = ALONE) -> TrainingState:
    """State before the first epoch of a run of `epochs` epochs."""
    averaged = None
    if method.averaging is not None:
        averaged = AveragedModel(method.network, multi_avg_fn=get_ema_multi_avg_fn(method.averaging), use_buffers=True)
    optimizer, scheduler = method.optimizer(epochs * share.of(method.steps_per_epoch))
    return TrainingState(method.network, averaged, optimizer, scheduler)


def train_epoch(
    method: Method,
    state: TrainingState,
    seed: int,
    on_step: Callable[[int, Losses], None] = lambda step, losses: None,
    *,
    share: WorldInfo = ALONE,
    mixed_precision: bool = False,
    ahead: int = 0,
) -> Losses:
    """Run one epoch; returns the mean of every loss term.

    Parameters
    ----------
    on_step
        Called with number and loss terms of every step.
    share
        This process's part; gradients are averaged over all processes.
    mixed_precision
        Run the network in bfloat16 where that is safe (GPU); losses stay in float32.
    ahead
        Batches that a background thread prepares ahead.

    Raises
    ------
    CheckError
        A loss is NaN or infinite.
    """
    torch.manual_seed(int(np.random.SeedSequence((seed, state.epoch, share.rank)).generate_state(1)[0]))
    state.network.train()
    network = _mixed(state.network) if mixed_precision else state.network
    sums: Losses = {}
    steps = 0
    for batch in prefetch(method.epoch(np.random.default_rng([seed, state.epoch]), share), ahead):
        terms = method.losses(network, batch)
        values = {name: float(term.detach()) for name, term in terms.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            broken = min(bad, key=lambda name: name == "loss")  # the sum says least about the cause
            raise CheckError(
                f"the term {broken!r} is {values[broken]} at step {steps + 1} of epoch {state.epoch + 1}",
                where="training loss",
                expected="finite numbers",
                remedy="Lower --lr, or look for labels on broken places of a tomogram.",
            )
        state.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if share.world > 1:
            _average_gradients(state.network, share.world)
        state.optimizer.step()
        state.scheduler.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.network)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
        steps += 1
        on_step(steps, values)
    means = {name: value / steps for name, value in sums.items()}
    state.epoch += 1
    state.history.append(means)
    return means


def _mixed(network: nn.Module) -> Callable[..., Any]:
    """The network under autocast, its results back in float32."""

    def run(*inputs: Any) -> Any:
        with torch.autocast(inputs[0].device.type, torch.bfloat16):
            result = network(*inputs)
        return tuple(part.float() for part in result) if isinstance(result, tuple) else result.float()

    return run


def _average_gradients(network: nn.Module, world: int) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
