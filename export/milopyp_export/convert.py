"""Checkpoint in, proven ONNX file out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnx
from torch import nn

from milopyp_shared.atomic import replacing
from milopyp_shared.errors import CheckError, UsageError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.recipe import Recipe

from . import parity
from .graph import OPSET, PickingGraph, write_graph, write_recipe
from .load import load_model
from .precision import TARGETS, Precision, Target, calibration_slabs, form_for, has_vnni, quantise
from .stated import Stated

_PACKAGES = ("onnx", "onnxruntime", "onnxruntime-gpu", "onnxscript")


@dataclass(frozen=True)
class ExportOptions:
    """What is wanted of an export.

    Attributes
    ----------
    precision
        ``fp32``, ``fp16`` or ``int8``.
    target
        ``cpu`` or ``gpu``: what the graph's form is for; None: the precision's usual one.
    stated
        What the command line says of the checkpoint's training.
    calibration
        Tomograms that int8 finds its ranges on.
    verify_on
        Tomograms to compare with PyTorch on; int8 takes those of `calibration` when there are none.
    reduce_range
        7-bit weights for int8; None: on machines without VNNI.
    """

    precision: Precision = "fp32"
    target: Target | None = None
    stated: Stated = field(default_factory=Stated)
    calibration: Sequence[ImageEntry] = ()
    verify_on: Sequence[ImageEntry] = ()
    reduce_range: bool | None = None

    def __post_init__(self) -> None:
        if self.precision == "int8":
            if not self.calibration:
                raise UsageError(
                    "int8 needs tomograms to find its ranges on",
                    where="--precision",
                    expected="--calibration LIST, an image list of a few of them",
                    remedy="Give the list of the training tomograms.",
                )
            if self.target == "gpu":
                raise UsageError("int8 files are for CPUs", where="--for", expected="--precision fp16 for GPUs")
            return
        for name, value in (("--calibration", self.calibration), ("--reduce-range", self.reduce_range)):
            if value:
                raise UsageError(f"has no effect on {self.precision}", where=name, expected="--precision int8 as well")


def picking_graph(network: nn.Module, recipe: Recipe) -> PickingGraph:
    """From grey levels to the heat map, as the recipe's preset has it."""
    return PickingGraph(network, clamp=1e-4 if recipe.preset == "published" else 0.0).eval()


def export(
    checkpoint: Path,
    output: Path,
    options: ExportOptions | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Recipe:
    """Export a checkpoint of ``milopyp-train`` or of the published program.

    The file is compared with PyTorch under a temporary name and gets its own only when it agrees.

    Returns
    -------
    The recipe in the file, parity figures included.

    Raises
    ------
    InputError, ContradictionError
        The checkpoint, or a tomogram, cannot be used, or is said to be something else.
    CheckError
        The exported network does not do what the PyTorch network does.
    """
    options = options or ExportOptions()
    network, recipe = load_model(checkpoint, options.stated)
    graph = picking_graph(network, recipe)
    recipe = replace(
        recipe,
        checkpoint_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        versions=recipe.versions | _versions(),
        precision=options.precision,
    )
    with replacing(output) as part:
        try:
            return _write(graph, recipe, part, options, say)
        except CheckError as error:
            raise CheckError(error.found, where=output, expected=error.expected, remedy=error.remedy) from error


def _write(
    graph: PickingGraph, recipe: Recipe, part: Path, options: ExportOptions, say: Callable[[str], None]
) -> Recipe:
    """Write the file, prove it, and put the figures into its recipe."""
    form = form_for(options.precision, options.target or TARGETS[options.precision])
    write_graph(graph, recipe, part, form, half=options.precision == "fp16")
    limit = parity.LIMITS.get(options.precision, parity.LIMIT)
    figures = {"opset": float(OPSET)} | parity.check(graph, part, recipe.geometry, limit)
    if options.precision == "int8":
        figures = {"opset": float(OPSET)} | _quantise(part, recipe, options, figures["max_difference"], say)
    if images := options.verify_on or options.calibration:
        figures |= parity.check_on(graph, part, recipe, images, say)
    recipe = replace(recipe, parity=figures)
    model = onnx.load(str(part))
    write_recipe(model, recipe)
    onnx.checker.check_model(model)
    onnx.save(model, str(part))
    return recipe


def _quantise(
    part: Path, recipe: Recipe, options: ExportOptions, before: float, say: Callable[[str], None]
) -> dict[str, float]:
    """Make the fp32 file `part` an int8 one; returns what the recipe says about it."""
    reduce_range = not has_vnni() if options.reduce_range is None else options.reduce_range
    if not has_vnni():
        say("this CPU has no VNNI: int8 is hardly faster than fp32 here")
    quantise(part, part, calibration_slabs(options.calibration, recipe), reduce_range)
    return {"fp32_max_difference": before, "reduced_range": float(reduce_range)}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # one of the two kinds of onnxruntime
            continue
    return found
