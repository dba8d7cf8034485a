"""Several processes on this machine: one per GPU, or some on the CPU."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from milopyp_shared.lists import ImageEntry, write_image_list

REFUSED = 2  # exit code
EXIT_DISK_FULL = 4  # of a worker whose disk is full: the one that leads it says so
_PR_SET_PDEATHSIG = 1  # of Linux: a signal for a child whose parent is gone


@dataclass
class LocalWorkers:
    """Child processes, all with the same list: each takes the next tomogram that nobody has claimed.

    Attributes
    ----------
    program
        Words that start ``milopyp-infer``.
    words
        Its options, the same for all.
    own
        Further options of each process.
    """

    program: Sequence[str]
    words: Sequence[str]
    own: Sequence[Sequence[str]]
    interval: float = 0.5
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self, images: Sequence[ImageEntry]) -> bool:
        """Start one process per entry of `own`, no more than there are tomograms."""
        self.folder = self.folder or tempfile.TemporaryDirectory(prefix="milopyp-")
        path = Path(self.folder.name) / "tomograms.tsv"
        write_image_list(path, images)
        end_with_parent = _end_with_parent()
        self.processes = []
        for own in self.own[: len(images)]:
            line = [*self.program, str(path), *self.words, *own, "--quiet", "--as-worker"]
            self.processes.append(subprocess.Popen(line, start_new_session=True, preexec_fn=end_with_parent))
        return True

    def running(self) -> bool:
        """Whether a child is alive."""
        codes = [process.poll() for process in self.processes]
        return None in codes

    def should_stop(self) -> bool:
        """Whether all children refused what they were to do, or had no room for it."""
        return all(process.returncode in (REFUSED, EXIT_DISK_FULL) for process in self.processes)

    def failure_reason(self) -> str:
        """How the children ended."""
        codes = sorted({process.returncode for process in self.processes if process.returncode not in (0, 1)})
        words = ", ".join(_ended(code) for code in codes) or "ended without a word"
        return f"was not picked: a worker {words}"

    def shutdown(self) -> None:
        """End all children as an interruption does, and wait until they have cleared up."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait()
        if self.folder is not None:
            self.folder.cleanup()


def _end_with_parent() -> Callable[[], None] | None:
    """What a child does before it begins, so that it is told to end when its parent is killed; Linux knows how."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded here: a child before its program must not load anything

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask


def _ended(code: int) -> str:
    return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
