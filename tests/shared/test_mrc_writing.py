"""Written MRC files, by an independent reader."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from milopyp_shared.mrc import write_mrc
from milopyp_shared.tomogram import open_tomogram
from mrc_toys import MODES, voxels


@pytest.mark.parametrize("mode", MODES)
def test_written_files_by_an_independent_reader(tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    data = voxels(mode)
    path = tmp_path / "a.mrc"
    write_mrc(path, data, np.array([13.48, 13.48, 26.96]), origin=(-120.5, 0.0, 77.25))
    assert mrcfile.validate(path), capsys.readouterr().out
    with mrcfile.open(path) as mrc:
        assert mrc.header.mode == mode and mrc.is_volume()
        assert np.array_equal(mrc.data, data)
        assert mrc.voxel_size.tolist() == pytest.approx((13.48, 13.48, 26.96))
        assert mrc.header.origin.tolist() == (-120.5, 0.0, 77.25)
        assert (int(mrc.header.mapc), int(mrc.header.mapr), int(mrc.header.maps)) == (1, 2, 3)
    tomogram = open_tomogram(path, "xyz")
    assert np.array_equal(tomogram.zyx, data)
    assert tomogram.frame.voxel_size == pytest.approx((13.48, 13.48, 26.96))
    assert tomogram.mrc.placement.origin == (-120.5, 0.0, 77.25)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", "<>")
def test_headers_are_those_of_mrcfile(tmp_path: Path, mode: int, order: str) -> None:
    """Also of numbers in the other byte order; labels and statistics apart, and the former say who wrote them."""
    data = voxels(mode).astype(voxels(mode).dtype.newbyteorder(order))
    write_mrc(tmp_path / "a.mrc", data, 10.0)
    with mrcfile.new(tmp_path / "b.mrc", data) as mrc:
        mrc.set_volume()
        mrc.voxel_size = 10.0
    first, second = (bytearray((tmp_path / name).read_bytes()) for name in ("a.mrc", "b.mrc"))
    for own in (first, second):
        own[76:88], own[216:220], own[220:1024] = bytes(12), bytes(4), bytes(804)
    assert first == second


def test_written_files_without_a_voxel_size(tmp_path: Path) -> None:
    for size, expected in ((None, None), (13.48, pytest.approx(13.48))):
        write_mrc(tmp_path / "a.mrc", voxels(2).transpose(1, 0, 2), size)  # not contiguous, and replaces the file
        tomogram = open_tomogram(tmp_path / "a.mrc", "xzy")
        assert tomogram.voxel_size == expected
        assert np.array_equal(tomogram.zyx, voxels(2))


def test_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mrc", tmp_path / "b.mrc"
    write_mrc(first, voxels(2), 10.0)
    write_mrc(second, voxels(2), 10.0)
    assert first.read_bytes() == second.read_bytes()
    labels = first.read_bytes()[224:1024]
    assert labels.rstrip(b"\0 ") == b"milopyp"  # nothing else stands there, no time
