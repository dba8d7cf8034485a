"""Checkpoint in, proven ONNX file out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.openvino_runtime import obstacle_to_bf16
from milopyp_shared import cpu
from milopyp_shared.atomic import atomic_write
from milopyp_shared.commandline import spelled
from milopyp_shared.errors import CheckError, MissingDependency, UsageError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.recipe import CHUNKS_KEY, VOLUME_KEY, Chunks, Recipe
from milopyp_shared.wording import counted
from milopyp_training.losses.focal import CLAMP
from milopyp_training.networks.base import PickingNetwork

from . import parity
from .embedding import embed
from .graph import OPSET, LoweredGraph, PickingGraph, make_graph, volume_graphs, write_recipe
from .load import load_model
from .lowering import Layout
from .precision import (
    TARGETS,
    Precision,
    Target,
    calibration_slabs,
    layout_for,
    quantise,
    with_memory,
    with_weights_folded,
)
from .published_options import TrainingFacts
from .shipped_graph import picking_graphs
from .streaming_graph import make_streaming_graph, streaming_inputs

_PACKAGES = ("onnx", "onnxruntime", "onnxruntime-gpu", "onnxscript")


#: By precision, the tomograms that it cannot do without, and what for.
_WANTS = {"int8": ("calibration", "to find its ranges on"), "bf16": ("verify_on", "to be judged by")}


@dataclass(frozen=True)
class ExportOptions:
    """What is wanted of an export.

    Attributes
    ----------
    precision
        ``fp32``, ``fp16``, ``bf16`` (the graphs of fp32, judged as OpenVINO runs them in bf16) or ``int8``.
    target
        ``cpu`` or ``gpu``: what the graph's layout is for; None: the precision's usual one.
    facts
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
    facts: TrainingFacts = field(default_factory=TrainingFacts)
    calibration: Sequence[ImageEntry] = ()
    verify_on: Sequence[ImageEntry] = ()
    reduce_range: bool | None = None

    def __post_init__(self) -> None:
        if self.precision in _WANTS:
            self._refuse_what_is_missing(*_WANTS[self.precision])
        if self.precision == "bf16" and (reason := obstacle_to_bf16()):
            raise MissingDependency(f"bf16 cannot be judged here: {reason}", where="--precision", expected="fp32")
        for name, value in (("--calibration", self.calibration), ("--reduce-range", self.reduce_range)):
            if value and self.precision != "int8":
                raise UsageError(f"has no effect on {self.precision}", where=name, expected="--precision int8 as well")

    def _refuse_what_is_missing(self, attribute: str, purpose: str) -> None:
        if not getattr(self, attribute):
            raise UsageError(
                f"{self.precision} needs tomograms {purpose}",
                where="--precision",
                expected=f"{spelled(attribute)} LIST, an image list of a few of them",
                remedy="Give the list of the training tomograms.",
            )
        if self.target == "gpu":
            raise UsageError(
                f"{self.precision} files are for CPUs", where="--for", expected="--precision fp16 for GPUs"
            )


def picking_graph(network: PickingNetwork, recipe: Recipe) -> PickingGraph:
    """From grey levels to the heat map, as the recipe's preset has it."""
    return PickingGraph(network, clamp=CLAMP if recipe.preset == "published" else 0.0).eval()


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
    network, recipe = load_model(checkpoint, options.facts)
    graph = picking_graph(network, recipe)
    recipe = replace(
        recipe,
        checkpoint_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        versions=recipe.versions | _versions(),
        precision=options.precision,
    )
    with atomic_write(output) as part:
        try:
            return _write(graph, recipe, part, options, say)
        except CheckError as error:
            raise CheckError(error.found, where=output, expected=error.expected, remedy=error.remedy) from error


@dataclass(frozen=True)
class Built:
    """The graphs of a file.

    Attributes
    ----------
    whole
        For volumes and tiles.
    further
        By their metadata keys, see `milopyp_shared.recipe`; none in the layout ``conv3d``.
    recipe
        With the description of the streaming graph, and no parity figures yet.
    """

    whole: onnx.ModelProto
    further: Mapping[str, onnx.ModelProto]
    recipe: Recipe

    def save(self, path: Path, figures: dict[str, float] | None = None) -> Recipe:
        """Write one file of all graphs; returns the recipe in it, with the parity `figures`."""
        recipe = replace(self.recipe, parity=figures or {})
        model = onnx.ModelProto()
        model.CopyFrom(self.whole)  # which may be made into another file: nothing of this one may stay in it
        for key, graph in self.further.items():
            embed(model, graph, key)
        write_recipe(model, recipe)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return recipe


def build(graph: PickingGraph, recipe: Recipe, layout: Layout = "conv2d_sum", half: bool = False) -> Built:
    """Export `graph` in one of the layouts of `milopyp_export.lowering`; `half` as for `graph.make_graph`."""
    known = picking_graphs(graph) if layout == "conv2d_sum" and not half else None
    whole, further, chunks = known or _traced(graph, layout, half)
    return Built(whole, further, with_memory(replace(recipe, chunks=chunks)))


def _traced(
    graph: PickingGraph, layout: Layout, half: bool
) -> tuple[onnx.ModelProto, dict[str, onnx.ModelProto], Chunks | None]:
    """All graphs, and the description of the streaming one."""
    whole = make_graph(graph, layout, half)
    if layout == "conv3d":
        return whole, {}, None
    streaming, chunks = make_streaming_graph(LoweredGraph(graph, layout))
    return whole, {CHUNKS_KEY: streaming} | volume_graphs(LoweredGraph(graph, "volume")), chunks


def _write(
    graph: PickingGraph, recipe: Recipe, part: Path, options: ExportOptions, say: Callable[[str], None]
) -> Recipe:
    """Write the file, prove it, and put the figures into its recipe."""
    target = options.target or TARGETS[options.precision]
    layout = layout_for(graph.network, options.precision, target)
    if target == "cpu" and layout == "conv3d":
        say(f"{recipe.architecture} has no layout for CPUs: it is slower there than it could be, and picks in tiles")
    say("writing the graphs")
    built = build(graph, recipe, layout, half=options.precision == "fp16")
    built.save(part)
    say("comparing them with PyTorch")
    limit = parity.LIMITS.get(options.precision, parity.LIMIT)
    figures = parity.check(graph, part, recipe.geometry, limit)
    if options.precision == "int8":
        plain = bool(cpu.flags()) and not cpu.int8_pays()  # where nothing is known: the usual range
        reduce_range = plain if options.reduce_range is None else options.reduce_range
        if plain:
            say("this CPU has no VNNI: int8 is hardly faster than fp32 here")
        say(f"rounding to integers, by {counted(len(options.calibration), 'tomogram')}")
        built = in_integers(built, list(calibration_slabs(options.calibration, built.recipe)), reduce_range)
        built.save(part)
        figures = {"fp32_max_difference": figures["max_difference"], "reduced_range": float(reduce_range)}
    if built.further:
        figures["chunks_max_difference"] = parity.check_streaming(part, built.recipe)
        figures["volume_max_difference"] = parity.check_volumes(
            read_model_file(part), limit=math.inf if options.precision == "int8" else parity.LIMIT
        )
    if images := options.verify_on or options.calibration:
        figures |= parity.check_on(graph, part, recipe, images, say)
    return built.save(part, {"opset": float(OPSET)} | figures)


def in_integers(built: Built, slabs: Sequence[dict[str, NDArray[Any]]], reduce_range: bool) -> Built:
    """The graphs in integers, calibrated on the same slabs; parameters as for `precision.quantise`."""
    whole = quantise(built.whole, slabs, reduce_range)
    if built.recipe.chunks is None:
        return replace(built, whole=whole)
    inputs = streaming_inputs(built.further[CHUNKS_KEY], built.recipe.chunks, slabs)
    # in integers the graph for whole pooling windows is hardly faster than the one for any size
    further = {
        CHUNKS_KEY: quantise(built.further[CHUNKS_KEY], inputs, reduce_range),
        VOLUME_KEY: quantise(with_weights_folded(built.further[VOLUME_KEY]), slabs, reduce_range),
    }
    return replace(built, whole=whole, further=further)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # one of the two kinds of onnxruntime
            continue
    return found
