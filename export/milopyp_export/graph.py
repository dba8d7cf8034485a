"""From a PyTorch network to one ONNX graph with the project's interface.

Its inputs and its output are those of `milopyp_shared.graph_names`. Scaling of the grey levels, the network and the
sigmoid are inside; all three sizes are dynamic; weights are inside the file. `milopyp_export.streaming_graph` makes the
streaming graph of files for CPUs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import onnx
import onnxscript.optimizer
import torch
from torch import Tensor, nn

from milopyp_shared.graph_names import FEATURES, OUTPUT
from milopyp_shared.recipe import ALIGNED_KEY, METADATA_KEY, VOLUME_KEY, Recipe
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.unet3d import UNet3d

from .lowering import Layout, LoweredUNet3d, lower
from .streaming import FullVolume
from .volume_convolutions import VolumeOfSections

OPSET = 20

# Traced sizes are odd and distinct, so that no size can be mistaken for a constant or for another one.
_EXAMPLE = (1, 9, 37, 43)
_SIZES_ONLY = 3  # numbers that are folded when weights are not: no weights are so few


class PickingGraph(nn.Module):
    """Grey levels in, heat map out.

    Parameters
    ----------
    network
        In evaluation mode.
    clamp
        Limits of the probability (published networks: 1e-4), 0 for none.
    """

    output = OUTPUT

    def __init__(self, network: PickingNetwork, clamp: float) -> None:
        super().__init__()
        self.network, self.clamp = network, clamp

    def forward(self, sections: Tensor, levels: Tensor) -> Tensor:
        """Heat map ``(1, z', y', x')``: sizes divided by the network's stride, rounded up."""
        return probability(self.network.picking_logits(grey_of(sections, levels)), self.clamp)


class FeatureGraph(nn.Module):
    """Grey levels in, features out: of a `network` in evaluation mode, whose head has no part in it."""

    output = FEATURES

    def __init__(self, network: UNet3d) -> None:
        super().__init__()
        self.network = network

    def forward(self, sections: Tensor, levels: Tensor) -> Tensor:
        """Features ``(1, d, z', y', x')``, none of them negative."""
        return self.network.features(grey_of(sections, levels))


class LoweredGraph(nn.Module):
    """What goes into the file: the same function as `PickingGraph`, with the network in one of its layouts."""

    output = PickingGraph.output

    def __init__(self, graph: PickingGraph, layout: Layout, half: bool = False) -> None:
        super().__init__()
        self.network, self.clamp = lower(graph.network, layout), graph.clamp
        self.arithmetic = torch.float16 if half else torch.float32
        self.network.to(self.arithmetic)

    def forward(self, sections: Tensor, levels: Tensor, stream: FullVolume | None = None) -> Tensor:
        """Heat map; of the sections that `stream` has complete when it is given."""
        grey = grey_of(sections, levels).to(self.arithmetic)
        return probability(self.network(grey, stream or FullVolume()).to(torch.float32), self.clamp)


class LoweredFeatures(nn.Module):
    """The same function as `FeatureGraph`, in a layout for CPUs."""

    output = FeatureGraph.output

    def __init__(self, graph: FeatureGraph, layout: Layout = "conv2d_sum") -> None:
        super().__init__()
        self.network = cast(LoweredUNet3d, lower(graph.network, layout))
        del self.network.output

    def forward(self, sections: Tensor, levels: Tensor, stream: FullVolume | None = None) -> Tensor:
        """Features; of the sections that `stream` has complete when it is given."""
        stream = stream or FullVolume()
        return stream.gather(self.network.features(grey_of(sections, levels), stream))


Lowered = LoweredGraph | LoweredFeatures


def grey_of(sections: Tensor, levels: Tensor) -> Tensor:
    """Grey levels as numbers in which the two `levels` are 0 and 1."""
    low, high = levels[0], levels[1]
    return (sections.to(torch.float32) - low) / (high - low)


def probability(logits: Tensor, clamp: float) -> Tensor:
    """Sigmoid, kept `clamp` away from 0 and 1."""
    heat = torch.sigmoid(logits)
    return heat.clamp(clamp, 1.0 - clamp) if clamp else heat


def make_graph(graph: PickingGraph, layout: Layout = "conv2d_sum", half: bool = False) -> onnx.ModelProto:
    """`graph` as ONNX, for volumes and tiles of any size.

    Parameters
    ----------
    layout
        See `milopyp_export.lowering`.
    half
        Half precision between the scaling of the grey levels and the sigmoid.
    """
    return whole_graph(LoweredGraph(graph, layout, half))


def whole_graph(lowered: Lowered) -> onnx.ModelProto:
    """`lowered` as ONNX, for volumes and tiles of any size."""
    sizes = dict.fromkeys((1, 2, 3), torch.export.Dim.DYNAMIC)
    inputs = {"sections": torch.zeros(_EXAMPLE, dtype=torch.uint8), "levels": torch.tensor([0.0, 255.0])}
    model = traced(lowered, inputs, {"sections": sizes, "levels": None})
    onnx.checker.check_model(model, full_check=True)
    return model


def volume_graphs(lowered: Lowered) -> dict[str, onnx.ModelProto]:
    """`lowered`, in the layout ``volume``, by the keys of its graphs in a file."""
    keys = {VOLUME_KEY: False} | ({ALIGNED_KEY: True} if lowered.network.pools else {})
    return {key: volume_graph(lowered, aligned) for key, aligned in keys.items()}


def volume_graph(lowered: Lowered, aligned: bool) -> onnx.ModelProto:
    """`lowered`, in the layout ``volume``, as ONNX; its weights are those of ``conv2d_sum``, by the same names.

    Parameters
    ----------
    aligned
        For volumes of multiples of the network's alignment only.
    """
    inputs = {"sections": torch.zeros(1, 16, 48, 80, dtype=torch.uint8), "levels": torch.tensor([0.0, 255.0])}
    sizes = {"sections": dict.fromkeys((1, 2, 3), torch.export.Dim.DYNAMIC), "levels": None}
    model = traced(_VolumeGraph(lowered, aligned), inputs, sizes, fold_weights=False)
    onnx.checker.check_model(model, full_check=True)
    return model


class _VolumeGraph(nn.Module):
    """A graph of volumes."""

    def __init__(self, graph: Lowered, aligned: bool) -> None:
        super().__init__()
        self.output = graph.output
        self.network = graph.network  # under this name, as in the other graphs, so that the weights' names are the same
        self._forward, self._stream = graph.forward, VolumeOfSections(aligned)

    def forward(self, sections: Tensor, levels: Tensor) -> Tensor:
        return self._forward(sections, levels, self._stream)


def traced(
    module: Any, inputs: dict[str, Tensor], sizes: dict[str, dict[int, Any] | None], *, fold_weights: bool = True
) -> onnx.ModelProto:
    """`module` as ONNX: inputs by name, its `output`, and nothing of the machine that it was traced on.

    Parameters
    ----------
    fold_weights
        What is made of weights alone becomes weights; else they stay as they are, and keep their names.
    """
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=sizes,
            input_names=list(inputs),
            output_names=[module.output],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
            optimize=fold_weights,
        )
        assert program is not None
        model = program.model_proto
        if not fold_weights:
            model = onnxscript.optimizer.optimize(model, input_size_limit=_SIZES_ONLY)
    _name_sizes(model)
    _forget_origin(model)
    return model


def write_recipe(model: onnx.ModelProto, recipe: Recipe) -> None:
    """Put `recipe` into a model's metadata, in place of an older one."""
    others = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, others | {METADATA_KEY: recipe.to_json()})


def _name_sizes(model: onnx.ModelProto) -> None:
    """Call the dynamic sizes z, y and x, as people do, and those of the output alike where they are the same."""
    sections, *_ = model.graph.input
    [output] = model.graph.output
    sizes, results = (value.type.tensor_type.shape.dim[-3:] for value in (sections, output))
    for name, size, result in zip("zyx", sizes, results, strict=True):
        size.dim_param, result.dim_param = name, name if result.dim_param == size.dim_param else f"{name}_out"
    del model.graph.value_info[:]  # they speak of the old names; shape inference makes them anew


def _forget_origin(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: source lines and folders of the machine it ran on, half of a small file."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress notes and deprecation warnings are not for our users."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
