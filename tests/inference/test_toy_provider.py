"""A provider costs one file and one row: here is one, which everything that names providers knows at once."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import milopyp_inference.cli
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model_file import ModelFile
from milopyp_inference.engine.providers.base import Engine, Say
from milopyp_inference.engine.providers.registry import PROVIDERS, Provider
from milopyp_inference.engine.session import new_session, run_on_cpu
from milopyp_shared.tiles import Piece, Read, Shape, Tiling, iter_heat_map, plan_tiles
from running import Outcome, run_line
from toys import TOY, clean_phantom, write_tomogram


class ToyEngine(Engine):
    """The CPU under another name, in tiles of 20,000 voxels."""

    def __init__(self, file: ModelFile, machine: Machine, say: Say) -> None:
        self._geometry = file.recipe.geometry
        self._session = new_session(file.graph, machine, [("CPUExecutionProvider", {})])
        say(f"toy engine for {file.path.name}")

    def plan(self, shape: Shape) -> Tiling:
        return plan_tiles(shape, self._geometry, 20_000)

    def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
        return iter_heat_map(tiling, read, lambda block: run_on_cpu(self._session, block, input_range), self._geometry)


ROW = Provider("toy", "ToyExecutionProvider", f"{__name__}:ToyEngine", "paper", refuses=("fp16",), remedy="Fold one.")


@pytest.fixture(autouse=True)
def with_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table with one more row, the best of all, before the command is imported; a tomogram in the folder."""
    rest = dict(PROVIDERS)
    PROVIDERS.clear()
    PROVIDERS.update({"toy": ROW} | rest)
    monkeypatch.delitem(sys.modules, "milopyp_inference.cli")
    monkeypatch.setattr(milopyp_inference, "cli", None)
    monkeypatch.chdir(tmp_path)
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    yield
    PROVIDERS.clear()
    PROVIDERS.update(rest)


def pick(more: str) -> Outcome:
    return run_line(f"milopyp-infer a.mrc --model {TOY} --threads 1 {more}")


def test_it_picks_what_the_cpu_picks_and_the_record_says_who_did() -> None:
    for name in ("toy", "cpu"):
        outcome = pick(f"--provider {name} --out {name}")
        assert outcome.code == 0, outcome.err
        assert ("toy engine for toy.onnx" in outcome.out) == (name == "toy")
    assert Path("toy/a.txt").read_bytes() == Path("cpu/a.txt").read_bytes() != b""
    records = {name: json.loads(Path(name, "records/a.json").read_text()) for name in ("toy", "cpu")}
    assert {name: record["provider"] for name, record in records.items()} == {
        "toy": "ToyExecutionProvider",
        "cpu": "CPUExecutionProvider",
    }


def test_auto_takes_the_best_that_runs_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick("--out free").out.splitlines()[:2] == ["running on toy", "toy engine for toy.onnx"]
    monkeypatch.setattr(ToyEngine, "obstacle", staticmethod(lambda: "no paper"))
    assert pick("--out passed_over").out.startswith("running on openvino (not toy: no paper")


def test_a_wish_that_cannot_be_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyEngine, "obstacle", staticmethod(lambda: "no paper"))
    outcome = pick("--provider toy --out refused")
    assert (outcome.code, outcome.errors) == (2, ["error: --provider toy: toy does not work here: no paper. Fold one."])
    assert not Path("refused").exists()


def test_doctor_help_and_manual_name_it() -> None:
    lines = run_line("milopyp doctor").out.splitlines()
    assert "toy         works" in lines
    assert any(line.startswith("auto ") and "takes toy" in line for line in lines)
    assert "[auto|toy|tensorrt|cuda|openvino|cpu]" in "".join(run_line("milopyp-infer --help").out.split())
    hook = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "generated.py"))
    table = hook["on_page_markdown"]("# Providers\n\n<!-- providers -->\n").splitlines()
    assert "| `toy` | paper | `fp32`, `int8` |" in table
    assert len(table) == 4 + 1 + len(PROVIDERS)  # title, heading, auto
