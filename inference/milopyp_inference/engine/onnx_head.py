"""Heads put into the shipped feature network, without a package for ONNX files: grey levels in, heat maps out.

All graphs of the file, the first one and those in its metadata, lose their last steps, which give features out, and get
a convolution of single voxels and a sigmoid instead.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.graph_names import FEATURES, OUTPUT, SECTION_FEATURES
from milopyp_shared.head import Head
from milopyp_shared.recipe import ALIGNED_KEY, CHUNKS_KEY, METADATA_KEY, VOLUME_KEY, Recipe

from .onnx_merge import GRAPH, WEIGHT, unpacked
from .protobuf import contents, field, fields, message

# Field numbers of onnx.proto, message by message.
_METADATA, _KEY, _VALUE = 14, 1, 2
_NODE, _OUTPUT, _VALUE_INFO = 1, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _OPERATOR, _ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_NAME, _INTEGERS, _ATTRIBUTE_TYPE, _IS_INTEGERS = 1, 8, 20, 7
_DIMS, _DATA_TYPE, _TENSOR_NAME, _RAW, _FLOAT, _INTEGER = 1, 2, 8, 9, 1, 7
_INFO_NAME, _INFO_TYPE, _TENSOR_TYPE, _ELEMENT, _SHAPE, _DIM, _DIM_VALUE = 1, 2, 1, 1, 2, 1, 1

_GRAPHS = (CHUNKS_KEY, VOLUME_KEY, ALIGNED_KEY)
_AXES = {"axis_of_volumes": 0, "axis_of_channels": 1, "axis_of_sections": 2}  # of ``(1, c, z, h, w)``
HEAD_WEIGHT, HEAD_BIAS = "network.output.weight", "network.output.bias"


def picking_file(features: bytes, heads: Sequence[Head], recipe: Recipe) -> bytes:
    """A whole model file, as ``milopyp-export`` writes it.

    Parameters
    ----------
    features
        The file of the shipped network.
    heads
        One for each class.
    recipe
        Of the model; its `chunks` are those of that file.
    """
    own = (METADATA_KEY, *_GRAPHS)
    entries = {_text(entry, _KEY): _text(entry, _VALUE) for entry in contents(features, _METADATA)}
    entries |= {METADATA_KEY: recipe.to_json()}
    entries |= {key: _with_heads(entries[key], heads) for key in _GRAPHS if key in entries}
    model = put_heads(features, heads)
    kept = b"".join(whole for number, whole, _ in fields(model) if number != _METADATA)
    order = sorted(entries, key=lambda key: (key in own, key))
    return kept + message((_METADATA, message([(_KEY, key), (_VALUE, entries[key])])) for key in order)


def _with_heads(stored: str, heads: Sequence[Head]) -> str:
    """A graph of the metadata, with heads but for their weights."""
    return base64.b64encode(zlib.compress(put_heads(unpacked(stored), heads, with_weights=False), 9)).decode("ascii")


def put_heads(model: bytes, heads: Sequence[Head], *, with_weights: bool = True) -> bytes:
    """One of the shipped graphs, with a head for each class, whose heat maps are its output.

    Parameters
    ----------
    with_weights
        Else another graph has those of the heads.

    Raises
    ------
    ValueError
        It is not such a graph.
    """
    graph = b"".join(contents(model, GRAPH))
    if FEATURES not in [_text(output, _INFO_NAME) for output in contents(graph, _OUTPUT)]:
        raise ValueError("no features are given out")
    last = _maker(graph, FEATURES)
    in_sections = _text(last, _OPERATOR) == "Transpose"
    dropped = [last, _maker(graph, _text(last, _NODE_INPUT))] if in_sections else []
    kept = []
    for number, whole, content in fields(graph):
        if number == _OUTPUT and _text(content, _INFO_NAME) == FEATURES:
            kept.append(field(_OUTPUT, _heat_map_like(content, len(heads))))
        elif number != _VALUE_INFO and not (number == _NODE and content in dropped):
            kept.append(bytes(whole))
    steps, axes = _STEPS[in_sections, len(heads) > 1]
    nodes = [*steps, _node("Sigmoid", ["logits"], OUTPUT)]
    weights = _tensors(heads) if with_weights else []
    weights += [_tensor(name, np.array([_AXES[name]])) for name in axes]
    new = message([*((WEIGHT, tensor) for tensor in weights), *((_NODE, node) for node in nodes)])
    others = b"".join(whole for number, whole, _ in fields(model) if number != GRAPH)
    return others + field(GRAPH, b"".join(kept) + new)


def _maker(graph: bytes, name: str) -> memoryview:
    """The node that makes a value."""
    found = [node for node in contents(graph, _NODE) if _text(node, _NODE_OUTPUT) == name]
    if len(found) != 1:
        raise ValueError(f"no node makes {name}")
    return found[0]


def _tensors(heads: Sequence[Head]) -> list[bytes]:
    weights = np.stack([head.weights for head in heads])[..., None, None]
    return [_tensor(HEAD_WEIGHT, weights), _tensor(HEAD_BIAS, np.array([head.bias for head in heads], np.float32))]


def _heat_map_like(features: memoryview, classes: int) -> bytes:
    """The description of an output of the sizes of `features`, with a heat map for each class."""
    [kind] = contents(features, _INFO_TYPE)
    [tensor] = contents(kind, _TENSOR_TYPE)
    [shape] = contents(tensor, _SHAPE)
    one, _, *sizes = contents(shape, _DIM)
    sizes = sizes if classes == 1 else [memoryview(message([(_DIM_VALUE, classes)])), *sizes]
    described = message([(_ELEMENT, _FLOAT), (_SHAPE, message((_DIM, size) for size in (one, *sizes)))])
    return message([(_INFO_NAME, OUTPUT), (_INFO_TYPE, field(_TENSOR_TYPE, described))])


def _node(operator: str, inputs: list[str], output: str, **integers: list[int]) -> bytes:
    attributes = [
        message([(_ATTRIBUTE_NAME, name), *((_INTEGERS, value) for value in values), (_ATTRIBUTE_TYPE, _IS_INTEGERS)])
        for name, values in integers.items()
    ]
    return message(
        [
            *((_NODE_INPUT, name) for name in inputs),
            (_NODE_OUTPUT, output),
            (_NODE_NAME, output),
            (_OPERATOR, operator),
            *((_ATTRIBUTE, attribute) for attribute in attributes),
        ]
    )


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    dims = [(_DIMS, size) for size in array.shape]
    kind, stored = (_INTEGER, "<i8") if array.dtype.kind == "i" else (_FLOAT, "<f4")
    raw = np.ascontiguousarray(array, stored).tobytes()
    return message([*dims, (_DATA_TYPE, kind), (_TENSOR_NAME, name), (_RAW, raw)])


def _text(content: bytes | memoryview, number: int) -> str:
    """The first text of this number; nothing where there is none."""
    return next((bytes(found).decode() for found in contents(content, number)), "")


_OF_SECTIONS = _node("Conv", [SECTION_FEATURES, HEAD_WEIGHT, HEAD_BIAS], "logits_of_sections", kernel_shape=[1, 1])
_KERNEL = _node("Unsqueeze", [HEAD_WEIGHT, "axis_of_sections"], "head_of_volume")


def _of_volume(output: str) -> bytes:
    return _node("Conv", [FEATURES, "head_of_volume", HEAD_BIAS], output, kernel_shape=[1, 1, 1])


#: From features to logits, and the axes that it takes: whether sections are the batch, and whether there are classes.
_STEPS = {
    (True, False): ([_OF_SECTIONS, _node("Transpose", ["logits_of_sections"], "logits", perm=[1, 0, 2, 3])], []),
    (True, True): (
        [
            _OF_SECTIONS,
            _node("Unsqueeze", ["logits_of_sections", "axis_of_volumes"], "logits_of_volumes"),
            _node("Transpose", ["logits_of_volumes"], "logits", perm=[0, 2, 1, 3, 4]),
        ],
        ["axis_of_volumes"],
    ),
    (False, False): (
        [_KERNEL, _of_volume("logits_of_volume"), _node("Squeeze", ["logits_of_volume", "axis_of_channels"], "logits")],
        ["axis_of_channels", "axis_of_sections"],
    ),
    (False, True): ([_KERNEL, _of_volume("logits")], ["axis_of_sections"]),
}
