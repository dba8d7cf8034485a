"""The streaming graph of a model file as a model of its own, without a package for ONNX files.

The graph lies in the file's metadata without its weights. Both are protocol buffers, of which two properties are used:
a message is a row of numbered fields, and one message behind another is both of them merged. So the weights of the
first graph, cut out of the file, are put behind the second one.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator

_GRAPH, _WEIGHT = 7, 5  # field numbers: ModelProto.graph, GraphProto.initializer
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_LARGEST = 64 * 2**20  # bytes of an unpacked streaming graph; a real one has a tenth of a megabyte


def extract_streaming_graph(model: bytes, stored: str) -> bytes:
    """The streaming graph as a model of its own.

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
