"""Tomograms like a user's, with a known particle among others of random shape: what a head learns the particle from.

What cannot be read from the user's tomograms is drawn around what most people have: dose, defocus, crowding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .densities import SOLVENT, Density, scale_to
from .random_shapes import random_density
from .settings import MicroscopeSettings, SimulationSettings, SpecimenSettings
from .spectrum import TiltRange
from .tomogram import SimulatedTomogram, simulate

Rng = np.random.Generator

PARTICLE = "particle"
COPIES = 22  # of the particle, and at most of any other, in a field of `USUAL` voxels
FEWEST, MOST = 8, 60
USUAL = 96 * 256 * 256
FIELD = 256  # voxels along y and x
OTHERS = 8
ALIKE = (0.85, 1.2)  # their radii in units of the particle's: look-alikes are what is to be told apart
DOSE_SPREAD = 0.2  # range of the logarithm to either side
MASS_SPREAD = 0.35  # the same: a map hardly says how much protein it is, and so how dark


@dataclass(frozen=True)
class Imaging:
    """How the user's tomograms were made, as far as it is known.

    Attributes
    ----------
    thickness
        Voxels.
    voxel_size
        Angstrom.
    tilts
        Axis and range.
    dose
        Electrons per square Angstrom, about.
    defocus
        Range of the underfocus, Angstrom.
    """

    thickness: int
    voxel_size: float
    tilts: TiltRange
    dose: float = 110.0
    defocus: tuple[float, float] = (28000.0, 40000.0)


def simulate_among_others(density: Density, imaging: Imaging, seed: tuple[int, ...]) -> SimulatedTomogram:
    """A tomogram with copies of a density, `PARTICLE` of its truth, among others that are new for every seed.

    Raises
    ------
    UsageError
        As `milopyp_simulation.tomogram.simulate`.
    """
    rng = np.random.default_rng(seed)
    factor = math.exp(rng.uniform(-MASS_SPREAD, MASS_SPREAD))
    density = replace(density, array=density.array * np.float32(factor))
    densities = {PARTICLE: density}
    for number in range(OTHERS):
        # every second one stands on a membrane if the particle does: the place shall not give it away
        membrane = density.membrane_z is not None and number % 2 == 0
        densities[f"other_{number}"] = _other(density, imaging.voxel_size, membrane, rng)
    shape = (imaging.thickness, FIELD, FIELD)
    part = math.prod(shape) / USUAL
    most = int(np.clip(round(COPIES * part), FEWEST, MOST))
    counts = {
        name: most if name == PARTICLE else int(np.clip(_usual_count(one, imaging.voxel_size) * part, 2, most))
        for name, one in densities.items()
    }
    settings = SimulationSettings(
        shape, imaging.voxel_size, _specimen(counts, density, imaging, rng), _microscope(imaging, rng)
    )
    return simulate(settings, densities, seed)


def _other(density: Density, voxel_size: float, membrane: bool, rng: Rng) -> Density:
    """A random shape about as large as the particle, and as dense: else its darkness would give it away."""
    radius = density.radius_in(voxel_size)
    shape = random_density(rng, (ALIKE[0] * radius, ALIKE[1] * radius), membrane)
    return replace(shape, array=shape.array * np.float32(_fullness(density) / _fullness(shape) * rng.uniform(0.8, 1.2)))


def _fullness(density: Density) -> float:
    """Protein per voxel that holds a good part of it."""
    return density.mass / float(np.count_nonzero(density.array > SOLVENT * density.array.max()))


def _usual_count(density: Density, voxel_size: float) -> float:
    """Large particles are fewer."""
    return 14.0 * math.pow(9 / max(density.max_radius * scale_to(density, voxel_size), 1.0), 1.2)


def _specimen(counts: dict[str, int], density: Density, imaging: Imaging, rng: Rng) -> SpecimenSettings:
    thickness = imaging.thickness * imaging.voxel_size
    return SpecimenSettings(
        counts=counts,
        ice_thickness=(0.75 * thickness, 0.88 * thickness),
        crowder_fraction=rng.uniform(0.03, 0.06),
        vesicles=(1, 3) if density.membrane_z is None else (4, 5),
        vesicle_radius=(min(200, 0.3 * thickness), min(340, 0.4 * thickness)),
        gold=(3, 9),
    )


def _microscope(imaging: Imaging, rng: Rng) -> MicroscopeSettings:
    return MicroscopeSettings(
        tilt_min=imaging.tilts.low,
        tilt_max=imaging.tilts.high,
        tilt_axis=imaging.tilts.axis,
        dose=imaging.dose * math.exp(rng.uniform(-DOSE_SPREAD, DOSE_SPREAD)),
        defocus=imaging.defocus,
        b_factor=rng.uniform(4000, 6000),
    )
