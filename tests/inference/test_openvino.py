"""OpenVINO as a provider: what onnxruntime does, for any cut; files, other precisions, and what stands in its way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from milopyp_export.embedding import embed
from milopyp_inference.engine.features import open_features, read_feature_file
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.openvino_runtime import has_bf16, import_openvino, obstacle_to_openvino, openvino_core
from milopyp_inference.engine.planning import OWN_BYTES
from milopyp_inference.engine.providers import openvino_check
from milopyp_inference.engine.providers.cpu import CpuEngine
from milopyp_inference.engine.providers.openvino import OpenvinoEngine
from milopyp_shared.errors import CheckError, ContradictionError, MissingDependency, UsageError
from milopyp_shared.graph_names import FEATURES
from milopyp_shared.recipe import ALIGNED_KEY, METADATA_KEY, VOLUME_KEY
from milopyp_shared.tiles import Shape, box_of, heat_map_shape
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

OBSTACLE = obstacle_to_openvino()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=f"OpenVINO: {OBSTACLE}")
LEVELS = np.array([20.0, 230.0], np.float32)
TILE_BYTES = 132  # of the toy, in its recipe


def quiet(text: str) -> None:
    """Nobody is told."""


def openvino(memory: int | None = None) -> OpenvinoEngine:
    return OpenvinoEngine(read_model_file(TOY), Machine("openvino", threads=1, memory=memory), quiet)


def heat_map(engine: OpenvinoEngine | CpuEngine, sections: NDArray[np.uint8]) -> NDArray[np.float32]:
    heat = np.full(heat_map_shape(sections.shape, read_model_file(TOY).recipe.geometry), np.nan, np.float32)
    for place, piece in engine.iter_heat_map(engine.plan(sections.shape), box_of(sections), LEVELS):
        assert np.isnan(heat[place]).all()  # nothing twice
        heat[place] = piece
    return heat


sizes = st.tuples(st.integers(1, 24), st.integers(3, 90), st.integers(3, 90))


@settings(max_examples=8)
@given(sizes, st.integers(6, 16))
def test_any_cut_of_any_size_gives_what_onnxruntime_gives(shape: Shape, megabytes: int) -> None:
    """Whole pooling windows and others, in one piece and in many."""
    sections = np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)
    wanted = heat_map(CpuEngine(read_model_file(TOY), Machine(threads=1), quiet), sections)
    for memory in (None, OWN_BYTES + megabytes * 10**6):
        np.testing.assert_allclose(heat_map(openvino(memory), sections), wanted, rtol=0, atol=1e-5)


def test_tiles_have_few_sizes_and_keep_to_the_memory() -> None:
    tiling = openvino(OWN_BYTES + 8_000_000).plan((31, 200, 300))
    assert len({tile.size for tile in tiling}) <= 8 < len(tiling)
    assert np.prod(tiling.largest) * TILE_BYTES * 0.75 <= 8_000_000
    with pytest.raises(UsageError, match=r"--memory: 300 MB; expected at least 30\d MB for this model and 300 x 200"):
        openvino(OWN_BYTES + 1000).plan((31, 200, 300))


@pytest.mark.parametrize("shape", [(8, 64, 48), (7, 61, 50)], ids=["whole windows", "odd"])
def test_features_are_those_of_onnxruntime(shape: Shape) -> None:
    file, _ = read_feature_file()
    sections = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    found, wanted = (
        next(iter(engine.iter_heat_map(engine.plan(shape), box_of(sections), LEVELS)))[1]
        for engine in (kind(file, Machine(threads=1), quiet, FEATURES) for kind in (OpenvinoEngine, CpuEngine))
    )
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5)


# ---------------------------------------------------------------- files


@pytest.fixture
def tomogram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "cache"))
    write_tomogram(Path("a.mrc"), clean_phantom().volume)
    return tmp_path


def altered(name: str, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(str(TOY))
    change(model)
    onnx.save(model, name)


def without_volumes(model: onnx.ModelProto) -> None:
    """As files of earlier versions are."""
    kept = [entry for entry in model.metadata_props if entry.key not in (VOLUME_KEY, ALIGNED_KEY)]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


def with_a_wrong_volume(model: onnx.ModelProto) -> None:
    wrong = onnx.load_from_string(read_model_file(TOY).volume_graph)
    [sigmoid] = [node for node in wrong.graph.node if node.op_type == "Sigmoid"]
    sigmoid.op_type = "Tanh"
    without_volumes(model)
    for key in (VOLUME_KEY, ALIGNED_KEY):
        embed(model, wrong, key)


def with_one_volume(model: onnx.ModelProto) -> None:
    """As the published networks are."""
    volume = onnx.load_from_string(read_model_file(TOY).volume_graph)
    without_volumes(model)
    embed(model, volume, VOLUME_KEY)


def test_a_file_of_before_is_left_to_onnxruntime_unless_openvino_is_asked_for(tomogram: Path) -> None:
    altered("old.onnx", without_volumes)
    outcome = run_line("milopyp-infer a.mrc --model old.onnx --out auto --threads 1")
    assert "running on cpu (" in outcome.out
    assert "not openvino: the file has no graph for it, export it again" in outcome.out
    outcome = run_line("milopyp-infer a.mrc --model old.onnx --out named --threads 1 --provider openvino")
    assert "old.onnx has no graph for OpenVINO, and is slower than it could be: export it again" in outcome.out
    assert Path("auto/a.txt").read_text() == Path("named/a.txt").read_text() != ""


def test_a_network_that_gains_nothing_is_left_to_onnxruntime(tomogram: Path) -> None:
    altered("published.onnx", with_one_volume)
    outcome = run_line("milopyp-infer a.mrc --model published.onnx --out auto --threads 1")
    assert "not openvino: this network is no faster there in fp32" in outcome.out
    assert run_line("milopyp-infer a.mrc --model published.onnx --out x --provider openvino --threads 1").code == 0
    assert Path("auto/a.txt").read_text() == Path("x/a.txt").read_text() != ""


def test_a_wrong_result_is_an_error_by_name_and_left_to_onnxruntime_else(tomogram: Path) -> None:
    altered("wrong.onnx", with_a_wrong_volume)
    outcome = run_line("milopyp-infer a.mrc --model wrong.onnx --out named --threads 1 --provider openvino")
    assert (outcome.code, Path("named").exists()) == (3, False)
    [line] = outcome.errors
    assert line.startswith("error: wrong.onnx: OpenVINO's result differs from onnxruntime's by ")
    assert line.endswith("Give --provider cpu, and report the CPU and the version of openvino.")
    outcome = run_line("milopyp-infer a.mrc --model wrong.onnx --out auto --threads 1")
    assert "running on cpu (not openvino: OpenVINO's result differs from onnxruntime's by " in outcome.out
    record = json.loads(Path("auto/records/a.json").read_text())
    assert (outcome.code, record["provider"]) == (0, "CPUExecutionProvider")
    assert not Path("cache/compared").exists()


def test_what_was_found_right_is_not_compared_again(tomogram: Path) -> None:
    open_model(TOY, Machine("openvino", threads=1))
    [mark] = Path("cache/compared").iterdir()
    altered("wrong.onnx", with_a_wrong_volume)
    with pytest.raises(CheckError):
        open_model("wrong.onnx", Machine("openvino", threads=1))
    assert [mark] == list(Path("cache/compared").iterdir())
    of_the_wrong_one = openvino_check._mark(read_model_file("wrong.onnx"), import_openvino().__version__)
    assert of_the_wrong_one is not None
    of_the_wrong_one.touch()  # as if it had been found right
    open_model("wrong.onnx", Machine("openvino", threads=1))


def test_a_cache_that_cannot_be_written_changes_nothing(tomogram: Path) -> None:
    Path("cache").write_text("no folder")
    outcome = run_line(f"milopyp-infer a.mrc --model {TOY} --out picks --threads 1 --provider openvino")
    assert outcome.code == 0, outcome.err
    assert Path("cache").read_text() == "no folder"


# ---------------------------------------------------------------- precision


def test_signals_are_safe_whatever_was_opened_and_dropped() -> None:
    code = (
        "import faulthandler, gc, signal\n"
        "import milopyp_inference as m, numpy as np\n"
        "faulthandler.enable()\n"
        f"models = [m.open_model({str(TOY)!r}, provider='openvino', threads=1) for _ in range(2)]\n"
        "for model in models: m.pick(np.random.default_rng(1).normal(size=(16, 32, 32)), model)\n"
        "while models: del models[0], model; gc.collect(); model = None\n"
        "signal.signal(signal.SIGINT, lambda *_: print('a signal came'))\n"
        "signal.raise_signal(signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["a signal came"]), done.stderr


@pytest.mark.skipif(OBSTACLE is not None or not has_bf16(openvino_core()), reason="this CPU has no bf16")
def test_bf16_is_near_and_recorded_and_picked_again(tomogram: Path) -> None:
    line = f"milopyp-infer a.mrc --model {TOY} --threads 1 --out picks"
    assert run_line(line).code == 0
    exact = Path("picks/a.candidates.csv").read_text()
    outcome = run_line(f"{line} --precision bf16")
    assert outcome.code == 0, outcome.err
    assert "a is already done" not in outcome.out
    record = json.loads(Path("picks/records/a.json").read_text())
    assert (record["options"]["precision"], record["provider"], record["picks"]) == ("bf16", "OpenVINO", 10)
    assert Path("picks/a.candidates.csv").read_text() != exact
    assert "a is already done" in run_line(f"{line} --precision bf16").out


def test_bf16_beside_what_does_not_have_it(tomogram: Path) -> None:
    for provider in ("cpu", "cuda", "tensorrt"):
        with pytest.raises(ContradictionError, match=f"--provider {provider}: beside --precision bf16, which OpenVINO"):
            open_model(TOY, Machine(provider, precision="bf16"))
    altered("int8.onnx", said_to_be_int8)
    with pytest.raises(ContradictionError, match=r"int8.onnx: is an int8 file, but --precision bf16 is asked for"):
        open_model("int8.onnx", Machine(precision="bf16"))


def said_to_be_int8(model: onnx.ModelProto) -> None:
    [entry] = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    entry.value = json.dumps(json.loads(entry.value) | {"precision": "int8"})


def test_bf16_where_openvino_is_not(tomogram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milopyp_inference.engine.providers.openvino.obstacle_to_openvino", lambda: "it is too old")
    with pytest.raises(
        MissingDependency, match=r"^--provider auto: --precision bf16 cannot be had here \(not openvino"
    ):
        open_model(TOY, Machine(precision="bf16"))


def test_features_say_why_openvino_is_left(tomogram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milopyp_inference.engine.providers.openvino_check.LIMIT", 0.0)
    said: list[str] = []
    assert isinstance(open_features(machine=Machine(threads=1), say=said.append).engine, CpuEngine)
    [line] = said
    assert line.startswith("looking at tomograms with onnxruntime (OpenVINO's result differs from onnxruntime's by ")


def test_bf16_on_a_cpu_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milopyp_inference.engine.providers.openvino.has_bf16", lambda core: False)
    with pytest.raises(MissingDependency, match="--precision bf16: this CPU has no bf16 arithmetic; expected a CPU"):
        open_model(TOY, Machine(precision="bf16"))


# ---------------------------------------------------------------- the package


PACKAGES = {
    "too old": ("openvino/__init__.py", "__version__ = '2024.6.0-1'", "openvino 2024.6.0 is older than 2026.4"),
    "broken": (
        "openvino/__init__.py",
        "raise ImportError('libtbb.so.12: cannot open shared object file')",
        "it cannot be loaded (libtbb.so.12: cannot open shared object file)",
    ),
    "in part only": ("openvino/__init__.py", "", "it cannot be loaded (module 'openvino' has no attribute"),
    "without a plugin": (
        "openvino/__init__.py",
        "__version__ = '2026.4.1'\nclass Core:\n    available_devices = ['GPU']",
        "it has no plugin for this CPU",
    ),
    "two copies": (
        "openvino_nightly-1.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: openvino-nightly\nVersion: 1\n",
        "openvino and openvino-nightly are both installed, and share one folder",
    ),
}


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_package_that_cannot_be_used(kind: str, tomogram: Path) -> None:
    """By itself the CPU is taken, and why is said; by name it is an error, and nothing is written."""
    name, text, reason = PACKAGES[kind]
    Path("packages", name).parent.mkdir(parents=True)
    Path("packages", name).write_text(text)
    path = os.pathsep.join(filter(None, [str(tomogram / "packages"), os.environ.get("PYTHONPATH")]))

    def pick(words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from milopyp_inference.cli import main; main()", "a.mrc", "--model", str(TOY)]
        return subprocess.run(
            [*program, "--threads", "1", *words.split()], env=os.environ | {"PYTHONPATH": path},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    done = pick("--out auto")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("running on cpu (")
    assert f"not openvino: {reason}" in done.stdout
    done = pick("--out named --provider openvino")
    assert (done.returncode, Path("named").exists()) == (2, False)
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: --provider openvino: openvino does not work here: {reason}")
    assert "Install it: pip install 'milopyp[openvino]'" in line
