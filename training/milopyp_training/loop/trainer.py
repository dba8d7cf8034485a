"""The training loop, the same for every method.

Random numbers are drawn anew from (seed, epoch) at every epoch, so a run that is resumed after epoch k goes on
exactly as if it had never stopped, without storing generator states.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from milopyp_shared.errors import CheckError
from milopyp_shared.prefetch import prefetch

from ..methods.base import Method
from ..networks.precision import mixed
from .distributed import average_gradients
from .machine import Machine
from .state import Losses, TrainingState


def train_epoch(
    method: Method,
    state: TrainingState,
    seed: int,
    machine: Machine,
    on_step: Callable[[int, Losses], None] = lambda step, losses: None,
) -> Losses:
    """Run one epoch; returns the mean of every loss term.

    Parameters
    ----------
    machine
        Gradients are averaged over all its processes.
    on_step
        Called with number and loss terms of every step.

    Raises
    ------
    CheckError
        A loss is NaN or infinite.
    """
    world = machine.world
    torch.manual_seed(int(np.random.SeedSequence((seed, state.epoch, world.rank)).generate_state(1)[0]))
    state.network.train()
    network = mixed(state.network) if machine.mixed_precision else state.network
    sums: Losses = {}
    steps = 0
    for batch in prefetch(method.batches(np.random.default_rng([seed, state.epoch]), world), machine.ahead):
        terms = method.loss_terms(network, batch)
        values = {name: float(term.detach()) for name, term in terms.items()}
        _refuse_infinite(values, steps + 1, state.epoch + 1)
        state.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if world.size > 1:
            average_gradients(state.network, world)
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


def _refuse_infinite(values: Losses, step: int, epoch: int) -> None:
    if bad := [name for name, value in values.items() if not math.isfinite(value)]:
        broken = min(bad, key=lambda name: name == "loss")  # the sum says least about the cause
        raise CheckError(
            f"the term {broken!r} is {values[broken]} at step {step} of epoch {epoch}",
            where="training loss",
            expected="finite numbers",
            remedy="Lower --lr, or look for labels on broken places of a tomogram.",
        )
