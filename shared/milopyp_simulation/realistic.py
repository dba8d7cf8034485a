"""Realistic phantoms: tomograms of one random shape, or of density maps, among random shapes that are in no list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milopyp_shared.errors import UsageError

from .densities import Density
from .maps import read_map
from .random_shapes import random_density
from .settings import MicroscopeSettings, SimulationSettings, SpecimenSettings
from .tomogram import GOLD, SimulatedTomogram, simulate

PARTICLE = "particle"  # the species without a map
DISTRACTORS = ("distractor_1", "distractor_2", "distractor_3")
USUAL = 256 * 256  # pixels on which 4 to 8 beads and 1 or 2 vesicles lie


@dataclass(frozen=True)
class RealisticSettings:
    """What is in a realistic phantom.

    Attributes
    ----------
    shape_zyx, voxel_size
        Size in voxels; Angstrom.
    templates
        MRC files of the particles' densities; none: a random shape of about `diameter`.
    map_voxel_size
        Angstrom, of the templates; overrides their headers.
    n_particles
        Of each template, with their centre in the field.
    n_distractors
        Of three random shapes of about the same size together.
    diameter
        Voxels: twice the radius of the ball with the same radius of gyration.
    dose
        Electrons per square Angstrom over the tilt series.
    seed
        Not negative.
    """

    shape_zyx: tuple[int, int, int] = (64, 192, 192)
    voxel_size: float = 10.0
    templates: tuple[Path, ...] = ()
    map_voxel_size: float | None = None
    n_particles: int = 40
    n_distractors: int = 25
    diameter: float = 18.0
    dose: float = 100.0
    seed: int = 1


@dataclass(frozen=True)
class Specimens:
    """Densities of all species of a set of phantoms, and which of them are its particles."""

    densities: Mapping[str, Density]
    particles: tuple[str, ...]


def choose_specimens(settings: RealisticSettings) -> Specimens:
    """Read the templates, or draw a shape; draw the distractors.

    Raises
    ------
    InputError
        A template cannot be used.
    UsageError
        A setting is out of range, or two species would have one name.
    """
    _check(settings)
    rng = np.random.default_rng((settings.seed, 0))
    densities: dict[str, Density] = {}
    for path in settings.templates:
        if path.stem in (*densities, *DISTRACTORS, GOLD):
            raise UsageError(
                f"another species is called {path.stem!r}",
                where=path,
                expected="a name that no other species has",
                remedy="Rename the file.",
            )
        densities[path.stem] = read_map(path, settings.map_voxel_size)
    if not densities:
        densities[PARTICLE] = random_density(rng, (settings.diameter / 2,) * 2)
    particles = tuple(densities)
    radius = densities[particles[0]].radius_in(settings.voxel_size)
    densities |= {name: random_density(rng, (0.8 * radius, 1.2 * radius)) for name in DISTRACTORS}
    return Specimens(densities, particles)


def make_realistic(settings: RealisticSettings, specimens: Specimens, number: int) -> SimulatedTomogram:
    """Simulate phantom `number` (from 1) of the set with the seed of `settings`.

    Raises
    ------
    UsageError
        A setting is out of range, or not all particles find room.
    """
    depth, height, width = settings.shape_zyx
    each = np.bincount(np.arange(settings.n_distractors) % len(DISTRACTORS), minlength=len(DISTRACTORS))
    counts = dict.fromkeys(specimens.particles, settings.n_particles)
    counts |= {name: int(count) for name, count in zip(DISTRACTORS, each)}
    area, thickness = height * width / USUAL, depth * settings.voxel_size
    specimen = SpecimenSettings(
        counts=counts,
        ice_thickness=(0.8 * thickness, 0.88 * thickness),
        gold=(round(4 * area), round(8 * area)),
        vesicles=(round(area), round(2 * area)),
        # round ones: particles need the room beside them
        vesicle_radius=(min(200, 0.3 * thickness), min(340, 0.4 * thickness)),
    )
    microscope = MicroscopeSettings(dose=settings.dose)
    wanted = SimulationSettings(settings.shape_zyx, settings.voxel_size, specimen, microscope)
    tomogram = simulate(wanted, specimens.densities, (settings.seed, number))
    for name in specimens.particles:
        if len(tomogram.truth[name]) < settings.n_particles:
            raise UsageError(
                f"only {len(tomogram.truth[name])} of {settings.n_particles} particles {name} found a place in "
                f"{depth} x {height} x {width} (z, y, x) voxels",
                where="phantom",
                expected="room for all without overlap",
                remedy="Ask for fewer or smaller particles, or for a larger volume.",
            )
    return tomogram


def _check(settings: RealisticSettings) -> None:
    """What is not refused by `simulate` anyway."""
    rules = (
        ("voxel_size", 0 < settings.voxel_size < np.inf, "a positive number of Angstrom"),
        ("n_particles", settings.n_particles >= 0, "0 or more"),
        ("n_distractors", settings.n_distractors >= 0, "0 or more"),
        # below, the narrowest blob of a random shape is as wide as the shape
        ("diameter", 6 <= settings.diameter <= 60, "6 to 60 voxels"),
        ("seed", settings.seed >= 0, "0 or more"),
    )
    for name, fine, expected in rules:
        if not fine:
            raise UsageError(f"phantom setting {name} is {getattr(settings, name)}", expected=expected)
