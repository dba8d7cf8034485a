"""Paths that are no files."""

from __future__ import annotations

from pathlib import Path

from .errors import InputError


def missing_file_error(path: Path, expected: str, remedy: str = "") -> InputError:
    """The error to raise for a path that is not a file, with what it is instead."""
    if path.is_dir():
        found = "is a folder"
    elif path.exists():
        found = "is not a file"
    else:
        found = "is a link that leads nowhere" if path.is_symlink() else "no such file"
    return InputError(found, where=path, expected=expected, remedy=remedy)
