"""Importing and picking on systems that lack what only Linux, or only POSIX, has: faked, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from milopyp import pick, read_picks
from toys import TOY, clean_phantom, write_tomogram

# Third parties are loaded before: they are not what is tested, and they load other files on other systems.
FAKED = """
import importlib, json, os, signal, sys, subprocess, tempfile
for name in ("click", "filelock", "mrcfile", "msgspec", "numba", "numpy", "onnxruntime", "platformdirs"):
    importlib.import_module(name)
import rich.progress, scipy.ndimage, scipy.spatial
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "posix_fallocate", "posix_fadvise", "fork", "getuid", "geteuid", "killpg", "setsid"):
    delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGKILL", "SIGCHLD"):
    delattr(signal, name)
sys.platform = {platform!r}
import milopyp_inference
picks = milopyp_inference.pick("a.mrc", "toy.onnx")
print(json.dumps([picks.xyz.tolist(), picks.score.tolist()]))
from milopyp_inference.cli import infer_command
from milopyp_shared.commandline import run
run(infer_command, ["a.mrc", "--model", "toy.onnx", "--out", "picks", "--threads", "1"])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume, voxel_size=10.0)
    (tmp_path / "toy.onnx").write_bytes(TOY.read_bytes())
    return tmp_path


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_picking(platform: str) -> None:
    words = [sys.executable, "-c", FAKED.format(platform=platform)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    first, *said = ended.stdout.splitlines()
    here = pick("a.mrc", "toy.onnx")
    assert len(here) == 10
    xyz, score = json.loads(first)
    assert xyz == pytest.approx(here.xyz, abs=0.01)  # another number of threads is another order of sums
    assert score == pytest.approx(here.score, abs=1e-4)
    assert any("10 picks in 1 of 1 tomograms" in line for line in said)
    assert read_picks("picks/a.candidates.csv").xyz[:10] == pytest.approx(here.xyz, abs=0.011)
