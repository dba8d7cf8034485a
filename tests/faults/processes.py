"""Programs as processes of their own, what disturbs them, and disks that are full."""

from __future__ import annotations

import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

# At random moments of a run; two each in `make test`, twenty in `make faults`.
KILLS = int(os.environ.get("MILOPYP_KILLS", "2"))


@dataclass(frozen=True)
class Undisturbed:
    """What a command leaves when nothing happens, and how long it takes."""

    folder: Path
    seconds: float


def started(line: str, folder: Path) -> subprocess.Popen[str]:
    """A command line as a process that can be interrupted, its messages in one pipe."""
    program, *words = shlex.split(line)
    return subprocess.Popen(
        [str(Path(sys.executable).with_name(program)), *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored when tests run in the background
    )  # fmt: skip


def ended(line: str, folder: Path) -> str:
    """What a command says that must succeed."""
    process = started(line, folder)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def undisturbed(line: str, cwd: Path, folder: Path) -> Undisturbed:
    """Run a command that fills `folder`."""
    before = time.monotonic()
    ended(line, cwd)
    return Undisturbed(folder, time.monotonic() - before)


def kill(line: str, cwd: Path, folder: Path, moment: int, seconds: float) -> None:
    """Kill a command that fills `folder` in part `moment` of `KILLS` of its run, which takes about `seconds`."""
    for _ in range(10):
        process = started(line, cwd)
        time.sleep((moment + random.Random(moment).random()) / KILLS * seconds)
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            return
        shutil.rmtree(folder)  # it was faster this time
        seconds *= 0.8
    raise AssertionError("it was never killed")


def limit_memory(process: subprocess.Popen[str], more: int) -> None:
    """Let a process take so many MiB of address space more than it has, and nothing beyond."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
    bytes_ = pages * os.sysconf("SC_PAGESIZE") + more * 2**20
    resource.prlimit(process.pid, resource.RLIMIT_AS, (bytes_, resource.RLIM_INFINITY))


def on_a_small_disk(line: str, again: str, cwd: Path, folder: Path, size: str) -> tuple[int, str, int, str]:
    """Run a command whose output `folder` is a disk of `size`, then `again` with more room.

    What lies in the folder in the end is kept. Returns exit code and messages of both.
    """
    shell, unshare = shutil.which("sh"), shutil.which("unshare")
    mount = [str(unshare), "--user", "--map-root-user", "--mount", str(shell), "-ec"]
    folder.mkdir(parents=True)
    tried = unshare and subprocess.run([*mount, f"mount -t tmpfs none {shlex.quote(str(folder))}"], capture_output=True)
    if not tried or tried.returncode:
        pytest.skip("no small disk can be mounted here (unshare --user --mount)")
    script = """
        mount -t tmpfs -o size="$1" none "$2"; code=0; again=0
        sh -c "$3" > first.txt 2>&1 || code=$?
        mount -o remount,size=1g "$2"
        sh -c "$4" > again.txt 2>&1 || again=$?
        cp -r "$2" "$2.kept"; echo "$code $again"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*mount, script, "sh", size, str(folder), line, again],
        cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder.rmdir()
    folder.with_name(f"{folder.name}.kept").rename(folder)
    code, second = map(int, done.stdout.split())
    return code, (cwd / "first.txt").read_text(), second, (cwd / "again.txt").read_text()
