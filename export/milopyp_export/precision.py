"""Arithmetic of the exported file: fp32, fp16 for GPUs, int8 for CPUs.

fp16 is made from the PyTorch network (`graph.make_graph`): weights and everything between the scaling of the grey
levels and the sigmoid are half precision, those two and the file's inputs and output are not.

int8 is made from the fp32 file: static quantisation with explicit quantise and dequantise operators, unsigned
activations, signed weights with a scale per output channel, ranges from the extremes over slabs of real tomograms.
The first convolution (its input is grey levels already, and it is as fast in fp32) and the last one (it makes the
scores) stay in fp32.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from milopyp_inference.engine.runtime import import_onnxruntime
from milopyp_inference.pipeline import prepare
from milopyp_shared import axes
from milopyp_shared.graph_names import INPUTS
from milopyp_shared.lists import ImageEntry
from milopyp_shared.recipe import Recipe
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.registry import NETWORKS

from .lowering import LOWERINGS, Layout

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Target = Literal["cpu", "gpu"]

TARGETS: dict[str, Target] = {"fp32": "cpu", "fp16": "gpu", "bf16": "cpu", "int8": "cpu"}
_QUANTISED = ("Conv", "MaxPool", "Concat", "Slice", "Max", "Unsqueeze", "Reshape", "Resize", "Mul")

# Enough of a tomogram to meet its extremes, little enough to take seconds.
_TOMOGRAMS, _SLABS, _SECTIONS, _EDGE = 8, 3, 12, 512


def layout_for(network: PickingNetwork, precision: Precision, target: Target) -> Layout:
    """The layout in which a network runs fastest, of those that it has; see `milopyp_export.lowering`."""
    if target == "gpu" or type(network) not in LOWERINGS:
        return "conv3d"
    return "conv2d_stack" if precision == "int8" else "conv2d_sum"


def with_memory(recipe: Recipe) -> Recipe:
    """The recipe, with the memory per input voxel of its network at work in onnxruntime on the CPU."""
    spec, options = NETWORKS[recipe.architecture], recipe.architecture_options
    working = (recipe.precision == "int8" and spec.int8_working_bytes) or spec.working_bytes(options)
    if spec.tile_bytes is None or recipe.chunks is None:  # as 3D convolutions it was not measured
        return replace(recipe, working_bytes=working)
    return replace(recipe, working_bytes=working, tile_bytes=spec.tile_bytes(options))


def calibration_slabs(images: Sequence[ImageEntry], recipe: Recipe) -> Iterator[dict[str, NDArray[Any]]]:
    """Inputs of the graph from up to 8 tomograms: slabs at three depths of each, their middle when they are wide.

    Raises
    ------
    InputError
        A tomogram that cannot be read.
    """
    chosen = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, _TOMOGRAMS).round().astype(int))]
    for image in chosen:
        grey = prepare(open_tomogram(image.path, recipe.order or axes.AUTO), recipe).grey
        depth, rows, columns = grey.shape
        y, x = max(rows - _EDGE, 0) // 2, max(columns - _EDGE, 0) // 2
        for first in np.unique(np.linspace(0, max(depth - _SECTIONS, 0), _SLABS).astype(int)):
            slab = grey.sections(int(first), min(int(first) + _SECTIONS, depth))[:, y : y + _EDGE, x : x + _EDGE]
            levels = np.array(grey.input_range, dtype=np.float32)
            yield dict(zip(INPUTS, (np.ascontiguousarray(slab)[None], levels), strict=True))


def quantise(model: onnx.ModelProto, slabs: Iterable[dict[str, NDArray[Any]]], reduce_range: bool) -> onnx.ModelProto:
    """An int8 copy of an fp32 graph.

    Parameters
    ----------
    model
        In the layout ``conv2d_stack``, for volumes and tiles, or streaming; or in the layout ``volume``.
    slabs
        Inputs to calibrate with.
    reduce_range
        Weights of 7 bits: without VNNI the sums of 8-bit products overflow 16 bits.
    """
    quantization = import_onnxruntime("quantization")
    reader: Any = quantization.CalibrationDataReader
    inputs = iter(slabs)

    class Reader(reader):
        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(inputs, None)

    with _quiet(), tempfile.TemporaryDirectory(prefix="milopyp-") as folder:
        model = onnx.shape_inference.infer_shapes(model)
        source = Path(folder, "model.onnx")
        onnx.save(model, str(source))
        calibrator = quantization.calibrate.create_calibrator(
            source,
            list(_QUANTISED),
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        calibrator.collect_data(Reader())
        ranges = calibrator.compute_data()
        del calibrator
        _share_ranges(model, ranges)
        quantiser = quantization.qdq_quantizer.QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=reduce_range,
            weight_qType=quantization.QuantType.QInt8,
            activation_qType=quantization.QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=sorted(kept_in_fp32(model)),
            op_types_to_quantize=list(_QUANTISED),
            extra_options={},
        )
        quantiser.quantize_model()
        quantiser.model.topological_sort()
        quantised: onnx.ModelProto = quantiser.model.model
    return quantised


def with_weights_folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, what it makes of weights alone being weights, as `quantise` wants them."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="milopyp-") as folder:
        path = Path(folder, "folded.onnx")
        options.optimized_model_filepath = str(path)
        runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(str(path))


def _share_ranges(model: onnx.ModelProto, ranges: Any) -> None:
    """One range for a state, what it is put before, and both together, so that a state is rounded once only."""
    for node in model.graph.node:
        if node.op_type != "Concat" or not node.input[0].startswith("state_"):
            continue
        state, x = node.input
        after = state.replace("state", "after")
        names = [name for name in (state, x, node.output[0], after) if name in ranges]
        widest = max((ranges[name] for name in names), key=lambda found: (found.highest - found.lowest).item())
        for name in names:
            ranges[name] = widest


def kept_in_fp32(model: onnx.ModelProto) -> set[str]:
    """Names of the operators up to the first convolution, and of the last one."""
    nodes = list(model.graph.node)
    convolutions = [number for number, node in enumerate(nodes) if node.op_type == "Conv"]
    kept = {nodes[convolutions[0]].name, nodes[convolutions[-1]].name}
    needed = set(nodes[convolutions[0]].input)
    for node in reversed(nodes[: convolutions[0]]):
        if needed & set(node.output):
            kept.add(node.name)
            needed |= set(node.input)
    return kept


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser's advice on preparing the model goes to the root logger; ours is prepared."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
