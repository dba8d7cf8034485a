"""The further graphs of a model file as models of their own, without a package for ONNX files.

A graph lies in the file's metadata without its weights: those of the first graph, cut out of the file, are put behind
it (`protobuf`).
"""

from __future__ import annotations

import base64
import binascii
import zlib

from .protobuf import BYTES, contents, fields, varint

GRAPH, WEIGHT = 7, 5  # field numbers: ModelProto.graph, GraphProto.initializer
_LARGEST = 64 * 2**20  # bytes of an unpacked graph; a real one has a tenth of a megabyte, in int8 its weights, too


def extract_graph(model: bytes, stored: str) -> bytes:
    """A further graph as a model of its own.

    Parameters
    ----------
    model
        The file.
    stored
        Its metadata entry, of one of the keys in `milopyp_shared.recipe`.

    Raises
    ------
    ValueError
        One of them is not what ``milopyp-export`` writes.
    """
    graph = unpacked(stored)
    weights = [whole for content in contents(model, GRAPH) for number, whole, _ in fields(content) if number == WEIGHT]
    size = sum(map(len, weights))
    return b"".join([graph, bytes([GRAPH << 3 | BYTES]), varint(size), *weights])


def unpacked(stored: str) -> bytes:
    """A graph without its weights, from the metadata entry.

    Raises
    ------
    ValueError
        It is damaged, or larger than any such graph.
    """
    try:
        unpack = zlib.decompressobj()
        graph = unpack.decompress(base64.b64decode(stored, validate=True), _LARGEST)
    except (zlib.error, binascii.Error) as error:
        raise ValueError(str(error)) from error
    if not unpack.eof:
        raise ValueError("it is cut short or too large")
    return graph
