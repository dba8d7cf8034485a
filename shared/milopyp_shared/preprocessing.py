"""Grey levels: from a tomogram's numbers to the 256 levels that the network sees.

The steps are those of the published program with their constants as parameters: pair sections, z-score,
Gaussian filter, z-score, 256 levels between two limits. Mirrored filtering keeps constants, so the first
z-score is absorbed by the second one and a single pass suffices: read, pair, filter, gather statistics and
put the result on disk; the levels are applied when sections are read back.

With quantiles instead of moments, constant fill is replaced by a middle grey before it is filtered, and neither it nor
what a mask leaves out counts: borders, gold and broken voxels do not move the levels of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .constant_fill import Fill, find_fill
from .errors import InputError
from .grey_statistics import Formula, GreyStatistics, Levels, Moments, Quantiles, Scale
from .masks import Mask
from .prefetch import Workers
from .scratch_array import scratch_array

Pairing = Literal["none", "max", "mean"]
Contrast = Literal["dark", "bright"]

# Paired sections and voxels per step, and voxels of all threads' steps: bounds of the working memory.
_SECTIONS, _VOXELS, _IN_FLIGHT = 32, 2_000_000, 12_000_000


@dataclass(frozen=True)
class Preprocessing:
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
    statistics
        What a z-score is: by ``moments`` (mean and standard deviation of all voxels, published), or by ``quantiles``.
    """

    pairing: Pairing = "mean"
    sigma: tuple[float, float, float] = (0.4, 0.8, 0.8)
    limits: tuple[float, float] = (-4.0, 4.0)
    stretch: bool = False
    statistics: Formula = "quantiles"

    @property
    def sections_per_pair(self) -> int:
        """Full-resolution sections per section that the network sees."""
        return 1 if self.pairing == "none" else 2


class Sections(Protocol):
    """What grey levels are made of: a `Tomogram`, or one that is resampled while it is read."""

    @property
    def path(self) -> Path:
        """Where it comes from."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)``."""

    def sections(self, first: int, last: int) -> NDArray[Any]:
        """Sections ``first <= z < last``, ``(z, y, x)``."""

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the file has been written to since it was opened."""


def published(gauss: float = 0.8, compress: bool = True) -> Preprocessing:
    """Parameters of the published program for its options ``--gauss`` and ``--compress``."""
    limits = (-3.0, 3.0) if gauss > 0 else (-2.5, 2.0)
    return Preprocessing(
        "max" if compress else "none", (gauss, gauss, gauss), limits, stretch=True, statistics="moments"
    )


@dataclass(frozen=True)
class PreprocessedVolume:
    """Grey levels of one tomogram, read by sections.

    Attributes
    ----------
    filtered
        ``(z, y, x)`` float32 memory map: paired and filtered numbers less `offset`.
    centre, unit
        What z-score 0 is in `filtered`, and how much one z-score is.
    limits
        z-scores that become level 0 and level 255.
    input_range
        The grey levels that mean 0 and 1 to the network.
    sections_per_pair
        Full-resolution sections per section.
    levels
        How the z-scores of its voxels are spread; None where hardly any counts.
    """

    filtered: NDArray[np.float32]
    centre: float
    unit: float
    limits: tuple[float, float]
    input_range: tuple[float, float]
    sections_per_pair: int
    levels: Levels | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)`` after pairing."""
        z, y, x = self.filtered.shape
        return (z, y, x)

    def sections(self, first: int, last: int) -> NDArray[np.uint8]:
        """Levels of sections ``first <= z < last``, ``(z, y, x)`` uint8."""
        return _quantise(self.filtered[first:last], self.centre, self.unit, self.limits)

    def box(self, start: Sequence[int], end: Sequence[int]) -> NDArray[np.uint8]:
        """Levels of the voxels ``start <= (z, y, x) < end``."""
        cut = tuple(slice(a, b) for a, b in zip(start, end, strict=True))
        return _quantise(self.filtered[cut], self.centre, self.unit, self.limits)


def grey_levels(
    tomogram: Sections,
    parameters: Preprocessing,
    contrast: Contrast = "dark",
    mask: Mask | None = None,
    scratch_folder: Path | None = None,
    *,
    threads: int = 1,
) -> PreprocessedVolume:
    """Pair, filter and normalise a tomogram in one streaming pass.

    Parameters
    ----------
    tomogram
        Opened by `milopyp_shared.tomogram.open_tomogram`, as it is or through `milopyp_shared.resample.resampled`.
    parameters
        From the recipe or a preset.
    contrast
        ``bright`` negates the numbers before anything else, so that particles are dark as in training.
    mask
        Which voxels of `tomogram` the quantiles are taken of; moments are those of all.
    scratch_folder
        Where the temporary file of 4 bytes per paired voxel goes; the system's by default. It vanishes with the
        returned object.
    threads
        That filter at the same time; fewer where their memory would be much. The result is the same.

    Raises
    ------
    InputError
        NaN or infinite voxels, a volume without contrast, a file that is written to meanwhile, or no room for the
        temporary file.
    """
    depth, rows, columns = tomogram.shape
    shape = (-(-depth // parameters.sections_per_pair), rows, columns)
    filtered = scratch_array(shape, folder=scratch_folder)
    fill = None if parameters.statistics == "moments" else find_fill(tomogram)
    sample = Quantiles(shape)
    statistics: GreyStatistics = Moments() if parameters.statistics == "moments" else sample
    lowest, highest = np.inf, -np.inf
    for slab in _Steps(tomogram, parameters, contrast, fill).slabs(threads):
        first, block, counted = slab.first, slab.voxels, slab.counted
        filtered[first : first + len(block)] = block
        if mask is not None:
            counted &= mask.on_grid((first, 0, 0), counted.shape, (parameters.sections_per_pair, 1, 1))
        sample.add(block, counted, first)
        if statistics is not sample:
            statistics.add(block, counted, first)
        lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
    tomogram.raise_if_modified()
    centre, unit = statistics.scale()
    if unit == 0.0 or unit < 1e-7 * max(abs(lowest), abs(highest)):
        found = "all voxels are equal" if lowest == highest else "most voxels are equal"
        raise InputError(found, where=tomogram.path, expected="a tomogram with contrast")
    input_range = (0.0, 255.0)
    if parameters.stretch:
        ends = _quantise(np.array([lowest, highest], dtype=np.float32), centre, unit, parameters.limits)
        input_range = (float(ends[0]), float(ends[1]))
    levels, per_pair = sample.levels(Scale(centre, unit)), parameters.sections_per_pair
    return PreprocessedVolume(filtered, centre, unit, parameters.limits, input_range, per_pair, levels)


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


@dataclass(frozen=True)
class _Block:
    """Paired sections from `first` on, and which of their voxels are no constant fill."""

    first: int
    voxels: NDArray[np.float32]
    counted: NDArray[np.bool_]


@dataclass(frozen=True)
class _Steps:
    """How the sections of a tomogram become filtered slabs; what needs no order may be done by several threads."""

    tomogram: Sections
    parameters: Preprocessing
    contrast: Contrast
    fill: Fill | None

    @property
    def pairs(self) -> int:
        """Paired sections."""
        return -(-self.tomogram.shape[0] // self.parameters.sections_per_pair)

    @property
    def at_once(self) -> int:
        """Paired sections of a slab."""
        return max(min(_SECTIONS, _VOXELS // (self.tomogram.shape[1] * self.tomogram.shape[2])), 1)

    @property
    def radius(self) -> int:
        """Paired sections that the filter reaches."""
        return int(4.0 * self.parameters.sigma[0] + 0.5)

    def slabs(self, threads: int) -> Iterator[_Block]:
        """Filtered slabs less an offset from top to bottom; every section is read and filtered once."""
        _, rows, columns = self.tomogram.shape
        threads = min(threads, _IN_FLIGHT // ((self.at_once + 2 * self.radius) * rows * columns))
        with Workers(threads) as workers:
            flat = workers.map(self._filter_in_the_plane, self._blocks())
            yield from workers.map(self._filter_along_z, self._windows(flat))

    def _blocks(self) -> Iterator[_Block]:
        """Paired sections less an offset, as many at a time as the next slab still needs."""
        high, offset = 0, None
        for first in range(0, self.pairs, self.at_once):
            end = min(first + self.at_once + self.radius, self.pairs)
            if end > high:
                block, counted = self._paired(range(high, end))
                if offset is None:  # numbers far from zero would lose their small differences in the float32 filter
                    offset = np.nan_to_num(np.float32(block.mean(dtype=np.float64)), posinf=0.0, neginf=0.0)
                with np.errstate(invalid="ignore"):
                    block -= offset
                yield _Block(high, block, counted)
                high = end

    def _paired(self, pairs: range) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Paired sections, particles dark, and which of their voxels are no constant fill."""
        per_pair = self.parameters.sections_per_pair
        raw = self.tomogram.sections(pairs.start * per_pair, min(pairs.stop * per_pair, self.tomogram.shape[0]))
        kept = np.ones((len(pairs), *raw.shape[1:]), dtype=np.bool_)
        with np.errstate(over="ignore", invalid="ignore"):  # refused later
            if self.fill is not None:
                raw, constant = self.fill.replaced(raw)
                if constant is not None:
                    kept = ~pair_sections(constant, "none" if per_pair == 1 else "max")
            if self.contrast == "bright":
                raw = np.negative(raw, dtype=np.float32)
            return pair_sections(raw, self.parameters.pairing).astype(np.float32, copy=False), kept

    def _filter_in_the_plane(self, block: _Block) -> _Block:
        from scipy.ndimage import gaussian_filter1d

        per_pair, sigma, voxels = self.parameters.sections_per_pair, self.parameters.sigma, block.voxels
        _refuse_infinite(voxels, block.first * per_pair, per_pair, self.tomogram)
        for axis in (1, 2):
            if sigma[axis] > 0:
                voxels = gaussian_filter1d(voxels, sigma[axis], axis=axis, mode="reflect", truncate=4.0)
        return _Block(block.first, voxels, block.counted)

    def _windows(self, blocks: Iterator[_Block]) -> Iterator[tuple[range, _Block]]:
        """The sections of each slab, and all that the filter along z sees of them."""
        _, rows, columns = self.tomogram.shape
        held = _Block(0, np.empty((0, rows, columns), np.float32), np.empty((0, rows, columns), np.bool_))
        for first in range(0, self.pairs, self.at_once):
            last = min(first + self.at_once, self.pairs)
            start, end = max(first - self.radius, 0), min(last + self.radius, self.pairs)
            if end > held.first + len(held.voxels):
                more, seen = next(blocks), start - held.first
                voxels = np.concatenate([held.voxels[seen:], more.voxels])
                held = _Block(start, voxels, np.concatenate([held.counted[seen:], more.counted]))
            yield range(first, last), held

    def _filter_along_z(self, window: tuple[range, _Block]) -> _Block:
        from scipy.ndimage import gaussian_filter1d

        (own, seen), sigma, radius = window, self.parameters.sigma[0], self.radius
        inside = slice(own.start - seen.first, own.stop - seen.first)
        voxels = seen.voxels[inside]
        if sigma > 0:
            mirrored = _reflect(np.arange(own.start - radius, own.stop + radius), self.pairs) - seen.first
            filtered = gaussian_filter1d(seen.voxels[mirrored], sigma, axis=0, mode="reflect", truncate=4.0)
            voxels = filtered[radius : radius + len(own)]
        return _Block(own.start, voxels, seen.counted[inside])


def _refuse_infinite(block: NDArray[np.float32], first: int, per_pair: int, tomogram: Sections) -> None:
    finite = np.isfinite(block).all(axis=(1, 2))
    if not finite.all():
        raise InputError(
            f"NaN or infinite voxels near section {first + int(finite.argmin()) * per_pair}",
            where=tomogram.path,
            expected="finite numbers",
            remedy="Replace them, e.g. by the mean, before picking.",
        )


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
