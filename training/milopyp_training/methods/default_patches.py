"""Patches of the default preset: where they are cut, what they show, what they should give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import LabelledVolume, Triple, on_grid
from ..data.targets import gaussian_targets, nearest_voxels
from .presets import DefaultPreset

TRIES = 20  # for a patch that is not all outside the mask

Voxel = NDArray[np.int64]
"""A place in the preprocessed volume, z, y, x."""


@dataclass(frozen=True)
class Batch:
    """Patches and what the network should give.

    Attributes
    ----------
    sections
        ``(b, z, y, x)`` float32 grey levels in 0..1, augmented.
    target
        ``(b, z', y', x')`` float32 Gaussians around the sub-voxel label positions, sizes divided by the network's
        stride. 1 within a particle radius of an ignored place and outside the mask, without being positive: the loss
        weighs such voxels with ``(1 - target)^4``, that is not at all.
    positive
        The same shape; True near the labels.
    """

    sections: NDArray[np.float32]
    target: NDArray[np.float32]
    positive: NDArray[np.bool_]


@dataclass(frozen=True)
class PatchSampling:
    """What all patches of a training have in common.

    Attributes
    ----------
    diameter
        Of the particle, full-resolution voxels.
    shape
        Of a patch, z, y, x in voxels of the preprocessed volume; from `patch_shape`.
    stride
        Of the network.
    """

    preset: DefaultPreset
    diameter: float
    shape: Triple
    stride: Triple

    @property
    def grid(self) -> Triple:
        """Size of a patch's heat map."""
        z, y, x = (size // step for size, step in zip(self.shape, self.stride, strict=True))
        return (z, y, x)

    def sigma(self, volume: LabelledVolume) -> list[float]:
        """Standard deviations of the target's Gaussians, z, y, x in heat-map voxels."""
        width = self.preset.target_sigma * self.diameter / 2
        return [width / step for step in volume.voxel_per_output(self.stride)]


def patch_shape(preset: DefaultPreset, volumes: Sequence[LabelledVolume], stride: Triple) -> Triple:
    """The preset's patch, cut down to what the smallest volume holds (whole heat-map voxels)."""
    smallest = np.min([volume.grey.shape for volume in volumes], axis=0)
    z, y, x = (
        int(min(want, have // step * step)) for want, have, step in zip(preset.patch, smallest, stride, strict=True)
    )
    return (z, y, x)


def draw_batch(volumes: Sequence[LabelledVolume], sampling: PatchSampling, rng: np.random.Generator) -> Batch:
    """Draw one batch: patches around labels and anywhere, flipped and with noise."""
    shares = _shares(volumes, sampling.preset)
    drawn = []
    for _ in range(sampling.preset.batch):
        volume = volumes[rng.choice(len(volumes), p=shares.volumes)]
        drawn.append(_draw_patch(volume, 0.0 if volume.is_empty else shares.centred, sampling, rng))
    sections, target, positive = (np.stack(parts) for parts in zip(*drawn, strict=True))
    return Batch(sections, target, positive)


@dataclass(frozen=True)
class _Shares:
    """How often patches are drawn: from each volume, and around a label where a volume has some."""

    volumes: NDArray[np.float64]
    centred: float


def _shares(volumes: Sequence[LabelledVolume], preset: DefaultPreset) -> _Shares:
    """Volumes by their labels; an empty one has as many of the patches drawn anywhere as one with labels on average.

    So the share of all patches that are drawn around a label is that of the preset.
    """
    labels = np.array([len(volume.xyz) for volume in volumes], dtype=float)
    empty = labels == 0
    each = (1 - preset.centred) / len(volumes)
    rest = 1 - each * empty.sum()  # 1 without empty volumes
    return _Shares(np.where(empty, each, rest * (labels / labels.sum())), preset.centred / rest)


def _draw_patch(
    volume: LabelledVolume, centred: float, sampling: PatchSampling, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    start = _start(volume, centred, sampling, rng)
    sections = volume.grey.box(start.tolist(), (start + sampling.shape).tolist())
    target, positive = wanted(volume, start // sampling.stride, sampling.grid, sampling)
    flip = tuple(axis for axis in range(3) if rng.random() < 0.5)
    scaled, target, positive = (
        np.flip(part, flip) for part in (sections.astype(np.float32) / np.float32(255), target, positive)
    )
    return _augment(scaled, sampling.preset, rng), np.ascontiguousarray(target), np.ascontiguousarray(positive)


def _start(volume: LabelledVolume, centred: float, sampling: PatchSampling, rng: np.random.Generator) -> Voxel:
    """First voxel of a patch, so that it lies on the heat map's grid; `centred`: how often a label is in its middle."""
    preset, shape = sampling.preset, np.array(sampling.shape)
    room: Voxel = np.array(volume.grey.shape, dtype=np.int64) - shape
    if rng.random() < centred:
        centres = volume.grid_zyx(sampling.stride)
        around = centres[rng.integers(len(centres))] * sampling.stride
        shift = rng.uniform(-preset.jitter, preset.jitter, 3) * shape
        start = np.rint(around + shift - shape / 2)
    else:
        start = _anywhere(volume, sampling, room, rng).astype(np.float64)
    start = np.clip(start, 0, room).astype(np.int64)
    aligned: Voxel = start // sampling.stride * sampling.stride
    return aligned


def _anywhere(volume: LabelledVolume, sampling: PatchSampling, room: Voxel, rng: np.random.Generator) -> Voxel:
    """A random first voxel, of a patch whose middle the mask keeps if some tries find one."""
    for _ in range(TRIES):
        start = rng.integers(0, room + 1)
        middle = (start + np.array(sampling.shape) / 2) * volume.voxel_per_grey
        if volume.mask is None or volume.mask.keeps(middle[None, ::-1])[0]:
            break
    return start


def wanted(
    volume: LabelledVolume, first: Voxel, grid: Triple, sampling: PatchSampling
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Target and positives, as in a `Batch`, of a box of the heat map: its first voxel and its size, z, y, x."""
    preset, sigma = sampling.preset, sampling.sigma(volume)
    centres = volume.grid_zyx(sampling.stride) - first
    target = gaussian_targets(centres, grid, sigma)
    nearest = nearest_voxels(centres, grid)
    positive = nearest | (target > preset.positive)
    if len(volume.ignored):
        ignored = on_grid(volume.ignored, volume.voxel_per_output(sampling.stride)) - first
        at_the_edge = math.exp(-0.5 / preset.target_sigma**2)  # what such a Gaussian is at a particle radius
        nearness = gaussian_targets(ignored, grid, sigma)
        target[(nearness > np.maximum(target, at_the_edge)) & ~positive] = 1.0
    kept = volume.unmasked(sampling.stride, (int(first[0]), int(first[1]), int(first[2])), grid)
    if kept is not None:
        # a label at the edge may lie inside, and the middle of its voxel of the grid outside
        outside = ~(kept | nearest)
        target[outside], positive[outside] = 1.0, False
    return target, positive


def _augment(sections: NDArray[np.float32], preset: DefaultPreset, rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness, contrast and noise, given in z-scores and applied to levels in 0..1."""
    low, high = preset.grey.limits
    unit = np.float32(1.0 / (high - low))
    scale = np.float32(1.0 + rng.uniform(-preset.contrast, preset.contrast))
    shift = np.float32(rng.uniform(-preset.brightness, preset.brightness))
    noise = rng.standard_normal(sections.shape, dtype=np.float32) * np.float32(preset.noise)
    zero = np.float32(-low) * unit
    augmented: NDArray[np.float32] = (sections - zero) * scale + zero + (noise + shift) * unit
    return augmented
