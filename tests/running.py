"""Real command lines in this process, and what they leave behind."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import pytest

from milopyp_shared import commandline

PROGRAMS = {
    "milopyp": ("milopyp.cli", "milopyp"),
    "milopyp-train": ("milopyp_training.cli", "train_command"),
    "milopyp-export": ("milopyp_export.cli", "export_command"),
    "milopyp-infer": ("milopyp_inference.cli", "infer_command"),
}


@dataclass(frozen=True)
class Outcome:
    """Exit code, what was printed, and the error that ended the command."""

    code: int
    out: str
    err: str
    error: BaseException | None = None

    @property
    def errors(self) -> list[str]:
        """The lines of standard error that are neither warnings nor the list of failed items."""
        return [line for line in self.err.splitlines() if not line.startswith(("warning: ", "failed: "))]

    @property
    def doubts(self) -> list[str]:
        """All lines of standard error but what volumes without noise, and trainings of an epoch, are rightly told."""
        told = (" W15 grey levels collapse", "warning: such a score leaves nearly every candidate")
        return [line for line in self.err.splitlines() if not any(text in line for text in told)]


def run_line(line: str, *more: str | Path) -> Outcome:
    """Run a command line as a shell would split it, with `more` as further words."""
    name, *words = shlex.split(line)
    return run_program(name, [*words, *map(str, more)])


def run_program(name: str, arguments: Sequence[str]) -> Outcome:
    """Run one of `PROGRAMS` in this process as its console script does."""
    module, attribute = PROGRAMS[name]
    program: click.Command = getattr(import_module(module), attribute)
    out, err = io.StringIO(), io.StringIO()
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as leave:
            commandline.run(program, list(arguments))
    finally:
        signal.signal(signal.SIGTERM, terminate)
    assert isinstance(leave.value.code, int)
    return Outcome(leave.value.code, out.getvalue(), err.getvalue(), leave.value.__cause__)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something holds, two minutes at most."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "nothing happened for two minutes"
        time.sleep(0.005)


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder below `folder` by relative path, with a hash of its content ("folder" for folders)."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def outputs(run: Path) -> dict[str, str]:
    """Everything in a run of picking that says neither how long it took nor where it was done; see `tree`."""
    return {
        name: content
        for name, content in tree(run).items()
        if not name.endswith((".json", ".out")) and not name.startswith("slurm")
    }
