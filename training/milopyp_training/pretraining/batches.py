"""The batches of pre-training, drawn ahead of the steps that need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from milopyp_shared.prefetch import prefetch
from milopyp_shared.system import allowed_threads

from .library import SimulatedLevels, read_group
from .patches import Patch, draw_patches
from .settings import PretrainingSettings

AHEAD = 2  # batches that wait, of each process


@dataclass(frozen=True)
class Batch:
    """Patches as tensors; all of them have as many species as the one with most.

    Attributes
    ----------
    sections
        ``(b, z, y, x)`` float32 grey levels in 0..1.
    species
        ``(b, s)`` int64 numbers among the species of all groups.
    target, positive
        ``(b, s, z', y', x')`` float32 and bool, see `Patch`. Species that only fill up have a target of 1 without being
        positive: the loss weighs such voxels with ``(1 - target)^4``, that is not at all.
    """

    sections: Tensor
    species: Tensor
    target: Tensor
    positive: Tensor

    def pin_memory(self) -> Batch:
        """In memory that a GPU copies from by itself; called by PyTorch's loader."""
        return Batch(*(part.pin_memory() for part in self._parts()))

    def to(self, device: torch.device) -> Batch:
        """On a device, where the copies may still be under way."""
        return Batch(*(part.to(device, non_blocking=True) for part in self._parts()))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.sections, self.species, self.target, self.positive


def as_batch(patches: Sequence[Patch], counts: Sequence[int]) -> Batch:
    """`counts` of the species of every group."""
    first = np.cumsum([0, *counts])
    most, grid = max(len(patch.target) for patch in patches), patches[0].target.shape[1:]
    species = np.zeros((len(patches), most), np.int64)
    target = np.ones((len(patches), most, *grid), np.float32)
    positive = np.zeros(target.shape, np.bool_)
    for row, patch in enumerate(patches):
        own = len(patch.target)
        species[row, :own] = first[patch.group] + np.arange(own)
        target[row, :own], positive[row, :own] = patch.target, patch.positive
    sections = np.stack([patch.sections for patch in patches])
    return Batch(*(torch.from_numpy(part) for part in (sections, species, target, positive)))


class _Steps(Dataset[Batch]):
    """The batch of every step from `first` on: it depends on the seed and the number of the step only."""

    def __init__(self, folder: Path, settings: PretrainingSettings, first: int) -> None:
        self._folder, self._settings, self._first = folder, settings, first

    @cached_property
    def _groups(self) -> list[Sequence[SimulatedLevels]]:
        """Opened in the process that draws."""
        return [read_group(self._folder, number) for number in range(self._settings.groups)]

    def __len__(self) -> int:
        return self._settings.steps - self._first

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self._settings.seed, self._first + index])
        patches = draw_patches(self._groups, self._settings, rng)
        return as_batch(patches, [len(group[0].radii) for group in self._groups])


def batches(folder: Path, settings: PretrainingSettings, first: int, workers: int) -> Iterator[Batch]:
    """Batches of the steps from `first` on, in order, drawn by `workers` processes; 0: by a thread of this one.

    A GPU takes a step in less time than a process needs to draw it; a CPU does not.
    """
    steps = _Steps(folder, settings, first)
    if not workers:
        return prefetch((steps[index] for index in range(len(steps))), AHEAD)
    loader = DataLoader(
        steps,
        batch_size=None,
        num_workers=min(workers, allowed_threads()),
        prefetch_factor=AHEAD,
        multiprocessing_context="spawn",
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)
