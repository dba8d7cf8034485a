"""The streaming graph, read from a file without a package for such files."""

from __future__ import annotations

import base64
import zlib

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_inference.engine.onnx_merge import extract_graph
from milopyp_shared.recipe import CHUNKS_KEY
from toys import TOY

MODEL = onnx.load(str(TOY))
STORED = next(entry.value for entry in MODEL.metadata_props if entry.key == CHUNKS_KEY)


def test_it_is_a_model_with_the_weights_of_the_first() -> None:
    found = onnx.ModelProto.FromString(extract_graph(TOY.read_bytes(), STORED))
    onnx.checker.check_model(found)
    lean = onnx.ModelProto.FromString(zlib.decompress(base64.b64decode(STORED)))
    assert list(found.graph.node) == list(lean.graph.node)
    weights = {tensor.name: tensor for tensor in MODEL.graph.initializer}
    own = {tensor.name: tensor for tensor in lean.graph.initializer}
    assert {tensor.name: tensor for tensor in found.graph.initializer} == weights | own
    assert not set(weights) & set(own)
    kernels = [name for name in weights if name.endswith("weight")]
    assert len(kernels) > 4 and not any(name.endswith("weight") for name in own)
    used = {name for node in found.graph.node for name in node.input}
    assert set(kernels) <= used


@pytest.mark.parametrize("stored", ["", "not base64!", base64.b64encode(b"not packed").decode(), STORED[:400]])
def test_a_damaged_entry_is_refused(stored: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        extract_graph(TOY.read_bytes(), stored)


def test_an_entry_that_unpacks_to_gigabytes_is_refused() -> None:
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(100)) + bomb.flush()
    assert len(packed) < 200_000
    with pytest.raises(ValueError, match="too large"):
        extract_graph(TOY.read_bytes(), base64.b64encode(packed).decode())


@given(st.binary(max_size=200), st.integers(0, 20_000), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(noise: bytes, place: int, value: int) -> None:
    content = bytearray(TOY.read_bytes())
    content[place % len(content)] = value
    for damaged in (noise, bytes(content), bytes(content[: place % len(content)])):
        try:
            assert isinstance(extract_graph(damaged, STORED), bytes)
        except ValueError as error:
            assert str(error)
