"""Particles in the ice: random places and orientations without overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .densities import Stencil
from .specimen import Specimen
from .turning import random_rotations

Float = NDArray[np.float64]

TRIES = 400  # random poses tried per particle before the ice counts as full
AT_ONCE = 40


def place_particles(
    specimen: Specimen,
    stencils: Mapping[str, Stencil],
    counts: Mapping[str, int],
    streams: Mapping[str, np.random.Generator],
) -> None:
    """Put `counts` of each species into the field and as many per area into the margin, the largest first.

    Once a particle of a species finds no room in the field, or in the margin, no more of it are tried there.
    """
    for name in sorted(stencils, key=lambda name: (-stencils[name].max_radius, name)):
        rng = streams[name]
        full = set()
        for inside in in_and_out(counts[name], specimen.surplus, rng):
            if inside not in full and not _place_one(specimen, name, stencils[name], inside, rng):
                full.add(inside)


def in_and_out(count: int, surplus: float, rng: np.random.Generator) -> Iterator[bool]:
    """For `count` objects in the field and the margin's share, in random order: whether it is one for the field."""
    outside = round(count * surplus)
    yield from rng.permutation(np.repeat([True, False], [count, outside])).tolist()


def random_places(specimen: Specimen, inside: bool, count: int, rng: np.random.Generator) -> Float:
    """`count` places x, y, z in the ice, in the field or in the margin."""
    found: list[Float] = []
    rows, columns = specimen.field_yx
    low, high = np.zeros(2), specimen.size_xyz[:2]
    if inside:
        low, high = np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop])
    missing = count
    while missing:
        xy = rng.uniform(low - 0.5, high - 0.5, (missing, 2))
        z = rng.uniform(specimen.slab.low, specimen.slab.high, missing)
        places = np.column_stack([xy, z])
        found.append(places[specimen.in_field(places) == inside])
        missing -= len(found[-1])
    return np.concatenate(found) if found else np.empty((0, 3))


def _place_one(specimen: Specimen, name: str, stencil: Stencil, inside: bool, rng: np.random.Generator) -> bool:
    """Put one particle where it fits; whether there was room."""
    for _ in range(TRIES // AT_ONCE):
        rotations = random_rotations(AT_ONCE, rng)
        centres = random_places(specimen, inside, AT_ONCE, rng)
        found = kernels.first_fit(specimen.occupied, stencil.points_xyz, rotations, centres)
        if found >= 0:
            specimen.add(name, stencil, rotations[found], centres[found])
            return True
    return False
