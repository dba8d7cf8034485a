"""The default method: compact 3D U-Net, focal loss, averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from ..data.dataset import LabelledVolume
from ..data.targets import IGNORED, gaussian_targets, nearest_voxels
from ..losses.focal import class_focal_loss, soft_focal_loss
from ..networks.base import PickingNetwork
from ..networks.precision import right_on_cpus
from ..networks.registry import NETWORKS
from .base import ALONE, WorldInfo
from .default_patches import Batch, PatchSampling, draw_batch, patch_shape, target_map_of
from .presets import DefaultPreset
from .pretrained_start import begin_pretrained


class DefaultMethod:
    """See `milopyp_training.methods.base.Method` and, for every number, `DefaultPreset`."""

    def __init__(
        self,
        preset: DefaultPreset,
        volumes: Sequence[LabelledVolume],
        diameters: Sequence[float],
        device: torch.device,
    ) -> None:
        self._preset = preset
        classes = {"classes": len(diameters)} if len(diameters) > 1 else {}
        network = NETWORKS[preset.architecture].build(preset.grey, dict(preset.architecture_options) | classes)
        stride = network.geometry().stride
        maps = [target_map_of(preset, diameter, stride) for diameter in diameters]
        self._sampling = PatchSampling(preset, maps, patch_shape(preset, volumes, stride))
        if preset.pretrained:
            # several times faster on CPUs that multiply in bfloat16
            network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            begin_pretrained(network, volumes, maps)
        self.network: PickingNetwork = network.to(device)
        self.averaging: float | None = preset.averaging
        self._volumes, self._device = volumes, device
        self.bfloat16_on_cpu = self._sampling.shape == preset.patch and right_on_cpus(preset.patch, network.geometry())

    @property
    def preset(self) -> DefaultPreset:
        """The numbers it was made with."""
        return self._preset

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch."""
        return self._preset.steps

    def batches(self, rng: np.random.Generator, world: WorldInfo = ALONE) -> Iterator[Batch]:
        """Draw this process's batches of one epoch."""
        own = rng.spawn(world.size)[world.rank]
        for _ in range(world.steps(self.steps_per_epoch)):
            yield draw_batch(self._volumes, self._sampling, own)

    def target(self, volume: LabelledVolume) -> NDArray[np.float32]:
        """Gaussians around the labels, 1 at the voxels nearest to them."""
        stride = self._sampling.stride
        centres, shape = volume.grid_zyx(stride), volume.grid_shape(stride)
        target = gaussian_targets(centres, shape, self._sampling.target_maps[volume.kind].sigma_on_grid(volume))
        nearest = nearest_voxels(centres, shape)
        target[nearest] = 1.0
        if (kept := volume.unmasked(stride, (0, 0, 0), shape)) is not None:
            target[~kept & ~nearest] = IGNORED
        return target

    def loss_terms(self, network: Callable[..., Any], batch: Batch) -> dict[str, Tensor]:
        """Focal loss against Gaussians, the mean of all classes; unlabelled voxels are background."""
        sections, target, positive = (
            torch.from_numpy(part).to(self._device) for part in (batch.sections, batch.target, batch.positive)
        )
        logits = network(sections)
        focal = soft_focal_loss if self.network.classes == 1 else class_focal_loss
        return {"loss": focal(logits, target, positive)}

    def configure_optimizer(self, steps: int) -> tuple[Optimizer, LRScheduler]:
        """AdamW with a one-cycle schedule."""
        optimizer = AdamW(self.network.parameters(), lr=self._preset.lr, weight_decay=self._preset.weight_decay)
        return optimizer, OneCycleLR(optimizer, self._preset.lr, total_steps=steps + 1)
