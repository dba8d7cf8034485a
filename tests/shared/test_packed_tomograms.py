"""Packed tomograms, and headers that are read without voxels."""

from __future__ import annotations

import bz2
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.errors import InputError
from milopyp_shared.tomogram import TomogramHeader, open_tomogram, read_header
from mrc_toys import SHAPE, mrc_bytes, put, voxels
from reading import COUNTERS, bytes_read


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("endian", "<>")
def test_packed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], endian: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    data = voxels(2)
    content = mrc_bytes(data, 2, endian, extended=b"x" * 80, cell=(17 * 7.5, 12 * 7.5, 9 * 7.5), origin=(1, 2, 3))
    tomogram = open_tomogram(put(tmp_path / "a.mrc.z", pack(content + b"more than the header claims")), "xyz")
    assert np.array_equal(tomogram.sections(0, 9), data)
    assert (tomogram.voxel_size, tomogram.mrc.placement.origin) == (7.5, (1.0, 2.0, 3.0))
    assert not list(scratch.iterdir())


def packed_and_bad(kind: str) -> bytes:
    content = mrc_bytes(voxels(1), 1)
    packed = bytearray(gzip.compress(content))
    if kind == "truncated gz":
        return bytes(packed[:-700])
    if kind == "truncated bz2":
        return bz2.compress(content)[:-700]
    if kind == "damaged gz":  # compressible numbers: the damage hits the code, not the numbers
        packed = bytearray(gzip.compress(mrc_bytes(np.arange(9 * 12 * 17, dtype=np.int16).reshape(SHAPE), 1)))
        packed[600:1200] = b"\xff" * 600
    if kind == "wrong sum":  # numbers as they came, only the check sum at the end can tell
        packed[-8] ^= 0xFF
    if kind == "short inside":
        return gzip.compress(content[:-1])
    if kind == "no tomogram inside":
        return gzip.compress(b"x y z\n" * 1000)
    return bytes(packed)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated gz", "cannot be unpacked"),
        ("truncated bz2", "cannot be unpacked"),
        ("damaged gz", "cannot be unpacked"),
        ("wrong sum", "cannot be unpacked"),
        ("short inside", "the file has 4695 bytes; expected 4696 for the 17 x 12 x 9 voxels"),
        ("no tomogram inside", "no MRC header"),
    ],
)
def test_bad_packed_files(tmp_path: Path, kind: str, message: str) -> None:
    path = put(tmp_path / "a.mrc.z", packed_and_bad(kind))
    with pytest.raises(InputError, match=message) as caught:
        open_tomogram(path, "xyz")
    assert str(caught.value).startswith(f"{path}: ")


NEEDS_COUNTERS = pytest.mark.skipif(not COUNTERS.exists(), reason="the system does not count what is read")


NOTHING: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gz": gzip.compress}


@NEEDS_COUNTERS
@pytest.mark.parametrize("pack", NOTHING.values(), ids=NOTHING.keys())
def test_a_header_is_read_without_voxels(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """The file has 4 MB that no packer makes smaller; Python reads packed files in blocks of 8 to 128 KiB."""
    content = mrc_bytes(voxels(6, (40, 200, 256)), 6, cell=(256 * 7.5, 200 * 7.5, 40 * 7.5))
    path = put(tmp_path / "a.mrc", pack(content))
    open_tomogram(path), read_header(path)  # whatever is imported on the way
    before = bytes_read()
    header = read_header(path)
    assert bytes_read() - before < 300_000
    assert (header.shape, header.order, header.voxel_size) == ((40, 200, 256), "xyz", 7.5)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("order", ["xzy", "auto"])
def test_a_header_is_that_of_the_open_tomogram(tmp_path: Path, pack: Callable[[bytes], bytes], order: str) -> None:
    content = mrc_bytes(voxels(1, (40, 10, 44)), 1, ">", extended=b"x" * 80, origin=(1, 2, 3), start=(4, 5, 6))
    path = put(tmp_path / "a.mrc", pack(content))
    header, tomogram = read_header(path, order, 13.5), open_tomogram(path, order, 13.5)
    assert header == TomogramHeader(tomogram.path, tomogram.mrc, tomogram.order, tomogram.given_voxel_size)
    assert (header.shape, header.frame) == ((10, 40, 44), tomogram.frame)
    assert (header.mrc.dtype, header.mrc.offset, header.mrc.start) == (np.dtype(">i2"), 1104, (4, 5, 6))


@pytest.mark.parametrize("kind", ["truncated gz", "wrong sum", "short inside"])
def test_the_end_of_a_packed_file_waits_until_it_is_opened(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path / "a.mrc.z", packed_and_bad(kind))
    assert read_header(path, "xyz").shape == SHAPE
    with pytest.raises(InputError):
        open_tomogram(path, "xyz")
