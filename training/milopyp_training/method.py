"""What the trainer asks of a method; the default and the published one both answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from milopyp_shared.recipe import Geometry

from .presets import Preset


class Method(Protocol):
    """A way to train: a network, its batches, its loss, its optimiser."""

    network: nn.Module
    geometry: Geometry
    architecture_options: dict[str, int]
    averaging: float | None
    """Decay per step of averaged weights, or None when the plain weights pick."""

    @property
    def preset(self) -> Preset:
        """Every number of the method."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch."""

    def epoch(self, rng: np.random.Generator) -> Iterator[Any]:
        """The batches of one epoch; equal generators give equal batches."""

    def losses(self, network: Callable[..., Any], batch: Any) -> dict[str, Tensor]:
        """Named loss terms of one batch; ``loss`` is the one to minimise."""

    def optimizer(self, steps: int) -> tuple[Optimizer, LRScheduler]:
        """Optimiser and schedule (stepped after every batch) for `steps` steps in all."""
