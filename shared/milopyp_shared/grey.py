"""Grey levels: from a tomogram's numbers to the 256 levels that the network sees.

The steps are those of the published program with their constants as parameters: pair sections, z-score,
Gaussian filter, z-score, 256 levels between two limits. Mirrored filtering keeps constants, so the first
z-score is absorbed by the second one and a single pass suffices: read, pair, filter, gather statistics and
spool the result; the levels are applied when sections are read back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .tomogram import Tomogram

Pairing = Literal["none", "max", "mean"]
Contrast = Literal["dark", "bright"]

SLAB = 32  # paired sections per step: bounds the working memory, filter overlap stays below 25 %


@dataclass(frozen=True)
class GreyParameters:
    """How grey levels are made; part of the recipe.

    Attributes
    ----------
    pairing
        ``none``, or how sections 2k and 2k+1 become one: ``max`` (published) or ``mean``.
    sigma
        Gaussian (z, y, x) in voxels of the paired volume; 0 leaves an axis alone.
    limits
        z-scores that become level 0 and level 255.
    stretch
        True: the lowest and highest level that occur mean 0 and 1 (published); False: 0 and 255 do.
    """

    pairing: Pairing = "mean"
    sigma: tuple[float, float, float] = (0.4, 0.8, 0.8)
    limits: tuple[float, float] = (-4.0, 4.0)
    stretch: bool = False

    @property
    def sections_per_pair(self) -> int:
        """Full-resolution sections per section that the network sees."""
        return 1 if self.pairing == "none" else 2


def published(gauss: float = 0.8, compress: bool = True) -> GreyParameters:
    """Parameters of the published program for its options ``--gauss`` and ``--compress``."""
    limits = (-3.0, 3.0) if gauss > 0 else (-2.5, 2.0)
    return GreyParameters("max" if compress else "none", (gauss, gauss, gauss), limits, stretch=True)


@dataclass(frozen=True)
class GreyVolume:
    """Grey levels of one tomogram, read by sections.

    Attributes
    ----------
    filtered
        ``(z, y, x)`` float32 memory map: paired and filtered numbers less `offset`.
    mean, std
        Of `filtered`.
    limits
        z-scores that become level 0 and level 255.
    levels
        The grey levels that mean 0 and 1 to the network.
    pairing_factor
        Full-resolution sections per section.
    """

    filtered: NDArray[np.float32]
    mean: float
    std: float
    limits: tuple[float, float]
    levels: tuple[float, float]
    pairing_factor: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)`` after pairing."""
        z, y, x = self.filtered.shape
        return (z, y, x)

    def sections(self, first: int, last: int) -> NDArray[np.uint8]:
        """Levels of sections ``first <= z < last``, ``(z, y, x)`` uint8."""
        return _quantise(self.filtered[first:last], self.mean, self.std, self.limits)

    def box(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Levels of the voxels ``start <= (z, y, x) < end``."""
        cut = tuple(slice(int(a), int(b)) for a, b in zip(start, end, strict=True))
        return _quantise(self.filtered[cut], self.mean, self.std, self.limits)


def grey_levels(
    tomogram: Tomogram,
    parameters: GreyParameters,
    contrast: Contrast = "dark",
    spool_folder: Path | None = None,
) -> GreyVolume:
    """Pair, filter and normalise a tomogram in one streaming pass.

    Parameters
    ----------
    tomogram
        Opened by `milopyp_shared.tomogram.open_tomogram`.
    parameters
        From the recipe or a preset.
    contrast
        ``bright`` negates the numbers before anything else, so that particles are dark as in training.
    spool_folder
        Where the temporary file of 4 bytes per paired voxel goes; the system's by default. It vanishes with the
        returned object.

    Raises
    ------
    InputError
        NaN or infinite voxels, a constant volume, or no room for the temporary file.
    """
    depth, rows, columns = tomogram.shape
    pairs = -(-depth // parameters.sections_per_pair)
    spool = _spool((pairs, rows, columns), spool_folder)
    total, squares, lowest, highest = 0.0, 0.0, np.inf, -np.inf
    for first, block in _filtered_slabs(tomogram, parameters, contrast, pairs):
        spool[first : first + len(block)] = block
        total += float(block.sum(dtype=np.float64))
        squares += float(np.einsum("zyx,zyx->", block, block, dtype=np.float64))
        lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
    mean = total / spool.size
    std = float(np.sqrt(max(squares / spool.size - mean * mean, 0.0)))
    if std == 0.0 or std < 1e-7 * max(abs(lowest), abs(highest)):
        raise InputError("all voxels are equal", where=tomogram.path, expected="a tomogram with contrast")
    levels = (0.0, 255.0)
    if parameters.stretch:
        ends = _quantise(np.array([lowest, highest], dtype=np.float32), mean, std, parameters.limits)
        levels = (float(ends[0]), float(ends[1]))
    return GreyVolume(spool, mean, std, parameters.limits, levels, parameters.sections_per_pair)


def pair_sections(sections: NDArray[Any], pairing: Pairing) -> NDArray[Any]:
    """Make one section of every two along z; an odd last one is passed on alone.

    ``max`` keeps the number type, as the published program does; ``mean`` gives float32.
    """
    if pairing == "none":
        return sections
    even, odd = sections[0::2], sections[1::2]
    paired = even.astype(np.float32) if pairing == "mean" else even.copy()
    if pairing == "mean":
        paired[: len(odd)] += odd
        paired[: len(odd)] *= np.float32(0.5)
    else:
        np.maximum(paired[: len(odd)], odd, out=paired[: len(odd)])
    return paired


def _filtered_slabs(
    tomogram: Tomogram, parameters: GreyParameters, contrast: Contrast, pairs: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (first paired section, filtered slab less an offset); slabs overlap by the filter's radius on reading."""
    from scipy.ndimage import gaussian_filter1d

    per_pair = parameters.sections_per_pair
    radius = int(4.0 * parameters.sigma[0] + 0.5)
    offset = None
    for first in range(0, pairs, SLAB):
        last = min(first + SLAB, pairs)
        low, high = max(first - radius, 0), min(last + radius, pairs)
        raw = tomogram.sections(low * per_pair, min(high * per_pair, tomogram.shape[0]))
        with np.errstate(over="ignore", invalid="ignore"):  # refused just below
            if contrast == "bright":
                raw = np.negative(raw, dtype=np.float32)
            block = pair_sections(raw, parameters.pairing).astype(np.float32)
            if offset is None:  # numbers far from zero would lose their small differences in the float32 filter
                offset = np.nan_to_num(np.float32(block.mean(dtype=np.float64)), posinf=0.0, neginf=0.0)
            block -= offset
        finite = np.isfinite(block).all(axis=(1, 2))
        if not finite.all():
            raise InputError(
                f"NaN or infinite voxels near section {(low + int(finite.argmin())) * per_pair}",
                where=tomogram.path,
                expected="finite numbers",
                remedy="Replace them, e.g. by the mean, before picking.",
            )
        for axis in (1, 2):
            if parameters.sigma[axis] > 0:
                block = gaussian_filter1d(block, parameters.sigma[axis], axis=axis, mode="reflect", truncate=4.0)
        if parameters.sigma[0] > 0:
            mirrored = _reflect(np.arange(first - radius, last + radius), pairs) - low
            block = gaussian_filter1d(block[mirrored], parameters.sigma[0], axis=0, mode="reflect", truncate=4.0)
            block = block[radius : radius + last - first]
        else:
            block = block[first - low : last - low]
        yield first, np.ascontiguousarray(block)


def _reflect(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Mirror positions outside 0..size-1 at the edges, the edge sample included."""
    index = index % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)


def _quantise(filtered: NDArray[np.float32], mean: float, std: float, limits: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = limits
    scale = 255.0 / (high - low)
    level = (filtered.astype(np.float32) - np.float32(mean)) * np.float32(scale / std) - np.float32(low * scale)
    quantised: NDArray[np.uint8] = np.rint(np.clip(level, 0.0, 255.0)).astype(np.uint8)
    return quantised


def _spool(shape: tuple[int, int, int], folder: Path | None) -> NDArray[np.float32]:
    """A float32 memory map on an unlinked temporary file whose space is reserved (no SIGBUS on a full disk)."""
    bytes_needed = 4 * shape[0] * shape[1] * shape[2]
    try:
        with tempfile.TemporaryFile(prefix="milopyp-grey-", dir=folder) as stream:
            os.posix_fallocate(stream.fileno(), 0, bytes_needed)
            return np.memmap(stream, dtype=np.float32, mode="r+", shape=shape)
    except OSError as error:
        raise InputError(
            f"{bytes_needed / 2**20:.0f} MiB of temporary space cannot be had ({error.strerror})",
            where=folder or "the temporary folder",
            expected="room for the grey levels of one tomogram",
            remedy="Set TMPDIR to a folder with free space.",
        ) from error
