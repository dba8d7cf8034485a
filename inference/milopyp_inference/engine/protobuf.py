"""Protocol buffers, of which ONNX files are made, as far as two of their properties are used.

A message is a row of numbered fields, and one message behind another is both of them merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types

Field: TypeAlias = tuple[int, memoryview, memoryview]
"""Number, bytes with the number in front, and content; the content of numbers is empty."""


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """Every field of a message.

    Raises
    ------
    ValueError
        It is no message.
    """
    message, at = memoryview(message), 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        content = message[at:at]
        if kind == VARINT:
            _, at = _read_varint(message, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            size, at = _read_varint(message, at)
            content = message[at : at + size]
            at += size
        else:
            raise ValueError(f"field of kind {kind}")
        if at > len(message):
            raise ValueError("it ends within a field")
        yield number, message[start:at], content


def contents(message: bytes | memoryview, number: int) -> list[memoryview]:
    """What the fields of this number hold."""
    return [content for found, _, content in fields(message) if found == number]


def field(number: int, content: bytes | memoryview | str | int) -> bytes:
    """One field: of a message or text, or of a number."""
    if isinstance(content, int):
        return varint(number << 3 | VARINT) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return b"".join([varint(number << 3 | BYTES), varint(len(content)), content])


def message(parts: Iterable[tuple[int, bytes | memoryview | str | int]]) -> bytes:
    """A message of these fields."""
    return b"".join(field(number, content) for number, content in parts)


def varint(value: int) -> bytes:
    """A number as fields have it."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


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
