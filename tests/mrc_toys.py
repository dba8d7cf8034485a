"""MRC files put together byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


SHAPE = (9, 12, 17)  # z, y, x of a file written in order xyz


def voxels(mode: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Numbers over most of the range of a mode's type."""
    rng = np.random.default_rng(mode)
    if mode in (2, 12):  # small enough for mrcfile.validate, which squares float16 as float16
        return rng.normal(0, 3, shape).astype(MODES[mode])
    limits = np.iinfo(MODES[mode])
    return rng.integers(limits.min, limits.max, shape, MODES[mode], endpoint=True)


def mrc_bytes(
    stored: np.ndarray | tuple[int, int, int],
    mode: int,
    endian: str = "<",
    *,
    extended: bytes = b"",
    map_id: bytes = b"MAP ",
    stamp: bytes | None = None,
    range_: tuple[float, float] = (0.0, 0.0),
    imod_flags: int | None = None,
    cell: tuple[float, float, float] = (0.0, 0.0, 0.0),
    intervals: tuple[int, int, int] | None = None,
    start: tuple[int, int, int] = (0, 0, 0),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    version: int = 20141,
) -> bytes:
    """A file put together byte by byte as the MRC2014 description lays it out; no voxels when only a shape is given."""
    shape = stored if isinstance(stored, tuple) else stored.shape
    nx_ny_nz = shape[::-1]
    extra = bytearray(100)  # bytes 96 to 195
    struct.pack_into(f"{endian}i", extra, 108 - 96, version)
    if imod_flags is not None:
        struct.pack_into(f"{endian}2i", extra, 152 - 96, 1146047817, imod_flags)
    if stamp is None:
        stamp = b"\x44\x44\0\0" if endian == "<" else b"\x11\x11\0\0"
    header = struct.pack(
        f"{endian}10i6f3i3f2i100s3f4s4sfi800s",
        *nx_ny_nz, mode, *start, *(intervals or nx_ny_nz),
        *cell, 90.0, 90.0, 90.0,
        1, 2, 3,
        *range_, 0.0,
        1, len(extended),
        bytes(extra), *origin, map_id, stamp, -1.0, 0, b"",
    )  # fmt: skip
    assert len(header) == 1024
    if isinstance(stored, tuple):
        return header + extended
    return header + extended + stored.astype(stored.dtype.newbyteorder(endian)).tobytes()


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
