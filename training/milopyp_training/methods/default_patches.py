"""Patches of the default preset: where they are cut, what they show, what they should give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import LabelledVolume, Triple, by_tomogram
from ..data.target_map import TargetMap
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
        stride, see `TargetMap.in_box`; of several classes ``(b, classes, z', y', x')``.
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
    target_maps
        What they should give, for each class.
    shape
        Of a patch, z, y, x in voxels of the preprocessed volume; from `patch_shape`.
    """

    preset: DefaultPreset
    target_maps: Sequence[TargetMap]
    shape: Triple

    @property
    def stride(self) -> Triple:
        """Of the network."""
        return self.target_maps[0].stride

    @property
    def grid(self) -> Triple:
        """Size of a patch's heat map."""
        z, y, x = (size // step for size, step in zip(self.shape, self.stride, strict=True))
        return (z, y, x)


def target_map_of(preset: DefaultPreset, diameter: float, stride: Triple) -> TargetMap:
    """What a network of this stride should answer, as the preset has it."""
    return TargetMap(diameter, stride, preset.target_sigma, preset.positive)


def patch_shape(preset: DefaultPreset, volumes: Sequence[LabelledVolume], stride: Triple) -> Triple:
    """The preset's patch, cut down to what the smallest volume holds (whole heat-map voxels)."""
    smallest = np.min([volume.grey.shape for volume in volumes], axis=0)
    z, y, x = (
        int(min(want, have // step * step)) for want, have, step in zip(preset.patch, smallest, stride, strict=True)
    )
    return (z, y, x)


def draw_batch(volumes: Sequence[LabelledVolume], sampling: PatchSampling, rng: np.random.Generator) -> Batch:
    """Draw one batch: patches around labels and anywhere, flipped and with noise."""
    shares, tomograms = _shares(volumes, sampling.preset), by_tomogram(volumes)
    drawn = []
    for _ in range(sampling.preset.batch):
        volume = volumes[rng.choice(len(volumes), p=shares.volumes)]
        start = _start(volume, 0.0 if volume.is_empty else shares.centred, sampling, rng)
        drawn.append(_cut(tomograms[volume.name], start, sampling, rng))
    sections, target, positive = (np.stack(parts) for parts in zip(*drawn, strict=True))
    if len(sampling.target_maps) == 1:
        target, positive = target[:, 0], positive[:, 0]
    return Batch(sections, target, positive)


@dataclass(frozen=True)
class _Shares:
    """How often patches are drawn: from each volume, and around a label where a volume has some."""

    volumes: NDArray[np.float64]
    centred: float


def _shares(volumes: Sequence[LabelledVolume], preset: DefaultPreset) -> _Shares:
    """Volumes by their labels; an empty one has as many of the patches drawn anywhere as one with labels on average.

    So the share of all patches that are drawn around a label is that of the preset. Classes have equal shares,
    whatever the number of their labels.
    """
    labels, kinds = (np.array(each) for each in zip(*((len(one.xyz), one.kind) for one in volumes), strict=True))
    of_kind = np.bincount(kinds, labels)
    empty = labels == 0
    each = (1 - preset.centred) / len(volumes)
    rest = 1 - each * empty.sum()  # 1 without empty volumes
    own = labels / np.maximum(of_kind[kinds], 1) / np.count_nonzero(of_kind)
    return _Shares(np.where(empty, each, rest * own), preset.centred / rest)


def _cut(
    views: Mapping[int, LabelledVolume], start: Voxel, sampling: PatchSampling, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """A patch of a tomogram that begins at `start`, and what it should give; `views` is what each class knows of it."""
    grey = next(iter(views.values())).grey
    sections = grey.box(start.tolist(), (start + sampling.shape).tolist())
    # of a class that was not looked for here nothing is known: a target of 1 that is not positive counts nowhere
    target = np.ones((len(sampling.target_maps), *sampling.grid), np.float32)
    positive = np.zeros(target.shape, np.bool_)
    for kind, volume in views.items():
        target[kind], positive[kind] = sampling.target_maps[kind].in_box(
            volume, start // sampling.stride, sampling.grid
        )
    flip = tuple(axis - 3 for axis in range(3) if rng.random() < 0.5)
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
