"""Picking from Python, for notebooks and scripts."""

from __future__ import annotations

from pathlib import Path

from milopyp_shared import axes
from milopyp_shared.masks import open_mask
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.tomogram import Tomogram, open_tomogram

from .decode.select import Selection, select_picks
from .engine import model as models
from .engine.machine import AUTO, Machine
from .engine.model import Model
from .engine.planning import parse_memory
from .pipeline import prepare, run_network


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
        ONNX file of milopyp-export.
    provider
        ``cpu``, ``cuda``, ``tensorrt``, or ``auto`` for the best that works here.
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
    return models.open_model(path, Machine(provider, device, threads, bound))


def pick(
    tomogram: str | Path | Tomogram,
    model: str | Path | Model,
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
    mask: str | Path | None = None,
) -> Picks:
    """Pick one tomogram; the same picks as those of ``milopyp-infer``.

    Parameters
    ----------
    tomogram
        MRC file, or one that `milopyp_shared.tomogram.open_tomogram` has opened; `order` and `voxel_size` are for
        files.
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
        Order word of the file's axes, or ``auto``.
    voxel_size
        Angstrom; overrides the header.
    contrast
        ``dark`` or ``bright`` particles; None: as in training.
    rescale
        Resample to the voxel size of the training.
    flips
        Mirrored copies to average over, 1, 2 or 4; None: the model's.
    mask
        MRC file on the tomogram: nothing is picked where it is not above 0.5.

    Returns
    -------
    Picks, best first: ``xyz`` ``(n, 3)`` voxels of the inside frame (x, y in the plane, z along the thickness, centre
    of the first voxel at 0), whatever the file's axis order; ``score`` ``(n,)``, 0..1.

    Raises
    ------
    MilopypError
        One of its kinds, with one line that says what is wrong, where, and what to do.
    """
    if not isinstance(model, Model):
        model = open_model(model)
    if not isinstance(tomogram, Tomogram):
        tomogram = open_tomogram(tomogram, order, voxel_size)
    kept = None if mask is None else open_mask(Path(mask), tomogram)
    prepared = prepare(tomogram, model.recipe, contrast, rescale, kept)
    result = run_network(prepared, model, flips)
    selection = Selection(
        threshold=model.recipe.threshold.score if threshold is None else threshold,
        distance=model.recipe.suppression_distance / prepared.scale if distance is None else distance,
        limit=limit,
        margin=margin,
    )
    return select_picks(result.candidates, selection, tomogram.frame)
