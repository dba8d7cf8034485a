"""Patches of the default preset: where they are cut, what they show, what they should give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import LabelledVolume, on_grid
from ..data.targets import gaussian_targets, nearest_voxels
from .presets import DefaultPreset

_GRID = (1, 2, 2)  # input voxels per heat-map voxel (z, y, x)
TRIES = 20  # for a patch that is not all outside the mask


@dataclass(frozen=True)
class Batch:
    """Patches and what the network should give.

    Attributes
    ----------
    sections
        ``(b, z, y, x)`` float32 grey levels in 0..1, augmented.
    target
        ``(b, z, y/2, x/2)`` float32 Gaussians around the sub-voxel label positions. 1 within a particle radius of an
        ignored place and outside the mask, without being positive: the loss weighs such voxels with
        ``(1 - target)^4``, that is not at all.
    positive
        The same shape; True near the labels.
    """

    sections: NDArray[np.float32]
    target: NDArray[np.float32]
    positive: NDArray[np.bool_]


def patch_shape(preset: DefaultPreset, volumes: Sequence[LabelledVolume]) -> tuple[int, int, int]:
    """The preset's patch, cut down to what the smallest volume holds (whole heat-map voxels)."""
    smallest = np.min([volume.grey.shape for volume in volumes], axis=0)
    z, y, x = (
        int(min(want, have // step * step)) for want, have, step in zip(preset.patch, smallest, _GRID, strict=True)
    )
    return (z, y, x)


def draw_batch(
    volumes: Sequence[LabelledVolume],
    preset: DefaultPreset,
    diameter: float,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> Batch:
    """Draw one batch: patches around labels and anywhere, flipped and with noise.

    Parameters
    ----------
    diameter
        Of the particle, full-resolution voxels.
    shape
        From `patch_shape`.
    """
    factor = (volumes[0].grey.sections_per_pair, 2, 2)
    sigma = np.array([preset.target_sigma * diameter / 2 / f for f in factor])
    weights = np.array([len(volume.xyz) for volume in volumes], dtype=float)
    drawn = []
    for _ in range(preset.batch):
        volume = volumes[rng.choice(len(volumes), p=weights / weights.sum())]
        centres, ignored = volume.grid_zyx(factor), on_grid(volume.ignored, factor)
        start = _start(volume, centres, preset, shape, rng)
        drawn.append(_patch(volume, centres, ignored, start, shape, sigma, preset, rng))
    sections, target, positive = (np.stack(parts) for parts in zip(*drawn, strict=True))
    return Batch(sections, target, positive)


def _start(
    volume: LabelledVolume,
    centres: NDArray[np.float64],
    preset: DefaultPreset,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """First voxel of a patch (input voxels), even in the plane so that it lies on the heat map's grid."""
    room: NDArray[np.int64] = np.array(volume.grey.shape, dtype=np.int64) - shape
    if rng.random() < preset.centred:
        around = centres[rng.integers(len(centres))] * _GRID
        shift = rng.uniform(-preset.jitter, preset.jitter, 3) * shape
        start = np.rint(around + shift - np.array(shape) / 2)
    else:
        start = _anywhere(volume, shape, room, rng).astype(np.float64)
    start = np.clip(start, 0, room).astype(np.int64)
    aligned: NDArray[np.int64] = start // _GRID * _GRID
    return aligned


def _anywhere(
    volume: LabelledVolume, shape: tuple[int, int, int], room: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """A random first voxel, of a patch whose middle the mask keeps if some tries find one."""
    for _ in range(TRIES):
        start = rng.integers(0, room + 1)
        middle = (start + np.array(shape) / 2) * (volume.grey.sections_per_pair, 1, 1)
        if volume.mask is None or volume.mask.keeps(middle[None, ::-1])[0]:
            break
    return start


def _patch(
    volume: LabelledVolume,
    centres: NDArray[np.float64],
    ignored: NDArray[np.float64],
    start: NDArray[np.int64],
    shape: tuple[int, int, int],
    sigma: NDArray[np.float64],
    preset: DefaultPreset,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    sections = volume.grey.box(start.tolist(), (start + shape).tolist()).astype(np.float32) / np.float32(255)
    grid = tuple(int(n) // step for n, step in zip(shape, _GRID, strict=True))
    local = centres - start // _GRID
    target = gaussian_targets(local, grid, sigma.tolist())
    nearest = nearest_voxels(local, grid)
    positive = nearest | (target > preset.positive)
    if len(ignored):
        at_the_edge = math.exp(-0.5 / preset.target_sigma**2)  # what such a Gaussian is at a particle radius
        nearness = gaussian_targets(ignored - start // _GRID, grid, sigma.tolist())
        target[(nearness > np.maximum(target, at_the_edge)) & ~positive] = 1.0
    if volume.mask is not None:
        # a label at the edge may lie inside, and the middle of its voxel of the grid outside
        outside = ~(volume.mask.on_grid(tuple(start // _GRID), grid, (volume.grey.sections_per_pair, 2, 2)) | nearest)
        target[outside], positive[outside] = 1.0, False
    flip = tuple(axis for axis in range(3) if rng.random() < 0.5)
    sections, target, positive = (np.flip(part, flip) for part in (sections, target, positive))
    return _augment(sections, preset, rng), np.ascontiguousarray(target), np.ascontiguousarray(positive)


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
