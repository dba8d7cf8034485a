"""Microtubules and actin filaments along smooth curves through the ice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .membranes import Vesicle
from .specimen import Specimen

Float = NDArray[np.float64]

STEP = 0.5  # voxels between the points of an axis
TRIES = 400  # curves tried per filament
THINNEST = 0.8  # voxels: narrower Gaussians would depend on where voxels happen to lie


@dataclass(frozen=True)
class Kind:
    """A sort of filament; nanometres.

    Attributes
    ----------
    radius
        Within which nothing else lies.
    bending, rise
        Standard deviations of curvature (per nm) and of inclination to the plane (degrees).
    length
        Range; a microtubule runs from one edge to the other.
    shortest
        Least length within the field, in units of its smaller side.
    subunit
        Volume (nm^3) and sigma of the Gaussian that one monomer is.
    """

    name: str
    radius: float
    bending: float
    rise: float
    length: tuple[float, float]
    shortest: float
    subunit: tuple[float, float]


MICROTUBULE = Kind("microtubule", 13.5, 0.0008, 2.0, (math.inf, math.inf), 0.45, (62.0, 1.35))
ACTIN = Kind("actin", 4.5, 0.0035, 6.0, (90.0, 300.0), 0.15, (52.0, 1.3))


@dataclass(frozen=True)
class Filament:
    """One filament: its sort, and its axis ``(n, 3)`` as x, y, z in voxels, in steps of half a voxel."""

    kind: str
    axis_xyz: Float


def add_filaments(
    specimen: Specimen,
    kind: Kind,
    count: int,
    others: tuple[tuple[Vesicle, ...], tuple[Filament, ...]],
    rng: np.random.Generator,
) -> tuple[Filament, ...]:
    """Put `count` filaments into the ice, clear of the vesicles and filaments of `others`, as far as there is room."""
    vesicles, before = others
    added: list[Filament] = []
    for _ in range(count):
        for _ in range(TRIES):
            axis = _random_axis(specimen, kind, rng)
            if axis is not None and _clear(specimen, kind, axis, vesicles, (*before, *added)):
                added.append(Filament(kind.name, axis))
                _draw(specimen, kind, axis, rng)
                break
    return tuple(added)


def _random_axis(specimen: Specimen, kind: Kind, rng: np.random.Generator) -> Float | None:
    """A smooth curve clipped to the specimen; None if too little of it lies in the field."""
    nm, size = 10 / specimen.voxel_size, specimen.size_xyz
    longest = 1.5 * float(size[:2].max())
    length = min(rng.uniform(*kind.length) * nm, longest) if math.isfinite(kind.length[0]) else longest
    along = np.arange(-length / 2, length / 2, STEP)
    middle = np.array([*rng.uniform(0.1, 0.9, 2) * size[:2], rng.uniform(specimen.slab.low, specimen.slab.high)])
    heading, climb = rng.uniform(0, 2 * math.pi), math.radians(rng.normal(0, kind.rise))
    bend = rng.normal(0, kind.bending / nm, 2)
    wave = rng.normal(0, kind.bending * 25, 2)
    period, phase = rng.uniform(160, 320, 2) * nm, rng.uniform(0, 2 * math.pi, 2)
    waves = wave[:, None] * np.sin(2 * math.pi * along / period[:, None] + phase[:, None])
    angle = heading + bend[0] * along + waves[0]
    rise = climb + 0.2 * bend[1] * along + 0.2 * waves[1]
    steps = STEP * np.stack([np.cos(rise) * np.cos(angle), np.cos(rise) * np.sin(angle), np.sin(rise)], axis=1)
    axis = np.cumsum(steps, axis=0)
    axis = _inside(axis - axis[len(axis) // 2] + middle, size)
    if kind is MICROTUBULE and rng.random() < 0.25:  # some end inside
        axis = axis[: int(rng.integers(len(axis) // 2, len(axis) + 1))]
    side = min(part.stop - part.start for part in specimen.field_yx)
    long_enough = STEP * np.count_nonzero(specimen.in_field(axis)) >= kind.shortest * side
    return axis if long_enough else None


def _inside(axis: Float, size: Float) -> Float:
    """The stretch around the middle of a curve that lies inside the specimen's sides."""
    outside = np.flatnonzero(~((axis[:, :2] > 0) & (axis[:, :2] < size[:2] - 1)).all(axis=1))
    middle = len(axis) // 2
    low = int(max(outside[outside < middle], default=-1)) + 1
    high = int(min(outside[outside >= middle], default=len(axis)))
    return axis[low:high]


def _clear(
    specimen: Specimen, kind: Kind, axis: Float, vesicles: tuple[Vesicle, ...], filaments: tuple[Filament, ...]
) -> bool:
    """Whether a filament keeps off the ice's surfaces, vesicles and other filaments."""
    nm = 10 / specimen.voxel_size
    radius = kind.radius * nm
    z = axis[:, 2]
    if z.min() < specimen.slab.low + radius or z.max() > specimen.slab.high - radius:
        return False
    for other in filaments:
        apart = radius + (MICROTUBULE if other.kind == MICROTUBULE.name else ACTIN).radius * nm
        if ((axis[::8, None] - other.axis_xyz[None, ::8]) ** 2).sum(axis=-1).min() < apart**2:
            return False
    return all(vesicle.distance(axis[::4]).min() >= radius + 4 * nm for vesicle in vesicles)


def _draw(specimen: Specimen, kind: Kind, axis: Float, rng: np.random.Generator) -> None:
    nm = 10 / specimen.voxel_size
    places = _microtubule(axis, nm) if kind is MICROTUBULE else _actin(axis, nm, rng)
    mass, sigma = kind.subunit
    ones = np.ones(len(places))
    kernels.add_gaussians(specimen.density, places, ones * mass * nm**3, ones * max(sigma * nm, THINNEST))
    kernels.mark_spheres(specimen.occupied, axis[::4], (kind.radius - 1) * nm)


def _microtubule(axis: Float, nm: float) -> Float:
    """Monomers of 13 protofilaments in a three-start lattice: 4 nm along, 11.2 nm from the axis."""
    across, upwards = _normals(axis)
    monomer, start = 4 * nm / STEP, 3 * 4 * nm / 13 / STEP  # in steps of the axis
    rows, protofilaments = np.meshgrid(np.arange(0, len(axis) - 1, monomer), np.arange(13), indexing="ij")
    i = np.minimum((rows + start * protofilaments).astype(int), len(axis) - 1).ravel()
    angle = (2 * math.pi / 13 * protofilaments).ravel()[:, None]
    return np.asarray(axis[i] + 11.2 * nm * (np.cos(angle) * across[i] + np.sin(angle) * upwards[i]))


def _actin(axis: Float, nm: float, rng: np.random.Generator) -> Float:
    """Monomers 2.75 nm apart along the axis, each -166.7 degrees around it, 1.9 nm from it."""
    across, upwards = _normals(axis)
    along = np.arange(0, STEP * len(axis) - 1, 2.75 * nm)
    i = np.minimum((along / STEP).astype(int), len(axis) - 1)
    angle = (math.radians(-166.7) * np.arange(len(along)) + rng.uniform(0, 2 * math.pi))[:, None]
    return np.asarray(axis[i] + 1.9 * nm * (np.cos(angle) * across[i] + np.sin(angle) * upwards[i]))


def _normals(axis: Float) -> tuple[Float, Float]:
    """Two unit normals at each point of a curve, which turn about it as little as they can."""
    along = np.gradient(axis, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.empty_like(along)
    normal = np.cross(along[0], [0.3, 0.2, 0.9])
    for i, direction in enumerate(along):
        normal = normal - (normal @ direction) * direction
        normal /= np.linalg.norm(normal)
        across[i] = normal
    return across, np.cross(along, across)
