"""Where what commands say goes, through the standard `logging`: to the terminal, and to a file that is asked for.

The logger is called ``milopyp``. A command says what it does (INFO), what looks wrong (WARNING, with its W number
where it has one), what is wrong (ERROR) and details (DEBUG). Whoever uses the packages from Python sets the logger up.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from .atomic import make_folder, write_error
from .errors import InputError
from .streams import attempt

LOGGER = logging.getLogger("milopyp")
_TITLES = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "internal error"}
_LINE = "%(asctime)s %(process)d %(levelname)s %(message)s"
_BEGINS_A_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ [A-Z]+ ")


class _Terminal(logging.Handler):
    """What is said goes to standard output, all else to standard error: the former is the same with every option.

    A record's ``title`` replaces the word that its level begins a line with; one with ``shown`` is on the terminal
    already.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "shown", False):
            return
        title, text = getattr(record, "title", _TITLES.get(record.levelno, "")), record.getMessage()
        show(f"{title}: {text}" if title else text, err=record.levelno != logging.INFO)


class _LogFile(logging.FileHandler):
    """A file to which every line is appended at once, so that several processes may share it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter(_LINE))

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once that the disk is full or gone, and go on without the file: the work is worth more than its log."""
        LOGGER.removeHandler(self)
        self.close()
        LOGGER.warning(f"{self.baseFilename} cannot be written any more: the log ends here")

    def close(self) -> None:
        """Close the file, whatever could not be written to it."""
        with suppress(OSError):
            super().close()


def show(text: str, *, err: bool = False) -> None:
    """Print a line; where that cannot be done any more, the work goes on without, and says so once."""
    error = attempt(lambda: click.echo(text, err=err), err=err)
    if error and not err:
        why = "nobody reads" if isinstance(error, BrokenPipeError) else "nothing can be written to"
        LOGGER.warning(f"{why} standard output any more: the work goes on without")


@contextmanager
def terminal() -> Iterator[None]:
    """Send messages to the terminal while a program runs."""
    before = _exchange(_Outlets([_Terminal(logging.INFO)], logging.INFO, propagate=False))
    try:
        yield
    finally:
        _exchange(before)


@contextmanager
def speaking(*, quiet: bool = False, verbose: bool = False, log_file: Path | None = None) -> Iterator[None]:
    """Send messages where the options of a command say, while it runs.

    A command that another one calls is as quiet, and writes to the same log, as that one. After an error all stays as
    it is, so that the error is said in the same places.

    Parameters
    ----------
    quiet
        Only what is wrong is shown.
    verbose
        Details are shown, too, unless `quiet`.
    log_file
        Gets everything, with the time and the number of the process.

    Raises
    ------
    InputError, FullDiskError
        `log_file` cannot be written, or holds something else than a log.
    """
    outer = next((handler.level for handler in LOGGER.handlers if isinstance(handler, _Terminal)), logging.INFO)
    quiet, verbose = quiet or outer > logging.INFO, verbose or outer < logging.INFO
    shown = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    files: list[logging.Handler] = [handler for handler in LOGGER.handlers if isinstance(handler, _LogFile)]
    if log_file is not None:
        files.append(_opened(log_file))
    level = logging.DEBUG if files else shown
    before = _exchange(_Outlets([_Terminal(shown), *files], level, propagate=False))
    yield
    _exchange(before)


def is_shown() -> bool:
    """Whether what is said is seen on the terminal."""
    return any(isinstance(handler, _Terminal) and handler.level <= logging.INFO for handler in LOGGER.handlers)


@dataclass(frozen=True)
class _Outlets:
    """What a logger is set to; libraries give the root logger handlers of their own, so that nothing is handed on."""

    handlers: list[logging.Handler]
    level: int
    propagate: bool


def _exchange(new: _Outlets) -> _Outlets:
    """Set the logger to `new`; what it was set to."""
    before = _Outlets(LOGGER.handlers, LOGGER.level, LOGGER.propagate)
    LOGGER.handlers, LOGGER.propagate = new.handlers, new.propagate
    LOGGER.setLevel(new.level)
    for handler in before.handlers:
        if handler not in new.handlers:
            handler.close()
    return before


def _opened(path: Path) -> _LogFile:
    make_folder(path.parent)
    try:
        if path.is_file() and not _may_be_a_log(path):
            raise InputError(
                "is not a log of milopyp",
                where=path,
                expected="a new file, or one that --log-file has written",
                remedy="Give another name.",
            )
        return _LogFile(path)
    except OSError as error:
        raise write_error(path, error) from error


def _may_be_a_log(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(64)
    return not start or _BEGINS_A_LINE.match(start) is not None
