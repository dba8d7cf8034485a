"""Paths: what is none, and what is no file."""

from __future__ import annotations

import os
from pathlib import Path

from . import stores
from .errors import InputError, UsageError
from .urls import Url, to_path

_UNKNOWN = 1 << 28  # bytes: what a tomogram may have whose store is not asked


def as_path(value: str | os.PathLike[str], what: str, expected: str = "the name of a file") -> Path:
    """The path that `value` names, see `to_path`; a `UsageError` about `what` for anything that names none."""
    try:
        return to_path(value)
    except TypeError:
        raise UsageError(f"a value of type {type(value).__name__}", where=what, expected=expected) from None


def missing_file_error(path: Path, expected: str, remedy: str = "") -> InputError:
    """The error to raise for a path that is not a file, with what it is instead."""
    if path.is_dir():
        found = "is a folder"
    elif path.exists():
        found = "is not a file"
    else:
        found = "is a link that leads nowhere" if path.is_symlink() else "no such file"
    return InputError(found, where=path, expected=expected, remedy=remedy)


def file_size(path: Path) -> int:
    """Bytes of a file or store; 0 where there is none, which somebody else is to say. No host is asked."""
    if isinstance(path, Url):
        return _UNKNOWN
    try:
        return sum(facts.st_size for _, facts in stores.files(path))
    except OSError:
        return 0
