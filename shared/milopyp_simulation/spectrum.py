"""What a tomogram's power spectrum says of its tilt series: the axis, and from where to where it was tilted.

Every tilted image fills one plane of the spectrum, the one at its own angle around the tilt axis. Where there was no
image there is no power: the missing wedge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Volume = NDArray[np.float32]
Float = NDArray[np.float64]

LARGEST = 256  # voxels of an axis that are looked at
BANDS = ((0.1, 0.3), (0.05, 0.15))  # cycles per voxel across the tilt axis; the second for tomograms without noise
BINS = 90  # over the half circle
SMOOTH = 1.0  # bins
LITTLE = 0.25  # of the power inside, that the deepest of a wedge has at most
NARROWEST, WIDEST = 20.0, 85.0  # degrees: tilts that a wedge leaves to either side


@dataclass(frozen=True)
class TiltRange:
    """How a tomogram was tilted.

    Attributes
    ----------
    axis
        ``"x"`` or ``"y"``.
    low, high
        Degrees, as `milopyp_simulation.settings.MicroscopeSettings` counts them.
    """

    axis: str
    low: float
    high: float


def find_tilt_range(volume: NDArray[np.generic], axis: str | None = None) -> TiltRange | None:
    """The tilt axis and range of a tomogram; None where no missing wedge shows.

    Accurate to about three degrees at 100 sections, and better for thicker ones.

    Parameters
    ----------
    volume
        ``(z, y, x)``; the middle of it is looked at.
    axis
        ``"x"`` or ``"y"``, if it is known.
    """
    power = power_spectrum(volume)
    for band in BANDS:
        found = [_range(axis_of, around(power, axis_of, band)) for axis_of in ([axis] if axis else ["x", "y"])]
        depths = [(depth, tilts) for depth, tilts in found if tilts is not None]
        if depths:
            return min(depths, key=lambda one: one[0])[1]
    return None


def power_spectrum(volume: NDArray[np.generic]) -> Volume:
    """Power of the middle of a volume ``(z, y, x)``, at the frequencies of ``rfftn``; faded out at its faces."""
    cut = []
    for size in volume.shape:
        first = max(size - LARGEST, 0) // 2
        cut.append(slice(first, first + min(size, LARGEST)))
    middle = np.array(volume[tuple(cut)], np.float32)
    middle -= middle.mean(dtype=np.float64)
    for axis, size in enumerate(middle.shape):
        shape = [1, 1, 1]
        shape[axis] = size
        middle *= np.hanning(size).astype(np.float32).reshape(shape)
    return np.asarray(np.abs(fft.rfftn(middle)) ** 2, np.float32)


def around(power: Volume, axis: str, band: tuple[float, float]) -> Float:
    """Power at each angle around an axis, relative to the mean of its frequency: ``(BINS,)`` from -90 degrees on."""
    depth, rows = power.shape[:2]
    kz, ky, kx = fft.fftfreq(depth), fft.fftfreq(rows), np.linspace(0, 0.5, power.shape[2])
    if axis == "y":  # the plane of x and z; what x is not stored for is the same, turned by half
        plane, across = power.mean(axis=1, dtype=np.float64), kx
    else:
        plane, across = power.mean(axis=2, dtype=np.float64), ky
    z, u = np.meshgrid(kz, across, indexing="ij")
    radius = np.hypot(z, u)
    kept = (radius >= band[0]) & (radius < band[1])
    angle = np.degrees(np.arctan2(z, u))[kept]
    angle = np.where(angle >= 90, angle - 180, np.where(angle < -90, angle + 180, angle))
    ring = ((radius[kept] - band[0]) * min(depth, 2 * power.shape[2])).astype(np.int64)
    mean = np.bincount(ring, plane[kept]) / np.maximum(np.bincount(ring), 1)
    bins = np.minimum(((angle + 90) * (BINS / 180)).astype(np.int64), BINS - 1)
    relative = plane[kept] / np.maximum(mean[ring], np.finfo(np.float32).tiny)
    counts = np.bincount(bins, minlength=BINS)
    profile = np.bincount(bins, relative, BINS) / np.maximum(counts, 1)
    profile[counts == 0] = np.interp(np.flatnonzero(counts == 0), np.flatnonzero(counts), profile[counts > 0])
    return np.asarray(ndimage.gaussian_filter1d(profile, SMOOTH, mode="wrap"), np.float64)


def _range(axis: str, profile: Float) -> tuple[float, TiltRange | None]:
    """How little is left in the wedge, as a part of what is outside, and the tilts around it."""
    angles = (np.arange(BINS) + 0.5) * (180 / BINS) - 90
    inside = float(np.median(profile[np.abs(angles) < NARROWEST]))
    lowest = float(np.min(profile))
    half = (inside + lowest) / 2
    steps = np.concatenate([profile[BINS // 2 :], profile[: BINS // 2]])  # the wedge in the middle
    below = np.flatnonzero(steps < half)
    if not inside > 0 or lowest > LITTLE * inside or not len(below):
        return 1.0, None
    first, last = below[0], below[-1]
    high = _crossing(steps, first - 1, half) * (180 / BINS)
    low = _crossing(steps, last, half) * (180 / BINS) - 180
    fine = all(NARROWEST <= abs(edge) <= WIDEST for edge in (low, high))
    return lowest / inside, TiltRange(axis, round(low), round(high)) if fine else None


def _crossing(values: Float, before: int, level: float) -> float:
    """Where between bin `before` and the next one the values pass `level`; bins, counted from the edge of the first."""
    start, end = values[before], values[before + 1]
    return float(before + 0.5 + (level - start) / (end - start))
