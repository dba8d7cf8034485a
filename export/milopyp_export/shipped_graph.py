"""An export without tracing: the shipped graphs, with the weights of a network that began as theirs, and its head.

Tracing a network takes twenty seconds, and always gives the same graphs; only the numbers in them are new.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from milopyp_inference.engine.features import read_feature_file
from milopyp_inference.engine.onnx_head import HEAD_BIAS, HEAD_WEIGHT, put_heads
from milopyp_shared.head import Head
from milopyp_shared.pretrained_weights import NetworkOptions
from milopyp_shared.recipe import ALIGNED_KEY, CHUNKS_KEY, VOLUME_KEY, Chunks
from milopyp_training.networks.unet3d import UNet3d

from .graph import LoweredGraph, PickingGraph
from .half_weights import replace_weights


def picking_graphs(
    graph: PickingGraph, folder: Path | None = None
) -> tuple[onnx.ModelProto, dict[str, onnx.ModelProto], Chunks] | None:
    """The first graph of a file for CPUs, the further ones by their keys, and the description of the streaming one.

    None for another network.

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
    own = NetworkOptions(**{name: n for name, n in network.architecture_options.items() if name != "classes"})
    if (own, network.grey_limits) != (shipped.options, shipped.grey.limits):
        return None
    lowered = LoweredGraph(graph, "conv2d_sum").eval()
    weights = {name: value.detach().numpy() for name, value in lowered.state_dict().items()}
    further = {CHUNKS_KEY: file.streaming_graph, VOLUME_KEY: file.volume_graph, ALIGNED_KEY: file.aligned_graph}
    whole, *others = (_with_weights(content, weights) for content in (file.graph, *further.values()))
    return whole, dict(zip(further, others, strict=True)), file.recipe.chunks


def _with_weights(content: bytes, weights: Mapping[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """One of the shipped graphs with other `weights`, and heads."""
    heads = [
        Head(own.reshape(-1), float(bias)) for own, bias in zip(weights[HEAD_WEIGHT], weights[HEAD_BIAS], strict=True)
    ]
    model = onnx.load_from_string(put_heads(content, heads))
    replace_weights(model, {name: value for name, value in weights.items() if name not in (HEAD_WEIGHT, HEAD_BIAS)})
    onnx.checker.check_model(model, full_check=True)
    return model
