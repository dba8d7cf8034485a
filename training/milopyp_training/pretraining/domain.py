"""The world that pre-training sees: what is drawn at random, and from which range.

Real tomograms differ from any simulator. So everything that differs between laboratories is drawn anew for every group
or tomogram (domain randomisation, Tobin et al. 2017): particles and their sizes, voxel size, tilt range, step and axis,
dose, defocus and what is done about it, filters, thickness, crowding, membranes, gold, smoothing, borders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from milopyp_simulation.densities import Density
from milopyp_simulation.random_shapes import random_density
from milopyp_simulation.settings import (
    MicroscopeSettings,
    ReconstructionSettings,
    SimulationSettings,
    SpecimenSettings,
)

Rng = np.random.Generator

FIELD = 256  # voxels along x and y
SMALLEST, LARGEST = 8.0, 40.0  # diameters in voxels
KNOWN = (SMALLEST, 22.0)  # that the network tells apart well; larger ones were too few, see decision 84
SMALLEST_PROTEIN = 80.0  # Angstrom: smaller ones are crowders
AS_LARGE = 0.3  # part of the species that only their shape tells from another one
ON_MEMBRANES, LARGEST_ON_MEMBRANES = 0.17, 13.0  # part of the species; radius in voxels
TOMOGRAMS = 2  # of a group, with the same species
USUAL = 0.5  # part of the groups

Pair = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """From where a group's numbers are drawn.

    Attributes
    ----------
    voxel_size
        Angstrom, evenly in the logarithm.
    diameter, large
        Of most and of some species in voxels, evenly in the logarithm; `large_part` of them are large.
    half_depth
        Half the sections of a tomogram.
    fullness
        Factors on the usual numbers of particles, equally likely.
    crowders, vesicles, gold
        See `milopyp_simulation.settings.SpecimenSettings`; `without` of the fields lack crowders, and of gold.
    tilt, steps, dose, defocus
        Highest tilt and steps in degrees; electrons per square Angstrom, evenly in the logarithm; Angstrom.
    corrections
        What is done about the CTF, equally likely.
    ramp_end, ramp_sigma
        Cycles per voxel.
    bent, smoothed, bordered
        Part of the tomograms with a SIRT-like filter, smoothed, and with constant borders.
    """

    voxel_size: Pair
    diameter: Pair
    large: Pair
    large_part: float
    half_depth: tuple[int, int]
    fullness: tuple[float, ...]
    crowders: Pair
    without: float
    vesicles: tuple[int, int]
    gold: tuple[int, int]
    tilt: Pair
    steps: tuple[float, ...]
    dose: Pair
    defocus: Pair
    corrections: tuple[str, ...]
    ramp_end: Pair
    ramp_sigma: Pair
    bent: float
    smoothed: float
    bordered: float


# Half of the groups are what most people have, so that a short training knows it well; half are anything.
MOST_PEOPLE_HAVE = Ranges(
    voxel_size=(8.5, 12.0), diameter=(10.0, 26.0), large=(18.0, 32.0), large_part=0.1, half_depth=(32, 50),
    fullness=(0.8, 1.3, 1.8), crowders=(0.02, 0.07), without=0.1, vesicles=(1, 5), gold=(2, 10),
    tilt=(55.0, 65.0), steps=(2.0, 3.0, 3.0), dose=(65.0, 150.0), defocus=(25000.0, 45000.0),
    corrections=("none", "none", "phase_flip"), ramp_end=(0.2, 0.35), ramp_sigma=(0.05, 0.1),
    bent=0.0, smoothed=0.1, bordered=0.1,
)  # fmt: skip
ANYTHING = Ranges(
    voxel_size=(5.5, 15.0), diameter=(SMALLEST, 26.0), large=(18.0, LARGEST), large_part=0.2, half_depth=(24, 56),
    fullness=(0.35, 1.0, 1.0, 1.6), crowders=(0.0, 0.08), without=0.15, vesicles=(0, 5), gold=(0, 10),
    tilt=(40.0, 70.0), steps=(1.5, 2.0, 3.0, 3.0, 4.0), dose=(50.0, 170.0), defocus=(15000.0, 50000.0),
    corrections=("none", "phase_flip", "deconvolve"), ramp_end=(0.15, 0.42), ramp_sigma=(0.04, 0.12),
    bent=0.3, smoothed=0.25, bordered=0.1,
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Species, and how each of the tomograms that hold them is made.

    Attributes
    ----------
    densities
        In voxels of the tomograms.
    settings
        One per tomogram.
    """

    densities: Mapping[str, Density]
    settings: Sequence[SimulationSettings]


def draw_group(seed: int, number: int) -> Group:
    """Group `number` of the world `seed`: it depends on nothing else."""
    rng = np.random.default_rng([seed, number])
    ranges = MOST_PEOPLE_HAVE if rng.random() < USUAL else ANYTHING
    voxel_size = _log_uniform(rng, *ranges.voxel_size)
    densities: dict[str, Density] = {}
    for species in range(int(rng.integers(9, 13))):
        densities[f"species_{species}"] = _species(rng, ranges, voxel_size, list(densities.values()))
    settings = tuple(_tomogram(rng, ranges, voxel_size, densities) for _ in range(TOMOGRAMS))
    return Group(densities, settings)


def _species(rng: Rng, ranges: Ranges, voxel_size: float, others: Sequence[Density]) -> Density:
    smallest, largest = ranges.large if rng.random() < ranges.large_part else ranges.diameter
    radius = _log_uniform(rng, max(smallest, SMALLEST_PROTEIN / voxel_size), largest) / 2
    if others and rng.random() < AS_LARGE:
        radius = others[int(rng.integers(len(others)))].radius * rng.uniform(0.95, 1.05)
    membrane = rng.random() < ON_MEMBRANES and radius < LARGEST_ON_MEMBRANES
    return random_density(rng, (radius, radius), membrane=membrane)


def _tomogram(rng: Rng, ranges: Ranges, voxel_size: float, densities: Mapping[str, Density]) -> SimulationSettings:
    depth = 2 * int(rng.integers(ranges.half_depth[0], ranges.half_depth[1] + 1))
    return SimulationSettings(
        shape_zyx=(depth, FIELD, FIELD),
        voxel_size=voxel_size,
        specimen=_specimen(rng, ranges, depth * voxel_size, densities),
        microscope=_microscope(rng, ranges, voxel_size),
        reconstruction=_reconstruction(rng, ranges, depth),
    )


def _specimen(rng: Rng, ranges: Ranges, depth: float, densities: Mapping[str, Density]) -> SpecimenSettings:
    """`depth` of the tomogram in Angstrom."""
    fullness = float(rng.choice(ranges.fullness))
    counts = {  # large particles are fewer
        name: int(np.clip(14 * (9 / one.max_radius) ** 1.2 * fullness * rng.uniform(0.7, 1.3), 2, 26))
        for name, one in densities.items()
    }
    ice = depth * rng.uniform(0.7, 0.92)
    fewest = 3 if any(one.membrane_z is not None for one in densities.values()) else 0
    vesicles = max(int(rng.integers(ranges.vesicles[0], ranges.vesicles[1] + 1)), fewest)
    filaments = rng.random()
    return SpecimenSettings(
        counts=counts,
        ice_thickness=(ice, ice),
        crowder_fraction=0.0 if rng.random() < ranges.without else rng.uniform(*ranges.crowders),
        vesicles=(vesicles, vesicles),
        vesicle_radius=(180.0, 340.0),
        gold=(0, 0) if rng.random() < ranges.without else ranges.gold,
        gold_radius=(20.0, 35.0) if rng.random() < 0.2 else (43.0, 53.0),
        contamination=(0, 3),
        actin=(2, 6) if filaments < 0.12 else (0, 0),
        microtubules=(1, 3) if filaments > 0.94 and ice > 450 else (0, 0),
    )


def _microscope(rng: Rng, ranges: Ranges, voxel_size: float) -> MicroscopeSettings:
    highest = rng.uniform(*ranges.tilt)
    return MicroscopeSettings(
        tilt_min=-highest + rng.uniform(-3, 3),
        tilt_max=highest,
        tilt_step=float(rng.choice(ranges.steps)),
        tilt_axis=str(rng.choice(["x", "y"])),
        dose=_log_uniform(rng, *ranges.dose),
        defocus=ranges.defocus,
        amplitude_contrast=rng.uniform(0.05, 0.12),
        b_factor=rng.uniform(2000, 8000),
        alignment_error=(0.1 * voxel_size, 0.6 * voxel_size),
        protein_phase=0.0013 * math.exp(rng.normal(0, 0.2)),
    )


def _reconstruction(rng: Rng, ranges: Ranges, depth: int) -> ReconstructionSettings:
    border = [(0, 0), (0, 0), (0, 0)]
    if rng.random() < ranges.bordered:
        axis = int(rng.integers(3))
        widths = rng.integers(0, (depth if axis == 0 else FIELD) // 10 + 1, 2)
        border[axis] = (int(widths[0]), int(widths[1]))
    return ReconstructionSettings(
        ctf_correction=str(rng.choice(ranges.corrections)),
        deconvolution_strength=_log_uniform(rng, 0.3, 2.0),
        deconvolution_falloff=rng.uniform(0.7, 1.3),
        ramp_end=rng.uniform(*ranges.ramp_end),
        ramp_sigma=rng.uniform(*ranges.ramp_sigma),
        sirt_iterations=int(rng.integers(4, 40)) if rng.random() < ranges.bent else 0,
        smoothing=rng.uniform(0.5, 1.6) if rng.random() < ranges.smoothed else 0.0,
        border=(border[0], border[1], border[2]),
        border_value=rng.uniform(-10, 10),
    )


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
