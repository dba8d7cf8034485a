"""Picking where Linux's own calls are missing: systems that are not supported, but not shut out either."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from milopyp_inference.batch import leases
from milopyp_shared import cpu, system
from milopyp_shared.scratch_array import scratch_array
from milopyp_shared.system import peak_memory_mib
from milopyp_shared.tomogram import open_tomogram
from running import run_line, wait_for
from toys import TOY, clean_phantom, noise, write_tomogram

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty")
CALLS = (
    *("posix_fadvise", "posix_fallocate", "pread", "preadv", "pwrite", "sched_getaffinity", "sched_setaffinity"),
    *("fork", "getpgid", "getuid", "geteuid", "killpg", "setsid", "fchmod", "mkfifo"),
)
# Other packages are made for the system they run on, and are loaded as what they are.
PRETEND = f"""
import ctypes, os, signal, subprocess, sys, tempfile
import click, filelock, mrcfile, msgspec, numba, numpy, onnxruntime, platformdirs, rich.console, rich.progress
import scipy.ndimage, scipy.sparse, scipy.spatial
open_library = ctypes.CDLL
def library(name, *arguments, **options):
    if name is None:
        raise TypeError("bad argument type for built-in operation")
    return open_library(name, *arguments, **options)
for name in {MODULES}:
    sys.modules[name] = None
for name in {CALLS}:
    if hasattr(os, name):
        delattr(os, name)
if sys.argv[1] == "win32":
    ctypes.CDLL = library
    del signal.SIGHUP, signal.SIGKILL, signal.SIGUSR1, signal.SIGCHLD
sys.platform = sys.argv.pop(1)
assert not [name for name in sys.modules if name.startswith("milopyp")]
"""


def elsewhere(platform: str, body: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", PRETEND + body, platform, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_picking(platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tomogram(Path("a.mrc"), clean_phantom().volume, "xzy", voxel_size=10.0)
    assert run_line(f"milopyp-infer a.mrc --model {TOY} --provider cpu --out here").code == 0
    words = ("a.mrc", "--model", TOY, "--provider", "cpu", "--out", "elsewhere")
    done = elsewhere(platform, "from milopyp_inference.cli import main\nmain()", *words)
    assert done.returncode == 0, done.stderr
    for name in ("a.txt", "a.mod", "a.candidates.csv"):
        assert Path("here", name).read_bytes() == Path("elsewhere", name).read_bytes() != b""
    record = json.loads(Path("elsewhere/records/a.json").read_text())
    assert (record["status"], record["peak_memory_mib"]) == ("done", 0)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_picking_from_python_and_what_there_is_to_know(platform: str, tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    body = "import milopyp_inference as m; print(len(m.pick(sys.argv[1], sys.argv[2], threshold=0.3)))"
    done = elsewhere(platform, body, tmp_path / "a.mrc", TOY)
    assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr
    done = elsewhere(platform, "from milopyp.cli import main\nmain()", "doctor")
    assert done.returncode == 0, done.stderr
    assert f"{min(os.cpu_count() or 1, math.ceil(cpu.quota() or 1e6))} threads for this process" in done.stdout


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> None:
    """What network shares refuse to all but their owner, and to him."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    for name in ("chmod", "fchmod", "lchmod", "chown", "fchown", "link", "symlink", "utime", "setxattr"):
        if hasattr(os, name):
            monkeypatch.setattr(os, name, refuse)


def test_a_share_on_which_rights_and_times_are_fixed(share: None, tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume, "xzy", voxel_size=10.0)
    line = f"milopyp-infer {tmp_path}/a.mrc --model {TOY} --format relion5 --out {tmp_path}/p"
    assert [run_line(line).code for _ in range(2)] == [0, 0]
    written = {path.name for path in (tmp_path / "p").iterdir()}
    assert {"a.txt", "a.mod", "a.star", "a.candidates.csv", "run.json"} <= written
    assert not [name for name in written if name.endswith((".part", ".claim"))]


def test_a_lease_stays_fresh_there(share: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "TOUCHED_EVERY", 0.01)
    with leases.Leases(tmp_path) as ours:
        assert ours.acquire("a")
        lease = tmp_path / "a.claim"
        first, content = lease.stat().st_mtime_ns, lease.read_bytes()
        wait_for(lambda: lease.stat().st_mtime_ns > first)
        assert lease.read_bytes() == content != b""
        assert not leases.Leases(tmp_path).acquire("a")
    assert not list(tmp_path.iterdir())


def test_reading_and_reserving_without_the_calls_of_posix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = noise((16, 30, 40))
    tomogram = open_tomogram(write_tomogram(tmp_path / "a.mrc", volume))
    monkeypatch.delattr(os, "preadv")
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(system, "_BLOCK", 1000)
    assert np.array_equal(tomogram.sections(3, 11), volume[3:11])
    array = scratch_array((7, 11, 13))
    assert array.shape == (7, 11, 13) and not array.any()
    array[:] = 1
    assert array.sum() == 7 * 11 * 13


def test_the_peak_is_that_of_the_process() -> None:
    size = 300 * 2**20
    code = f"from milopyp_shared.system import peak_memory_mib; a = bytearray({size}); print(peak_memory_mib())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    inherited = peak_memory_mib()  # Linux counts what the parent had when it started the process
    assert 300 <= int(said) < max(600, inherited + 100)
