"""What is in every real tomogram and in no list: small proteins, gold beads, ice on the surfaces."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .densities import NM3_PER_KDA
from .particles import in_and_out, random_places
from .specimen import Specimen
from .turning import random_rotations

Float = NDArray[np.float64]

TRIES = 200  # places tried per bead before the ice counts as full
THINNEST = 0.8  # voxels: narrower Gaussians would depend on where voxels happen to lie
BATCH = 2000  # crowders drawn at once


def add_crowders(specimen: Specimen, fraction: float, rng: np.random.Generator) -> None:
    """Fill a fraction of the ice with small proteins (30-180 kDa), clear of all that is there.

    Each is a lump of Gaussians of 1.1-1.5 nm. They may touch each other, as in a crowded cell.
    """
    nm = 10 / specimen.voxel_size
    missing = fraction * float(specimen.slab.thickness.sum(dtype=np.float64))
    for _ in range(1000):  # ends by itself unless the ice is full of other things
        if missing <= 0:
            return
        kda = np.minimum(30 + rng.gamma(1.6, 28, BATCH), 180)
        volumes = NM3_PER_KDA * kda * nm**3
        centres = rng.uniform(0, 1, (BATCH, 3)) * (specimen.size_xyz - 1)
        centres[:, 2] = rng.uniform(specimen.slab.low, specimen.slab.high, BATCH)
        x, y, z = np.rint(centres).astype(int).T
        free = ~specimen.occupied[z, y, x]
        free &= np.cumsum(volumes * free) - volumes < missing
        lumps = _lumps(centres[free], volumes[free], 3 + (kda[free] / 25).astype(int), nm, rng)
        kernels.add_gaussians(specimen.density, *lumps)
        missing -= float(volumes[free].sum())


def add_gold(specimen: Specimen, count: int, radius: tuple[float, float], rng: np.random.Generator) -> None:
    """Put `count` beads, of radii in Angstrom, into the field and the margin's share beside it."""
    beads = []
    for inside in in_and_out(count, specimen.surplus, rng):
        for place in random_places(specimen, inside, TRIES, rng):
            bead = np.array([*place, rng.uniform(*radius) / specimen.voxel_size])
            if _take(specimen, bead):
                beads.append(bead)
                specimen.poses.setdefault("gold", []).append((place, np.eye(3)))
                break
    specimen.beads = np.array(beads).reshape(-1, 4)


def add_contamination(specimen: Specimen, count: int, rng: np.random.Generator) -> None:
    """Put `count` irregular lumps of ice on the surfaces of the slab."""
    nm = 10 / specimen.voxel_size
    for _ in range(count):
        surface = specimen.slab.high + nm if rng.random() < 0.5 else specimen.slab.low - nm
        number = int(rng.integers(25, 60))
        middle = np.array([*rng.uniform(0.06, 0.94, 2) * specimen.size_xyz[:2], surface])
        places = middle + rng.normal(size=(number, 3)) * np.array([6, 6, 2]) * nm
        sigmas = rng.uniform(2.0, 3.2, number) * nm
        masses = 0.7 / 3 * (math.sqrt(2 * math.pi) * sigmas) ** 3
        kernels.add_gaussians(specimen.density, places, masses, np.maximum(sigmas, THINNEST))


def _lumps(
    centres: Float, volumes: Float, numbers: NDArray[np.int64], nm: float, rng: np.random.Generator
) -> tuple[Float, Float, Float]:
    """Places, masses and sigmas of the Gaussians of proteins of `numbers` Gaussians each, in random orientations."""
    total, owner = int(numbers.sum()), np.repeat(np.arange(len(numbers)), numbers)
    radii = np.cbrt(3 * volumes / (4 * math.pi))
    spread = rng.uniform(0.35, 0.75, (len(numbers), 3)) * radii[:, None]
    offsets = rng.normal(size=(total, 3)) * spread[owner]
    for axis in range(3):
        offsets[:, axis] -= (np.bincount(owner, offsets[:, axis], len(numbers)) / numbers)[owner]
    turned = np.einsum("nij,nj->ni", random_rotations(len(numbers), rng)[owner], offsets)
    sigmas = np.maximum(rng.uniform(1.1, 1.5, total) * nm, THINNEST)
    return centres[owner] + turned, (volumes / numbers)[owner], sigmas


def _take(specimen: Specimen, bead: Float) -> bool:
    """Take the box around a bead if it is free; the ice's surfaces do not count as something that is there."""
    x, y, z, radius = bead
    half = math.ceil(radius) + 1
    depth, height, width = specimen.density.shape
    if not (half < x < width - half and half < y < height - half):
        return False
    rows, columns = (slice(round(place) - half, round(place) + half + 1) for place in (y, x))
    low, high = max(round(z) - half, 0), min(round(z) + half + 1, depth)
    inner = slice(max(low, math.ceil(specimen.slab.low) + 1), min(high, math.floor(specimen.slab.high)))
    if specimen.occupied[inner, rows, columns].any():
        return False
    specimen.occupied[low:high, rows, columns] = True
    return True
