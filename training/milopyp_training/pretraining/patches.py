"""Patches of simulated tomograms with the truth of every species: the batches of pre-training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Triple, on_grid
from ..data.targets import CUT, gaussian_targets, nearest_voxels
from .library import SimulatedLevels
from .settings import PretrainingSettings

Rng = np.random.Generator

STRIDE: Triple = (1, 2, 2)  # of the network, input voxels per grid voxel
PER_GRID_VOXEL: Triple = (2, 2, 2)  # full-resolution voxels


@dataclass(frozen=True)
class Patch:
    """What the network sees, and what every species' heat map should be.

    Attributes
    ----------
    group
        Whose species they are.
    sections
        ``(z, y, x)`` float32 grey levels in 0..1, augmented.
    target, positive
        ``(s, z, y', x')`` per species of the group, as in `milopyp_training.methods.default_patches.Batch`.
    """

    group: int
    sections: NDArray[np.float32]
    target: NDArray[np.float32]
    positive: NDArray[np.bool_]


def draw_patches(groups: Sequence[Sequence[SimulatedLevels]], settings: PretrainingSettings, rng: Rng) -> list[Patch]:
    """Patches of some groups, from their tomograms in turns, most of them around a particle."""
    drawn = []
    for group in rng.choice(len(groups), min(settings.worlds, len(groups)), replace=False):
        members = groups[group]
        focus = rng.permutation(len(members[0].radii))
        first = int(rng.integers(len(members)))
        for number in range(settings.patches):
            own = members[(first + number) % len(members)]
            wanted = int(focus[number // len(members) % len(focus)])
            drawn.append(_draw_patch(int(group), own, wanted, settings, rng))
    return drawn


def _draw_patch(group: int, own: SimulatedLevels, wanted: int, settings: PretrainingSettings, rng: Rng) -> Patch:
    axes = (0, 2, 1) if rng.random() < 0.5 else (0, 1, 2)  # the tilt axis lies along x or y
    flip = tuple(axis for axis in range(3) if rng.random() < 0.5)
    shape = np.array(settings.patch)[list(axes)]
    start = _start(own, wanted, shape, settings, rng)
    cut = own.levels[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]
    levels = np.full(shape, 0.5, np.float32)  # a thin tomogram ends in middle grey
    levels[: cut.shape[0]] = cut / np.float32(255)
    target, positive = _wanted(
        own, on_grid(own.xyz, PER_GRID_VOXEL) - start // STRIDE, shape // np.array(STRIDE), settings
    )
    sections = augment(np.flip(levels.transpose(axes), flip), settings.grey.limits, rng)
    species_axes, species_flip = (0, *(axis + 1 for axis in axes)), tuple(axis + 1 for axis in flip)
    return Patch(
        group,
        np.ascontiguousarray(sections),
        np.ascontiguousarray(np.flip(target.transpose(species_axes), species_flip)),
        np.ascontiguousarray(np.flip(positive.transpose(species_axes), species_flip)),
    )


def _start(
    own: SimulatedLevels, wanted: int, shape: NDArray[np.int64], settings: PretrainingSettings, rng: Rng
) -> NDArray[np.int64]:
    """First voxel of a patch, on the network's grid."""
    room = np.maximum(np.array(own.levels.shape) - shape, 0)
    places = own.xyz[own.species == wanted]
    if len(places) and rng.random() < settings.centred:
        middle = on_grid(places[rng.integers(len(places))][None], PER_GRID_VOXEL)[0] * STRIDE
        start = np.rint(middle + rng.uniform(-settings.jitter, settings.jitter, 3) * shape - shape / 2)
    else:
        start = rng.integers(0, room + 1).astype(np.float64)
    aligned: NDArray[np.int64] = np.clip(start, 0, room).astype(np.int64) // STRIDE * STRIDE
    return aligned


def _wanted(
    own: SimulatedLevels, centres: NDArray[np.float64], grid: NDArray[np.int64], settings: PretrainingSettings
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    target = np.zeros((len(own.radii), *grid), np.float32)
    positive = np.zeros(target.shape, np.bool_)
    for number, radius in enumerate(own.radii):
        sigma = settings.target_sigma * radius / np.array(PER_GRID_VOXEL)
        reach = CUT * sigma
        points = centres[own.species == number]
        points = points[((points > -reach) & (points < grid + reach)).all(axis=1)]
        if len(points):
            target[number] = gaussian_targets(points, grid.tolist(), sigma)
            positive[number] = nearest_voxels(points, grid.tolist()) | (target[number] > settings.positive)
    return target, positive


def augment(sections: NDArray[np.float32], limits: tuple[float, float], rng: Rng) -> NDArray[np.float32]:
    """Blur, contrast, brightness, noise and constant strips, drawn in z-scores and applied to levels in 0..1."""
    from scipy.ndimage import gaussian_filter

    low, high = limits
    scores = sections * np.float32(high - low) + np.float32(low)
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 1.3)
        scores = gaussian_filter(scores, (0.6 * sigma, sigma, sigma))
        scores *= np.float32(rng.uniform(0.8, 1.2) / (scores.std() + 1e-3))
    scores = scores * np.float32(math.exp(rng.uniform(-0.3, 0.3))) + np.float32(rng.uniform(-0.25, 0.25))
    noise, strength = rng.standard_normal(scores.shape, dtype=np.float32), rng.uniform(0, 0.7)
    if rng.random() < 0.3:  # as smooth as a reconstruction's
        noise = gaussian_filter(noise, (0.4, 0.8, 0.8))
        strength *= 0.6 / float(noise.std())
    scores += np.float32(strength) * noise
    if rng.random() < 0.06:
        _strip(scores, rng)
    result: NDArray[np.float32] = (np.clip(scores, low, high) - np.float32(low)) / np.float32(high - low)
    return result


def _strip(scores: NDArray[np.float32], rng: Rng) -> None:
    """Constant fill along one side, in place: middle grey, as it should be, or what was not recognised."""
    cut = [slice(None)] * 3
    width = int(rng.integers(4, 24))
    cut[int(rng.integers(1, 3))] = slice(0, width) if rng.random() < 0.5 else slice(-width, None)
    scores[tuple(cut)] = rng.choice([0.0, 0.0, -1.0, 1.0, 4.0, -4.0])
