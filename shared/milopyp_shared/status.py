"""How far a command is: a small JSON file that others can poll, kept by a thread of its own.

It is never in the way of the work: that only counts, and what cannot be written is said once.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType

from .atomic import remove_leftovers, write_text
from .commandline import INTERRUPTED, exit_code_of
from .errors import MilopypError

NAME = "status.json"
SCHEMA = 1
EVERY = 10.0  # seconds between writes


@dataclass
class Facts:
    """What a command knows of its work.

    Attributes
    ----------
    unit
        What is counted: ``tomogram`` or ``epoch``.
    total, done, failed
        Of them; `done` also by earlier calls.
    current
        What is at work.
    picks
        In those that are done; None where there are none.
    seconds_left
        Until all is done; None: not known.
    """

    unit: str
    total: int
    done: int = 0
    failed: int = 0
    current: tuple[str, ...] = ()
    picks: int | None = None
    seconds_left: float | None = None


class StatusFile:
    """The file of one call; as a context manager it says at the end what became of it, if it was begun.

    Parameters
    ----------
    path
        None: nothing is written.
    facts
        Asked whenever the file is written.
    warn
        Told once that it cannot be.

    Attributes
    ----------
    code
        The exit code of a call that ends without an error.
    """

    def __init__(self, path: Path | None, facts: Callable[[], Facts], warn: Callable[[str], None]) -> None:
        self._path = None if path is None else path.absolute()  # wherever the process goes meanwhile
        self._facts, self._warn = facts, warn
        self._stop, self._warned = threading.Event(), False
        self._started: datetime | None = None
        self._thread = threading.Thread(target=self._keep, name="milopyp-status", daemon=True)
        self.code = 0

    @classmethod
    def none(cls) -> StatusFile:
        """One that is never written."""
        return cls(None, lambda: Facts("", 0), lambda text: None)

    def begin(self) -> None:
        """Write it from now on; a second time changes nothing."""
        if self._path is None or self._started:
            return
        self._started = datetime.now(UTC)
        remove_leftovers(self._path.parent, self._path.name)
        self._write("running", None)
        self._thread.start()

    def __enter__(self) -> StatusFile:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        if not self._started:
            return
        self._stop.set()
        self._thread.join()
        code = self.code if error is None else exit_code_of(error)
        state = {0: "finished", 1: "finished", INTERRUPTED: "interrupted"}.get(code, "failed")
        self._write(state, code, None if error is None or code == INTERRUPTED else str(error))

    def _keep(self) -> None:
        while not self._stop.wait(EVERY):
            self._write("running", None)

    def _write(self, state: str, code: int | None, error: str | None = None) -> None:
        assert self._path is not None  # else it is not begun
        try:
            write_text(self._path, json.dumps(self._content(state, code, error), indent=1) + "\n")
        except (MilopypError, OSError) as failure:
            if not self._warned:
                self._warn(f"{self._path.name} says no more how far the work is, which goes on: {failure}")
            self._warned = True

    def _content(self, state: str, code: int | None, error: str | None) -> dict[str, object]:
        facts, now = asdict(self._facts()), datetime.now(UTC)
        left = facts.pop("seconds_left")
        return {
            "schema": SCHEMA, "state": state, "exit_code": code, "error": error, **facts,
            "started": _spelled(self._started), "updated": _spelled(now),
            "eta": None if left is None or code is not None else _spelled(now + timedelta(seconds=left)),
            "host": socket.gethostname(), "pid": os.getpid(), "version": _version(),
        }  # fmt: skip


def _spelled(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _version() -> str | None:
    try:
        return version("milopyp")
    except PackageNotFoundError:
        return None
