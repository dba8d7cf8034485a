"""Vesicles, and the proteins that stand on them.

A vesicle is an ellipsoid of lipid bilayer, flattened by the ice and gently undulating: two dark leaflets with a gap,
as PolNet models membranes by Gaussians around a parametric surface.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.kernels import compiled

from . import kernels
from .densities import Stencil
from .particles import in_and_out
from .specimen import Mask, Specimen, Volume
from .turning import rotation_onto

Float = NDArray[np.float64]

TRIES = 300  # places tried per vesicle, and per membrane protein
WAVES = 4
LEAFLET, LEAFLET_SIGMA, LEAFLET_DENSITY = 1.9, 0.85, 1.15  # nm from the middle, nm, protein = 1
GAP_SIGMA, GAP_DENSITY = 0.8, -0.15
HALF_THICKNESS = 3.6  # nm within which nothing else lies; nor does it in the lumen
OUTSIDE = 5.0  # nm from the middle of the bilayer: a protein's part beyond must not touch anything
APART = 1.5  # maximal radii between the centres of two proteins of a species


@dataclass(frozen=True)
class Vesicle:
    """A closed membrane, in voxels of the specimen.

    Attributes
    ----------
    centre_xyz, axes_xyz
        ``(3,)``: middle and half-axes of the ellipsoid.
    waves
        ``(n, 6)``: direction x, y, z, wave number, phase and amplitude of each undulation.
    """

    centre_xyz: Float
    axes_xyz: Float
    waves: Float

    def surface(self, towards: Float) -> tuple[Float, Float]:
        """Point on the middle of the bilayer near the unit direction `towards`, and the outward normal there."""
        point = self.centre_xyz + self.axes_xyz * towards
        normal = np.empty(3)
        _slide(point, normal, self.centre_xyz, self.axes_xyz, self.waves)
        return point, normal

    def distance(self, places_xyz: Float) -> Float:
        """Approximate distance of places (n, 3) from the middle of the bilayer; negative inside."""
        return np.array([_distance(place, self.centre_xyz, self.axes_xyz, self.waves) for place in places_xyz])


def add_vesicles(
    specimen: Specimen, count: int, radius: tuple[float, float], rng: np.random.Generator
) -> tuple[Vesicle, ...]:
    """Put `count` vesicles, of radii in Angstrom, into the ice, as far as there is room; none overlap."""
    vesicles: list[Vesicle] = []
    for _ in range(count):
        for _ in range(TRIES):
            vesicle = _random_vesicle(specimen, rng.uniform(*radius) / specimen.voxel_size, rng)
            if vesicle is not None and all(_apart(vesicle, other) for other in vesicles):
                vesicles.append(vesicle)
                _paint(specimen, vesicle)
                break
    return tuple(vesicles)


def add_membrane_proteins(
    specimen: Specimen,
    vesicles: tuple[Vesicle, ...],
    stencils: Mapping[str, Stencil],
    counts: Mapping[str, int],
    streams: Mapping[str, np.random.Generator],
) -> None:
    """Put `counts` of each species on vesicles, standing outwards, as far as there is room."""
    if not vesicles:
        return
    for name in sorted(stencils, key=lambda name: (-stencils[name].max_radius, name)):
        rng, full = streams[name], set()
        for inside in in_and_out(counts[name], specimen.surplus, rng):
            if inside not in full and not _stand(specimen, vesicles, (name, stencils[name]), inside, rng):
                full.add(inside)


def _stand(
    specimen: Specimen,
    vesicles: tuple[Vesicle, ...],
    species: tuple[str, Stencil],
    inside: bool,
    rng: np.random.Generator,
) -> bool:
    """Put one protein on one of the vesicles; whether there was room."""
    name, stencil = species
    areas = np.array([vesicle.axes_xyz[0] * vesicle.axes_xyz[1] for vesicle in vesicles])
    for which in rng.choice(len(vesicles), TRIES, p=areas / areas.sum()):
        pose = _random_pose(vesicles[which], stencil, rng)
        if specimen.in_field(pose[1][None])[0] == inside and _fits(specimen, name, stencil, pose):
            specimen.add(name, stencil, *pose)
            return True
    return False


def _random_vesicle(specimen: Specimen, radius: float, rng: np.random.Generator) -> Vesicle | None:
    """A vesicle inside the specimen; None where it is too small for one."""
    low, high, nm = specimen.slab.low, specimen.slab.high, 10 / specimen.voxel_size
    axes = radius * np.array([rng.uniform(0.9, 1.12), rng.uniform(0.9, 1.12), rng.uniform(0.85, 1.0)])
    axes[2] = min(axes[2], (high - low) / 2 - 4 * nm)
    near = radius * 1.2 + 8 * nm
    room = specimen.size_xyz[:2] - 2 * near
    if axes[2] < 4 * nm or room.min() < 0:
        return None
    spare = max((high - low) / 2 - axes[2] - 3 * nm, 0)
    x, y = near + rng.uniform(0, 1, 2) * room
    centre = np.array([x, y, (low + high) / 2 + rng.uniform(-spare, spare)])
    directions = rng.normal(size=(WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    others = rng.uniform([1.5, 0, 0.005], [3.0, 2 * math.pi, 0.02], (WAVES, 3))
    return Vesicle(centre, axes, np.hstack([directions, others]))


def _apart(one: Vesicle, other: Vesicle) -> bool:
    reach = one.axes_xyz + other.axes_xyz + 16
    return float(np.linalg.norm((one.centre_xyz - other.centre_xyz) / reach)) > 1


def _paint(specimen: Specimen, vesicle: Vesicle) -> None:
    nm = 10 / specimen.voxel_size
    profile = []
    for place, sigma, height in (
        (LEAFLET, LEAFLET_SIGMA, LEAFLET_DENSITY),
        (-LEAFLET, LEAFLET_SIGMA, LEAFLET_DENSITY),
        (0.0, GAP_SIGMA, GAP_DENSITY),
    ):
        wide = max(sigma * nm, 0.7)  # thinner ones would depend on where voxels happen to lie
        profile.append((place * nm, wide, height * sigma * nm / wide))
    lipid = (np.array(profile), HALF_THICKNESS * nm)
    shape = (vesicle.centre_xyz, vesicle.axes_xyz, vesicle.waves)
    _paint_bilayer(specimen.density, specimen.occupied, shape, lipid)


def _random_pose(vesicle: Vesicle, stencil: Stencil, rng: np.random.Generator) -> tuple[Float, Float]:
    """Rotation and centre of a protein that stands somewhere on a vesicle."""
    towards = rng.normal(size=3)
    point, normal = vesicle.surface(towards / np.linalg.norm(towards))
    return rotation_onto(normal, rng), point + normal * (stencil.membrane_offset or 0.0)


def _fits(specimen: Specimen, name: str, stencil: Stencil, pose: tuple[Float, Float]) -> bool:
    """Whether a membrane protein's outer part touches nothing, and none of its species is near."""
    rotation, centre = pose
    above = stencil.points_xyz[:, 2] + (stencil.membrane_offset or 0.0)
    outer = stencil.points_xyz[above > OUTSIDE * 10 / specimen.voxel_size]
    if kernels.first_fit(specimen.occupied, outer, rotation[None], centre[None]) < 0:
        return False
    others = np.array([place for place, _ in specimen.poses.get(name, [])]).reshape(-1, 3)
    return not np.any(np.linalg.norm(others - centre, axis=1) < APART * stencil.max_radius)


@compiled
def _on_unit_ball(place: Float, centre: Float, axes: Float) -> tuple[float, float, float, float]:
    """The place where the ellipsoid is the unit ball, and its distance from the middle there."""
    q0, q1, q2 = (place[0] - centre[0]) / axes[0], (place[1] - centre[1]) / axes[1], (place[2] - centre[2]) / axes[2]
    return q0, q1, q2, math.sqrt(q0 * q0 + q1 * q1 + q2 * q2) + 1e-6


@compiled
def _distance(place: Float, centre: Float, axes: Float, waves: Float) -> float:
    """Approximate distance of one place from the surface: how far off it is, over how fast that changes."""
    q0, q1, q2, rho = _on_unit_ball(place, centre, axes)
    undulated = 1.0
    for i in range(len(waves)):
        along = (q0 * waves[i, 0] + q1 * waves[i, 1] + q2 * waves[i, 2]) / rho
        undulated += waves[i, 5] * math.sin(2 * waves[i, 3] * along + waves[i, 4])
    slope = math.sqrt((q0 / axes[0]) ** 2 + (q1 / axes[1]) ** 2 + (q2 / axes[2]) ** 2) / rho + 1e-6
    return float((rho - undulated) / slope)


@compiled
def _slide(point: Float, normal: Float, centre: Float, axes: Float, waves: Float) -> None:
    """Move `point` onto the surface by Newton's steps and write the unit normal there to `normal`."""
    step = 0.25
    for _ in range(6):
        for axis in range(3):
            middle = point[axis]
            point[axis] = middle + step
            beyond = _distance(point, centre, axes, waves)
            point[axis] = middle - step
            normal[axis] = (beyond - _distance(point, centre, axes, waves)) / (2 * step)
            point[axis] = middle
        off = _distance(point, centre, axes, waves)
        point -= off * normal / np.sum(normal**2)
    normal /= math.sqrt(np.sum(normal**2))


@compiled
def _across(profile: Float, distance: float) -> float:
    """Density at a distance from the middle of a bilayer whose rows are Gaussians: place, sigma, height."""
    total = 0.0
    for i in range(len(profile)):
        off = (distance - profile[i, 0]) / profile[i, 1]
        total += profile[i, 2] * math.exp(-0.5 * off * off)
    return total


@compiled
def _paint_bilayer(
    density: Volume, occupied: Mask, shape: tuple[Float, Float, Float], lipid: tuple[Float, float]
) -> None:
    """Add a membrane of a profile across, and take the voxels within `half_thickness` and of the lumen."""
    centre, axes, waves = shape
    profile, half_thickness = lipid
    reach = np.max(np.abs(profile[:, 0]) + 4 * profile[:, 1])
    # beyond these, even the highest wave of the flattest side is far away, and the distance need not be known
    inner = 1 - np.sum(waves[:, 5]) - reach / np.min(axes)
    outer = 1 + np.sum(waves[:, 5]) + reach / np.min(axes)
    sizes = np.array(density.shape[::-1])
    low = np.maximum(np.floor(centre - outer * axes), 0).astype(np.int64)
    high = np.minimum(np.ceil(centre + outer * axes) + 1, sizes).astype(np.int64)
    place = np.empty(3)
    for z in range(low[2], high[2]):
        for y in range(low[1], high[1]):
            for x in range(low[0], high[0]):
                place[0], place[1], place[2] = x, y, z
                rho = _on_unit_ball(place, centre, axes)[3]
                if rho > outer:
                    continue
                distance = _distance(place, centre, axes, waves) if rho > inner else -np.inf
                occupied[z, y, x] |= distance < half_thickness
                if abs(distance) < reach:
                    density[z, y, x] += _across(profile, distance)
