"""Picking from Python gives what the command gives."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import milopyp_inference
from milopyp_inference import heat_map, open_model, pick
from milopyp_shared.arrays import as_tomogram
from milopyp_shared.errors import ContradictionError, InputError, MilopypError, UsageError
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.tomogram import open_tomogram
from running import run_line
from toys import TOY, clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tomogram(tmp_path / "tomogram.mrc", clean_phantom().volume, "xzy", voxel_size=10.0)
    shutil.copy(TOY, "ribosome.onnx")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"threshold": 0.3, "limit": 4}, "--out-thresh 0.3 --K 4"),
        ({"margin": 120.0, "flips": 1}, "--margin 120 --flips 1"),
        ({"rescale": True, "voxel_size": 11.0}, "--rescale --voxel-size 11"),
    ],
)
def test_the_same_picks_as_those_of_the_command(options: dict[str, Any], words: str) -> None:
    outcome = run_line(
        f"milopyp-infer tomogram.mrc --model ribosome.onnx --out picks --with-score --coords voxel {words}"
    )
    assert outcome.code == 0, outcome.err
    text = np.loadtxt("picks/tomogram.txt", ndmin=2)
    picks = pick("tomogram.mrc", "ribosome.onnx", **options)
    assert len(picks) == len(text) > 0
    assert picks.xyz[:, [0, 2, 1]] == pytest.approx(text[:, :3], abs=0.0051)
    assert picks.score == pytest.approx(text[:, 3], abs=1e-6)


def test_opened_once_and_used_often() -> None:
    model, tomogram = (
        open_model("ribosome.onnx", provider="cpu", threads=1, memory="1GB"),
        open_tomogram("tomogram.mrc"),
    )
    first, second = pick(tomogram, model), pick("tomogram.mrc", model)
    assert np.array_equal(first.xyz, second.xyz)
    assert len(pick(tomogram, model, distance=100.0)) < len(first)


# ---------------------------------------------------------------- arrays


def same(a: Picks, b: Picks) -> bool:
    return len(a) > 0 and np.array_equal(a.xyz, b.xyz) and np.array_equal(a.score, b.score)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "f8", "f2", "i2", "u2", "i4", "u1"])
def test_an_array_is_as_good_as_its_file(kind: str) -> None:
    """Of every number type that files have, and of some that they have not."""
    volume = clean_phantom().volume
    numbers = np.rint((volume - volume.min()) / np.ptp(volume) * 200) if np.dtype(kind).kind in "iu" else volume
    array = numbers.astype(kind)
    stored = array if kind in ("<f4", "f2", "i2", "u2") else array.astype(np.float32)
    write_tomogram(Path("stored.mrc"), stored, voxel_size=10.0)
    before = array.copy()
    model = open_model("ribosome.onnx", threads=1)
    assert same(pick(array, model, voxel_size=10), pick("stored.mrc", model))
    assert np.array_equal(array, before)


def test_views_and_maps_are_read_where_they_are() -> None:
    model, tomogram = open_model("ribosome.onnx", threads=1), open_tomogram("tomogram.mrc")
    wanted = pick(tomogram, model)
    view = tomogram.zyx  # a memory map with its axes turned
    assert not view.flags.c_contiguous
    view.flags.writeable = False
    assert same(pick(view, model, voxel_size=10), wanted)
    assert same(pick(view, model, order="xyz", voxel_size=10.0), wanted)


def test_an_array_is_not_copied() -> None:
    """But for a few sections at a time."""
    array = np.random.default_rng(1).normal(size=(400, 200, 200))
    tomogram = as_tomogram(array)
    tracemalloc.start()
    try:
        grey_levels(tomogram, Preprocessing(pairing="none", sigma=(0.0, 0.0, 0.0)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < array.nbytes / 2


def test_what_is_asked_of_a_file_is_asked_of_an_array() -> None:
    volume, model = clean_phantom().volume, open_model("ribosome.onnx", threads=1)
    for options in ({"rescale": True, "voxel_size": 11.0}, {"margin": 120.0, "voxel_size": 10}, {"contrast": "bright"}):
        again: dict[str, Any] = {"voxel_size": 10, **options}
        found, wanted = pick(volume, model, **again), pick("tomogram.mrc", model, **again)
        assert same(found, wanted) or (len(found) == len(wanted) == 0)
    opened = open_tomogram("tomogram.mrc")
    assert same(pick(opened, model, rescale=True, voxel_size=11), pick(volume, model, rescale=True, voxel_size=11))
    with pytest.raises(InputError, match="the voxel size is unknown"):
        pick(volume, model, margin=120.0)


@pytest.mark.parametrize("binning", [1, 2])
def test_masks_in_memory(binning: int) -> None:
    shape = tuple(size // binning for size in clean_phantom().volume.shape)
    mask = np.zeros(shape, np.bool_)
    mask[:, :, : shape[2] // 2] = True
    write_tomogram(Path("mask.mrc"), mask.astype(np.int8), "xzy")
    model, volume = open_model("ribosome.onnx", threads=1), clean_phantom().volume
    wanted = pick("tomogram.mrc", model, mask="mask.mrc")
    assert 0 < len(wanted) < len(pick(volume, model))
    for given in (mask, mask.astype(np.float32) * 0.6, mask.astype(np.uint8)):
        assert same(pick(volume, model, mask=given), wanted)
        assert same(pick("tomogram.mrc", model, mask=given), wanted)


def test_the_heat_map_is_that_of_the_command() -> None:
    assert run_line("milopyp-infer tomogram.mrc --model ribosome.onnx --out picks").code == 0
    written = open_tomogram("picks/tomogram_hm.mrc", shortest=1).zyx
    for given in ("tomogram.mrc", open_tomogram("tomogram.mrc"), clean_phantom().volume):
        found = heat_map(given, "ribosome.onnx")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, written, rtol=0, atol=1e-6)
    assert found.max() == pytest.approx(pick("tomogram.mrc", "ribosome.onnx").score[0], abs=0.1)
    averaged = heat_map("tomogram.mrc", "ribosome.onnx", flips=4)
    assert averaged.shape == found.shape and not np.array_equal(averaged, found)


# ---------------------------------------------------------------- what goes wrong

VOLUME = clean_phantom().volume.astype(np.float32)
HOLE = VOLUME.copy()
HOLE[20, 3, 4] = np.nan


@pytest.mark.parametrize(
    ("given", "options", "error", "where", "expected"),
    [
        (None, {}, UsageError, "tomogram", "the name of a file, an open tomogram, or an array (z, y, x)"),
        ([[1.0]], {}, UsageError, "tomogram", "the name of a file, an open tomogram, or an array (z, y, x)"),
        (VOLUME[0], {}, InputError, "tomogram", "three axes, (z, y, x)"),
        (VOLUME[None], {}, InputError, "tomogram", "three axes, (z, y, x)"),
        (VOLUME[:4], {}, InputError, "tomogram", "at least 8 along every axis"),
        (VOLUME > 0, {}, InputError, "tomogram", "grey levels: integers or floating-point numbers"),
        (VOLUME.astype(complex), {}, InputError, "tomogram", "grey levels: integers or floating-point numbers"),
        (VOLUME.astype(str), {}, InputError, "tomogram", "grey levels: integers or floating-point numbers"),
        (HOLE, {}, InputError, Path("tomogram"), "finite numbers"),
        (np.ones_like(VOLUME), {}, InputError, Path("tomogram"), "a tomogram with contrast"),
        (VOLUME, {"order": "xzy"}, ContradictionError, Path("tomogram"), "xyz, in which it is"),
        (VOLUME, {"voxel_size": 0}, UsageError, "voxel_size", "Angstrom per voxel, above 0"),
        (VOLUME, {"voxel_size": "10"}, UsageError, "voxel_size", "Angstrom per voxel, above 0"),
        (VOLUME, {"flips": 3}, UsageError, "flips", "1, 2 or 4"),
        (VOLUME, {"contrast": "grey"}, UsageError, "contrast", "dark or bright"),
        (VOLUME, {"threshold": 2.0}, UsageError, "threshold", "a score from 0 to 1"),
        (VOLUME, {"threshold": "high"}, UsageError, "threshold", "a score from 0 to 1"),
        (VOLUME, {"limit": 0}, UsageError, "limit", "a whole number, 1 or more"),
        (VOLUME, {"limit": 2.5}, UsageError, "limit", "a whole number, 1 or more"),
        (VOLUME, {"distance": -1}, UsageError, "distance", "voxels, 0 or more"),
        (VOLUME, {"margin": np.nan}, UsageError, "margin", "Angstrom, 0 or more"),
        (VOLUME, {"mask": 3}, UsageError, "mask", "the name of a file, or an array (z, y, x)"),
        (VOLUME, {"mask": VOLUME[0] > 0}, InputError, "mask", "three axes, (z, y, x)"),
        (
            VOLUME,
            {"mask": VOLUME[1:] > 0},
            InputError,
            "mask",
            "the 80 x 64 x 32 of tomogram, or a whole fraction of them",
        ),
        (
            VOLUME,
            {"mask": np.zeros_like(VOLUME, np.bool_)},
            InputError,
            "mask",
            "1 where particles may be, 0 elsewhere",
        ),
        (
            VOLUME,
            {"mask": VOLUME.astype(str)},
            InputError,
            "mask",
            "booleans, or numbers of which those above 0.5 count",
        ),
        (VOLUME, {"model": 3}, UsageError, "model", "an ONNX file of milopyp-export, or what open_model gives"),
    ],
)
def test_what_cannot_be_picked(
    given: Any, options: dict[str, Any], error: type[MilopypError], where: object, expected: str
) -> None:
    with pytest.raises(error) as caught:
        pick(given, **{"model": "ribosome.onnx", **options})
    assert (type(caught.value), caught.value.where, caught.value.expected) == (error, where, expected)
    assert "\n" not in str(caught.value)


def test_errors_and_names() -> None:
    with pytest.raises(InputError, match="no such file"):
        pick("gone.mrc", "ribosome.onnx")
    with pytest.raises(AttributeError, match="has no attribute 'puck'"):
        milopyp_inference.puck  # noqa: B018
