"""Microscope and reconstruction do what physics and the formulas say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from milopyp_simulation.membranes import add_vesicles
from milopyp_simulation.microscope import contrast_transfer, record, tilt_angles, wavelength
from milopyp_simulation.reconstruction import correction, radial_weights
from milopyp_simulation.settings import MicroscopeSettings, ReconstructionSettings
from milopyp_simulation.specimen import Specimen, empty_specimen
from milopyp_simulation.tomogram import fill, simulate
from specimens import CLEAN, NOTHING, PERFECT, SMALL, lopsided, with_microscope, with_reconstruction, with_specimen

MICROSCOPE = MicroscopeSettings()


def empty(thickness: float = 300.0) -> Specimen:
    return empty_specimen((40, 48, 48), 10.0, (thickness, thickness), np.random.default_rng(1))


def test_wavelength() -> None:
    # the relativistic wavelengths that textbooks give
    assert wavelength(300) == pytest.approx(0.0196875, rel=1e-4)
    assert wavelength(200) == pytest.approx(0.0250793, rel=1e-4)


def test_the_transfer_function_has_its_zeros_where_theory_puts_them() -> None:
    """Without amplitude contrast and aberration: zeros at k^2 = n / (wavelength x defocus)."""
    plain = replace(MICROSCOPE, amplitude_contrast=0, spherical_aberration=0)
    defocus, length = 30000.0, wavelength(300)
    squares = np.arange(4) / (length * defocus)
    np.testing.assert_allclose(contrast_transfer(squares, defocus, plain), 0, atol=1e-5)
    between = (np.arange(4) + 0.5) / (length * defocus)
    np.testing.assert_allclose(contrast_transfer(between, defocus, plain), [1, -1, 1, -1], atol=1e-5)
    # at frequency 0 only amplitude contrast is left
    assert contrast_transfer(np.zeros(1), defocus, MICROSCOPE)[0] == pytest.approx(0.08)


def test_a_defocused_image_lacks_the_frequencies_of_the_zeros() -> None:
    specimen = empty()
    middle = [size // 2 for size in specimen.density.shape]
    specimen.density[tuple(middle)] = 1  # all frequencies alike
    sharp = replace(PERFECT, tilt_min=0, tilt_max=0, defocus=(60000.0, 60000.0), amplitude_contrast=0.0)
    image = record(specimen, sharp, np.random.default_rng(1)).images[0]
    spectrum = np.abs(np.fft.rfft2(image))[0]
    k = np.fft.rfftfreq(image.shape[1]) / 10.0
    zero = 1 / math.sqrt(wavelength(300) * 60000.0)
    assert spectrum[np.argmin(np.abs(k - zero))] < 0.1 * spectrum.max()
    assert spectrum[np.argmin(np.abs(k - zero / math.sqrt(2)))] > 0.9 * spectrum.max()


@pytest.mark.parametrize("dose", [20.0, 80.0])
def test_noise_is_that_of_the_electrons(dose: float) -> None:
    """The relative variance of empty ice is one over the electrons that came through."""
    microscope = replace(MICROSCOPE, dose=dose)
    series = record(empty(), microscope, np.random.default_rng(1))
    tilts = tilt_angles(microscope)
    through = np.exp(-300.0 / np.cos(np.radians(tilts)) / microscope.mean_free_path)
    electrons = dose / len(tilts) * 10.0**2 * through
    middle = series.images[:, 30:-30]
    np.testing.assert_allclose(middle.var(axis=(1, 2)), 1 / electrons, rtol=0.1)


def test_voxels_half_as_wide_see_a_quarter_of_the_electrons() -> None:
    coarse = record(empty(), MICROSCOPE, np.random.default_rng(1)).images[20].var()
    thin = empty_specimen((40, 48, 48), 5.0, (150.0, 150.0), np.random.default_rng(1))
    assert record(thin, MICROSCOPE, np.random.default_rng(1)).images[20].var() == pytest.approx(4 * coarse, rel=0.15)


@pytest.mark.parametrize("voxel_size", [5.0, 10.0, 20.0])
def test_a_cube_of_so_many_angstrom_is_as_dark_at_any_voxel_size(voxel_size: float) -> None:
    specimen = empty_specimen((48, 64, 64), voxel_size, (150.0, 150.0), np.random.default_rng(1))
    half = int(80 / voxel_size)
    z, y, x = (size // 2 for size in specimen.density.shape)
    specimen.density[z - half : z + half, y - half : y + half, x - half : x + half] = 1.0
    image = record(specimen, replace(PERFECT, tilt_min=0, tilt_max=0), np.random.default_rng(1)).images[0]
    assert 1 - (1 + image.min()) / (1 + image.max()) == pytest.approx(2 * 0.0013 * 160, rel=0.02)


def test_images_are_projections() -> None:
    """In focus, without noise: dark by twice the phase of what the rays crossed, at any tilt."""
    specimen = empty()
    specimen.density[15:25, 50:62, 50:62] = 1.0
    series = record(specimen, replace(PERFECT, tilt_step=25.0), np.random.default_rng(1))
    for image, tilt in zip(series.images, np.radians(series.tilts)):
        flat = 1 + np.max(image)  # empty ice, relative to the mean
        shadow = 1 - (1 + image) / flat
        assert shadow.max() == pytest.approx(
            2 * 0.0013 * 10 * min(10 / math.cos(tilt), 12 / abs(math.sin(tilt) + 1e-9)), rel=0.1
        )


def test_ramp_and_sirt_like_weights() -> None:
    frequency = np.linspace(0, 0.5, 101)
    ramp = radial_weights(frequency, ReconstructionSettings(ramp_end=0.5))
    np.testing.assert_allclose(ramp[1:], frequency[1:], rtol=1e-6)
    bent = radial_weights(frequency, ReconstructionSettings(ramp_end=0.5, sirt_iterations=10))
    np.testing.assert_allclose(bent[20:], frequency[20:] * (1 - (1 - 0.00195 / frequency[20:]) ** 10), rtol=1e-5)
    # low frequencies weigh more in comparison, the fewer iterations
    assert bent[4] / bent[80] > 2 * ramp[4] / ramp[80]
    cut = radial_weights(frequency, ReconstructionSettings(ramp_end=0.25, ramp_sigma=0.08))
    assert cut[66] / frequency[66] == pytest.approx(math.exp(-0.5), rel=1e-5)


def test_corrections_of_the_transfer() -> None:
    k2 = np.linspace(0, 0.05, 400)[1:] ** 2
    transfer = contrast_transfer(k2, 35000.0, MICROSCOPE)
    flipped = correction(k2, 35000.0, 10.0, ReconstructionSettings(ctf_correction="phase_flip"), MICROSCOPE)
    np.testing.assert_array_equal(flipped * transfer >= 0, True)
    np.testing.assert_array_equal(np.abs(flipped), 1)
    wiener = correction(k2, 35000.0, 10.0, ReconstructionSettings(ctf_correction="deconvolve"), MICROSCOPE)
    assert np.all(wiener * transfer >= 0)
    low = (k2 > 0.004**2) & (k2 < 0.008**2)
    np.testing.assert_allclose((wiener * transfer)[low], 1, atol=0.1)  # restored where the signal is trusted
    assert np.abs(wiener[-1]) < 0.2  # and left out where it is not
    assert correction(k2, 35000.0, 10.0, ReconstructionSettings(), MICROSCOPE) == 1


@pytest.mark.parametrize("ctf_correction", ["none", "phase_flip", "deconvolve"])
def test_protein_is_dark_whatever_the_correction(ctf_correction: str) -> None:
    settings = with_microscope(
        with_specimen(CLEAN, counts={"a": 4}), defocus=(35000.0, 35000.0), amplitude_contrast=0.08
    )
    tomogram = simulate(with_reconstruction(settings, ctf_correction=ctf_correction), {"a": lopsided()}, 1)
    x, y, z = np.rint(tomogram.truth["a"].xyz).astype(int).T
    assert tomogram.volume[z, y, x].max() < -2


def test_smoothing_and_border() -> None:
    plain = simulate(SMALL, {}, 1).volume
    widths = ((3, 0), (0, 5), (7, 2))
    framed = simulate(with_reconstruction(SMALL, border=widths, border_value=4.5), {}, 1).volume
    inner = (slice(3, None), slice(None, -5), slice(7, -2))
    np.testing.assert_array_equal(framed[inner], plain[inner])
    outer = np.ones(framed.shape, bool)
    outer[inner] = False
    np.testing.assert_array_equal(framed[outer], np.float32(4.5))
    smooth = simulate(with_reconstruction(SMALL, smoothing=3.0), {}, 1).volume
    assert smooth.std() == pytest.approx(1, rel=0.1)
    assert np.abs(np.diff(smooth, axis=2)).mean() < 0.5 * np.abs(np.diff(plain, axis=2)).mean()


def test_contrast_does_not_depend_on_where_between_voxels_a_membrane_lies() -> None:
    """The mass of a vesicle grows as its surface, at any voxel size."""
    masses = []
    for voxel_size in (8.0, 16.0):
        size = int(800 / voxel_size)
        specimen = empty_specimen((size, 96, 96), voxel_size, (760.0, 760.0), np.random.default_rng(3))
        assert add_vesicles(specimen, 1, (200.0, 200.0), np.random.default_rng(4))
        masses.append(specimen.density.sum() * voxel_size**3)
    assert masses[1] == pytest.approx(masses[0], rel=0.1)


def test_crowders_fill_what_was_asked_for() -> None:
    settings = replace(SMALL, specimen=replace(NOTHING, crowder_fraction=0.05))
    specimen, _, _ = fill(settings, SMALL.shape_zyx, {}, np.random.SeedSequence(1))
    assert specimen.density.sum() / specimen.slab.thickness.sum() == pytest.approx(0.05, rel=0.1)
