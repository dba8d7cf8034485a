"""Picking from Python, for notebooks and scripts."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.arrays import MaskLike, TomogramLike, as_mask, as_tomogram
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.files import as_path
from milopyp_shared.header_checks import refuse_unequal_voxels
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.tomogram import Tomogram
from milopyp_shared.tta import SETS

from .decode.select import Selection, margin_in_voxels, select_picks
from .engine.machine import AUTO, Machine
from .engine.model import Model
from .engine.model import open_model as open_on
from .engine.planning import parse_memory
from .pipeline import make_heat_map, prepare, run_network

ModelLike: TypeAlias = "str | os.PathLike[str] | Model"


def open_model(
    path: str | Path,
    *,
    provider: str = AUTO,
    device: int | None = None,
    threads: int | None = None,
    memory: str | None = None,
) -> Model:
    """Open a model file once, to pick many tomograms with it.

    Parameters
    ----------
    path
        ONNX file of milopyp-export, or a checkpoint, which is exported where there is no such file of it.
    provider
        ``cpu``, ``openvino``, ``cuda``, ``tensorrt``, or ``auto`` for the best that works here.
    device
        Number of the GPU to use; None: the first one, if there is any.
    threads
        CPU threads; None: all that are allowed.
    memory
        Bound such as ``"2GB"``; None: 1 GB on the CPU.

    Raises
    ------
    InputError, ContradictionError, CheckError, UsageError, MissingDependency
        The file is no such model, or cannot run here.
    """
    bound = None if memory is None else parse_memory(memory)
    return open_on(as_path(path, "model"), Machine(provider, device, threads, bound), Console().say)


def pick(
    tomogram: TomogramLike,
    model: ModelLike,
    *,
    threshold: float | None = None,
    limit: int | None = None,
    distance: float | None = None,
    margin: float = 0.0,
    order: str = axes.AUTO,
    voxel_size: float | None = None,
    contrast: Contrast | None = None,
    rescale: bool = False,
    flips: int | None = None,
    mask: MaskLike | None = None,
    particle: str | None = None,
) -> Picks:
    """Pick one tomogram; the same picks as those of ``milopyp-infer``.

    Parameters
    ----------
    tomogram
        MRC file, or OME-Zarr store (its first level, or the one that the path names: ``TS_01.zarr/1``); one that
        `milopyp_shared.tomogram.open_tomogram` has opened; or an array ``(z, y, x)`` of integers or floating-point
        numbers, which is neither copied nor changed.
    model
        ONNX file, or the model that `open_model` has opened.
    threshold
        Picks score above this; None: the model's suggestion.
    limit
        The best so many; None: all.
    distance
        Voxels between picks at least; None: 0.6 particle diameters.
    margin
        Angstrom from the faces within which nothing is picked.
    order
        Order word of the file's axes, or ``auto``; an array has none.
    voxel_size
        Angstrom; overrides the header.
    contrast
        ``dark`` or ``bright`` particles; None: as in training.
    rescale
        Resample to the voxel size of the training.
    flips
        Mirrored copies to average over, 1, 2 or 4; None: the model's.
    mask
        MRC file on the tomogram, or an array ``(z, y, x)`` of booleans: nothing is picked where it is not set (not
        above 0.5).
    particle
        The class that is wanted, of a model of several (``model.recipe.classes``).

    Returns
    -------
    Picks, best first: ``xyz`` ``(n, 3)`` voxels of the inside frame (x, y in the plane, z along the thickness, centre
    of the first voxel at 0), whatever the file's axis order; ``score`` ``(n,)``, 0..1.

    Raises
    ------
    MilopypError
        One of its kinds, with one line that says what is wrong, where, and what to do.
    """
    _require("threshold", threshold, lambda value: value is None or 0 <= value <= 1, "a score from 0 to 1")
    _require("limit", limit, lambda value: value is None or operator.index(value) >= 1, "a whole number, 1 or more")
    _require("distance", distance, lambda value: value is None or 0 <= value < np.inf, "voxels, 0 or more")
    _require("margin", margin, lambda value: 0 <= value < np.inf, "Angstrom, 0 or more")
    _require_seen(contrast, flips)
    opened, volume = _opened(model), _checked(tomogram, order, voxel_size)
    kind = _kind_of(particle, opened)
    recipe = opened.recipe.classes[kind]
    selection = Selection(
        threshold=recipe.threshold.score if threshold is None else threshold,
        distance=recipe.suppression_distance if distance is None else distance,
        limit=limit,
        margin=margin,
    )
    margin_in_voxels(selection, volume.frame)  # known to be impossible before the work is done
    kept = None if mask is None else as_mask(mask, volume)
    prepared = prepare(volume, opened.recipe, contrast, rescale, kept, threads=opened.threads)
    if distance is None:
        selection = replace(selection, distance=selection.distance / prepared.rescaled)
    return select_picks(run_network(prepared, opened, flips)[kind].candidates, selection, volume.frame)


def heat_map(
    tomogram: TomogramLike,
    model: ModelLike,
    *,
    order: str = axes.AUTO,
    voxel_size: float | None = None,
    contrast: Contrast | None = None,
    rescale: bool = False,
    flips: int | None = None,
) -> NDArray[np.float32]:
    """What the network says of one tomogram, which the picks are the maxima of; parameters and errors as of `pick`.

    Returns
    -------
    ``(z, y, x)`` float32, 0..1, on a temporary file; of several classes ``(classes, z, y, x)``. One of its voxels
    covers ``model.recipe.voxel_per_output`` ``(z, y, x)`` voxels of the tomogram; with `rescale`, of the tomogram as it
    is resampled.
    """
    _require_seen(contrast, flips)
    opened = _opened(model)
    volume = _checked(tomogram, order, voxel_size)
    prepared = prepare(volume, opened.recipe, contrast, rescale, threads=opened.threads)
    return make_heat_map(prepared, opened, flips)[0]


def _checked(value: TomogramLike, order: str, voxel_size: float | None) -> Tomogram:
    tomogram = as_tomogram(value, order, voxel_size)
    refuse_unequal_voxels(tomogram)
    return tomogram


def _kind_of(particle: str | None, model: Model) -> int:
    """The number of a class."""
    names = [one.particle for one in model.recipe.classes]
    if particle is None and len(names) == 1:
        return 0
    known = f"one of {', '.join(names)}, which {model.path.name} finds"
    _require("particle", particle, lambda value: value in names, known)
    return names.index(str(particle))


def _opened(model: ModelLike) -> Model:
    if isinstance(model, Model):
        return model
    return open_model(as_path(model, "model", "an ONNX file of milopyp-export, or what open_model gives"))


def _require_seen(contrast: str | None, flips: int | None) -> None:
    _require("contrast", contrast, lambda value: value in (None, "dark", "bright"), "dark or bright")
    _require("flips", flips, lambda value: value is None or value in SETS, "1, 2 or 4")


def _require(name: str, value: Any, fits: Callable[[Any], bool], expected: str) -> None:
    try:
        refused = not fits(value)
    except (TypeError, ValueError):  # what cannot be compared
        refused = True
    if refused:
        raise UsageError(f"{value!r}", where=name, expected=expected)
