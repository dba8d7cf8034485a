"""Picking with a checkpoint: which ONNX file is its own, and when one is made."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from milopyp_inference import api
from milopyp_inference.engine.model import read_recipe
from milopyp_shared import exporter
from running import run_line
from toy_checkpoint import save_toy
from toys import TOY, clean_phantom, write_tomogram

LINE = "milopyp-infer a.rec --load_model model_4.pth --threads 1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder of exports; a tomogram and a checkpoint lie in the working directory."""
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    write_tomogram(Path("a.rec"), clean_phantom().volume)
    save_toy(Path("model_4.pth"))
    return tmp_path / "cache" / "exports"


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def kept(cache: Path) -> list[str]:
    return [path.name for path in cache.glob("*.onnx")]


def test_exported_once_beside_the_checkpoint(cache: Path) -> None:
    """By the leading process alone; nobody looks at the files' times."""
    outcome = run_line(LINE.replace("--threads 1", "--workers 2"))
    assert outcome.code == 0, outcome.err
    told = "model_4.pth has no export: exporting it to model_4.onnx"
    assert outcome.out.splitlines().count(told) == 1 and outcome.err == ""
    assert read_recipe(Path("model_4.onnx")).checkpoint_sha256 == sha256("model_4.pth")
    made = Path("model_4.onnx").stat()
    os.utime("model_4.onnx", (0, 0))
    again = run_line(LINE)
    assert again.code == 0 and "exporting" not in again.out
    assert "tomogram 1/1: a is already done: 10 picks" in again.out
    assert Path("model_4.onnx").stat().st_ino == made.st_ino
    assert kept(cache) == []


def test_the_export_of_another_checkpoint_is_neither_taken_nor_replaced(cache: Path) -> None:
    """Although it is newer. What is damaged in the cache is made again: nobody else writes there."""
    shutil.copy(TOY, "model_4.onnx")
    before, own = sha256("model_4.onnx"), f"{sha256('model_4.pth')}.onnx"
    cache.mkdir(parents=True)
    (cache / own).write_bytes(b"cut short")
    outcome = run_line(LINE)
    assert outcome.code == 0, outcome.err
    assert "model_4.pth has another file beside it (model_4.onnx was made from another checkpoint" in outcome.out
    assert f"exporting it to {cache / own}\n" in outcome.out
    assert f"{cache / own} is the export of model_4.pth: picking with it\n" in outcome.out
    assert (sha256("model_4.onnx"), kept(cache)) == (before, [own])
    assert "exporting" not in run_line(LINE).out
    model = api.open_model("model_4.pth", threads=1)
    assert (model.path, model.recipe.checkpoint_sha256) == (cache / own, sha256("model_4.pth"))


@pytest.mark.parametrize("beside", [b"", b"of another program"])
def test_without_pytorch_one_line_says_what_to_do(cache: Path, beside: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_NEEDED", ("torch_that_is_not_there",))
    if beside:
        Path("model_4.onnx").write_bytes(beside)
    outcome = run_line(LINE)
    assert outcome.code == 2
    [line] = outcome.errors
    assert "milopyp-export" in line
    assert line.startswith("error: model_4.onnx: " if beside else "error: model_4.pth: is a PyTorch checkpoint")
    assert not cache.exists()


def test_where_nothing_can_be_written(cache: Path) -> None:
    Path("model_4.onnx").write_bytes(b"of another program")
    cache.parent.write_bytes(b"no folder")
    outcome = run_line(LINE)
    assert outcome.code == 2
    assert f"none can be written beside it or to {cache}; expected a folder that can be written" in outcome.err
    assert "MILOPYP_CACHE" in outcome.err
