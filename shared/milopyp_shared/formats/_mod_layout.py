"""The binary IMOD model format: sizes, chunks and flags, and a cursor that reads them.

Source: IMOD's binspec.html, imodel.h and istore.h. Everything is big-endian.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

MAGIC = b"IMODV1.2"
HEADER = struct.Struct(">128s3iiI4i3f3f3i2ifii3f")
OBJECT = struct.Struct(">64s64siIii3fi8Bii")
CONTOUR = struct.Struct(">iIii")
MESH = struct.Struct(">iiIhh")
IMAT = struct.Struct(">8BI4B")
MINX = struct.Struct(">18f")
LENGTH = struct.Struct(">i")
CONTOURS = np.dtype(
    [("id", "S4"), ("psize", ">i4"), ("flags", ">u4"), ("time", ">i4"), ("surf", ">i4"), ("xyz", ">f4", 3)]
)
STORE = np.dtype([("type", ">i2"), ("flags", ">u2"), ("index", ">i4"), ("value", ">f4")])

# Model flags. Written: z counts from -0.5; 3dmod has not seen it yet (it then keeps its own contrast); several clip
# planes; material as bytes. With a reference image come two more: its rotation counts, and its origin is stored.
FLIPPED = 1 << 16
ROTATION_STORED = 1 << 15
FILE_TRANSLATION_STORED = 1 << 14
WRITTEN = 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13
OPEN, USE_VALUE = 1 << 3, 1 << 12  # object flags
SKIP_LOW, CONSTANT_COLOUR = 1, 4  # IMAT: hide below the black level; do not shade by value
VALUE1, MINMAX1 = 10, 11  # stored items
FLOAT_VALUE, FLOAT_RANGE = 0x04, 0x15
VALUE_TYPE, NOT_A_CONTOUR = 0x0C, 0x70  # bits: type of the value; no index, reverted, index is a surface
UNIT_NM = -9


class Cursor:
    """Reads forward in a file's bytes; every size is compared with what is left before anything is made of it."""

    def __init__(self, data: bytes | memoryview, where: str | Path) -> None:
        self._data, self._at, self._where = memoryview(data), 0, where

    def error(self, found: str) -> InputError:
        return InputError(found, where=self._where, expected="a complete IMOD model", remedy="Save it again in 3dmod.")

    def check_count(self, count: int, size: int, what: str) -> int:
        """`count`, if as many things of at least `size` bytes can still follow."""
        left = len(self._data) - self._at
        if not 0 <= count * size <= left:
            raise self.error(f"announces {count} {what} where {left} bytes are left")
        return count

    def take(self, size: int, what: str) -> memoryview:
        left = len(self._data) - self._at
        if size > left:
            raise self.error(f"ends inside {what}: {size} bytes needed, {left} left")
        self._at += size
        return self._data[self._at - size : self._at]

    def part(self, size: int) -> Cursor:
        """A cursor over the next `size` bytes."""
        return Cursor(self.take(size, "a chunk"), self._where)

    def unpack(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size, what))

    def floats(self, count: int, what: str) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):  # a signalling NaN is found below like any other
            values = np.frombuffer(self.take(4 * count, what), ">f4").astype(np.float64)
        if not np.isfinite(values).all():
            raise self.error(f"holds {what} that are not finite numbers")
        return values
