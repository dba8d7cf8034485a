"""The batches of pre-training, drawn ahead of the steps that need them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from milopyp_shared.prefetch import prefetch

from .library import SimulatedLevels, read_group
from .patches import Patch, draw_patches
from .settings import PretrainingSettings

AHEAD = 2  # batches that wait, of each process


class _Steps(Dataset[list[Patch]]):
    """The batch of every step from `first` on: it depends on the seed and the number of the step only."""

    def __init__(self, folder: Path, settings: PretrainingSettings, first: int) -> None:
        self._folder, self._settings, self._first = folder, settings, first

    @cached_property
    def _groups(self) -> list[list[SimulatedLevels]]:
        """Opened in the process that draws."""
        return [list(read_group(self._folder, number)) for number in range(self._settings.groups)]

    def __len__(self) -> int:
        return self._settings.steps - self._first

    def __getitem__(self, index: int) -> list[Patch]:
        rng = np.random.default_rng([self._settings.seed, self._first + index])
        return draw_patches(self._groups, self._settings, rng)


def batches(folder: Path, settings: PretrainingSettings, first: int, workers: int) -> Iterator[list[Patch]]:
    """Batches of the steps from `first` on, in order, drawn by `workers` processes; 0: by a thread of this one.

    A GPU takes a step in less time than a process needs to draw it; a CPU does not.
    """
    steps = _Steps(folder, settings, first)
    if not workers:
        return prefetch((steps[index] for index in range(len(steps))), AHEAD)
    return iter(
        DataLoader(
            steps, batch_size=None, num_workers=workers, prefetch_factor=AHEAD, multiprocessing_context="spawn",
        )
    )  # fmt: skip
