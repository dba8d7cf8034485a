"""Several processes on this machine: one per GPU, or some on the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from milopyp_shared.lists import ImageEntry, write_image_list

LIST = "workers.tsv"


@dataclass
class Workers:
    """A fleet of child processes, all with the same list: each takes the next tomogram that nobody has claimed.

    Attributes
    ----------
    program
        Words that start ``milopyp-infer``.
    words
        Its options, the same for all.
    own
        Further options of each process.
    folder
        Where the list may lie.
    """

    program: Sequence[str]
    words: Sequence[str]
    own: Sequence[Sequence[str]]
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, images: Sequence[ImageEntry]) -> None:
        """Start one process per entry of `own`, no more than there are tomograms."""
        path = self.folder / LIST
        write_image_list(path, images)
        self.processes = [
            subprocess.Popen([*self.program, str(path), *self.words, *own, "--quiet"], start_new_session=True)
            for own in self.own[: len(images)]
        ]

    def running(self) -> bool:
        """Whether a child is alive."""
        codes = [process.poll() for process in self.processes]
        return None in codes

    def fate(self) -> str:
        """How the children ended."""
        codes = sorted({process.returncode for process in self.processes if process.returncode not in (0, 1)})
        words = ", ".join(_ended(code) for code in codes) or "ended without a word"
        return f"was not picked: a worker {words}"

    def leave(self) -> None:
        """End all children as an interruption does, and wait until they have cleared up."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait()
        (self.folder / LIST).unlink(missing_ok=True)


def _ended(code: int) -> str:
    return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
