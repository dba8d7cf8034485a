"""One tomogram: grey levels, and heat map and candidates of each class."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import CheckError
from milopyp_shared.masks import Mask
from milopyp_shared.peaks import find_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Contrast, PreprocessedVolume, grey_levels
from milopyp_shared.recipe import Recipe
from milopyp_shared.resample import ResampledTomogram, resampled, scale_to
from milopyp_shared.scratch_array import scratch_array
from milopyp_shared.tiles import Piece, Read, Shape, by_class, heat_map_shape
from milopyp_shared.tomogram import Tomogram, TomogramHeader
from milopyp_shared.tta import averaged_heat_map

from .engine.model import Model


@dataclass(frozen=True)
class Prepared:
    """A tomogram with its grey levels.

    Attributes
    ----------
    seconds
        That making them took.
    rescaled
        Voxels of the training tomograms per voxel of this one: other than 1.0 if it is resampled to theirs.
    mask
        Where candidates may be; None: everywhere.
    """

    tomogram: Tomogram
    grey: PreprocessedVolume
    seconds: float
    rescaled: float = 1.0
    mask: Mask | None = None


@dataclass(frozen=True)
class Result:
    """What the network says of one tomogram and one class of particles.

    Attributes
    ----------
    heat
        ``(z, y, x)`` float32 heat map, 0..1, on a temporary file.
    candidates
        Every local maximum above the floor that the mask keeps, best first, nothing suppressed; voxels of the
        tomogram on disk.
    seconds
        Per stage.
    """

    heat: NDArray[np.float32]
    candidates: Picks
    seconds: dict[str, float]


def prepare(
    tomogram: Tomogram,
    recipe: Recipe,
    contrast: Contrast | None = None,
    rescale: bool = False,
    mask: Mask | None = None,
    *,
    threads: int = 1,
) -> Prepared:
    """Grey levels of a tomogram.

    Parameters
    ----------
    contrast
        Of the particles; the recipe's when None.
    rescale
        Resample it to the voxel size of the training.
    mask
        Where candidates may be, and what the grey levels are those of.
    threads
        That work on it at most.

    Raises
    ------
    InputError
        The tomogram has NaN voxels or no contrast, is written to meanwhile, or is to be rescaled and a voxel size is
        unknown.
    ContradictionError
        It is to be rescaled, and the voxel sizes are too far apart.
    """
    start = time.perf_counter()
    rescaled = rescaling(tomogram, recipe, rescale)
    scale = rescaled * recipe.scale
    counted = None if mask is None else mask.rescaled(scale)
    grey = grey_levels(resampled(tomogram, scale), recipe.grey, contrast or recipe.contrast, counted, threads=threads)
    return Prepared(tomogram, grey, time.perf_counter() - start, rescaled, mask)


def rescaling(tomogram: TomogramHeader, recipe: Recipe, rescale: bool) -> float:
    """`Prepared.rescaled` of a tomogram; parameters and errors are those of `prepare`."""
    return scale_to(tomogram, recipe.voxel_size) if rescale else 1.0


def run_network(
    prepared: Prepared,
    model: Model,
    flips: int | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Result]:
    """Heat map and candidates of one tomogram for each class; parameters and errors are those of `make_heat_map`."""
    heat, seconds = make_heat_map(prepared, model, flips, progress)
    start = time.perf_counter()
    heats = by_class(heat)
    with ThreadPoolExecutor(model.threads) as threads:
        found = list(threads.map(partial(_candidates, prepared=prepared, recipe=model.recipe), heats))
    seconds |= {"peaks": time.perf_counter() - start}
    return [Result(own, candidates, seconds) for own, candidates in zip(heats, found, strict=True)]


def _candidates(heat: NDArray[np.float32], prepared: Prepared, recipe: Recipe) -> Picks:
    candidates = find_candidates(heat, recipe.voxel_per_output)
    if prepared.rescaled != 1.0:
        training_like = ResampledTomogram(prepared.tomogram, prepared.rescaled)
        candidates = replace(candidates, xyz=training_like.back(candidates.xyz))
    if prepared.mask is not None:
        candidates = candidates[prepared.mask.keeps(candidates.xyz)]
    return candidates


def make_heat_map(
    prepared: Prepared,
    model: Model,
    flips: int | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Heat map of one tomogram, of several classes behind an axis of them, and the seconds of each stage until then.

    Parameters
    ----------
    flips
        Mirrored copies to average over, 1, 2 or 4; the recipe's when None.
    progress
        Is told the part that is done, 0..1.

    Raises
    ------
    CheckError
        The network gives NaN, or onnxruntime stops.
    UsageError
        The memory is too small.
    """
    grey = prepared.grey
    flips = flips or model.recipe.flips
    start = time.perf_counter()
    heat = scratch_array(heat_map_shape(grey.shape, model.recipe.geometry, len(model.recipe.classes)))
    done, in_network = 0, 0.0

    def run(read: Read, shape: Shape) -> Iterator[Piece]:
        nonlocal done, in_network
        before = time.perf_counter()
        for place, piece in model.iter_heat_map(read, shape, grey.input_range):
            if not np.isfinite(piece.max(initial=0.0)):
                raise CheckError("the network gives NaN", where=prepared.tomogram.path, remedy="Report the model file.")
            in_network += time.perf_counter() - before
            yield place, piece
            done += piece.size
            progress(done / (heat.size * flips))
            before = time.perf_counter()

    averaged_heat_map(grey.box, grey.shape, run, heat, flips, stride=model.recipe.geometry.stride)
    elapsed = time.perf_counter() - start
    return heat, {"preprocess": prepared.seconds, "network": in_network, "heat_map": elapsed - in_network}
