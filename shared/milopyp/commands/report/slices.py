"""A volume as pictures of its sections, small enough for a page."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from milopyp_shared.tomogram import Tomogram

SMOOTH = 0.8  # pixels: what the eye does not miss, and the pictures are half as large
LIMITS = (0.5, 99.5)  # percentiles that become black and white
MOST, WIDEST = 64, 768  # slices of a tomogram, and pixels along a side
FINEST = 5  # slices per particle diameter at most
HEAT_SHARE = 0.15  # of the bytes of a tomogram that its heat map may have
# Binning and quality, the best first: the first pair that is small enough is taken, or the last.
CHOICES = ((1, 60), (1, 40), (1, 25), (1, 15), (2, 50), (2, 30), (3, 30), (4, 25), (6, 20), (8, 20))

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Slices:
    """Pictures of a volume from its first section to its last.

    Attributes
    ----------
    pictures
        WebP files; rows from the smallest y on.
    covers
        Voxels of the tomogram in x and y that a picture covers, a little more than there are where they do not fill
        its last pixels.
    """

    pictures: list[bytes]
    covers: tuple[float, float]


def thickness_of(depth: int, diameter: float) -> int:
    """Sections per slice: a fifth of a particle, more where there would be too many slices."""
    return max(1, round(diameter / FINEST), -(-depth // MOST))


def grey_slices(tomogram: Tomogram, thickness: int, budget: int) -> Slices:
    """Averaged sections of a tomogram as grey pictures of `budget` bytes together."""
    depth = tomogram.shape[0]
    first_binning = -(-max(tomogram.shape[1:]) // WIDEST)
    samples = [_averaged(tomogram, depth * part // 8, thickness) for part in (1, 3, 5, 7)]
    low, high = np.percentile(np.stack([sample.ravel() for sample in samples]), LIMITS)
    scale = 255.0 / max(float(high - low), 1e-12)

    def picture(section: Floats, binning: int, quality: int) -> bytes:
        return _webp((_binned(section, binning) - np.float32(low)) * np.float32(scale), quality)

    count = -(-depth // thickness)
    for binning, quality in CHOICES:
        binning *= first_binning
        expected = count * float(np.mean([len(picture(sample, binning, quality)) for sample in samples]))
        if expected <= budget:
            break
    pictures = [
        picture(_averaged(tomogram, first, thickness), binning, quality) for first in range(0, depth, thickness)
    ]
    return Slices(pictures, _covers(tomogram.shape, binning, (1.0, 1.0)))


def heat_slices(heat: Tomogram, shape: tuple[int, int, int], thickness: int, budget: int) -> Slices:
    """The largest values of a heat map in the slices of a tomogram of this shape (z, y, x), 1 white."""
    depth = shape[0]
    factor, *in_plane = (_factor(whole, own) for whole, own in zip(shape, heat.shape, strict=True))
    sections = []
    for first in range(0, depth, thickness):
        low = min(int(first / factor), heat.shape[0] - 1)
        high = max(int(np.ceil(min(first + thickness, depth) / factor)), low + 1)
        sections.append(heat.sections(low, high).astype(np.float32).max(axis=0) * np.float32(255))
    binning = -(-max(heat.shape[1:]) // (WIDEST // 2))
    for more, quality in CHOICES:
        pictures = [_webp(_binned(section, binning * more), quality) for section in sections]
        if sum(map(len, pictures)) <= budget:
            break
    return Slices(pictures, _covers(heat.shape, binning * more, (in_plane[0], in_plane[1])))


def _factor(whole: int, own: int) -> float:
    """Voxels of the tomogram per voxel of the heat map: a whole number unless it was rescaled."""
    factor = -(-whole // own)
    return float(factor) if -(-whole // factor) == own else whole / own


def _covers(shape: tuple[int, int, int], binning: int, factor_yx: tuple[float, float]) -> tuple[float, float]:
    y, x = (-(-size // binning) * binning * factor for size, factor in zip(shape[1:], factor_yx, strict=True))
    return (x, y)


def _averaged(tomogram: Tomogram, first: int, thickness: int) -> Floats:
    last = min(first + thickness, tomogram.shape[0])
    averaged: Floats = tomogram.sections(first, last).astype(np.float32).mean(axis=0)
    return averaged


def _binned(section: Floats, binning: int) -> Floats:
    """Smoothed and averaged over squares; rows and columns that fill none are repeated."""
    smooth: Floats = gaussian_filter(section, SMOOTH)
    if binning == 1:
        return smooth
    rows, columns = (-(-size // binning) * binning for size in smooth.shape)
    padded = np.pad(smooth, ((0, rows - smooth.shape[0]), (0, columns - smooth.shape[1])), mode="edge")
    binned: Floats = padded.reshape(rows // binning, binning, columns // binning, binning).mean(axis=(1, 3))
    return binned


def _webp(values: Floats, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(file, "WEBP", quality=quality, method=3)
    return file.getvalue()
