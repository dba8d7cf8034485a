"""What may be written over: one rule for all commands that write to a file whose name a person chooses.

An answer that milopyp has written (a table, a picture, a page) is given anew where it was; whatever a person may have
made or changed is replaced with ``--overwrite`` only (`refuse_existing`); tomograms, models of others and what a
command reads never are.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from . import stores
from .errors import InputError, MilopypError, UsageError
from .names import PACKED
from .urls import refuse_writing

TOMOGRAMS = (".mrc", ".mrcs", ".rec", ".st", ".ali", ".map")
MODELS = (".onnx", ".pth", ".pt")
REMEDY = "Choose another place to write to."
MARKS = {
    ".png": b"tEXtSoftware\0milopyp",
    ".html": b'<meta name="generator" content="milopyp report">',
    ".json": b'"made_by": "milopyp evaluate"',
    ".md": b"<!-- milopyp evaluate -->",
}
_MARKED = 1 << 12  # bytes in which a mark is looked for


def refuse_existing(
    target: str | Path,
    *,
    overwrite: bool,
    inputs: Iterable[str | Path] = (),
    option: str = "--overwrite",
    made: str = "",
) -> None:
    """Refuse to write over what is there, unless `overwrite`; and always what `refuse_irreplaceable` refuses.

    Parameters
    ----------
    inputs
        Files that the command reads.
    option
        How a person says `overwrite`, for the message; empty where nobody can.
    made
        Suffix of the model files that the command makes, and may replace.

    Raises
    ------
    UsageError, InputError
        With what to do instead.
    """
    refuse_irreplaceable(target, inputs, made)
    found = _stat(target)
    is_folder = found is not None and stat.S_ISDIR(found.st_mode)  # which the writer refuses
    if os.path.lexists(target) and not is_folder and not overwrite:
        raise UsageError(
            "exists already",
            where=target,
            expected="a name that is free",
            remedy=f"Give {option} to replace it." if option else REMEDY,
        )


def refuse_others(target: str | Path, mark: bytes, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse to write over a file that milopyp has not written: its answers (tables, pictures) may be given anew.

    Parameters
    ----------
    mark
        What stands near the beginning of every file of that kind, and in no other: one of `MARKS`, or a table's titles.
    inputs
        As in `refuse_existing`.

    Raises
    ------
    UsageError, InputError
        It is another file, or one that `refuse_irreplaceable` refuses.
    """
    refuse_irreplaceable(target, inputs)
    if (found := _stat(target)) is None or stat.S_ISDIR(found.st_mode):
        return
    with Path(target).open("rb") as stream:
        if mark in stream.read(_MARKED):
            return
    raise UsageError(
        "exists already, and is none of what this command writes", where=target, expected="a name that is free",
        remedy=REMEDY,
    )  # fmt: skip


def refuse_irreplaceable(target: str | Path, inputs: Iterable[str | Path] = (), made: str = "") -> None:
    """Refuse to write over what nobody means to lose: a file that is being read, a tomogram, a model file.

    An input is one under any name: in another spelling, or through a link. A tomogram shows in its first bytes, packed
    or not, or in its suffix.

    Raises
    ------
    UsageError
        It is one of them, a URL, or no ordinary file (``/dev/null``).
    InputError
        It cannot be looked at.
    """
    refuse_writing(target)
    found = _stat(target)
    if found is None or stat.S_ISDIR(found.st_mode):
        return
    for path in inputs:
        read = _stat(stores.outer(Path(path)))
        if read is not None and os.path.samestat(found, read):
            what = "is read by this command" if str(path) == str(target) else f"is {path}, which this command reads"
            raise UsageError(what, where=target, expected="another file to write to", remedy=REMEDY)
    kind = _kind(Path(target), made) if stat.S_ISREG(found.st_mode) else "is no ordinary file"
    if kind:
        raise UsageError(kind, where=target, expected="a file that can be written over", remedy=REMEDY)


def _stat(path: str | Path) -> os.stat_result | None:
    """Of the file that `path` leads to; None where there is none."""
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def _kind(path: Path, made: str) -> str:
    """What a file is that must stay, or nothing; a link is judged by its own name and by its file's."""
    from .tomogram import read_header

    suffixes = {_suffix(path), _suffix(path.resolve())}
    if suffixes & {suffix for suffix in MODELS if suffix != made}:
        return "is a model file"
    if suffixes & set(TOMOGRAMS):
        return "is a tomogram"
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})",
            where=path,
            expected="a file that can be looked at before it is written over",
            remedy=REMEDY,
        ) from error
    try:
        read_header(path, "xyz", shortest=1)
    except MilopypError:
        return ""
    return "is a tomogram"


def _suffix(path: Path) -> str:
    """``.mrc`` of ``a.MRC.gz``."""
    return Path(path.stem if path.suffix.lower() in PACKED else path.name).suffix.lower()


def keep_as_before(path: Path, text: str) -> Path | None:
    """Rename a file that says something else than `text`, which goes in its place: to ``NAME.1``, or the next number.

    Returns where it is then; None where there is nothing to keep.
    """
    try:
        if path.read_text(encoding="utf-8") == text:
            return None
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        pass
    return path.rename(free_numbered(path))


def free_numbered(path: Path) -> Path:
    """``NAME.1``, or with the next number that nothing has: what a file or folder is called that is kept."""
    numbers = (path.with_name(f"{path.name}.{number}") for number in itertools.count(1))
    return next(own for own in numbers if not os.path.lexists(own))
