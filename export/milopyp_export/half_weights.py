"""Weights that are half precision anyway, stored as such: half the file, and the same numbers.

A file of pre-trained weights has convolutions in half precision; lowering folds a normalisation into each, which
multiplies the weights of an output channel by one number. Stored are the weights of before and that number. Whatever
runs the graph multiplies once, when it opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn


def scales_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """What the weights of convolutions were multiplied by, per output channel, by the weights' names."""
    return {
        f"{name}.weight": cast(Tensor, layer.scale).detach().numpy()
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and hasattr(layer, "scale")
    }


def store_half(model: onnx.ModelProto, scales: Mapping[str, NDArray[np.float32]]) -> None:
    """Store the weights of `model` that `scales` names in half precision where that is exact, in place."""
    graph, kept, nodes = model.graph, [], []
    for tensor in graph.initializer:
        split = _split(numpy_helper.to_array(tensor), scales[tensor.name]) if tensor.name in scales else None
        if split is None:
            kept.append(tensor)
            continue
        half, single, scale = (f"{tensor.name}_{ending}" for ending in ("half", "single", "scale"))
        kept += [numpy_helper.from_array(array, name) for array, name in zip(split, (half, scale), strict=True)]
        nodes.append(helper.make_node("Cast", [half], [single], name=single, to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [single, scale], [tensor.name], name=tensor.name))
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def replace_weights(model: onnx.ModelProto, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Put `weights` in place of those of the same names, stored in whichever way, in place.

    Raises
    ------
    ValueError
        One of them is not there, or has another shape.
    """
    graph, makers = model.graph, {node.output[0]: node for node in model.graph.node}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for name, array in weights.items():
        half = [f"{name}_{ending}" for ending in ("half", "scale")]
        old = [ending for ending in (name, *half) if ending in stored]
        if not old or tuple(stored[old[0]].dims) != array.shape:
            raise ValueError(f"{name} is not in the graph")
        for ending in old:
            graph.initializer.remove(stored[ending])
        for ending in (name, f"{name}_single") if old == half else ():
            graph.node.remove(makers[ending])
        graph.initializer.append(numpy_helper.from_array(array, name))


def _split(weights: NDArray[np.float32], scale: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """`weights` as half precision times `scale`; None where that is something else."""
    column = scale.reshape(-1, *[1] * (weights.ndim - 1))
    with np.errstate(over="ignore"):
        half = np.divide(weights, column, out=np.zeros_like(weights), where=column != 0).astype(np.float16)
    return (half, column) if np.array_equal(half.astype(np.float32) * column, weights) else None
