"""Picking from Python gives what the command gives."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import milopyp_inference
from milopyp_inference import open_model, pick
from milopyp_shared.errors import InputError
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


def test_errors_and_names() -> None:
    with pytest.raises(InputError, match="no such file"):
        pick("gone.mrc", "ribosome.onnx")
    with pytest.raises(AttributeError, match="has no attribute 'puck'"):
        milopyp_inference.puck  # noqa: B018
