"""TensorRT's engines: what they belong to, built once whoever asks, and nothing half-built taken for one."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from milopyp_inference.engine import tensorrt_cache
from milopyp_inference.engine.cache import cache_folder
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.providers import cuda, tensorrt
from milopyp_inference.engine.session import ProviderOptions, new_session
from milopyp_inference.engine.tensorrt_cache import EngineKey
from milopyp_shared.errors import CheckError
from running import run_line, tree
from toys import TOY

KEY = EngineKey("0123456789abcdef", "NVIDIA L4, 580.65", "1.31.1", "10.13.2.6", (32, 64, 80))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(folder: Path) -> None:
    (folder / "a.engine").write_bytes(b"x" * 2**20)


def refuse_to_build(folder: Path) -> None:
    raise AssertionError("an engine that is there was built again")


# ---------------------------------------------------------------- keys


def test_an_engine_belongs_to_everything_it_was_built_with() -> None:
    others = [
        replace(KEY, model_sha256="0123456789abcdee"),
        replace(KEY, gpu="NVIDIA L4, 590.10"),
        replace(KEY, onnxruntime="1.31.2"),
        replace(KEY, tensorrt="10.14.1"),
        replace(KEY, tile=(32, 80, 64)),
        replace(KEY, tile=(31, 64, 80)),
    ]
    names = [key.name for key in (KEY, *others)]
    assert len(set(names)) == len(names)
    assert replace(KEY).name == KEY.name
    assert KEY.name.startswith("01234567_80x64x32_")
    assert not set("./ ") & set(KEY.name)  # a folder's name, without a suffix


def test_the_key_on_this_machine(fake_smi: Path) -> None:
    key = tensorrt_cache.engine_key("ab" * 32, 1, (8, 16, 24))
    assert (key.model_sha256, key.gpu, key.tile) == ("ab" * 32, "NVIDIA L40S, 580.65", (8, 16, 24))
    assert key == tensorrt_cache.engine_key("ab" * 32, 1, (8, 16, 24))
    assert key != tensorrt_cache.engine_key("ab" * 32, 0, (8, 16, 24))


@pytest.fixture
def fake_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``nvidia-smi`` that knows two GPUs."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncase "$1" in\n--id=0) echo "NVIDIA L4, 580.65";;\n--id=1) echo "NVIDIA L40S, 580.65";;\n'
        "*) echo No devices were found; exit 6;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


def test_names_of_gpus(fake_smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [tensorrt_cache.gpu_name(device) for device in range(3)] == ["NVIDIA L4, 580.65", "NVIDIA L40S, 580.65", ""]
    fake_smi.unlink()
    monkeypatch.setenv("PATH", str(fake_smi.parent))
    assert tensorrt_cache.gpu_name(0) == ""


# ---------------------------------------------------------------- building


def test_an_engine_is_built_once(cache: Path) -> None:
    folder = tensorrt_cache.ensure(KEY, fill)
    assert folder == cache / "engines" / KEY.name
    assert [path.name for path in folder.iterdir()] == ["a.engine"]
    assert tensorrt_cache.ensure(KEY, refuse_to_build) == folder
    other = tensorrt_cache.ensure(replace(KEY, tile=(8, 8, 8)), fill)
    assert other != folder


def test_a_folder_of_ones_own(cache: Path, tmp_path: Path) -> None:
    folder = tensorrt_cache.ensure(KEY, fill, tmp_path / "other" / "place")
    assert folder == tmp_path / "other" / "place" / KEY.name
    assert tensorrt_cache.kept(tmp_path / "other" / "place") == [(KEY.name, 2**20)]
    assert not cache.exists()


def test_a_build_that_fails_leaves_nothing_that_looks_finished(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"half an engine")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        tensorrt_cache.ensure(KEY, fail)
    assert not (cache / "engines" / KEY.name).exists()
    assert tensorrt_cache.kept() == []
    folder = tensorrt_cache.ensure(KEY, fill)
    assert [path.name for path in folder.iterdir()] == ["a.engine"]


ENSURE = """
import os, signal, sys, time
from pathlib import Path
from milopyp_inference.engine.tensorrt_cache import EngineKey, ensure

def build(folder):
    (folder / str(os.getpid())).write_text("begun")
    with open("builds", "a") as stream:
        stream.write("built\\n")
    {then}

Path(f"ready{{sys.argv[1]}}").touch()
deadline = time.monotonic() + 30
while not Path("go").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
print(ensure({key!r}, build))
"""


def start(number: int, folder: Path, then: str) -> subprocess.Popen[str]:
    """A process that waits for the file ``go`` and then asks for the engine."""
    words = [sys.executable, "-c", ENSURE.format(key=KEY, then=then), str(number)]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_killed_build_left_is_replaced(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "go").touch()
    killed = start(1, tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    leftovers = [path for path in tree(cache) if path.endswith(str(killed.pid))]
    assert len(leftovers) == 1
    assert not (cache / "engines" / KEY.name).exists()
    assert tensorrt_cache.kept() == []

    folder = tensorrt_cache.ensure(KEY, fill)
    assert [path.name for path in folder.iterdir()] == ["a.engine"]
    assert not [path for path in tree(cache) if path.endswith(str(killed.pid))]


def test_of_processes_that_start_together_one_builds(tmp_path: Path, cache: Path) -> None:
    """As the jobs of an array do."""
    processes = [start(number, tmp_path, "time.sleep(0.5)") for number in (1, 2)]
    for number, process in zip((1, 2), processes, strict=True):
        wait_for(tmp_path / f"ready{number}", process)
    (tmp_path / "go").touch()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert said == [str(cache / "engines" / KEY.name)] * 2
    assert (tmp_path / "builds").read_text() == "built\n"


def test_who_waits_goes_on_when_the_builder_is_killed(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "go").touch()
    builder = start(1, tmp_path, "time.sleep(600)")
    wait_for(tmp_path / "builds", builder)
    waiting = start(2, tmp_path, "pass")
    wait_for(tmp_path / "ready2", waiting)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=0.5)
    builder.kill()
    builder.communicate()
    assert waiting.communicate(timeout=60)[0].strip() == str(cache / "engines" / KEY.name)
    assert (builder.returncode, waiting.returncode) == (-signal.SIGKILL, 0)
    assert (tmp_path / "builds").read_text() == "built\n" * 2
    assert [path.name for path in (cache / "engines" / KEY.name).iterdir()] == [str(waiting.pid)]


# ---------------------------------------------------------------- where, and what is there


def test_where_engines_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("MILOPYP_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "milopyp"
    monkeypatch.delenv("MILOPYP_CACHE")
    assert tensorrt_cache.ensure(KEY, fill) == tmp_path / "xdg" / "milopyp" / "engines" / KEY.name
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "milopyp"


def test_list_and_clear(cache: Path) -> None:
    assert (tensorrt_cache.kept(), tensorrt_cache.clear()) == ([], 0)
    keys = [replace(KEY, tile=(8, 8, x)) for x in (8, 16)]
    for key in keys:
        tensorrt_cache.ensure(key, fill)
    (cache / "engines" / f"{KEY.name}.part").mkdir()
    assert sorted(tensorrt_cache.kept()) == sorted((key.name, 2**20) for key in keys)
    outcome = run_line("milopyp engines list")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[-1] == f"2 engines in {cache}/engines"
    assert sorted(line.split() for line in lines[:-1]) == sorted([key.name, "1.0", "MiB"] for key in keys)

    outcome = run_line("milopyp engines clear")
    assert (outcome.code, outcome.out) == (0, f"removed 2 engines from {cache}/engines\n")
    assert (tensorrt_cache.kept(), (cache / "engines").exists()) == ([], False)
    assert run_line("milopyp engines list").out == f"0 engines in {cache}/engines\n"


def test_engines_that_stay_are_not_said_to_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt_cache.ensure(KEY, fill)
    monkeypatch.setattr(tensorrt_cache, "clear", lambda: 1)  # somebody else's folder
    outcome = run_line("milopyp engines clear")
    assert (outcome.code, outcome.out) == (3, "")
    assert "1 engine of 1 cannot be removed" in outcome.err


# ---------------------------------------------------------------- with a model


class Session:
    """Stands for a session of TensorRT: builds its engine when it runs first, as that does."""

    runs_on = "TensorrtExecutionProvider"
    built: list[tuple[int, ...]]
    opened: list[Session]

    def __init__(self, options: dict[str, str]) -> None:
        self.folder = Path(options["trt_engine_cache_path"])
        self.largest = options["trt_profile_max_shapes"]
        self.opened.append(self)

    def get_providers(self) -> list[str]:
        return [self.runs_on]

    def run(self, block: np.ndarray[Any, Any]) -> None:
        assert self.largest == f"sections:1x{'x'.join(map(str, block.shape))},levels:2"
        if not any(self.folder.iterdir()):
            self.built.append(block.shape)
            fill(self.folder)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[Session]:
    """A machine on which TensorRT seems to work; only onnxruntime's own part is not real."""

    def opened(graph: bytes, machine: Machine, providers: ProviderOptions) -> Session:
        assert graph == TOY.read_bytes()
        return Session(providers[0][1])

    monkeypatch.setattr(cuda, "gpu_obstacle", lambda *_: None)
    monkeypatch.setattr(tensorrt, "new_session", opened)
    monkeypatch.setattr(tensorrt.DeviceSession, "run", lambda on_device, block, _: on_device.session.run(block))
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    for name in ("built", "opened"):
        monkeypatch.setattr(Session, name, [], raising=False)
    return Session


def test_build_prepares_what_picking_uses(cache: Path, session: type[Session]) -> None:
    line = f"milopyp engines build {TOY} --shape 32 64 80"
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    [(name, size)] = tensorrt_cache.kept()
    assert size == 2**20
    said = outcome.out.splitlines()
    assert said == [
        "building TensorRT's engine for tiles of 80 x 64 x 32 voxels: minutes, once",
        f"built {name} in {cache}/engines",
    ]
    assert session.built == [(32, 64, 80)]
    assert run_line(line).out.splitlines()[-1] == f"there was one already in {cache}/engines"

    engine = open_model(TOY, Machine(provider="tensorrt")).engine
    del session.opened[:]
    engine.prepare(engine.plan((32, 64, 80)))
    assert [each.folder for each in session.opened] == [cache / "engines" / name]
    assert session.built == [(32, 64, 80)]
    engine.prepare(engine.plan((32, 64, 80)))
    assert len(session.opened) == 1  # loaded once for all tomograms of a size
    engine.prepare(engine.plan((8, 64, 80)))
    assert session.opened[-1].largest == "sections:1x8x64x80,levels:2"
    opened = len(session.opened)
    engine.prepare(engine.plan((32, 64, 80)))
    assert len(session.opened) == opened + 1  # one at a time


def test_the_memory_decides_on_the_tiles(session: type[Session]) -> None:
    line = f"milopyp engines build {TOY} --shape 128 512 512"
    for more in ("", "--memory 600MB", "--memory 400MB"):
        assert run_line(f"{line} {more}").code == 0
    sizes = [np.prod(shape) for shape in session.built]
    assert len(sizes) == 3
    assert all(a > b for a, b in itertools.pairwise(sizes))


def test_an_engine_that_cannot_be_built(session: type[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("TensorRT EP failed to create engine\nand a long stack")

    monkeypatch.setattr(tensorrt.DeviceSession, "run", fail)
    outcome = run_line(f"milopyp engines build {TOY} --shape 32 64 80")
    assert outcome.code == 3
    [line] = outcome.errors
    assert line.startswith(f"error: {TOY}: TensorRT has no engine for tiles of 80 x 64 x 32 voxels (TensorRT EP failed")
    assert "--provider cuda needs no engine" in line
    assert tensorrt_cache.kept() == []


def test_a_cache_that_cannot_be_written(
    session: type[Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "file"))
    outcome = run_line(f"milopyp engines build {TOY} --shape 32 64 80")
    assert outcome.code == 3
    [line] = outcome.errors
    assert line.startswith(f"error: {tmp_path}/file/engines: TensorRT's engine cannot be kept there (Not a directory)")
    assert "Set MILOPYP_CACHE to a folder" in line
    assert session.built == []


def test_an_engine_of_a_session_that_fell_back_is_not_kept(
    session: type[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Runtime:
        """onnxruntime whose sessions run on CUDA when they were to run on TensorRT."""

        SessionOptions = onnxruntime.SessionOptions

        @staticmethod
        def InferenceSession(*_: object, providers: ProviderOptions, **__: object) -> Session:
            return session(dict(providers[0][1]))

    monkeypatch.setattr(session, "runs_on", "CUDAExecutionProvider")
    monkeypatch.setattr(tensorrt, "new_session", new_session)
    monkeypatch.setattr("milopyp_inference.engine.session.load_onnxruntime", lambda: Runtime)
    engine = open_model(TOY, Machine(provider="tensorrt")).engine
    with pytest.raises(CheckError, match="fell back to CUDAExecutionProvider"):
        engine.prepare(engine.plan((8, 8, 8)))
    assert tensorrt_cache.kept() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--shape 32 64 80", "error: --provider tensorrt: tensorrt does not work here: no libnvinfer"),
        ("--shape 32 64 80 --gpus -1", "error: --provider: tensorrt beside --gpus -1"),
        ("--shape 32 64 80 --memory much", "error: --memory: 'much'; expected a size"),
        ("--shape 32 0 80", "0 is not in the range"),
        ("--shape 32 64", "requires 3 arguments"),
        ("", "Missing option '--shape'"),
    ],
)
def test_builds_that_are_refused(more: str, said: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "gpu_obstacle", lambda provider, *_: f"no libnvinfer for {provider.name}")
    outcome = run_line(f"milopyp engines build {TOY} {more}")
    assert outcome.code == 2
    assert said in outcome.err
    assert not cache.exists()
