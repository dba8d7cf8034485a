"""What the trainer asks of a method; the default and the published one both answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..data.dataset import LabelledVolume
from ..networks.base import PickingNetwork
from .presets import Preset


@dataclass(frozen=True)
class WorldInfo:
    """Which of the processes that train together this one is: number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    def steps(self, total: int) -> int:
        """Of `total` steps those of one process: the same for all, at least one."""
        return max(total // self.size, 1)


ALONE = WorldInfo()


class Method(Protocol):
    """A way to train: a network, its batches, its loss, its optimiser."""

    network: PickingNetwork
    averaging: float | None
    """Decay per step of averaged weights, or None when the plain weights pick."""
    bfloat16_on_cpu: bool
    """Whether its network is known to train as well in bfloat16 on CPUs."""

    @property
    def preset(self) -> Preset:
        """Every number of the method."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch of a single process."""

    def batches(self, rng: np.random.Generator, world: WorldInfo = ALONE) -> Iterator[Any]:
        """Batches of one epoch for one process; equal generators give equal batches."""

    def target(self, volume: LabelledVolume) -> NDArray[np.float32]:
        """Target heat map ``(z, y, x)`` of a whole tomogram: 1 at particles, 0 at background."""

    def loss_terms(self, network: Callable[..., Any], batch: Any) -> dict[str, Tensor]:
        """Named loss terms of one batch; ``loss`` is the one to minimise."""

    def configure_optimizer(self, steps: int) -> tuple[Optimizer, LRScheduler]:
        """Optimiser and schedule (stepped after every batch) for `steps` steps in all."""


MakeMethod = Callable[[Sequence[LabelledVolume]], Method]
"""Gives the method for labelled tomograms, its network with fresh weights."""
