"""What a network runs on: the choice and its reasons, the options of sessions, and what gives a fall-back away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from milopyp_inference.engine import providers
from milopyp_inference.engine.model import Machine, open_model
from milopyp_inference.engine.planning import plan_for_gpu
from milopyp_inference.engine.runtime import installed_runtimes, refuse_two_runtimes
from milopyp_shared.errors import CheckError, ContradictionError, MissingDependency
from milopyp_shared.graph_names import INPUTS
from toys import TOY

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
        ({"tensorrt": "no libnvinfer", "cuda": "no libcublas"}, "cpu"),
    ],
)
def test_auto_takes_the_best_and_says_why_not_a_better_one(obstacles: dict[str, str], chosen: str) -> None:
    better = ["tensorrt", "cuda", "cpu"][: ["tensorrt", "cuda", "cpu"].index(chosen)]
    for precision in ("fp32", "fp16"):
        choice = providers.choose("auto", precision, obstacles.get)
        assert choice == providers.Choice(chosen, {name: obstacles[name] for name in better})
    for name in better:
        assert f"{name}: {obstacles[name]}" in str(choice)


def test_a_reason_that_two_share_is_said_once() -> None:
    obstacles = {"tensorrt": "built without it", "cuda": "built without it"}
    assert str(providers.choose("auto", "fp32", obstacles.get)) == "cpu (not tensorrt or cuda: built without it)"
    assert str(providers.Choice("cuda", {})) == "cuda"


def test_int8_never_runs_on_a_gpu() -> None:
    everything_works = {}.get
    assert providers.choose("auto", "int8", everything_works) == providers.Choice("cpu", {})
    assert providers.choose("cpu", "int8", everything_works) == providers.Choice("cpu", {})
    for name in ("cuda", "tensorrt"):
        with pytest.raises(ContradictionError, match=f"--provider {name}: int8 models are for CPUs; .*fp16"):
            providers.choose(name, "int8", everything_works)


@pytest.mark.parametrize(
    ("name", "package"), [("cuda", "'milopyp[gpu]'"), ("tensorrt", "'milopyp[gpu,tensorrt]'")], ids=["cuda", "tensorrt"]
)
def test_a_wish_is_granted_or_refused(name: str, package: str) -> None:
    assert providers.choose(name, "fp16", {}.get) == providers.Choice(name, {})
    with pytest.raises(MissingDependency) as refused:
        providers.choose(name, "fp16", {name: "libx.so.13: cannot open shared object file"}.get)
    line = str(refused.value)
    assert line.startswith(f"--provider {name}: {name} does not work here: libx.so.13: cannot open shared object file")
    assert f"pip install {package}" in line
    assert refused.value.exit_code == 2


def test_the_cpu_is_taken_without_a_question() -> None:
    def never(name: str) -> str | None:
        raise AssertionError(name)

    assert providers.choose("cpu", "fp32", never) == providers.Choice("cpu", {})


# ---------------------------------------------------------------- what works here


@without_gpu
def test_this_machine_says_why_not() -> None:
    for name in ("cuda", "tensorrt"):
        assert providers.obstacle_to(name) == f"this onnxruntime {onnxruntime.__version__} was built without it"
    said = dict(providers.describe())
    assert list(said) == ["tensorrt", "cuda", "cpu"]
    assert (said["cpu"], said["cuda"]) == ("works", providers.obstacle_to("cuda"))
    with pytest.raises(MissingDependency, match="was built without it"):
        open_model(TOY, Machine(provider="cuda"))


@without_gpu
def test_a_library_that_is_missing_is_named_by_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that onnxruntime lists all the same."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    for name in ("cuda", "tensorrt"):
        reason = providers.obstacle_to(name)
        assert reason is not None
        assert f"libonnxruntime_providers_{name}.so: cannot open shared object file" in reason


@without_gpu
def test_libraries_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as loadable

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setitem(providers._LIBRARIES, "cuda", loadable.__file__)
    assert providers.obstacle_to("cuda") == "there is no GPU"


def test_threads_that_the_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "from milopyp_inference.engine.providers import allowed_threads; print(allowed_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "1"
    assert providers.allowed_threads() == len(os.sched_getaffinity(0))


# ---------------------------------------------------------------- two onnxruntimes


@pytest.mark.parametrize(
    "found",
    [{}, {"onnxruntime": "1.32.0"}, {"onnxruntime-gpu": "1.31.1"}, {"onnxruntime": "1", "onnxruntime-extensions": "1"}],
    ids=lambda found: " ".join(found) or "none",
)
def test_one_runtime_at_most(found: dict[str, str]) -> None:
    refuse_two_runtimes(found)


def test_two_runtimes_are_found_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = installed_runtimes()
    [installed] = [name for name in before if name in ("onnxruntime", "onnxruntime-gpu")]
    assert before[installed] == onnxruntime.__version__
    other = {"onnxruntime": "onnxruntime-gpu", "onnxruntime-gpu": "onnxruntime"}[installed]
    for name in (other, "onnx-runtime-of-others"):
        entry = tmp_path / f"{name.replace('-', '_')}-1.31.1.dist-info"
        entry.mkdir()
        (entry / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_runtimes() == before | {other: "1.31.1"}
    with pytest.raises(ContradictionError, match=r"both installed.*Run: pip uninstall onnxruntime onnxruntime-gpu"):
        open_model(TOY)


# ---------------------------------------------------------------- options of sessions


def test_providers_of_a_session() -> None:
    """The next best stands in for operators that the best does not have."""
    names = {name: [each for each, _ in providers.provider_options(name)] for name in providers.NAMES}
    assert names == {"cpu": [CPU], "cuda": [CUDA, CPU], "tensorrt": [TENSORRT, CUDA, CPU]}


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_options_of_gpus(name: str) -> None:
    chosen = dict(providers.provider_options(name, device=2))
    assert chosen[CPU] == {}
    for each in chosen.keys() - {CPU}:
        assert chosen[each]["device_id"] == "2"
    # DEFAULT, against its name, means cuDNN's slowest kernels
    assert chosen[CUDA]["cudnn_conv_algo_search"] in ("EXHAUSTIVE", "HEURISTIC")
    for options in chosen.values():
        assert all(isinstance(value, str) for value in options.values())


def test_options_of_tensorrt(tmp_path: Path) -> None:
    plain = providers.provider_options("tensorrt")[0][1]
    assert not [key for key in plain if "cache" in key or "profile" in key]
    options = providers.provider_options("tensorrt", 0, tmp_path, (32, 224, 1))[0][1]
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
    model = open_model(TOY, Machine(provider="cpu", threads=1))
    for memory in (None, 40 * 10**6):
        tiles = plan_for_gpu(shape, model.recipe, memory)
        largest = max(tile.size for tile in tiles)
        options = providers.provider_options("tensorrt", 0, None, largest)[0][1]
        low, best, high = (shapes_of(options[f"trt_profile_{kind}_shapes"]) for kind in ("min", "opt", "max"))
        assert list(low) == list(best) == list(high) == list(INPUTS) == [i.name for i in model.session.get_inputs()]
        assert low["levels"] == best["levels"] == high["levels"] == model.session.get_inputs()[1].shape
        for tile in tiles:
            sizes = (1, *tile.size)
            assert all(a <= b <= c for a, b, c in zip(low["sections"], sizes, high["sections"], strict=True))


# ---------------------------------------------------------------- what a session really does


def test_a_fall_back_is_an_error() -> None:
    on_cuda = SimpleNamespace(get_providers=lambda: [CUDA, CPU])
    providers.verify(on_cuda, "cuda")
    for name in ("tensorrt", "cpu"):
        with pytest.raises(CheckError, match=f"--provider {name}: onnxruntime fell back to {CUDA}; expected") as error:
            providers.verify(on_cuda, name)
        assert error.value.exit_code == 3
        assert "milopyp doctor" in str(error.value)


@without_gpu
def test_a_model_that_falls_back_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should all signs be good and the provider fail all the same."""
    monkeypatch.setattr(providers, "obstacle_to", lambda name: None)
    with (
        pytest.warns(UserWarning, match=CUDA),
        pytest.raises(CheckError, match=f"fell back to {CPU}; expected {CUDA}"),
    ):
        open_model(TOY, Machine(provider="cuda"))


def test_operators_by_provider() -> None:
    session = open_model(TOY, Machine(provider="cpu", threads=1)).session
    [(name, count)] = providers.nodes_per_provider(session).items()
    assert name == CPU
    assert count > 10
    assert providers.nodes_per_provider(SimpleNamespace()) == {}  # an older onnxruntime
    parts = [
        SimpleNamespace(ep_name=name, get_nodes=lambda n=n: list(range(n)))
        for name, n in ((CUDA, 5), (CPU, 1), (CUDA, 2))
    ]
    asked = SimpleNamespace(get_provider_graph_assignment_info=lambda: parts)
    assert providers.nodes_per_provider(asked) == {CUDA: 7, CPU: 1}
