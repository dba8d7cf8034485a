"""``milopyp doctor``: the facts for people and for programs, and installations that cannot pick."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from milopyp.commands import doctor
from milopyp_inference.engine import runtime
from milopyp_inference.engine.providers import cuda
from milopyp_shared import pretrained_weights
from milopyp_shared.pretrained_weights import GraphFacts
from milopyp_shared.recipe import Chunks, Geometry
from milopyp_shared.system import allowed_threads
from running import run_line
from shipped import ship_small

TITLES = [  # those of every installation
    *("milopyp", "packages", "cpu", "openvino", "cuda", "tensorrt", "auto", "GPUs", "processor", "flags"),
    *("kernels", "engines", "temporary", "weights"),
]


def rows(text: str) -> dict[str, str]:
    """Title and text of each line."""
    return {line[:12].strip(): line[12:] for line in text.splitlines()}


def facts() -> dict[str, Any]:
    outcome = run_line("milopyp doctor --json")
    assert (outcome.code, outcome.err) == (0, "")
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider but the CPU, and nothing that names GPUs."""
    monkeypatch.setattr(cuda, "gpu_obstacle", lambda provider, *_: f"no library for {provider.name}")
    monkeypatch.setenv("PATH", "")


def test_a_machine_without_a_gpu(no_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "cache"))
    outcome = run_line("milopyp doctor")
    assert (outcome.code, outcome.err) == (0, "")
    shown = rows(outcome.out)
    assert list(shown) == TITLES
    assert shown["milopyp"] == f"{metadata.version('milopyp')}, Python {platform.python_version()}"
    packages = shown["packages"].split(", ")
    assert f"numpy {metadata.version('numpy')}" in packages
    assert f"onnxruntime {onnxruntime.__version__}" in packages
    assert (shown["cpu"], shown["cuda"], shown["tensorrt"]) == (
        "works",
        "no library for cuda",
        "no library for tensorrt",
    )
    assert shown["openvino"] == "works"
    assert shown["auto"] == "milopyp-infer --provider auto takes openvino"
    assert f"openvino {metadata.version('openvino')}" in packages
    assert shown["GPUs"] == "none that nvidia-smi names"
    assert shown["engines"].startswith(f"{tmp_path}/cache/engines, ")
    assert not (tmp_path / "cache").exists()


def test_json_has_the_same_facts(no_gpu: None) -> None:
    found = facts()
    assert (found["problem"], found["auto"], found["gpus"]) == ("", "openvino", [])
    assert found["providers"] == {"cpu": "works", "openvino": "works"} | {
        name: f"no library for {name}" for name in ("cuda", "tensorrt")
    }
    for name in ("numpy", "scipy", "numba", "mrcfile"):
        assert found["packages"][name] == metadata.version(name)
    cpu = found["processor"]
    assert cpu["threads"] == allowed_threads()
    assert cpu["cores"] >= 1
    assert Path(found["kernels"]["path"]).name == "__pycache__" or "NUMBA_CACHE_DIR" in os.environ
    assert found["temporary"]["path"] == tempfile.gettempdir()
    assert found["temporary"]["free"] > 0


def test_what_onnxruntime_prints_does_not_spoil_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def talkative(*_: object) -> str:
        print("Failed to load libcublasLt.so.13")
        return "libcublasLt.so.13 is missing"

    monkeypatch.setattr(cuda, "gpu_obstacle", talkative)
    assert facts()["providers"]["cuda"] == "libcublasLt.so.13 is missing"


def test_a_machine_with_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\ncase "$1" in --id=[01]) echo "NVIDIA L4 no. $1, 580.65";; *) exit 6;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(cuda, "gpu_obstacle", lambda provider, *_: {"tensorrt": "no libnvinfer"}.get(provider.name))
    found = facts()
    assert found["gpus"] == ["NVIDIA L4 no. --id=0, 580.65", "NVIDIA L4 no. --id=1, 580.65"]
    assert found["providers"] == dict.fromkeys(("cpu", "openvino", "cuda"), "works") | {"tensorrt": "no libnvinfer"}
    assert found["auto"] == "cuda"
    assert rows(run_line("milopyp doctor").out)["GPUs"] == "; ".join(found["gpus"])


def test_shipped_weights_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained_weights, "FOLDER", ship_small(tmp_path))
    assert rows(run_line("milopyp doctor").out)["weights"].startswith(
        f"{tmp_path}/features.json: says nothing of a graph"
    )
    facts_of_graph = GraphFacts(Geometry((1, 1, 1), (1, 1, 1), (1, 2, 2)), Chunks(0, 1, ()), 100, "")
    pretrained_weights.write_graph(tmp_path, b"a graph", facts_of_graph)
    outcome = run_line("milopyp doctor")
    assert outcome.code == 0
    assert rows(outcome.out)["weights"] == "pre-trained network with 4 features, arrays and graph whole"
    (tmp_path / "features.npz").write_bytes(b"")
    assert facts()["weights"].startswith(f"{tmp_path}/features.npz: has been altered")


# ---------------------------------------------------------------- installations that cannot pick


def test_two_runtimes(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    both = [runtime.Runtime(name, version, Path("lib"), used=True) for name, version in versions.items()]
    monkeypatch.setattr(runtime, "installed_runtimes", lambda: both)
    outcome = run_line("milopyp doctor")
    assert outcome.code == 3
    shown = rows(outcome.out)
    assert list(shown) == TITLES  # the whole table is there all the same
    assert {"onnxruntime 1.32.0", "onnxruntime-gpu 1.31.1"} <= set(shown["packages"].split(", "))
    assert shown["auto"] == "nothing can be picked here, see below"
    [line] = outcome.errors
    assert line.startswith("error: onnxruntime and onnxruntime-gpu are both installed")
    assert "Run: pip uninstall onnxruntime onnxruntime-gpu" in line

    outcome = run_line("milopyp doctor --json")
    assert outcome.code == 3
    found = json.loads(outcome.out)
    assert (f"error: {found['problem']}", found["auto"]) == (line, None)


def doctor_after(preparation: str, *arguments: str, words: str = "doctor") -> subprocess.CompletedProcess[str]:
    """The command in a fresh interpreter in which `preparation` ran first."""
    code = (
        f"import sys\n{preparation}\n"
        "from milopyp.cli import milopyp\n"
        "from milopyp_shared.commandline import run\n"
        f"run(milopyp, {[*words.split(), *arguments]!r})\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_without_onnxruntime() -> None:
    done = doctor_after("sys.modules['onnxruntime'] = None")
    assert done.returncode == 3, done.stderr
    shown = rows(done.stdout)
    assert list(shown) == TITLES
    assert [shown[name] for name in ("cpu", "cuda", "tensorrt")] == ["onnxruntime is not installed"] * 3
    assert done.stderr == "error: onnxruntime is not installed. Run: pip install 'milopyp[cpu]' (or [gpu]).\n"
    found = json.loads(doctor_after("sys.modules['onnxruntime'] = None", "--json").stdout)
    assert (found["auto"], found["providers"]["cpu"]) == (None, "onnxruntime is not installed")


def test_what_is_left_of_onnxruntime() -> None:
    """Uninstalling one of two that share a folder leaves the folder without the file that makes it a package."""
    done = doctor_after("import types; sys.modules['onnxruntime'] = types.ModuleType('onnxruntime')")
    assert done.returncode == 3, done.stderr
    assert "error: onnxruntime is installed in part only. Uninstall it" in done.stderr
    assert rows(done.stdout)["cpu"] == "onnxruntime is installed in part only"


def test_numba_that_does_not_fit_numpy(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.4 or less. Got NumPy 2.9.')")
    done = doctor_after(f"sys.path.insert(0, {str(tmp_path)!r})")
    assert done.returncode == 3, done.stderr
    assert "error: numba cannot be loaded (Numba needs NumPy 2.4 or less. Got NumPy 2.9.)" in done.stderr
    shown = rows(done.stdout)
    assert shown["cpu"] == "works"
    assert shown["kernels"] == "none that can be used; set NUMBA_CACHE_DIR"


def test_no_framework_is_loaded() -> None:
    check = "import atexit; atexit.register(lambda: print('LOADED', {'torch', 'onnx'} & set(sys.modules), flush=True))"
    done = doctor_after(check)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED set()"


# ---------------------------------------------------------------- folders


def test_folders_that_are_chosen(no_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MILOPYP_CACHE", str(tmp_path / "file" / "below"))
    found = facts()["engines"]
    assert (found["path"], found["writable"]) == (f"{tmp_path}/file/below/engines", False)
    text = rows(run_line("milopyp doctor").out)["engines"]
    assert text == f"{tmp_path}/file/below/engines, cannot be written; set MILOPYP_CACHE"
    environment = f"import os; os.environ['NUMBA_CACHE_DIR'] = {str(tmp_path / 'numba')!r}"
    shown = json.loads(doctor_after(environment, "--json").stdout)["kernels"]
    assert (shown["path"], shown["writable"]) == (str(tmp_path / "numba"), True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.folder(tmp_path / "a" / "b").writable
    asked: list[Path] = []
    monkeypatch.setattr(os, "access", lambda path, mode: bool(asked.append(path)))
    assert not doctor.folder(tmp_path / "a" / "b").writable
    assert asked == [tmp_path]  # nothing is made: the folder above decides


def test_a_user_without_home_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid():
        pytest.skip("only root can become a user without a name")
    for name in ("HOME", "XDG_CACHE_HOME", "MILOPYP_CACHE", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    done = doctor_after("import os; os.setreuid(12345, 0)")
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.stdout)["engines"] == "none that can be used; set MILOPYP_CACHE"
    done = doctor_after("import os; os.setreuid(12345, 0)", words="engines list")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no home folder; expected HOME or MILOPYP_CACHE in the environment.")
    assert not list(tmp_path.iterdir())  # nor a folder called ~


def test_no_temporary_folder(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_is_usable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none_is_usable)
    assert rows(run_line("milopyp doctor").out)["temporary"] == "none that can be used; set TMPDIR"


# ---------------------------------------------------------------- the CPU

INTEL = """processor\t: {number}
model name\t: Intel(R) Xeon(R) Gold 6248 CPU
physical id\t: {socket}
core id\t\t: {core}
flags\t\t: fpu sse2 avx2 avx512f {more}

"""


@pytest.mark.parametrize(
    ("more", "flags", "pays"),
    [
        ("avx512_vnni", ("avx2", "avx512f", "avx512_vnni"), True),
        ("avx_vnni", ("avx2", "avx512f", "avx_vnni"), True),
        ("avx_vnni_int8_of_later", ("avx2", "avx512f"), False),
    ],
)
def test_a_processor_and_its_flags(more: str, flags: tuple[str, ...], pays: bool, tmp_path: Path) -> None:
    """Two sockets of two cores of two threads."""
    threads = range(8)
    text = "".join(INTEL.format(number=n, socket=n // 2 % 2, core=n % 2, more=more) for n in threads)
    (tmp_path / "cpuinfo").write_text(text)
    found = doctor.processor(tmp_path / "cpuinfo")
    assert (found.name, found.cores, found.flags, found.int8_pays) == ("Intel(R) Xeon(R) Gold 6248 CPU", 4, flags, pays)


def test_why_there_are_fewer_threads(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.cpu, "quota", lambda: 0.5)
    assert facts()["processor"]["quota"] == 0.5
    text = rows(run_line("milopyp doctor").out)["processor"]
    assert "1 thread for this process (" in text
    assert text.endswith("its control group may use the time of 0.5)")


def test_other_processors(tmp_path: Path) -> None:
    arm = "".join(f"processor\t: {n}\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd aes\n\n" for n in range(4))
    (tmp_path / "cpuinfo").write_text(arm + "Hardware\t: a board\n")
    found = doctor.processor(tmp_path / "cpuinfo")
    assert (found.name, found.cores, found.flags, found.int8_pays) == (platform.machine(), 4, ("asimd",), True)
    unknown = doctor.processor(tmp_path / "not there")
    assert (unknown.cores, unknown.flags, unknown.int8_pays) == (os.cpu_count(), (), False)
