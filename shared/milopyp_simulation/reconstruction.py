"""From a tilt series to a volume: correction of the contrast transfer, weighted back-projection, what comes after.

The ramp filter falls off as a Gaussian, as IMOD's ``RADIAL`` does. The SIRT-like filter bends the ramp f to
``f (1 - (1 - a / f)^n)``, which is IMOD's for ``FakeSIRTiterations``: low frequencies gain. Deconvolution is that of
Warp and IsoNet (Tegunov and Cramer, Nature Methods 16, 2019): a Wiener filter with a signal-to-noise ratio that falls
exponentially with frequency; being linear and radial, it may as well be applied to the images.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from . import kernels
from .microscope import TiltSeries, contrast_transfer, frequencies
from .settings import MicroscopeSettings, Pairs, ReconstructionSettings

Volume = NDArray[np.float32]

SIRT_FREQUENCY = 0.00195  # cycles per voxel: a in the SIRT-like filter
HIGH_PASS = 0.02  # of Nyquist: below, deconvolution trusts nothing
NOISE_FREE = 1e9  # signal-to-noise ratios are cut there


def reconstruct(
    series: TiltSeries,
    field_zyx: tuple[int, int, int],
    voxel_size: float,
    settings: ReconstructionSettings,
    microscope: MicroscopeSettings,
) -> Volume:
    """Back-project a series, whose images are at least as wide as the field along x and have it in their middle.

    Returns
    -------
    float32 ``(z, y, x)`` in robust standard deviations around the median, smoothed; the tilt axis is x.
    """
    images = _filtered(series, voxel_size, settings, microscope)
    spare = (images.shape[2] - field_zyx[2]) // 2
    images = np.ascontiguousarray(images[:, :, spare : spare + field_zyx[2]])
    tilts = np.radians(series.tilts)
    volume = np.empty(field_zyx, np.float32)
    kernels.backproject(images, np.cos(tilts), np.sin(tilts), volume)
    if settings.smoothing > 0:
        ndimage.gaussian_filter(volume, settings.smoothing, output=volume)
    return _standardised(volume)


def add_border(volume: Volume, widths: Pairs, value: float) -> None:
    """Set the outermost `widths` (low and high end of z, y, x) of a volume ``(z, y, x)`` to `value`, in place."""
    for axis, (low, high) in enumerate(widths):
        sides = np.moveaxis(volume, axis, 0)
        sides[:low] = value
        sides[len(sides) - min(high, len(sides)) :] = value


def radial_weights(frequency: Volume, settings: ReconstructionSettings) -> Volume:
    """Weights of back-projection at absolute frequencies in cycles per voxel across the tilt axis."""
    # the mean of a ramp over the lowest frequency's own interval, not 0: the volume keeps its mean
    ramp = np.maximum(frequency, 0.25 * np.min(frequency[frequency > 0]))
    if settings.sirt_iterations:
        ramp = ramp * (1 - np.maximum(1 - SIRT_FREQUENCY / ramp, 0) ** settings.sirt_iterations)
    beyond = np.maximum(frequency - settings.ramp_end, 0) / settings.ramp_sigma
    return np.asarray(ramp * np.exp(-0.5 * beyond**2), np.float32)


def correction(
    frequency2: Volume,
    defocus: float,
    voxel_size: float,
    settings: ReconstructionSettings,
    microscope: MicroscopeSettings,
) -> Volume:
    """What images are multiplied with, at squared frequencies per square Angstrom, to correct for the transfer."""
    if settings.ctf_correction == "none":
        return np.ones(1, np.float32)
    transfer = contrast_transfer(frequency2, defocus, microscope)
    if settings.ctf_correction == "phase_flip":
        return np.asarray(np.sign(transfer), np.float32)
    frequency = np.sqrt(frequency2)
    falling = np.exp(-200 * settings.deconvolution_falloff * frequency) * 10 ** (3 * settings.deconvolution_strength)
    high_pass = 1 - np.cos(math.pi * np.minimum(frequency * 2 * voxel_size / HIGH_PASS, 1))
    ratio = np.clip(falling * high_pass, 1 / NOISE_FREE, NOISE_FREE)
    return np.asarray(transfer / (transfer**2 + 1 / ratio), np.float32)


def _filtered(
    series: TiltSeries, voxel_size: float, settings: ReconstructionSettings, microscope: MicroscopeSettings
) -> Volume:
    shape = series.images.shape[1:]
    across, along = frequencies((shape[0], shape[1]))
    frequency2 = (across**2 + along**2) / np.float32(voxel_size**2)
    weights = radial_weights(np.abs(across), settings)
    weights = weights * correction(frequency2, series.defocus, voxel_size, settings, microscope)
    return np.stack([fft.irfft2(fft.rfft2(image) * weights, shape) for image in series.images])


def _standardised(volume: Volume) -> Volume:
    """A volume in robust standard deviations (of its middle two thirds) around its median."""
    low, middle, high = np.percentile(volume[::3, ::2, ::3], (15.866, 50, 84.134))
    spread = (high - low) / 2
    return np.asarray((volume - np.float32(middle)) / np.float32(spread if spread > 0 else 1), np.float32)
