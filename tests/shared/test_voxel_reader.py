"""Voxels of an open file: every box is the array's, and what happens to the file meanwhile."""

from __future__ import annotations

import copy
import gc
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_shared import voxel_reader
from milopyp_shared.errors import InputError
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.tomogram import Tomogram, open_tomogram
from toys import noise, tomogram_of, write_tomogram


@given(
    axis=st.integers(0, 2),
    first=st.integers(0, 12),
    last=st.integers(0, 20),
    dtype=st.sampled_from(["<f2", ">i2", "i1", ">f4"]),
)
def test_layers_are_those_of_the_array(axis: int, first: int, last: int, dtype: str) -> None:
    volume = np.random.default_rng(1).integers(-100, 100, (7, 9, 11)).astype(dtype)
    layers = tomogram_of(volume).stored.read_slices(axis, first, last)
    np.testing.assert_array_equal(layers, np.moveaxis(np.moveaxis(volume, axis, 0)[first:last], 0, axis))
    assert layers.dtype == volume.dtype


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tomogram(tmp_path / "a.mrc", noise())


def whole(tomogram: Tomogram) -> np.ndarray:
    return tomogram.sections(0, tomogram.shape[0])


def test_cut_short_while_it_is_read(path: Path) -> None:
    tomogram = open_tomogram(path)
    before = tomogram.sections(0, 3)
    os.truncate(path, 20_000)
    np.testing.assert_array_equal(tomogram.sections(0, 3), before)  # what is still there
    with pytest.raises(InputError, match=r"a\.mrc: has changed while it was read; .* Repeat it when"):
        tomogram.sections(12, 16)


def test_written_to_while_it_is_read(path: Path) -> None:
    tomogram = open_tomogram(path)
    with path.open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"other")
    os.utime(path, ns=(0, 0))
    with pytest.raises(InputError, match="has changed while it was read"):
        grey_levels(tomogram, Preprocessing())


@pytest.mark.parametrize(
    "gone", [Path.unlink, lambda path: write_tomogram(path.with_name("b"), noise(seed=2)).replace(path)]
)
def test_deleted_or_replaced_while_it_is_read(path: Path, gone: Callable[[Path], object]) -> None:
    expected = whole(open_tomogram(path))
    tomogram = open_tomogram(path)
    gone(path)
    np.testing.assert_array_equal(whole(tomogram), expected)
    assert grey_levels(tomogram, Preprocessing()).shape[0] == 8


def test_more_than_one_call_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole(open_tomogram(path))
    monkeypatch.setattr(voxel_reader, "_READ_AT_ONCE", 1000)
    np.testing.assert_array_equal(whole(open_tomogram(path)), expected)


@pytest.mark.parametrize("axis", [1, 2])
def test_layers_that_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch, axis: int) -> None:
    """Three are read at a time, whatever is asked for, in any order."""
    voxels, volume = open_tomogram(path).stored, np.moveaxis(noise(), axis, 0)
    monkeypatch.setattr(voxel_reader, "_KEPT", 3 * volume[0].nbytes)
    for first, last in ((0, 1), (1, 2), (2, 5), (4, 5), (0, 2), (31, 32), (30, 32), (0, 32), (7, 8)):
        np.testing.assert_array_equal(np.moveaxis(voxels.read_slices(axis, first, last), axis, 0), volume[first:last])


def test_an_open_file_is_not_copied(path: Path) -> None:
    voxels = open_tomogram(path).stored
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="open the tomogram again"):
            copied(voxels)


def times_open(path: Path) -> int:
    gc.collect()
    return sum(os.path.realpath(descriptor) == os.path.realpath(path) for descriptor in Path("/proc/self/fd").iterdir())


def test_files_are_closed_with_their_tomograms(path: Path) -> None:
    tomograms = [open_tomogram(path) for _ in range(5)]
    assert times_open(path) == 5
    del tomograms
    assert times_open(path) == 0
