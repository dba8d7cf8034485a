"""Densities and settings that the tests of simulation share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from milopyp_simulation.densities import Density, make_density
from milopyp_simulation.kernels import add_gaussians
from milopyp_simulation.settings import (
    MicroscopeSettings,
    ReconstructionSettings,
    SimulationSettings,
    SpecimenSettings,
)

NOTHING = SpecimenSettings(
    ice_thickness=(300.0, 300.0), crowder_fraction=0, vesicles=(0, 0), gold=(0, 0), contamination=(0, 0)
)
# amplitude contrast alone, in focus: each image is a projection
PERFECT = MicroscopeSettings(
    tilt_min=-75,
    tilt_max=75,
    tilt_step=1.5,
    dose=math.inf,
    defocus=(0, 0),
    defocus_spread=0,
    amplitude_contrast=1,
    spherical_aberration=0,
    b_factor=0,
    alignment_error=(0, 0),
    mean_free_path=math.inf,
)
SMALL = SimulationSettings(shape_zyx=(40, 64, 72), specimen=NOTHING)
CLEAN = replace(SMALL, microscope=PERFECT)


def with_specimen(settings: SimulationSettings, **changes: Any) -> SimulationSettings:
    return replace(settings, specimen=replace(settings.specimen, **changes))


def with_microscope(settings: SimulationSettings, **changes: Any) -> SimulationSettings:
    return replace(settings, microscope=replace(settings.microscope, **changes))


def with_reconstruction(settings: SimulationSettings, **changes: Any) -> SimulationSettings:
    return replace(settings, reconstruction=ReconstructionSettings(**changes))


def lopsided(voxel_size: float | None = None) -> Density:
    """Three Gaussians of unequal weight, far from symmetric; about 9 voxels across."""
    array = np.zeros((25, 23, 27), np.float32)
    places = np.array([[11.0, 10.5, 12.0], [16.0, 12.0, 12.5], [10.0, 9.5, 7.0]])
    add_gaussians(array, places, np.array([60.0, 30.0, 22.0]), np.array([1.8, 1.6, 1.4]))
    return make_density(array, voxel_size)


def ball() -> Density:
    """A Gaussian."""
    array = np.zeros((19, 19, 19), np.float32)
    add_gaussians(array, np.full((1, 3), 9.0), np.array([100.0]), np.array([2.0]))
    return make_density(array, None)


def standing() -> Density:
    """A stalk with a head, on a membrane at its foot."""
    array = np.zeros((31, 21, 21), np.float32)
    places = np.array([[10.0, 10.0, z] for z in (5, 8, 11, 14, 18)])
    add_gaussians(array, places, np.array([20.0, 20, 20, 20, 150]), np.array([1.4, 1.4, 1.4, 1.4, 2.6]))
    return make_density(array, None, membrane_z=5.0)
