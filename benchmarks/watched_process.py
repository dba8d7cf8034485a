"""A process, watched from outside: how it ends, its peak memory, and what nvidia-smi says of a GPU meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from milopyp_inference.engine import tensorrt_cache

_PERIOD = 0.1  # seconds


@dataclass(frozen=True)
class Watched:
    """How a process went.

    Attributes
    ----------
    problem
        Why it is of no use; empty when it ended well.
    memory
        Its peak in MiB, without mapped file pages.
    samples
        Time, MiB in use on the GPU by whomever, and percent of the time that it worked; empty without nvidia-smi.
    """

    problem: str
    memory: float
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def gpu_memory(self) -> int | None:
        """MiB at most, above what was in use before."""
        return max(used for _, used, _ in self.samples) - self.samples[0][1] if self.samples else None

    def busy(self, start: float, end: float) -> float | None:
        """Percent of the time that the GPU worked from `start` to `end`, in seconds of the system's clock."""
        seen = [busy for moment, _, busy in self.samples if start <= moment <= end]
        return statistics.mean(seen) if seen else None


def watch(command: Sequence[str], limit: float, device: int | None) -> Watched:
    """Run a command, and end it after `limit` seconds; `device` is the GPU to look at."""
    samples = [*look(device)]
    end, memory = time.monotonic() + limit, 0.0
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            while process.poll() is None and time.monotonic() < end:
                memory = max(memory, resident(process.pid))
                samples += look(device)
                time.sleep(_PERIOD)
            late = process.poll() is None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            process.wait()
        log.seek(0)
        said = [line for line in log.read().splitlines() if line.strip()] or [""]
    problem = f"the process ended with {process.returncode}: {said[-1][:200]}" if process.returncode else ""
    return Watched(f"stopped after {limit:.0f} s" if late else problem, memory, samples)


def look(device: int | None) -> list[tuple[float, int, int]]:
    """One of `Watched.samples`; none without a GPU to look at, or without nvidia-smi."""
    if device is None:
        return []
    wanted = ["--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits"]
    command = ["nvidia-smi", f"--id={tensorrt_cache.smi_id(device)}", *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        used, busy = map(int, done.stdout.split(","))
    except (OSError, subprocess.SubprocessError, ValueError):  # some GPUs say [N/A]
        return []
    return [(time.time(), used, busy)]


def resident(pid: int) -> float:
    """MiB of a process, without mapped file pages; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    parts = dict(line.split(":", 1) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return sum(int(value.split()[0]) for value in parts.values()) / 1024
