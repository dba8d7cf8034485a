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
SMALLEST, MIDDLE, LARGEST = 8.0, 26.0, 40.0  # diameters in voxels; most lie below the middle one
SMALLEST_PROTEIN = 80.0  # Angstrom: smaller ones are crowders
AS_LARGE = 0.3  # part of the species that only their shape tells from another one
TOMOGRAMS = 2  # of a group, with the same species
LIMIT_ON_MEMBRANES = 13.0  # largest radius of a membrane protein, voxels


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
    voxel_size = 10.0 if rng.random() < 0.25 else _log_uniform(rng, 5.5, 15.0)
    densities: dict[str, Density] = {}
    for number in range(int(rng.integers(9, 13))):
        densities[f"species_{number}"] = _species(rng, voxel_size, list(densities.values()))
    settings = tuple(_tomogram(rng, voxel_size, densities) for _ in range(TOMOGRAMS))
    return Group(densities, settings)


def _species(rng: Rng, voxel_size: float, others: Sequence[Density]) -> Density:
    smallest = max(SMALLEST, SMALLEST_PROTEIN / voxel_size)
    low, high = (smallest, MIDDLE) if rng.random() < 0.8 else (18.0, LARGEST)
    radius = _log_uniform(rng, low, high) / 2
    if others and rng.random() < AS_LARGE:
        radius = others[int(rng.integers(len(others)))].radius * rng.uniform(0.95, 1.05)
    return random_density(rng, (radius, radius), membrane=rng.random() < 0.15 and radius < LIMIT_ON_MEMBRANES)


def _tomogram(rng: Rng, voxel_size: float, densities: Mapping[str, Density]) -> SimulationSettings:
    depth = int(rng.integers(24, 57)) * 2
    return SimulationSettings(
        shape_zyx=(depth, FIELD, FIELD),
        voxel_size=voxel_size,
        specimen=_specimen(rng, voxel_size, depth, densities),
        microscope=_microscope(rng, voxel_size),
        reconstruction=_reconstruction(rng, depth),
    )


def _specimen(rng: Rng, voxel_size: float, depth: int, densities: Mapping[str, Density]) -> SpecimenSettings:
    # sparse, usual and crowded fields; large particles are fewer
    fullness = float(rng.choice([0.35, 1.0, 1.0, 1.0, 1.6])) * depth / 96
    counts = {
        name: int(np.clip(14 * (9 / one.max_radius) ** 1.2 * fullness * rng.uniform(0.7, 1.3), 2, 26))
        for name, one in densities.items()
    }
    ice = depth * voxel_size * rng.uniform(0.7, 0.92)
    fewest = 3 if any(one.membrane_z is not None for one in densities.values()) else 0
    vesicles = max(int(rng.integers(0, 6)), fewest)
    small = rng.random() < 0.2
    filaments = rng.random()
    return SpecimenSettings(
        counts=counts,
        ice_thickness=(ice, ice),
        crowder_fraction=0.0 if rng.random() < 0.12 else rng.uniform(0, 0.08),
        vesicles=(vesicles, vesicles),
        vesicle_radius=(180.0, 340.0),
        gold=(0, 10) if rng.random() < 0.7 else (0, 0),
        gold_radius=(20.0, 35.0) if small else (43.0, 53.0),
        contamination=(0, 3),
        actin=(2, 6) if filaments < 0.12 else (0, 0),
        microtubules=(1, 3) if filaments > 0.94 and ice > 450 else (0, 0),
    )


def _microscope(rng: Rng, voxel_size: float) -> MicroscopeSettings:
    highest = rng.uniform(40, 70)
    return MicroscopeSettings(
        tilt_min=-highest + rng.uniform(-3, 3),
        tilt_max=highest,
        tilt_step=float(rng.choice([1.5, 2.0, 3.0, 3.0, 3.0, 4.0])),
        tilt_axis=str(rng.choice(["x", "y"])),
        dose=_log_uniform(rng, 50, 170),
        defocus=(15000.0, 50000.0) if rng.random() < 0.5 else (25000.0, 42000.0),
        amplitude_contrast=rng.uniform(0.05, 0.12),
        b_factor=rng.uniform(2000, 8000),
        alignment_error=(0.1 * voxel_size, 0.6 * voxel_size),
        protein_phase=0.0013 * math.exp(rng.normal(0, 0.2)),
    )


def _reconstruction(rng: Rng, depth: int) -> ReconstructionSettings:
    border = [(0, 0), (0, 0), (0, 0)]
    if rng.random() < 0.1:
        axis = int(rng.integers(3))
        widths = rng.integers(0, (depth if axis == 0 else FIELD) // 10 + 1, 2)
        border[axis] = (int(widths[0]), int(widths[1]))
    return ReconstructionSettings(
        ctf_correction=str(rng.choice(["none", "none", "phase_flip", "phase_flip", "deconvolve"])),
        deconvolution_strength=_log_uniform(rng, 0.3, 2.0),
        deconvolution_falloff=rng.uniform(0.7, 1.3),
        ramp_end=rng.uniform(0.15, 0.42),
        ramp_sigma=rng.uniform(0.04, 0.12),
        sirt_iterations=int(rng.integers(4, 40)) if rng.random() < 0.3 else 0,
        smoothing=rng.uniform(0.5, 1.6) if rng.random() < 0.2 else 0.0,
        border=(border[0], border[1], border[2]),
        border_value=rng.uniform(-10, 10),
    )


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
