"""An export without tracing: the shipped graphs, with the weights of a network that began as theirs, and its head.

Tracing a network takes twenty seconds, and always gives the same graphs; only the numbers in them are new.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from milopyp_inference.engine.features import read_feature_file
from milopyp_shared.graph_names import FEATURES, OUTPUT, SECTION_FEATURES
from milopyp_shared.pretrained_weights import NetworkOptions
from milopyp_shared.recipe import Chunks
from milopyp_training.networks.unet3d import UNet3d

from .graph import LoweredGraph, PickingGraph
from .half_weights import replace_weights

_HEAD = "network.output"


def picking_graphs(
    graph: PickingGraph, folder: Path | None = None
) -> tuple[onnx.ModelProto, onnx.ModelProto, Chunks] | None:
    """Both graphs of a file for CPUs, and the description of the streaming one; None for another network.

    Parameters
    ----------
    graph
        In evaluation mode.
    folder
        Of the shipped weights; None: those that every installation has.

    Raises
    ------
    InputError
        The shipped files are missing, damaged or not the ones that were described.
    """
    network = graph.network
    if not isinstance(network, UNet3d) or not network.projections or graph.clamp:
        return None
    file, shipped = read_feature_file(folder)
    own = NetworkOptions(**network.architecture_options)
    if (own, network.grey_limits) != (shipped.options, shipped.grey.limits):
        return None
    lowered = LoweredGraph(graph, "conv2d_sum").eval()
    weights = {name: value.detach().numpy() for name, value in lowered.state_dict().items()}
    whole, streaming = (_with_weights(content, weights) for content in (file.graph, file.streaming_graph))
    return whole, streaming, file.recipe.chunks


def _with_weights(content: bytes, weights: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """One of the shipped graphs with other `weights`, and a head."""
    model, head = onnx.load_from_string(content), {f"{_HEAD}.weight", f"{_HEAD}.bias"}
    replace_weights(model, {name: value for name, value in weights.items() if name not in head})
    _put_head(model, weights)
    onnx.checker.check_model(model, full_check=True)
    return model


def _put_head(model: onnx.ModelProto, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """A heat map in place of the features: a convolution of single voxels and the sigmoid."""
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    transpose = makers[FEATURES]
    for node in (transpose, makers[transpose.input[0]]):
        graph.node.remove(node)
    names = [f"{_HEAD}.weight", f"{_HEAD}.bias"]
    graph.initializer.extend(numpy_helper.from_array(weights[name], name) for name in names)
    graph.node.extend(
        [
            helper.make_node("Conv", [SECTION_FEATURES, *names], ["logits_of_sections"], kernel_shape=[1, 1]),
            helper.make_node("Transpose", ["logits_of_sections"], ["logits"], perm=[1, 0, 2, 3]),
            helper.make_node("Sigmoid", ["logits"], [OUTPUT]),
        ]
    )
    [index] = [number for number, value in enumerate(graph.output) if value.name == FEATURES]
    one, _, *sizes = [size.dim_param or size.dim_value for size in graph.output[index].type.tensor_type.shape.dim]
    graph.output[index].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [one, *sizes]))
    del graph.value_info[:]
