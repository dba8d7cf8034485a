"""Further graphs in a model file: in its metadata, without the weights that are those of the first graph.

`milopyp_inference.engine.onnx_merge` reads them back.
"""

from __future__ import annotations

import base64
import zlib

import onnx
from onnx import helper


def embed(model: onnx.ModelProto, further: onnx.ModelProto, key: str) -> None:
    """Put the graph `further` into the metadata of `model`, without the weights that both have."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    lean = onnx.ModelProto()
    lean.CopyFrom(further)
    del lean.graph.initializer[:]
    lean.graph.initializer.extend(t for t in further.graph.initializer if weights.get(t.name) != t)
    # Read back together with all weights of the first graph: a name must not mean two things.
    own = {t.name for t in lean.graph.initializer} | {name for node in lean.graph.node for name in node.output}
    other = {name: f"{name}_of_{key.rpartition('.')[2]}" for name in own & set(weights)}
    for tensor in lean.graph.initializer:
        tensor.name = other.get(tensor.name, tensor.name)
    for node in lean.graph.node:
        for names in (node.input, node.output):
            names[:] = [other.get(name, name) for name in names]
    stored = base64.b64encode(zlib.compress(lean.SerializeToString(), 9)).decode("ascii")
    others = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, others | {key: stored})
