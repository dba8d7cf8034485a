"""A file that does not do what the network does never gets its name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from torch import nn

from milopyp_export import graph as graph_module
from milopyp_export import parity
from milopyp_export.convert import load_model, picking_graph
from milopyp_export.graph import PickingGraph
from milopyp_export.lowering import Layout, lower
from milopyp_inference.engine.model import open_model
from milopyp_shared.errors import CheckError
from milopyp_shared.lists import read_image_list
from milopyp_shared.picks import Picks
from running import run_line
from toys import TOY


@pytest.fixture(scope="module")
def graph(detector: Path) -> PickingGraph:
    """The toy detector in PyTorch."""
    return picking_graph(*load_model(detector))


def with_bias(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """A copy of the toy model with another bias of its last convolution."""
    model = onnx.load(str(TOY))
    [last] = [node for node in model.graph.node if node.op_type == "Conv"][-1:]
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == last.input[2])
    bias.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(bias)), bias.name))
    onnx.save(model, str(path))
    return path


def test_the_toy_file_passes(graph: PickingGraph, tomograms: Path) -> None:
    recipe = open_model(TOY).recipe
    figures = parity.check(graph, TOY, recipe.geometry)
    assert figures["shapes"] == 3
    assert 0 < figures["max_difference"] < figures["limit"] == 1e-4
    lines: list[str] = []
    on = parity.check_on(graph, TOY, recipe, read_image_list(tomograms), lines.append)
    assert (on["tomograms"], on["picks"], on["pick_agreement"]) == (2, 20, 1)
    assert 0 < on["tomogram_mean_difference"] < on["tomogram_max_difference"] < 1e-5
    assert [line.split(":")[0] for line in lines] == ["p1", "p2"]
    assert all("10 of 10 picks in common" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "found"),
    [(lambda bias: bias + np.float32(0.01), "differs from PyTorch's by 0.00"), (lambda bias: bias * np.nan, "by nan")],
    ids=["a little off", "NaN"],
)
def test_a_broken_file_is_caught(
    change: Callable[[np.ndarray], np.ndarray], found: str, graph: PickingGraph, tomograms: Path, tmp_path: Path
) -> None:
    path = with_bias(tmp_path / "broken.onnx", change)
    recipe = open_model(TOY).recipe
    with pytest.raises(CheckError, match=found) as error:
        parity.check(graph, path, recipe.geometry)
    assert "expected at most 0.0001" in str(error.value)
    if found != "by nan":
        with pytest.raises(CheckError, match="on a tomogram"):
            parity.check_on(graph, path, recipe, read_image_list(tomograms))


def test_a_file_of_another_size_is_caught(graph: PickingGraph, tmp_path: Path) -> None:
    model = onnx.load(str(TOY))
    last = model.graph.node[-1]
    sliced = onnx.helper.make_node("Slice", [last.output[0], "first", "last", "axis"], ["heatmap"])
    for name, value in (("first", 1), ("last", 10**6), ("axis", 2)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    last.output[0] = sliced.input[0] = "whole"
    model.graph.node.append(sliced)
    onnx.save(model, str(tmp_path / "a.onnx"))
    with pytest.raises(CheckError, match=r"shape .* for input"):
        parity.check(graph, tmp_path / "a.onnx", open_model(TOY).recipe.geometry)


def test_nothing_is_written_when_the_export_goes_wrong(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter is made to leave something out; the command must notice and leave no trace."""

    def forgetful(network: nn.Module, layout: Layout) -> nn.Module:
        made = lower(network, layout)
        nn.init.zeros_(made.output.bias)
        return made

    monkeypatch.setattr(graph_module, "lower", forgetful)
    monkeypatch.chdir(tmp_path)
    outcome = run_line(f"milopyp-export {detector} -o new/a.onnx")
    assert outcome.code == 3
    [line] = outcome.errors
    assert line.startswith("error: new/a.onnx: the exported heat map differs from PyTorch's by")
    assert "Nothing was written" in line
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["new"]


def test_figures_of_real_tomograms(
    detector: Path, tomograms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_maker: ModuleType
) -> None:
    """In the file when they are good; no file, and the old one untouched, when they are not."""
    monkeypatch.chdir(tmp_path)
    line = f"milopyp-export {detector} -o a.onnx --verify-on {tomograms}"
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    assert "100% of the picks agree" in outcome.out
    figures = open_model("a.onnx").recipe.parity
    assert figures["tomograms"] == 2
    assert figures["tomogram_max_difference"] < 1e-4
    before = Path("a.onnx").read_bytes()

    def measured(*arguments: object) -> dict[str, float]:
        raise parity._too_far("the exported heat map differs from PyTorch's by 1 on a tomogram", Path("a.onnx"), 1e-4)

    monkeypatch.setattr(parity, "check_on", measured)
    monkeypatch.setattr(parity, "check", lambda *arguments: {"max_difference": 0.0})
    monkeypatch.setattr("milopyp_export.parity.check_streaming", lambda *arguments: 0.0)
    assert run_line(f"{line} --overwrite").code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert Path("a.onnx").read_bytes() == before


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime", "torch"])
def test_without_the_export_extra(package: str, detector: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "from milopyp_export.cli import export_command\n"
        "from milopyp_shared.commandline import run\n"
        f"run(export_command, [{str(detector)!r}, '-o', 'a.onnx'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert f"the package {package} is not installed" in line
    assert "pip install 'milopyp[export,cpu]'" in line
    assert list(tmp_path.iterdir()) == []


def test_counting_partners() -> None:
    a = Picks(np.array([[0.0, 0, 0], [10, 0, 0], [20, 0, 0]]), np.array([0.9, 0.8, 0.7]))
    b = Picks(np.array([[10.0, 1, 0], [10, 0, 1.5], [40, 0, 0]]), np.array([0.9, 0.8, 0.7]))
    assert parity.count_partners(a, b, 2.0) == parity.count_partners(b, a, 2.0) == 1
    assert parity.count_partners(a, a, 0.1) == 3
    assert parity.count_partners(a, b[:0], 2.0) == parity.count_partners(b[:0], a, 2.0) == 0
