"""Tilt axis and range are read from tomograms that were simulated with others."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from milopyp_simulation.settings import MicroscopeSettings, ReconstructionSettings, SimulationSettings, SpecimenSettings
from milopyp_simulation.spectrum import find_tilt_range
from milopyp_simulation.tomogram import simulate

RAMP = ReconstructionSettings()
ICE = SpecimenSettings(ice_thickness=(400.0, 400.0), crowder_fraction=0.05, vesicles=(0, 0), gold=(2, 2))
USUAL = SimulationSettings((56, 96, 112), specimen=ICE, microscope=MicroscopeSettings(dose=100.0))
ACCURACY = 5.0  # degrees, of so thin tomograms


def seen(reconstruction: ReconstructionSettings = RAMP, **microscope: object) -> NDArray[np.float32]:
    settings = replace(
        USUAL,
        microscope=replace(USUAL.microscope, **microscope),  # type: ignore[arg-type]
        reconstruction=reconstruction,
    )
    return simulate(settings, {}, 1).volume


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(("low", "high"), [(-60.0, 60.0), (-40.0, 60.0), (-66.0, 48.0)])
def test_axis_and_range_are_found(axis: str, low: float, high: float) -> None:
    """Both ends by themselves: a sign that is taken for the other one would show."""
    found = find_tilt_range(seen(tilt_axis=axis, tilt_min=low, tilt_max=high))
    assert found is not None
    assert found.axis == axis
    assert (found.low, found.high) == pytest.approx((low, high), abs=ACCURACY)


@pytest.mark.parametrize(
    "reconstruction",
    [
        ReconstructionSettings(smoothing=1.2),
        ReconstructionSettings(sirt_iterations=12, ctf_correction="deconvolve"),
        ReconstructionSettings(ctf_correction="phase_flip", ramp_end=0.15),
    ],
    ids=["smoothed", "SIRT and deconvolution", "phases flipped, few frequencies"],
)
def test_filters_do_not_hide_the_wedge(reconstruction: ReconstructionSettings) -> None:
    found = find_tilt_range(seen(reconstruction, tilt_max=51.0))
    assert found is not None
    assert found.axis == "y"
    assert (found.low, found.high) == pytest.approx((-60, 51), abs=ACCURACY)


def test_neither_contrast_nor_number_type_matters() -> None:
    volume = seen(dose=math.inf)
    grey = np.clip(30 * volume, -127, 127).astype(np.int8)
    assert find_tilt_range(grey) == find_tilt_range(-grey)
    assert find_tilt_range(grey) is not None


def test_a_known_axis_is_taken() -> None:
    volume = seen(tilt_axis="x")
    assert find_tilt_range(volume, "x") == find_tilt_range(volume)
    assert find_tilt_range(volume, "y") is None


@pytest.mark.parametrize("smooth", [0.0, 1.5])
def test_no_wedge_shows_in_noise(smooth: float) -> None:
    noise = np.random.default_rng(1).normal(size=(48, 64, 80))
    assert find_tilt_range(ndimage.gaussian_filter(noise, smooth)) is None


def test_nothing_shows_where_nothing_is() -> None:
    assert find_tilt_range(np.ones((16, 32, 32), np.float32)) is None
