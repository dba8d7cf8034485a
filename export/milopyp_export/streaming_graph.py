"""The streaming graph of files for CPUs: the network on a stream of sections, see `milopyp_export.streaming`.

The states that
`milopyp_export.streaming.Streaming` keeps are inputs ``state_K`` and outputs ``after_K``, float32 ``(sections,
channels, rows, columns)``, zeros at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

from milopyp_inference.engine.runtime import import_onnxruntime
from milopyp_inference.engine.streaming import ChunkStream
from milopyp_shared.recipe import Chunks

from .graph import Lowered, traced
from .streaming import Streaming

_DOMAIN, _MARK = "milopyp", "PrependState"
_EDGE = 64  # of the volume on which rows and columns of the states are seen
_EVER = 2**62


def make_streaming_graph(lowered: Lowered) -> tuple[onnx.ModelProto, Chunks]:
    """`lowered` as ONNX for a stream of chunks, and what an engine must know of it; not in the layout ``conv3d``."""
    multiple = lowered.network.multiple
    chunk = 4 * multiple
    eager = Streaming(torch.tensor(0), torch.tensor(chunk))
    with torch.no_grad():
        lowered(torch.zeros(1, chunk, _EDGE, _EDGE, dtype=torch.uint8), torch.tensor([0.0, 255.0]), eager)
    halvings = [(_EDGE // state.shape[2]).bit_length() - 1 for state in eager.after]
    states = tuple((state.shape[0], state.shape[1], count) for state, count in zip(eager.after, halvings, strict=True))
    inputs = {
        "sections": torch.zeros(1, chunk + multiple, 37, 43, dtype=torch.uint8),
        "levels": torch.tensor([0.0, 255.0]),
        "position": torch.tensor(0),
        "depth": torch.tensor(chunk),
    }
    sizes = dict.fromkeys((1, 2, 3), torch.export.Dim.DYNAMIC)
    model = traced(_StreamingGraph(lowered), inputs, {name: sizes if name == "sections" else None for name in inputs})
    _keep_states(model, states)
    onnx.checker.check_model(model, full_check=True)
    return model, Chunks(delay=eager.delay, multiple=multiple, states=states)


def streaming_inputs(
    model: onnx.ModelProto, chunks: Chunks, slabs: Iterable[dict[str, NDArray[Any]]]
) -> Iterator[dict[str, NDArray[Any]]]:
    """What the streaming graph `model` meets while it computes whole `slabs`, inputs of the other graph."""
    session = import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for slab in slabs:
        _, depth, rows, columns = slab["sections"].shape
        stream = ChunkStream(session, chunks, slab["levels"], depth, (rows, columns))
        for z in range(0, depth + chunks.delay, chunks.multiple):
            part = slab["sections"][0, z : z + chunks.multiple]
            inputs = stream.inputs(np.pad(part, ((0, chunks.multiple - len(part)), (0, 0), (0, 0))), z)
            yield inputs
            stream.run(inputs)


class _Marks(Streaming):
    """Marks in the graph where states are kept; `_keep_states` makes inputs and outputs of the marks."""

    def __init__(self, position: Tensor, depth: Tensor) -> None:
        super().__init__(position, depth)
        self.count = 0

    def prepend_state(self, x: Tensor, count: int) -> Tensor:
        shape = (x.shape[0] + count, *x.shape[1:])
        attributes: dict[str, Any] = {"count": count, "index": self.count}
        self.count += 1
        # As an input, a state would make the tracer relate its size to that of the sections, and fix both.
        return torch.onnx.ops.symbolic(f"{_DOMAIN}::{_MARK}", (x,), attributes, dtype=x.dtype, shape=shape, version=1)


class _StreamingGraph(nn.Module):
    """A graph with chunks of sections as its input."""

    def __init__(self, graph: Lowered) -> None:
        super().__init__()
        self.output = graph.output
        self.network = graph.network  # under this name, as in the whole graph, so that the weights' names are the same
        self._forward = graph.forward

    def forward(self, sections: Tensor, levels: Tensor, position: Tensor, depth: Tensor) -> Tensor:
        return self._forward(sections, levels, _Marks(position, depth))


def _keep_states(model: onnx.ModelProto, states: tuple[tuple[int, int, int], ...]) -> None:
    """Replace every mark by the state before it, and give out the state after it."""
    graph, nodes = model.graph, []
    for node in graph.node:
        if node.domain != _DOMAIN:
            nodes.append(node)
            continue
        index = next(attribute.i for attribute in node.attribute if attribute.name == "index")
        sections, channels, halvings = states[index]
        before, after, start = f"state_{index}", f"after_{index}", f"after_{index}_start"
        shape = [sections, channels, f"rows_{halvings}", f"columns_{halvings}"]
        graph.input.append(helper.make_tensor_value_info(before, TensorProto.FLOAT, shape))
        graph.output.append(helper.make_tensor_value_info(after, TensorProto.FLOAT, shape))
        for name, value in ((start, -sections), (f"{after}_end", _EVER), (f"{after}_axis", 0)):
            graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
        nodes.append(helper.make_node("Concat", [before, node.input[0]], node.output, name=f"prepend_{index}", axis=0))
        ends = [start, f"{after}_end", f"{after}_axis"]
        nodes.append(helper.make_node("Slice", [node.output[0], *ends], [after], name=f"keep_{index}"))
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [entry for entry in model.opset_import if entry.domain != _DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)
