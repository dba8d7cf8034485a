"""From a PyTorch network to one ONNX graph with the project's interface.

Inputs ``sections`` uint8 ``(1, z, y, x)`` and ``levels`` float32 ``(2,)``; output ``heatmap`` float32
``(1, z, ceil(y/2), ceil(x/2))`` in 0..1. Scaling of the grey levels, the network and the sigmoid are inside; all
three sizes are dynamic; weights are inside the file.

In networks of the published kind the tensor `FEATURES`, ``(z, 32, ceil(y/2), ceil(x/2))``, parts the operators that
see single sections from those that mix sections: the file can be cut there into two graphs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from milopyp_shared.recipe import METADATA_KEY, Recipe
from milopyp_training.networks import picking_logits
from milopyp_training.unet2d import WIDTH

from .forms import DeployedSectionUNet, Form, deployed

OPSET = 20
INPUTS = ("sections", "levels")
OUTPUT = "heatmap"
FEATURES = "features"

# Traced sizes are odd and distinct, so that no size can be mistaken for a constant or for another one.
_EXAMPLE = (1, 9, 37, 43)


class PickingGraph(nn.Module):
    """Grey levels in, heat map out.

    Parameters
    ----------
    network
        In evaluation mode; one that `picking_logits` knows.
    clamp
        Limits of the probability (published networks: 1e-4), 0 for none.
    """

    def __init__(self, network: nn.Module, clamp: float) -> None:
        super().__init__()
        self.network, self.clamp = network, clamp

    def forward(self, sections: Tensor, levels: Tensor) -> Tensor:
        """Heat map ``(1, z, ceil(y/2), ceil(x/2))``."""
        return probability(picking_logits(self.network, grey_of(sections, levels)), self.clamp)


class _Exported(nn.Module):
    """What goes into the file: the same function as `PickingGraph`, with the network in one of its forms."""

    def __init__(self, graph: PickingGraph, form: Form, half: bool) -> None:
        super().__init__()
        self.network, self.clamp = deployed(graph.network, form), graph.clamp
        self.arithmetic = torch.float16 if half else torch.float32
        self.network.to(self.arithmetic)

    def forward(self, sections: Tensor, levels: Tensor) -> tuple[Tensor, ...]:
        grey = grey_of(sections, levels).to(self.arithmetic)
        if not isinstance(self.network, DeployedSectionUNet):
            return (probability(self.network(grey).to(torch.float32), self.clamp),)
        features = self.network.features(grey)
        return probability(self.network.head(features).to(torch.float32), self.clamp), features


def grey_of(sections: Tensor, levels: Tensor) -> Tensor:
    """Grey levels as numbers in which the two `levels` are 0 and 1."""
    low, high = levels[0], levels[1]
    return (sections.to(torch.float32) - low) / (high - low)


def probability(logits: Tensor, clamp: float) -> Tensor:
    """Sigmoid, kept `clamp` away from 0 and 1."""
    heat = torch.sigmoid(logits)
    return heat.clamp(clamp, 1.0 - clamp) if clamp else heat


def write_graph(graph: PickingGraph, recipe: Recipe, path: Path, form: Form = "summed", half: bool = False) -> None:
    """Export `graph` to `path` with the recipe in its metadata, and check the file.

    Parameters
    ----------
    form
        See `milopyp_export.forms`.
    half
        Half precision between the scaling of the grey levels and the sigmoid.
    """
    sections = torch.zeros(_EXAMPLE, dtype=torch.uint8)
    levels = torch.tensor([0.0, 255.0])
    sizes = dict.fromkeys((1, 2, 3), torch.export.Dim.DYNAMIC)
    exported = _Exported(graph, form, half).eval()
    cut = isinstance(exported.network, DeployedSectionUNet)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            exported,
            (sections, levels),
            dynamo=True,
            dynamic_shapes={"sections": sizes, "levels": None},
            input_names=list(INPUTS),
            output_names=[OUTPUT, FEATURES] if cut else [OUTPUT],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if cut:
        del model.graph.output[1]  # named so that the file can be cut there; nobody needs it as a result
    _name_sizes(model, (onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT) if cut else None)
    _forget_origin(model)
    write_recipe(model, recipe)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def write_recipe(model: onnx.ModelProto, recipe: Recipe) -> None:
    """Put `recipe` into a model's metadata, in place of an older one."""
    onnx.helper.set_model_props(model, {METADATA_KEY: recipe.to_json()})


def _name_sizes(model: onnx.ModelProto, features_type: int | None) -> None:
    """Call the dynamic sizes z, y and x, as people do; the output's follow from them."""
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) != 4:
            continue
        suffix = "" if value.name in INPUTS else "_out"
        for name, dim in zip("zyx", dims[1:], strict=True):
            dim.dim_param = name if name == "z" else name + suffix
    del model.graph.value_info[:]  # they speak of the old names; shape inference makes them anew
    if features_type is not None:
        shape: list[str | int | None] = ["z", WIDTH, "y_out", "x_out"]
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(FEATURES, features_type, shape))


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
