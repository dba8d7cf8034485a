"""The published method: per-section U-Net with a 3D head, pairs of patches, positive-unlabelled loss.

Deviations, each from a trap of the published program: all random numbers follow the seed; patch pairs in which
clipping at a border has lost every positive are drawn again instead of stopping the run; odd sizes give maps that
are rounded up like the network's output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.preprocessing import PreprocessedVolume

from ..data.dataset import LabelledVolume
from ..data.targets import IGNORED, UNLABELLED, published_grid_centres, published_targets
from ..losses.contrastive import Sampling
from ..losses.published import published_criterion
from ..networks.base import PickingNetwork
from ..networks.registry import NETWORKS
from .base import ALONE, WorldInfo
from .presets import PublishedPreset
from .published_patches import STRIDE, PairBatch, clip_centre, cut_pair, draw_pair

DRAWS = 100  # tries for a patch pair with a positive before the labels count as unusable


class PublishedMethod:
    """See `milopyp_training.methods.base.Method` and, for every number, `PublishedPreset`."""

    def __init__(
        self, preset: PublishedPreset, volumes: Sequence[LabelledVolume], diameter: float, device: torch.device
    ) -> None:
        self._preset = preset
        spec = NETWORKS[preset.architecture]
        self.network: PickingNetwork = spec.build(preset.grey, {"last_k": preset.last_k}).to(device)
        self.averaging: float | None = None
        self.bfloat16_on_cpu = False
        self._stride = self.network.geometry().stride
        if self._stride != (1, STRIDE, STRIDE):
            raise UsageError(
                f"{preset.architecture}, whose heat map has strides of {self._stride}",
                where="--arch",
                expected=f"{(1, STRIDE, STRIDE)}, for which the published patches are made",
            )
        self._device, self._bbox = device, round(diameter)
        centres = [self._grid_centres(volume) for volume in volumes]
        rest = 0.0 if preset.loss.kind == "pn" else UNLABELLED
        self._shapes = [volume.grey.shape for volume in volumes]
        self._targets = [self._target(volume, rest) for volume in volumes]
        self._levels = [_ScaledGrey(volume.grey) for volume in volumes]
        self._centres = np.concatenate(centres)
        self._owner = np.repeat(np.arange(len(volumes)), [len(points) for points in centres])
        self._check(volumes)

    @property
    def preset(self) -> PublishedPreset:
        """The numbers it was made with."""
        return self._preset

    @property
    def steps_per_epoch(self) -> int:
        """One per label."""
        return len(self._centres)

    def batches(self, rng: np.random.Generator, world: WorldInfo = ALONE) -> Iterator[PairBatch]:
        """Every label once, shuffled, each with a second patch of its own; processes take turns."""
        order = rng.permutation(len(self._centres))
        own = rng.spawn(world.size)[world.rank]
        for index in order[world.rank :: world.size][: world.steps(self.steps_per_epoch)]:
            yield self._pair(int(index), own)

    def target(self, volume: LabelledVolume) -> NDArray[np.float32]:
        """The published target of a validation tomogram: background is 0."""
        return self._target(volume, 0.0)

    def loss_terms(self, network: Callable[..., Any], batch: PairBatch) -> dict[str, Tensor]:
        """Heat-map loss; with the contrastive option also its term and the consistency of the two branches."""
        volume, flipped, target = (
            torch.from_numpy(np.ascontiguousarray(part)).to(self._device)
            for part in (batch.volume, batch.flipped, batch.target)
        )
        options = self._preset.loss
        if not options.contrastive:  # the published program runs the mirrored branch for nothing here
            parts = published_criterion(network(volume), None, target, options, flip_y=batch.flip_y)
            return {"loss": parts.total}
        sample = None if self._preset.exact else Sampling(torch.default_generator)
        parts = published_criterion(
            network(volume), network(flipped), target, options, flip_y=batch.flip_y, sample=sample
        )
        return {
            "loss": parts.total,
            "heat_map": parts.heat_map,
            "contrastive": parts.contrastive,
            "consistency": parts.consistency,
        }

    def configure_optimizer(self, steps: int) -> tuple[Optimizer, LRScheduler]:
        """Adam, its rate dropped at the epochs of ``lr_step``."""
        optimizer = Adam(self.network.parameters(), lr=self._preset.lr)
        milestones = [epoch * self.steps_per_epoch for epoch in self._preset.lr_step]
        return optimizer, MultiStepLR(optimizer, milestones, gamma=self._preset.drop)

    def _check(self, volumes: Sequence[LabelledVolume]) -> None:
        """Refuse what cannot be drawn from before anything is written: small volumes, a single label."""
        for volume in volumes:
            clip_centre((0, 0, 0), volume.grey.shape, where=volume.name)
        draw_pair(0, self._centres, self._owner, self._shapes, np.random.default_rng(0), bbox=self._bbox)

    def _grid_centres(self, volume: LabelledVolume) -> NDArray[np.int64]:
        return published_grid_centres(volume.xyz, volume.voxel_per_output(self._stride))

    def _target(self, volume: LabelledVolume, unlabelled: float) -> NDArray[np.float32]:
        centres, shape = self._grid_centres(volume), volume.grid_shape(self._stride)
        target = published_targets(centres, shape, self._bbox, fibre=self._preset.fibre, unlabelled=unlabelled)
        if (kept := volume.unmasked(self._stride, (0, 0, 0), shape)) is not None:
            target[~kept & (target != 1.0)] = IGNORED
        return target

    def _pair(self, index: int, rng: np.random.Generator) -> PairBatch:
        for _ in range(DRAWS):
            pair = draw_pair(
                index,
                self._centres,
                self._owner,
                self._shapes,
                rng,
                bbox=self._bbox,
                translation_ratio=self._preset.translation_ratio,
                pn=self._preset.loss.kind == "pn",
            )
            owners = int(self._owner[pair.first]), int(self._owner[pair.second])
            batch = cut_pair(
                pair,
                (self._levels[owners[0]], self._levels[owners[1]]),
                (self._targets[owners[0]], self._targets[owners[1]]),
            )
            if (batch.target == 1).any():
                return batch
        raise InputError(
            f"no label near label {index + 1} lies inside its patch of 64 x 64 voxels and 6 sections",
            expected="labels at some distance from the volume's faces",
            remedy="Label particles away from the border, or use the default preset.",
        )


class _ScaledGrey:
    """Grey levels of a volume in 0..1, cut like an array."""

    def __init__(self, grey: PreprocessedVolume) -> None:
        self._grey, self.shape = grey, grey.shape

    def __getitem__(self, cut: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        low, high = self._grey.input_range
        start, end = ([getattr(part, side) for part in cut] for side in ("start", "stop"))
        levels = self._grey.box(start, end).astype(np.float32)
        return (levels - np.float32(low)) / np.float32(high - low)
