"""From a specimen to its tilt series.

Each tilt is the projection of the specimen's phase shift (weak-phase approximation; protein in ice shifts 300 kV
electrons by about 0.013 rad per nm: Vulovic et al., J. Struct. Biol. 183, 2013, InSilicoTEM), seen through the contrast
transfer function and an envelope, shifted by what alignment left over, dimmed by ice (inelastic losses grow with the
path) and gold, and counted electron by electron (Poisson). As in TEM-simulator (Rullgard et al., J. Microsc. 243,
2011), the specimen is one slice: its own defocus gradient is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from . import kernels
from .settings import MicroscopeSettings
from .specimen import Specimen

Volume = NDArray[np.float32]
Float = NDArray[np.float64]

IMAGE_MARGIN = 48  # voxels beyond what back-projection reads: a filter's tails from the image's edge do not reach it
LEAST = 0.02  # of the beam: what a pixel keeps behind gold, and in the deepest shadow


@dataclass(frozen=True)
class TiltSeries:
    """Recorded images and what is known of them.

    Attributes
    ----------
    images
        float32 ``(tilt, v, x)``: each is relative to its mean, minus 1; v runs across the tilt axis.
    tilts
        Degrees.
    defocus
        Mean underfocus, Angstrom.
    """

    images: Volume
    tilts: Float
    defocus: float


def wavelength(kilovolt: float) -> float:
    """Relativistic wavelength of electrons in Angstrom."""
    volt = 1000 * kilovolt
    return 12.2643 / math.sqrt(volt + 0.978466e-6 * volt**2)


def contrast_transfer(frequency2: Volume, defocus: float, microscope: MicroscopeSettings) -> Volume:
    """Contrast transfer function without envelope, positive at low frequencies.

    Parameters
    ----------
    frequency2
        Squares of spatial frequencies, 1 per square Angstrom.
    defocus
        Underfocus in Angstrom.
    """
    length = wavelength(microscope.voltage)
    chi = (math.pi * length * defocus) * frequency2
    chi -= (0.5 * math.pi * microscope.spherical_aberration * length**3) * frequency2**2
    # sqrt(1 - a^2) sin(chi) + a cos(chi), in one sine
    return np.asarray(np.sin(chi + math.asin(microscope.amplitude_contrast)), np.float32)


def tilt_angles(microscope: MicroscopeSettings) -> Float:
    """Degrees of each image of the series."""
    return np.arange(microscope.tilt_min, microscope.tilt_max + 1e-6, microscope.tilt_step)


def frequencies(shape: tuple[int, int]) -> tuple[Volume, Volume]:
    """Frequencies of ``rfft2`` of an image ``(v, x)`` in cycles per voxel, shaped to broadcast."""
    rows, columns = shape
    return fft.fftfreq(rows).astype(np.float32)[:, None], fft.rfftfreq(columns).astype(np.float32)[None, :]


def record(specimen: Specimen, microscope: MicroscopeSettings, rng: np.random.Generator) -> TiltSeries:
    """Record a tilt series of a specimen about its axis x."""
    tilts = tilt_angles(microscope)
    depth, _, width = specimen.density.shape
    rows = specimen.field_yx[0].stop - specimen.field_yx[0].start
    reach = math.ceil(math.hypot(rows, depth) / 2) + IMAGE_MARGIN
    shape = fft.next_fast_len(2 * reach, real=True), width
    optics = _optics(shape, specimen.voxel_size, microscope)
    defocus = rng.uniform(*microscope.defocus)
    error = rng.uniform(*microscope.alignment_error) / specimen.voxel_size
    dose = microscope.dose / len(tilts) * specimen.voxel_size**2
    images = np.empty((len(tilts), *shape), np.float32)
    for image, tilt in zip(images, np.radians(tilts)):
        moved = optics.moved(rng.normal(0, error, 2))
        transfer = optics.transfer(rng.normal(defocus, microscope.defocus_spread)) * moved
        electrons = _beam(specimen, float(tilt), optics, (transfer, moved))
        if math.isfinite(dose):
            electrons = rng.poisson(dose * electrons).astype(np.float32)
        image[:] = electrons / electrons.mean(dtype=np.float64) - 1
    return TiltSeries(images, tilts, float(defocus))


@dataclass(frozen=True)
class _Optics:
    """What all images of a series have in common; frequencies in cycles per voxel."""

    microscope: MicroscopeSettings
    voxel_size: float
    across: Volume
    along: Volume
    frequency2: Volume
    envelope: Volume

    def transfer(self, defocus: float) -> Volume:
        """From the projected density to contrast: protein is dark."""
        contrast = -2 * self.microscope.protein_phase * self.voxel_size
        return contrast_transfer(self.frequency2, defocus, self.microscope) * (self.envelope * np.float32(contrast))

    def moved(self, shift: Float) -> NDArray[np.complex64]:
        """What moves an image by `shift` (v, x) voxels."""
        turn = np.float32(-2 * math.pi)
        return np.exp(1j * turn * np.float32(shift[0]) * self.across) * np.exp(
            1j * turn * np.float32(shift[1]) * self.along
        )


def _optics(shape: tuple[int, int], voxel_size: float, microscope: MicroscopeSettings) -> _Optics:
    across, along = frequencies(shape)
    frequency2 = (across**2 + along**2) / np.float32(voxel_size**2)
    envelope = np.exp(-microscope.b_factor / 4 * frequency2)
    return _Optics(microscope, voxel_size, across, along, frequency2, envelope)


def _beam(
    specimen: Specimen, tilt: float, optics: _Optics, filters: tuple[NDArray[np.complex64], NDArray[np.complex64]]
) -> Volume:
    """Electrons expected in each pixel of one tilt (radian), 1 = the whole beam.

    `filters` are what contrast and what shadows are multiplied with in Fourier space.
    """
    microscope, (transfer, moved) = optics.microscope, filters
    cosine, sine = math.cos(tilt), math.sin(tilt)
    shape = (len(optics.across), specimen.density.shape[2])
    phase, gold = np.empty(shape, np.float32), np.empty(shape, np.float32)
    kernels.project(specimen.density, cosine, sine, phase)
    shadow = np.ones(1, np.float32)
    if len(specimen.beads):
        kernels.project_spheres(specimen.beads, cosine, sine, specimen.density.shape, gold)
        phase += np.float32(microscope.gold_phase) * gold
        left = np.exp(np.float32(-microscope.gold_absorption * specimen.voxel_size) * gold)
        shadow = np.clip(fft.irfft2(fft.rfft2(left) * moved, shape), LEAST, 1)
    contrast = fft.irfft2(fft.rfft2(phase) * transfer, shape)
    ice = _seen_from(specimen.slab.thickness, shape[0]) * np.float32(specimen.voxel_size / cosine)
    dimmed = np.exp(ice / np.float32(-microscope.mean_free_path))
    return np.asarray(dimmed * shadow * np.maximum(1 + contrast, LEAST), np.float32)


def _seen_from(thickness: Volume, rows: int) -> Volume:
    """Thickness ``(y, x)`` of the ice under each pixel ``(v, x)`` of an image."""
    height = len(thickness)
    below = np.arange(rows) - (rows - 1) // 2 + (height - 1) // 2
    return np.asarray(thickness[np.clip(below, 0, height - 1)])
