"""What a network runs on: the choice and its reasons, the options of sessions, and what gives a fall-back away."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from milopyp_inference.engine import runtime
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model, read_recipe
from milopyp_inference.engine.planning import plan_for_gpu
from milopyp_inference.engine.providers import cpu, cuda, tensorrt
from milopyp_inference.engine.providers.registry import PROVIDERS, Choice, choose, describe, obstacle_to
from milopyp_inference.engine.runtime import Runtime, installed_runtimes, refuse_two_runtimes
from milopyp_inference.engine.session import ProviderOptions, operators_by_provider
from milopyp_shared.errors import CheckError, ContradictionError, MissingDependency, UsageError
from milopyp_shared.graph_names import INPUTS
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
without_gpu = pytest.mark.skipif(
    CUDA in onnxruntime.get_available_providers() or any(Path("/dev").glob("nvidia[0-9]*")),
    reason="looks at what is said without a GPU",
)


# ---------------------------------------------------------------- the choice


@pytest.mark.parametrize(
    ("obstacles", "chosen"),
    [
        ({}, "tensorrt"),
        ({"tensorrt": "no libnvinfer"}, "cuda"),
        ({"cuda": "no libcublas"}, "tensorrt"),
        ({"tensorrt": "no libnvinfer", "cuda": "no libcublas", "openvino": "not installed"}, "cpu"),
    ],
)
def test_auto_takes_the_best_and_says_why_not_a_better_one(obstacles: dict[str, str], chosen: str) -> None:
    better = list(PROVIDERS)[: list(PROVIDERS).index(chosen)]
    for precision in ("fp32", "fp16"):
        choice = choose("auto", precision, obstacles.get)
        asked = [name for name in better if precision not in PROVIDERS[name].refuses]
        assert choice == Choice(chosen, {name: obstacles[name] for name in asked})
        for name in asked:
            assert f"{name}: {obstacles[name]}" in str(choice)


def test_a_reason_that_two_share_is_said_once() -> None:
    obstacles = {"tensorrt": "built without it", "cuda": "built without it"}
    assert str(choose("auto", "fp32", obstacles.get)) == "openvino (not tensorrt or cuda: built without it)"
    assert str(Choice("cuda", {})) == "cuda"


def test_int8_never_runs_on_a_gpu() -> None:
    everything_works = {}.get
    assert choose("auto", "int8", everything_works) == Choice("openvino", {})
    assert choose("cpu", "int8", everything_works) == Choice("cpu", {})
    for name in ("cuda", "tensorrt"):
        with pytest.raises(ContradictionError, match=f"--provider {name}: int8 models are for CPUs; .*fp16"):
            choose(name, "int8", everything_works)


@pytest.mark.parametrize(
    ("name", "package"), [("cuda", "'milopyp[gpu]'"), ("tensorrt", "'milopyp[gpu,tensorrt]'")], ids=["cuda", "tensorrt"]
)
def test_a_wish_is_granted_or_refused(name: str, package: str) -> None:
    assert choose(name, "fp16", {}.get) == Choice(name, {})
    with pytest.raises(MissingDependency) as refused:
        choose(name, "fp16", {name: "libx.so.13: cannot open shared object file"}.get)
    line = str(refused.value)
    assert line.startswith(f"--provider {name}: {name} does not work here: libx.so.13: cannot open shared object file")
    assert f"pip install {package}" in line
    assert refused.value.exit_code == 2


def test_the_cpu_is_taken_without_a_question() -> None:
    def never(name: str) -> str | None:
        assert name == "cpu"
        return None

    assert choose("cpu", "fp32", never) == Choice("cpu", {})
    assert obstacle_to("cpu") is None


def test_a_gpu_that_is_named_is_a_wish() -> None:
    """A number is no preference: without a GPU that works there is nothing to fall back to."""
    assert choose("auto", "fp32", {"tensorrt": "no libnvinfer"}.get, gpu=0) == Choice(
        "cuda", {"tensorrt": "no libnvinfer"}
    )
    nothing = {"tensorrt": "built without it", "cuda": "built without it"}.get
    with pytest.raises(MissingDependency) as refused:
        choose("auto", "fp32", nothing, gpu=2)
    assert refused.value.where == "--gpus 2"
    assert refused.value.found == "no GPU can be used here (not tensorrt or cuda: built without it)"
    assert refused.value.exit_code == 2
    with pytest.raises(ContradictionError, match="--gpus 2: int8 models are for CPUs"):
        choose("auto", "int8", {}.get, gpu=2)
    assert choose("cpu", "fp32", {}.get, gpu=2) == Choice("cpu", {})  # the command refuses that before


def test_a_provider_that_nobody_knows() -> None:
    with pytest.raises(UsageError, match=r"--provider: 'coreml'; expected one of auto, tensorrt, cuda, openvino, cpu"):
        open_model(TOY, Machine("coreml"))


# ---------------------------------------------------------------- what works here


@without_gpu
def test_this_machine_says_why_not() -> None:
    for name in ("cuda", "tensorrt"):
        assert obstacle_to(name) == f"this onnxruntime {onnxruntime.__version__} was built without it"
    said = dict(describe())
    assert list(said) == ["cpu", "openvino", "cuda", "tensorrt"]
    assert (said["cpu"], said["cuda"]) == ("works", obstacle_to("cuda"))
    with pytest.raises(MissingDependency, match="was built without it"):
        open_model(TOY, Machine(provider="cuda"))


@without_gpu
@pytest.mark.parametrize("gpus", ["0", "0 --provider auto", "0,1"])
def test_a_gpu_that_is_asked_for_is_not_replaced_by_the_cpu(gpus: str, tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    outcome = run_line(f"milopyp-infer {tmp_path}/a.mrc --model {TOY} --out {tmp_path}/picks --gpus {gpus}")
    [line] = outcome.errors
    assert (outcome.code, outcome.out) == (2, "")
    assert line.startswith("error: --gpus 0: no GPU can be used here (not tensorrt or cuda: this onnxruntime")
    assert "give -1, to pick on the CPU" in line
    assert not (tmp_path / "picks").exists()


@without_gpu
def test_a_library_that_is_missing_is_named_by_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that onnxruntime lists all the same."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    for name in ("cuda", "tensorrt"):
        reason = obstacle_to(name)
        assert reason is not None
        assert f"libonnxruntime_providers_{name}.so: cannot open shared object file" in reason


@without_gpu
def test_libraries_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as loadable

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setitem(PROVIDERS, "cuda", replace(PROVIDERS["cuda"], library=loadable.__file__))
    assert obstacle_to("cuda") == "there is no GPU"


def test_threads_that_the_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "from milopyp_shared.system import allowed_threads; print(allowed_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "1"


# ---------------------------------------------------------------- two onnxruntimes


HERE = Path(onnxruntime.__file__).resolve().parents[1]


def distributions(folder: Path, *names: str) -> None:
    """What pip leaves in a folder when it has installed packages of these names, without the packages."""
    for name in names:
        entry = folder / f"{name.replace('-', '_')}-1.31.1.dist-info"
        entry.mkdir(parents=True)
        (entry / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.1\n")


@pytest.mark.parametrize(
    "names",
    [(), ("onnxruntime",), ("onnxruntime-gpu",), ("onnxruntime", "onnxruntime-extensions")],
    ids=lambda names: " ".join(names) or "none",
)
def test_one_runtime_at_most(names: tuple[str, ...]) -> None:
    refuse_two_runtimes(Runtime(name, "1", HERE, used=True) for name in names)


def test_two_runtimes_in_one_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributions(tmp_path, "onnxruntime", "onnxruntime-gpu", "onnx-runtime-of-others")
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime/__init__.py").touch()
    code = "import sys; from milopyp_inference.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "a.mrc", "--model", TOY], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    write = "error: onnxruntime and onnxruntime-gpu are both installed, and share one folder; expected one of them."
    assert done.returncode == 2
    assert done.stderr.startswith(write) and "Run: pip uninstall onnxruntime onnxruntime-gpu" in done.stderr


def test_of_two_runtimes_in_two_folders_the_first_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with one in the environment and one in ``~/.local``: no file of either is in the other's folder."""
    before = installed_runtimes()
    assert [(runtime.version, runtime.folder) for runtime in before if runtime.used] == [
        (onnxruntime.__version__, HERE)
    ]
    for folder, place in ((tmp_path / "before", 0), (tmp_path / "after", len(sys.path))):
        distributions(folder, "onnxruntime", "onnxruntime-gpu")
        monkeypatch.setattr(sys, "path", [*sys.path[:place], str(folder), *sys.path[place:]])
    found = installed_runtimes()
    assert [runtime for runtime in found if runtime.used] == before
    assert len(found) == len(before) + 4
    open_model(TOY)
    if CUDA not in onnxruntime.get_available_providers():
        said = obstacle_to("cuda")
        assert said is not None
        assert f"was built without it; there is onnxruntime-gpu 1.31.1 in {tmp_path}/before (not used); " in said


# ---------------------------------------------------------------- options of sessions


def test_providers_of_a_session() -> None:
    """The next best stands in for operators that the best does not have."""
    chosen = {"cpu": cpu.OPTIONS, "cuda": cuda.options(), "tensorrt": tensorrt.options(0, Path("a"), (1, 1, 1))}
    names = {name: [each for each, _ in options] for name, options in chosen.items()}
    assert names == {"cpu": [CPU], "cuda": [CUDA, CPU], "tensorrt": [TENSORRT, CUDA, CPU]}
    assert {name: options[0][0] for name, options in chosen.items()} == {
        name: row.runtime_name for name, row in PROVIDERS.items() if name != "openvino"
    }


@pytest.mark.parametrize(
    "options", [cuda.options(2), tensorrt.options(2, Path("a"), (1, 1, 1))], ids=["cuda", "tensorrt"]
)
def test_options_of_gpus(options: ProviderOptions) -> None:
    chosen = dict(options)
    assert chosen[CPU] == {}
    for each in chosen.keys() - {CPU}:
        assert chosen[each]["device_id"] == "2"
    # DEFAULT, against its name, means cuDNN's slowest kernels
    assert chosen[CUDA]["cudnn_conv_algo_search"] in ("EXHAUSTIVE", "HEURISTIC")
    for each in chosen.values():
        assert all(isinstance(value, str) for value in each.values())


def test_options_of_tensorrt(tmp_path: Path) -> None:
    options = tensorrt.options(0, tmp_path, (32, 224, 1))[0][1]
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    profiles = {key: value for key, value in options.items() if "profile" in key}
    assert profiles == {
        "trt_profile_min_shapes": "sections:1x16x112x1,levels:2",
        "trt_profile_opt_shapes": "sections:1x32x224x1,levels:2",
        "trt_profile_max_shapes": "sections:1x32x224x1,levels:2",
    }


def shapes_of(profile: str) -> dict[str, list[int]]:
    """Sizes by input of a profile string."""
    parts = (part.partition(":") for part in profile.split(","))
    return {name: [int(size) for size in sizes.split("x")] for name, _, sizes in parts}


@pytest.mark.parametrize("shape", [(32, 64, 80), (200, 463, 479), (7, 1000, 33), (1, 1, 1)], ids=str)
def test_an_engine_takes_every_tile_of_a_volume(shape: tuple[int, int, int]) -> None:
    """In files that milopyp writes: every input has a profile, and every tile lies within it."""
    recipe = read_recipe(TOY)
    inputs = onnxruntime.InferenceSession(TOY, providers=[CPU]).get_inputs()
    for memory in (None, 40 * 10**6):
        tiles = plan_for_gpu(shape, recipe, memory)
        options = tensorrt.options(0, Path("a"), tiles.largest)[0][1]
        low, best, high = (shapes_of(options[f"trt_profile_{kind}_shapes"]) for kind in ("min", "opt", "max"))
        assert list(low) == list(best) == list(high) == list(INPUTS) == [entry.name for entry in inputs]
        assert low["levels"] == best["levels"] == high["levels"] == inputs[1].shape
        for tile in tiles:
            sizes = (1, *tile.size)
            assert all(a <= b <= c for a, b, c in zip(low["sections"], sizes, high["sections"], strict=True))


# ---------------------------------------------------------------- what a session really does


@without_gpu
def test_a_model_that_falls_back_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should all signs be good and the provider fail all the same."""
    monkeypatch.setattr(cuda, "gpu_obstacle", lambda *_: None)
    with (
        pytest.warns(UserWarning, match=CUDA),
        pytest.raises(CheckError, match=f"--provider cuda: onnxruntime fell back to {CPU}; expected {CUDA}") as error,
    ):
        open_model(TOY, Machine(provider="cuda"))
    assert error.value.exit_code == 3
    assert "milopyp doctor" in error.value.remedy


def test_a_provider_that_cannot_open_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the number of a GPU that is not there."""

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA failure 101: invalid device ordinal ; GPU=7\nand a long stack")

    monkeypatch.setattr(cuda, "gpu_obstacle", lambda *_: None)
    monkeypatch.setattr(cuda, "new_session", fail)
    with pytest.raises(CheckError) as error:
        open_model(TOY, Machine("cuda", device=7))
    assert error.value.found == "onnxruntime cannot open it on cuda (CUDA failure 101: invalid device ordinal ; GPU=7)"
    assert (error.value.where, error.value.exit_code) == (TOY, 3)


def test_operators_by_provider() -> None:
    [(name, count)] = open_model(TOY, Machine(provider="cpu", threads=1)).engine.operators().items()
    assert name == CPU
    assert count > 10
    assert operators_by_provider(SimpleNamespace()) == {}  # an older onnxruntime
    parts = [
        SimpleNamespace(ep_name=name, get_nodes=lambda n=n: list(range(n)))
        for name, n in ((CUDA, 5), (CPU, 1), (CUDA, 2))
    ]
    asked = SimpleNamespace(get_provider_graph_assignment_info=lambda: parts)
    assert operators_by_provider(asked) == {CUDA: 7, CPU: 1}


def test_an_onnxruntime_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its heat maps are not the network's; the least that is promised is what pyproject.toml says."""
    declared = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8"))
    least = ".".join(map(str, runtime.MINIMUM))
    assert declared["project"]["optional-dependencies"]["cpu"] == [f"onnxruntime>={least}"]
    monkeypatch.setattr(onnxruntime, "__version__", "1.23.2")
    with pytest.raises(MissingDependency, match=rf"onnxruntime 1\.23\.2 .*expected {least} or newer"):
        runtime.load_onnxruntime()
    monkeypatch.setattr(onnxruntime, "__version__", "2.0")
    assert runtime.load_onnxruntime() is onnxruntime
