"""A head in the shipped graphs, put there without a package for ONNX files and read back with one."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_inference.engine.features import read_feature_file
from milopyp_inference.engine.onnx_head import HEAD_BIAS, HEAD_WEIGHT, picking_file, put_heads
from milopyp_inference.engine.protobuf import fields
from milopyp_shared.calibration import Threshold
from milopyp_shared.graph_names import FEATURES, INPUTS, OUTPUT
from milopyp_shared.head import Head
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import ALIGNED_KEY, CHUNKS_KEY, METADATA_KEY, VOLUME_KEY, Recipe

FILE, DESCRIPTION = read_feature_file()
HEADS = [
    Head(np.linspace(-first, 1, DESCRIPTION.options.features, dtype=np.float32), -2.5 * first) for first in (1, 2, 3)
]
HEAD = HEADS[0]
RECIPE = Recipe("unet3d", "learn", Preprocessing(), FILE.recipe.geometry, 12.0, Threshold(0.3, "by hand"))


GRAPHS = ["graph", "streaming_graph", "volume_graph", "aligned_graph"]


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("graph", GRAPHS)
def test_the_graph_is_whole_and_ends_in_heat_maps(graph: str, classes: int) -> None:
    heads = HEADS[:classes]
    before, after = (
        onnx.load_from_string(each) for each in (getattr(FILE, graph), put_heads(getattr(FILE, graph), heads))
    )
    onnx.checker.check_model(after, full_check=True)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in after.graph.initializer}
    np.testing.assert_array_equal(weights[HEAD_WEIGHT][..., 0, 0], [head.weights for head in heads])
    np.testing.assert_array_equal(weights[HEAD_BIAS], np.float32([head.bias for head in heads]))
    names = [[value.name for value in model.graph.output] for model in (before, after)]
    assert names[1] == [OUTPUT if name == FEATURES else name for name in names[0]]
    shapes = [
        [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for model, name in ((before, FEATURES), (after, OUTPUT))
        for value in model.graph.output
        if value.name == name
    ]
    assert shapes[1] == [shapes[0][0], *([classes] if classes > 1 else []), *shapes[0][2:]]
    # two fewer and as many and one more, or three or four
    added = {(True, 1): 1, (True, 3): 2, (False, 1): 4, (False, 3): 3}
    assert len(after.graph.node) == len(before.graph.node) + added[graph in GRAPHS[:2], classes]


@pytest.mark.parametrize("heads", [HEADS[:1], HEADS])
def test_a_file_is_one_that_picks_and_nothing_of_features_is_left(heads: list[Head]) -> None:
    content = picking_file(FILE.graph, heads, RECIPE)
    model = onnx.load_from_string(content)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert Recipe.from_json(entries[METADATA_KEY], "file") == RECIPE
    assert set(entries) == {METADATA_KEY, CHUNKS_KEY, VOLUME_KEY, ALIGNED_KEY}
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == [*INPUTS, OUTPUT]
    assert FEATURES not in {name for node in model.graph.node for name in node.output}
    assert [number for number, _, _ in fields(content)].count(7) == 1  # not every reader merges graphs
    assert len(content) < 1.2 * len(FILE.graph)


@pytest.mark.parametrize("graph", GRAPHS)
def test_another_graph_is_refused(graph: str) -> None:
    with pytest.raises(ValueError, match="features"):
        put_heads(put_heads(getattr(FILE, graph), [HEAD]), [HEAD])


@given(st.binary(max_size=200), st.integers(0, 50_000), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise: bytes, place: int, value: int) -> None:
    content = bytearray(FILE.streaming_graph[:50_000])
    content[place % len(content)] = value
    for damaged in (noise, bytes(content)):
        try:
            put_heads(damaged, [HEAD])
        except ValueError as error:
            assert str(error)
