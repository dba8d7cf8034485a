"""Reading and writing MRC: number types, byte orders, old headers, sizes that lie, real files."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_shared import axes
from milopyp_shared.errors import ContradictionError, InputError, MilopypError, UsageError
from milopyp_shared.mrc import write_mrc
from milopyp_shared.tomogram import open_tomogram, read_header
from mrc_toys import MODES, SHAPE, mrc_bytes, put, voxels


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("mode", MODES)
def test_modes_in_both_byte_orders(tmp_path: Path, mode: int, endian: str) -> None:
    data = voxels(mode)
    tomogram = open_tomogram(put(tmp_path / "a.mrc", mrc_bytes(data, mode, endian, range_=(-1, 1))), "xyz")
    assert tomogram.shape == SHAPE
    assert np.array_equal(tomogram.zyx, data)
    part = tomogram.sections(2, 7)
    assert part.dtype == MODES[mode] and part.dtype.isnative and part.flags.c_contiguous
    assert np.array_equal(part, data[2:7])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", axes.ORDERS)
def test_every_order_word_gives_the_same_volume(tmp_path: Path, mode: int, order: str) -> None:
    data = voxels(mode)
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(data.transpose(axes.from_zyx(order)).copy())
    tomogram = open_tomogram(tmp_path / "a.mrc", order)
    assert tomogram.shape == SHAPE
    assert np.array_equal(tomogram.zyx, data)
    assert np.array_equal(tomogram.sections(3, 9), data[3:9])


@pytest.mark.parametrize("word", ["xzy", "zxy", "xyz", "yxz"])
def test_published_files(golden: Path, word: str) -> None:
    expected = np.load(golden / "preprocessed.npz")["volume_zyx_int16"]
    tomogram = open_tomogram(golden / "volumes" / f"vol_{word}_int16.rec", axes.from_published(word))
    assert np.array_equal(tomogram.sections(0, 25), expected)


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize(
    ("header", "unsigned"),
    [
        ({"imod_flags": 0}, True),
        ({"imod_flags": 2}, True),
        ({"imod_flags": 1}, False),
        ({"imod_flags": 5, "range_": (0, 200)}, False),  # the flag stands above the stated maximum
        ({"range_": (3, 200)}, True),
        ({"range_": (-100, 127)}, False),
        ({"range_": (0, 100)}, True),  # either is right
        ({"range_": (-100, 200)}, False),  # the smallest value is the better reason, IMOD says
        ({"range_": (-10, 200)}, True),
        ({"map_id": b"\0\0\0\0", "stamp": b"\0\0\0\0"}, True),  # older than the id: unsigned was the rule
        ({"map_id": b"\0\0\0\0", "stamp": b"\0\0\0\0", "range_": (-7, 100)}, False),
    ],
    ids=str,
)
def test_signed_and_unsigned_bytes(tmp_path: Path, endian: str, header: dict[str, Any], unsigned: bool) -> None:
    data = voxels(0)
    tomogram = open_tomogram(put(tmp_path / "a.mrc", mrc_bytes(data, 0, endian, **header)), "xyz")
    assert np.array_equal(tomogram.sections(0, 9), data.view(np.uint8) if unsigned else data)


@pytest.mark.parametrize("endian", "<>")
def test_old_header_without_id_and_stamp(tmp_path: Path, endian: str) -> None:
    data = voxels(1)
    content = mrc_bytes(data, 1, endian, map_id=b"\0\0\0\0", stamp=b"\0\0\0\0", cell=(34.0, 24.0, 18.0))
    tomogram = open_tomogram(put(tmp_path / "a.mrc", content), "xyz")
    assert np.array_equal(tomogram.sections(0, 9), data)
    assert tomogram.voxel_size == 2.0


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("endian", "<>")
def test_bytes_whose_sizes_are_plausible_in_both_byte_orders(tmp_path: Path, endian: str, stamped: bool) -> None:
    """512 swapped is 131072, and mode 0 swapped is mode 0."""
    old: dict[str, Any] = {} if stamped else {"map_id": b"\0\0\0\0", "stamp": b"\0\0\0\0"}
    path = put(tmp_path / "a.mrc", mrc_bytes((256, 512, 256), 0, endian, **old))
    with path.open("r+b") as stream:
        stream.truncate(1024 + 256 * 512 * 256)
    assert open_tomogram(path, "xyz").shape == (256, 512, 256)


@pytest.mark.parametrize("endian", "<>")
def test_extended_header(tmp_path: Path, endian: str) -> None:
    data = voxels(1)
    content = mrc_bytes(data, 1, endian, extended=b"SERI" * 333)
    assert np.array_equal(open_tomogram(put(tmp_path / "a.mrc", content), "xyz").zyx, data)


def test_more_than_four_gigabytes(tmp_path: Path) -> None:
    """Sizes and offsets beyond 32 bits; the file is a hole, and nothing of it is read but the last section."""
    path = put(tmp_path / "a.mrc", mrc_bytes((700, 2048, 2048), 1))
    last = np.arange(2048 * 2048, dtype=np.int16)
    with path.open("r+b") as stream:
        stream.seek(1024 + 699 * 2048 * 2048 * 2)
        stream.write(last.tobytes())
    tomogram = open_tomogram(path)
    assert tomogram.order == "xyz"
    assert np.array_equal(tomogram.sections(699, 700).ravel(), last)


@pytest.mark.parametrize(
    ("header", "given_size", "expected", "stated"),
    [
        ({"cell": (0.0, 0.0, 0.0)}, None, None, None),
        ({"cell": (17.0, 12.0, 9.0)}, None, None, None),  # exactly 1: the default of many programs
        ({"cell": (17.0, 12.0, 9.0)}, 13.5, 13.5, None),
        ({"cell": (17 * 13.5, 12 * 13.5, 9 * 13.5)}, None, 13.5, 13.5),
        ({"cell": (17 * 13.5, 12 * 13.5, 9 * 13.5)}, 6.75, 6.75, 13.5),
        ({"cell": (136.0, 96.0, 36.0), "intervals": (34, 24, 9)}, None, 4.0, 4.0),  # per interval, not per voxel
        ({"cell": (17 * 10.52, 12 * 10.52, 9 * 10.5199995)}, None, 10.52, 10.52),
        ({"cell": (10.0, 10.0, 10.0), "intervals": (0, 0, 0)}, 5.0, 5.0, None),
        ({"cell": (np.nan, 10.0, 10.0)}, None, None, None),
        ({"cell": (np.inf, np.inf, np.inf)}, None, None, None),
        ({"cell": (-17.0, -12.0, -9.0)}, None, None, None),
    ],
    ids=str,
)
def test_voxel_size(
    tmp_path: Path, header: dict[str, Any], given_size: float | None, expected: float | None, stated: float | None
) -> None:
    path = put(tmp_path / "a.mrc", mrc_bytes(voxels(1), 1, **header))
    tomogram = open_tomogram(path, "xyz", given_size)
    assert tomogram.voxel_size == (None if expected is None else pytest.approx(expected, rel=1e-6))
    assert tomogram.mrc.placement.voxel_size == (None if stated is None else pytest.approx((stated,) * 3, rel=1e-6))


@pytest.mark.parametrize("endian", "<>")
def test_origin_and_start_are_kept(tmp_path: Path, endian: str) -> None:
    path = put(tmp_path / "a.mrc", mrc_bytes(voxels(1), 1, endian, origin=(-1.5, 20.0, 300.25), start=(-4, 0, 17)))
    tomogram = open_tomogram(path, "xzy")
    assert (tomogram.mrc.placement.origin, tomogram.mrc.start) == ((-1.5, 20.0, 300.25), (-4, 0, 17))


def test_bytes_behind_the_volume_do_no_harm_but_one_missing_is_refused(tmp_path: Path) -> None:
    content = mrc_bytes(voxels(1), 1, extended=b"x" * 160)
    assert open_tomogram(put(tmp_path / "long.mrc", content + b"x"), "xyz").shape == SHAPE
    with pytest.raises(InputError, match="has 4855 bytes; expected 4856 for the 17 x 12 x 9 voxels its header claims"):
        open_tomogram(put(tmp_path / "short.mrc", content[:-1]), "xyz")


@pytest.mark.parametrize("packed", [False, True])
def test_absurd_sizes_are_refused_before_anything_is_allocated(tmp_path: Path, packed: bool) -> None:
    content = mrc_bytes((2**24 - 1,) * 3, 2) + bytes(2000)
    path = put(tmp_path / "a.mrc", gzip.compress(content) if packed else content)
    tracemalloc.start()
    with pytest.raises(InputError, match=f"expected {1024 + 4 * (2**24 - 1) ** 3} for the 16777215 x 16777215 x"):
        open_tomogram(path, "xyz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20  # a block of the unpacker, at most


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file ends after 0 bytes; expected an MRC header of 1024 bytes"),
        (mrc_bytes(voxels(1), 1)[:1023], "ends after 1023 bytes"),
        (b"image_name\trec_path\n" * 200, "no MRC header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "no MRC header"),
        (bytes(5000), r"no MRC header \(mode 0, sizes 0 x 0 x 0\)"),
        (mrc_bytes((-9, 12, 17), 1) + bytes(4000), "sizes 17 x 12 x -9"),
        (mrc_bytes(SHAPE, 5) + bytes(4000), "mode 5"),
    ],
)
def test_what_is_no_tomogram(tmp_path: Path, content: bytes, message: str) -> None:
    path = put(tmp_path / "a.mrc", content)
    with pytest.raises(InputError, match=message) as caught:
        open_tomogram(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        mrc_bytes(voxels(1), 1)[:-1],
        mrc_bytes(voxels(1, (20, 20, 20)), 1),
        mrc_bytes(voxels(1, (7, 20, 20)), 1),
        mrc_bytes(SHAPE, 4) + bytes(20000),
        gzip.compress(b"x y z\n" * 1000),
        gzip.compress(mrc_bytes(voxels(1, (20, 20, 20)), 1)),
        b"\x1f\x8b" + bytes(2000),
    ],
    ids=["empty", "short", "cube", "thin", "complex", "packed text", "packed cube", "not packed"],
)
def test_a_bad_header_is_one_error_however_it_is_read(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path / "a.mrc", content)
    errors = []
    for read in (read_header, open_tomogram):
        with pytest.raises(MilopypError) as caught:
            read(path)
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize(("mode", "name"), [(3, "complex int16"), (4, "complex float32"), (101, "4-bit")])
def test_modes_without_grey_levels(tmp_path: Path, mode: int, name: str, endian: str) -> None:
    path = put(tmp_path / "a.mrc", mrc_bytes(SHAPE, mode, endian) + bytes(20000))
    with pytest.raises(InputError, match=rf"mode {mode} \({name}\) has no grey levels; expected mode 0, 1, 2, 6 or 12"):
        open_tomogram(path, "xyz")


@pytest.mark.parametrize("shape", [(3, 3, 3), (7, 100, 100), (100, 100, 7), (1, 512, 512)])
def test_volumes_of_a_few_voxels_are_refused(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    write_mrc(tmp_path / "a.mrc", voxels(1, shape))
    with pytest.raises(InputError, match="expected at least 8 along every axis"):
        open_tomogram(tmp_path / "a.mrc", "xyz")


def test_places_that_are_no_file(tmp_path: Path) -> None:
    path = put(tmp_path / "a.mrc", mrc_bytes(voxels(1), 1))
    for place, message in [
        (tmp_path / "none.mrc", "no such file"),
        (path / "below.mrc", "no such file"),
        (tmp_path, r"is a folder.* Give .*/\*.mrc"),
        (tmp_path / ("n" * 300), "cannot be read"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            open_tomogram(place)
        assert str(caught.value).startswith(f"{place}: ")


def test_order_words(tmp_path: Path) -> None:
    thin = tmp_path / "thin.mrc"
    write_mrc(thin, voxels(1, (40, 10, 44)))
    tomogram = open_tomogram(str(thin))
    assert (tomogram.order, tomogram.shape) == ("xzy", (10, 40, 44))
    write_mrc(tmp_path / "cube.mrc", voxels(1, (20, 20, 20)))
    with pytest.raises(ContradictionError, match=r"cube\.mrc: the thickness cannot be told from the size 20 x 20 x 20"):
        open_tomogram(tmp_path / "cube.mrc")
    with pytest.raises(UsageError, match="order 'zzz'"):
        open_tomogram(thin, "zzz")


VALID = mrc_bytes(voxels(1), 1, cell=(17 * 13.5, 12 * 13.5, 9 * 13.5))


@settings(max_examples=120)
@given(
    st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 255)), max_size=6)
    | st.lists(st.tuples(st.integers(0, 224), st.integers(0, 255)), max_size=40),
    st.integers(0, len(VALID)),
)
def test_a_damaged_header_is_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(VALID)
    for place, value in changes:
        content[place] = value
    path = put(tmp_path / "a.mrc", bytes(content[: max(cut, 900)]))
    try:
        tomogram = open_tomogram(path)
    except MilopypError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert tomogram.sections(0, tomogram.shape[0]).shape == tomogram.shape


def test_microtubules(reference: Path) -> None:
    for name, shape in (("13pf_MT", (36, 206, 94)), ("14pf_MT", (44, 136, 84))):
        path = reference / "data" / "real" / f"{name}.mrc"
        tomogram = open_tomogram(path)
        assert (tomogram.order, tomogram.shape) == ("xyz", shape)
        assert tomogram.voxel_size == pytest.approx(10.52, abs=1e-4)
        sections = tomogram.sections(0, shape[0])
        assert (sections.dtype, sections.min(), sections.max()) == (np.int16, 0, 255)
        with mrcfile.open(path) as mrc:
            assert np.array_equal(sections, mrc.data)


def test_old_unsigned_bytes_of_a_real_file(reference: Path) -> None:
    tomogram = open_tomogram(reference / "data" / "real" / "tardis_rec3D.rec", "xyz")
    sections = tomogram.sections(0, 78)
    assert sections.shape == (78, 64, 32)
    assert (sections.dtype, sections.min(), sections.max()) == (np.uint8, 141, 163)
    assert tomogram.voxel_size == pytest.approx(23.2, abs=0.01)
