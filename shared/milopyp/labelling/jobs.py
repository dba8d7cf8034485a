"""Trainings and pickings: the commands that a person could type, as processes of their own, with what they say last."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from milopyp_shared.errors import UsageError

Kind = Literal["train", "learn", "pick"]
State = Literal["running", "done", "failed", "stopped"]

_LAST = 30  # lines that are kept of a job
_COUNTED = re.compile(r"\b(\d+)/(\d+)\b")  # how commands say how far they are
_GRACE = 20.0  # seconds that a command has to end by itself


@dataclass(frozen=True)
class Line:
    """A command.

    Attributes
    ----------
    words, typed
        As it is run, and as a person would type it.
    part
        Of a job's work, beside those of its other commands.
    """

    words: Sequence[str]
    typed: Sequence[str]
    part: float = 1.0


@dataclass(frozen=True)
class Job:
    """A command at work, or what became of it.

    Attributes
    ----------
    name
        What it makes: ``label-1`` is a model.
    share
        Of its work that is done, 0..1, as far as it says.
    text
        What it said last.
    line
        As a person would type it.
    made
        What it has made, once it is done.
    """

    number: int
    kind: Kind
    name: str
    state: State = "running"
    share: float | None = None
    text: str = ""
    line: str = ""
    made: str | None = None
    log: tuple[str, ...] = field(default=())


class Jobs:
    """Runs jobs, one at a time.

    Parameters
    ----------
    folder
        In which commands run.
    changed
        Called whenever a job is at another point.
    """

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder, self._changed = folder, changed
        self._jobs: dict[int, Job] = {}
        self._process: subprocess.Popen[str] | None = None
        self._stopping, self._lock = False, threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def all(self) -> list[Job]:
        """From the first one on."""
        return list(self._jobs.values())

    @property
    def running(self) -> Job | None:
        """The one at work."""
        return next((job for job in self._jobs.values() if job.state == "running"), None)

    def start(self, kind: Kind, name: str, lines: Sequence[Line], made: Path, done: Callable[[], str]) -> Job:
        """Run command lines one after the other.

        Parameters
        ----------
        made
            What is there when all have ended well.
        done
            Called then, before the job is seen to be done: what it says stays; what it raises is the job's error.

        Raises
        ------
        UsageError
            Another one is at work.
        """
        with self._lock:
            if self.running is not None:
                raise UsageError(
                    f"{self.running.name} is at work", where="page", expected="one thing at a time",
                    remedy="Wait for it, or stop it.",
                )  # fmt: skip
            job = Job(len(self._jobs) + 1, kind, name, line=" && ".join(shlex.join(line.typed) for line in lines))
            self._jobs[job.number], self._stopping = job, False
            self._thread = threading.Thread(
                target=self._run, args=(job.number, lines, made, done), name="milopyp-job", daemon=True
            )
            self._thread.start()
        self._changed()
        return job

    def stop(self, number: int) -> None:
        """End a job as Ctrl-C does; one that is over stays as it is."""
        with self._lock:
            if self.running is None or self.running.number != number:
                return
            self._stopping = True
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)

    def shutdown(self) -> Job | None:
        """End what is at work, and wait for it; what that was."""
        job, thread = self.running, self._thread
        if job is not None and thread is not None:
            self.stop(job.number)
            thread.join(_GRACE)
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
        return job

    def _run(self, number: int, lines: Sequence[Line], made: Path, done: Callable[[], str]) -> None:
        last: deque[str] = deque(maxlen=_LAST)
        before, whole = 0.0, sum(line.part for line in lines)
        try:
            for line in lines:
                code = self._run_line(number, line.words, (before / whole, line.part / whole), last)
                before += line.part
                if self._stopping:
                    return self._set(number, state="stopped", text="stopped")
                if code:
                    return self._failed(number, last)
            said = done()
        except Exception as error:  # a thread has nobody else to tell
            last.append(f"error: {error}")
            return self._failed(number, last)
        self._set(number, state="done", share=1.0, made=str(made), text=said)

    def _failed(self, number: int, last: deque[str]) -> None:
        errors = [line for line in last if line.startswith(("error: ", "internal error: "))]
        self._set(number, state="failed", text=(errors or list(last) or ["ended without a word"])[-1], log=tuple(last))

    def _run_line(self, number: int, words: Sequence[str], part: tuple[float, float], last: deque[str]) -> int:
        with self._lock:
            if self._stopping:
                return 1
            self._process = subprocess.Popen(
                words, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace", start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        with self._process as process:
            for line in self._process.stdout:
                text = line.strip()
                if text:
                    last.append(text)
                    self._set(number, text=text, share=_share(text, part, self._jobs[number].share))
        return process.returncode

    def _set(self, number: int, **new: object) -> None:
        self._jobs[number] = replace(self._jobs[number], **new)  # type: ignore[arg-type]
        self._changed()


def _share(text: str, part: tuple[float, float], before: float | None) -> float | None:
    """How much of a job is done, where a line says it of its command (after what, how much), e.g. ``epoch 3/10``."""
    found = _COUNTED.search(text)
    if found is None or not 0 < int(found[1]) <= int(found[2]):
        return before
    start, own = part
    return max(before or 0.0, start + own * int(found[1]) / int(found[2]))
