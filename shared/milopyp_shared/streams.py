"""Standard output and error as a program may find them: closed, of another encoding, on a full disk, read by nobody."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path


def prepare() -> None:
    """Make the streams of this process such that any text may be written to them.

    Closed ones lead nowhere; the files that are opened next would take their numbers, and libraries that write to
    standard error would write into them. What an encoding does not have is written as its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def attempt(write: Callable[[], None], *, err: bool) -> OSError | None:
    """Call what writes to standard output, or to standard error if `err`.

    The error for which it could not; from then on, what is written there goes nowhere, this time's rest included.
    """
    try:
        write()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
        os.close(nowhere)
        return error
    return None


def _nowhere() -> io.TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")
