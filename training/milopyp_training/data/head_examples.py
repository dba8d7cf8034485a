"""Examples for a head: features at labels, near them, and at places of the background, from wherever they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.head import NEAR

from .dataset import LabelledVolume
from .target_map import TargetMap

REJECTED = 10  # times that a voxel of a rejected place counts: the few of them stand against thousands of others
BACKGROUND = 250_000  # places of the grid away from labels that a head is fitted to

Take: TypeAlias = Callable[[NDArray[np.bool_]], NDArray[np.float32]]
"""Which voxels ``(z, y, x)`` of a part of the grid -> their features ``(n, d)``."""
Place: TypeAlias = tuple[slice, slice, slice]
"""A part of a tomogram's grid, z, y, x."""
Choose: TypeAlias = Callable[[LabelledVolume, Place], NDArray[np.bool_]]
"""Which voxels ``(z, y, x)`` of a place of a tomogram are examples of the background."""
Part: TypeAlias = tuple[LabelledVolume, Place, Take]
"""A part of a tomogram's grid: whose, where, and what gives its features."""


@dataclass(frozen=True)
class Examples:
    """What a head is fitted to; as the parameters of `milopyp_shared.head.fit_head`."""

    features: NDArray[np.float32]
    target: NDArray[np.float32]
    positive: NDArray[np.bool_]


def anywhere(voxels: float, rng: np.random.Generator) -> Choose:
    """Chooses as much background as a head needs from everywhere.

    Patches around labels show little of what else there is, and which ones are drawn would decide what the head takes
    for particles.

    Parameters
    ----------
    voxels
        Of all parts together.
    """
    share = BACKGROUND / voxels

    def choose(volume: LabelledVolume, place: Place) -> NDArray[np.bool_]:
        drawn: NDArray[np.bool_] = rng.random([axis.stop - axis.start for axis in place]) < share
        return drawn

    return choose


def gather(parts: Iterable[Part], target_map: TargetMap, choose: Choose) -> Examples:
    """All places near labels, and of the others, which are background, those that `choose` chooses."""
    return joined([examples_of(part, target_map, choose) for part in parts])


def examples_of(part: Part, target_map: TargetMap, choose: Choose) -> Examples:
    """As `gather`, of one part."""
    volume, (z, y, x), take = part
    first = np.array([z.start, y.start, x.start], np.int64)
    target, positive = target_map.in_box(volume, first, (z.stop - z.start, y.stop - y.start, x.stop - x.start))
    kept = positive | ((target < 1) & (choose(volume, (z, y, x)) | (target > NEAR)))
    return Examples(take(kept), target[kept], positive[kept])


def rejected_of(part: Part, target_map: TargetMap) -> Examples:
    """As of the middle of labels, where a person has said that there is no particle: background that counts more."""
    volume, place, take = part
    there = replace(volume, xyz=volume.rejected)
    found = examples_of((there, place, take), target_map, nowhere)
    middle = np.tile(found.features[found.positive], (REJECTED, 1))
    return Examples(middle, np.zeros(len(middle), np.float32), np.zeros(len(middle), np.bool_))


def nowhere(_: LabelledVolume, place: Place) -> NDArray[np.bool_]:
    """Chooses no background."""
    return np.zeros([axis.stop - axis.start for axis in place], np.bool_)


def joined(examples: Sequence[Examples]) -> Examples:
    """All of them."""
    columns = ([getattr(one, item.name) for one in examples] for item in fields(Examples))
    return Examples(*(np.concatenate(column) for column in columns))
