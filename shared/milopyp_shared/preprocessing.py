"""Grey levels: from a tomogram's numbers to the 256 levels that the network sees.

The steps are those of the published program with their constants as parameters: pair sections, z-score,
Gaussian filter, z-score, 256 levels between two limits. Mirrored filtering keeps constants, so the first
z-score is absorbed by the second one and a single pass suffices: read, pair, filter, gather statistics and
put the result on disk; the levels are applied when sections are read back.

With quantiles instead of moments, constant fill is replaced by a middle grey before it is filtered, and neither it nor
what a mask leaves out counts: borders, gold and broken voxels do not move the levels of the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .constant_fill import find_fill
from .errors import InputError
from .filtered_slabs import FilteredSlabs, Pairing, Sections, sections_per_pair
from .grey_statistics import Formula, GreyStatistics, Levels, Moments, Quantiles, Scale
from .masks import Mask
from .scratch_array import scratch_array

Contrast = Literal["dark", "bright"]


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
        return sections_per_pair(self.pairing)


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
    fill = None if parameters.statistics == "moments" else find_fill(tomogram)
    slabs = FilteredSlabs(tomogram, parameters.pairing, parameters.sigma, contrast == "bright", fill)
    filtered, sample = scratch_array(slabs.shape, folder=scratch_folder), Quantiles(slabs.shape)
    statistics: GreyStatistics = Moments() if parameters.statistics == "moments" else sample
    lowest, highest = np.inf, -np.inf
    for slab in slabs.made(threads):
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


def _quantise(filtered: NDArray[np.float32], mean: float, std: float, limits: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = limits
    scale = 255.0 / (high - low)
    level = (filtered.astype(np.float32) - np.float32(mean)) * np.float32(scale / std) - np.float32(low * scale)
    quantised: NDArray[np.uint8] = np.rint(np.clip(level, 0.0, 255.0)).astype(np.uint8)
    return quantised
