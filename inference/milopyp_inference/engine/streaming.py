"""The second graph of a model file: the network on chunks of sections that pass by, each computed once.

The graph lies in the file's metadata without its weights. Both are protocol buffers, of which two properties are used:
a message is a row of numbered fields, and one message behind another is both of them merged. So the weights of the
first graph, cut out of the file, are put behind the second one; no package for ONNX files is needed.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.prefetch import prefetch
from milopyp_shared.recipe import Chunks, Recipe
from milopyp_shared.tiles import Piece, Read, Shape, Span

if TYPE_CHECKING:
    from .planning import ChunkPlan

_GRAPH, _WEIGHT = 7, 5  # field numbers: ModelProto.graph, GraphProto.initializer
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_LARGEST = 64 * 2**20  # bytes of an unpacked second graph; a real one has a tenth of a megabyte


def extract_streaming_graph(model: bytes, stored: str) -> bytes:
    """The second graph as a model of its own.

    Parameters
    ----------
    model
        The file.
    stored
        Its metadata entry `milopyp_shared.recipe.CHUNKS_KEY`.

    Raises
    ------
    ValueError
        One of them is not what ``milopyp-export`` writes.
    """
    try:
        unpack = zlib.decompressobj()
        graph = unpack.decompress(base64.b64decode(stored, validate=True), _LARGEST)
    except (zlib.error, binascii.Error) as error:
        raise ValueError(str(error)) from error
    if not unpack.eof:
        raise ValueError("it is cut short or too large")
    weights = [
        whole
        for number, _, content in _fields(memoryview(model))
        if number == _GRAPH
        for inner, whole, _ in _fields(content)
        if inner == _WEIGHT
    ]
    size = sum(map(len, weights))
    return b"".join([graph, bytes([_GRAPH << 3 | _BYTES]), _varint(size), *weights])


def pieces(
    session: Any, plan: ChunkPlan, levels: NDArray[np.float32], recipe: Recipe, read: Read, shape: Shape
) -> Iterator[Piece]:
    """Heat map of a volume, chunk by chunk; the next one is read while the network runs."""
    chunks = recipe.chunks
    assert chunks is not None
    depth, (_, sy, sx) = shape[0], recipe.geometry.stride
    for y, x in itertools.product(plan.y, plan.x):
        stream = ChunkStream(session, chunks, levels, depth, (y.read, x.read))

        def block(z: int, y: Span = y, x: Span = x) -> NDArray[np.uint8]:
            last = min(z + plan.sections, depth)
            if z >= depth:  # anything: it only brings the last results out
                return np.zeros((plan.sections, y.read, x.read), np.uint8)
            part = read((z, y.read_first, x.read_first), (last, y.read_last, x.read_last))
            missing = plan.sections - len(part)
            return np.pad(part, ((0, missing), (0, 0), (0, 0))) if missing else part

        for z, sections in prefetch((z, block(z)) for z in range(0, depth + chunks.delay, plan.sections)):
            heat = stream.run(stream.inputs(sections, z))
            first, last = z - chunks.delay, min(z - chunks.delay + plan.sections, depth)
            if last > 0:
                own = heat[max(-first, 0) : last - first, y.own(sy), x.own(sx)]
                yield (slice(max(first, 0), last), y.output(sy), x.output(sx)), own


class ChunkStream:
    """One volume, or one column of it, on its way through the second graph, `session`.

    Parameters
    ----------
    depth
        Sections of the volume.
    size
        Rows and columns.
    """

    def __init__(
        self, session: Any, chunks: Chunks, levels: NDArray[np.float32], depth: int, size: tuple[int, int]
    ) -> None:
        self._session = session
        self._known: dict[str, NDArray[Any]] = {"levels": levels, "depth": np.array(depth, np.int64)}
        for number, (sections, channels, halvings) in enumerate(chunks.states):
            rows, columns = (-(-length // 2**halvings) for length in size)
            self._known[f"state_{number}"] = np.zeros((sections, channels, rows, columns), np.float32)
        self._outputs = ["heatmap", *(f"after_{number}" for number in range(len(chunks.states)))]

    def inputs(self, sections: NDArray[np.uint8], position: int) -> dict[str, NDArray[Any]]:
        """What the graph gets for the next chunk, which begins at section `position`."""
        return self._known | {"sections": sections[None], "position": np.array(position, np.int64)}

    def run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Heat map of the sections from ``position - delay``."""
        heat, *after = self._session.run(self._outputs, inputs)
        self._known |= {f"state_{number}": state for number, state in enumerate(after)}
        result: NDArray[np.float32] = heat[0]
        return result


def state_bytes(chunks: Chunks, rows: int, columns: int) -> int:
    """Memory of the states for a tile of that size."""
    return sum(4 * n * c * -(-rows // 2**h) * -(-columns // 2**h) for n, c, h in chunks.states)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, bytes and content of every field of a message; the content of numbers is empty."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        content = message[at:at]
        if kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            size, at = _read_varint(message, at)
            content = message[at : at + size]
            at += size
        else:
            raise ValueError(f"field of kind {kind}")
        if at > len(message):
            raise ValueError("it ends within a field")
        yield number, message[start:at], content


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it ends within a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
