"""Dynamo tables (``.tbl``): one particle per line, columns by number; and the map of their tomograms (``.doc``).

Column numbers are those of Dynamo's table convention: 4-6 refined shift, 7-9 angles tdrot, tilt, narot, 10 cross-
correlation, 20 tomogram, 22 class, 24-26 position. Columns are separated by spaces, tabs or commas. Numbers are kept as
the file has them; whether the first voxel is 0 or 1 is the caller's to know. The map has a number and the file of a
tomogram in each line; Dynamo writes it beside the table of a data folder and calls it ``indices_column20.doc``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..errors import InputError, UsageError
from ..names import ENDINGS, assign_some
from ..textfile import fixed, read_lines, to_numbers
from ..wording import counted

COLUMNS = 35  # written
DOC, DOC_OF_FOLDER = ".doc", "indices_column20.doc"
_NEEDED = 26
_SHIFT, _ANGLES, _CC, _TOMOGRAM, _CLASS, _POSITION = (3, 4, 5), (6, 7, 8), 9, 19, 21, (23, 24, 25)
_USED = (*_SHIFT, _CC, _TOMOGRAM, *_POSITION, _CLASS)
CLASS = f"number in column {_CLASS + 1}"
_NEGLIGIBLE = 1e-3  # imaginary parts that MATLAB's rounding leaves
_SOME = 8  # numbers that a message lists

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_COMPLEX = re.compile(rf"({_NUMBER})([+-](?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)i")
_WHOLE = re.compile(r"[+-]?\d{1,9}(?:\.0*)?", re.ASCII)
_MAP_LINE = re.compile(r"(\d{1,9})\s+(\S.*)", re.ASCII)

_TOMOGRAMS = (*ENDINGS, ".em")  # ends of lines that a map may begin with which nobody has named

Floats = NDArray[np.float64]

_warn = logging.getLogger("milopyp").warning


@dataclass(frozen=True, eq=False)
class DynamoTable:
    """Particles of one tomogram, numbers as in the file.

    Attributes
    ----------
    xyz, shift
        ``(n, 3)`` voxels; the position is their sum.
    cc
        ``(n,)``; NaN where that stands.
    class_number
        ``(n,)``; NaN where no number stands.
    name
        What the map calls the tomogram, a file's name as a rule; None without a map.
    """

    xyz: Floats
    shift: Floats
    cc: Floats
    class_number: Floats
    name: str | None = None

    def __getitem__(self, chosen: NDArray[np.bool_]) -> DynamoTable:
        return DynamoTable(self.xyz[chosen], self.shift[chosen], self.cc[chosen], self.class_number[chosen], self.name)


def read_tables(path: str | Path, tomogram: int | None = None) -> dict[str | None, DynamoTable]:
    """Particles of all tomograms by their name in the map beside the table (`doc_of`); None: a table without one.

    Parameters
    ----------
    tomogram
        Number of the only one to read (column 20).

    Raises
    ------
    InputError
        Unreadable, fewer than 26 columns, a word that is no number (with its line), no such tomogram; a map that cannot
        be read, or lacks a number (one that nobody has named is left aside then, with a warning).
    UsageError
        Several tomograms, neither a map nor a number.
    """
    table = _read_used_columns(path)
    numbers = table[:, 4].astype(int)
    known = np.unique(numbers).tolist()
    if tomogram is not None and known:
        if tomogram not in known:
            raise InputError(f"no tomogram {tomogram}", where=path, expected=f"one of its numbers: {_listed(known)}")
        known = [tomogram]
    names = _names_of(path, known)
    if names is None:
        if len(known) > 1:
            raise UsageError(
                f"particles of {len(known)} tomograms",
                where=path,
                expected=f"those of one, or {Path(path).stem}{DOC} beside it: lines of a number and a tomogram's name",
                remedy=f"It has {_listed(known)}: choose with --dynamo-tomogram of milopyp convert.",
            )
        return {None: _table_of(table[np.isin(numbers, known)])}
    return {names[number]: _table_of(table[numbers == number], names[number]) for number in known}


def doc_of(path: str | Path) -> Path | None:
    """The map that belongs to a table, or None.

    It is ``NAME.doc``, else the ``indices_column20.doc`` of the folder, else its only ``.doc`` that begins as a
    map and is no other table's.
    """
    path = Path(path)
    for own in _named_docs(path):
        if own.is_file():
            return own
    others = [
        doc for doc in path.parent.glob(f"*{DOC}") if not doc.with_suffix(".tbl").exists() and _begins_as_map(doc)
    ]
    return others[0] if len(others) == 1 else None


def docs_of(tables: Iterable[Path]) -> list[Path]:
    """The maps that are read with tables."""
    return [doc for path in tables if (doc := doc_of(path))]


def number_of(path: str | Path, name: str) -> int | None:
    """The number that a tomogram has in a table which is to be written, by the map beside it; None without one.

    Parameters
    ----------
    name
        Of the tomogram, as `milopyp_shared.names` compares names.

    Raises
    ------
    InputError
        The map cannot be read, does not name the tomogram, or has several that it can be.
    """
    doc = doc_of(path)
    if doc is None:
        return None
    numbers = {own: number for number, own in read_doc(doc).items()}
    remedy = "Say its number with --dynamo-tomogram of milopyp convert."
    line = assign_some([name], list(numbers), doc, remedy).get(name)
    if line is None:
        raise InputError(f"does not name {name}", where=doc, expected=f"the tomogram of {path}", remedy=remedy)
    return numbers[line]


def read_doc(path: str | Path) -> dict[int, str]:
    """Names of tomograms by their number, as the lines of a map have them: mostly files with their folders.

    Blank lines and comments (``#``, ``%``) are accepted.

    Raises
    ------
    InputError
        Unreadable, empty, a line without number and name, or a number or name that is there twice.
    """
    names: dict[int, str] = {}
    for line_number, line in read_lines(path):
        if _is_empty(line):
            continue
        where = f"{path}, line {line_number}"
        words = _MAP_LINE.fullmatch(line.strip())
        if words is None:
            raise InputError(
                f"{line.strip()[:60]!r}", where=where, expected="the number of a tomogram (column 20), and its file"
            )
        number, name = int(words[1]), words[2]
        if number in names or name in names.values():
            twice = number if number in names else name
            raise InputError(f"{twice} a second time", where=where, expected="each number and each tomogram once")
        names[number] = name
    if not names:
        raise InputError("names no tomogram", where=path, expected="lines of a number and a tomogram's file")
    return names


@dataclass(frozen=True)
class Written:
    """What a table has of one tomogram: ``(n, 3)`` positions, ``(n,)`` cc, and the numbers that stand in its rows.

    `angles` are ``(n, 3)`` tdrot, tilt, narot.
    """

    xyz: Floats
    cc: Floats
    tomogram: int = 1
    class_number: int = 0
    angles: Floats | None = None


def write_table(path: str | Path, tomograms: Sequence[Written]) -> None:
    """Write positions, angles where there are some, three decimals, without shifts; tags count through the table."""
    rows = []
    for own in tomograms:
        angles = np.zeros((len(own.xyz), 3)) if own.angles is None else own.angles
        rows += [(own, *row) for row in zip(own.xyz.tolist(), angles.tolist(), own.cc.tolist(), strict=True)]
    lines = []
    for tag, (own, point, turns, score) in enumerate(rows, start=1):
        words = ["0"] * COLUMNS
        words[0], words[1], words[_TOMOGRAM], words[_CLASS] = str(tag), "1", str(own.tomogram), str(own.class_number)
        words[_CC] = fixed(score, 6)
        for index, value in zip((*_ANGLES, *_POSITION), (*turns, *point), strict=True):
            words[index] = fixed(value, 3) if index in _POSITION or own.angles is not None else "0"
        lines.append(" ".join(words) + "\n")
    write_text(path, "".join(lines))


def write_doc(path: str | Path, tomograms: Mapping[int, str]) -> None:
    """Write a map that `read_doc` reads."""
    write_text(path, "".join(f"{number} {tomograms[number]}\n" for number in sorted(tomograms)))


def _named_docs(path: Path) -> tuple[Path, Path]:
    """Where the map of a table lies when somebody has named it so."""
    return path.with_suffix(DOC), path.with_name(DOC_OF_FOLDER)


def _names_of(path: str | Path, known: Sequence[int]) -> dict[int, str] | None:
    """Names of the tomograms `known` in a table by the map beside it; None where it has none."""
    doc = doc_of(path)
    if doc is None or not known:
        return None
    names = read_doc(doc)
    unknown = [number for number in known if number not in names]
    if not unknown:
        return names
    if doc in _named_docs(Path(path)):
        raise InputError(
            f"does not name tomogram {_listed(unknown)}", where=doc,
            expected=f"the numbers in column 20 of {Path(path).name}: {_listed(known)}",
        )  # fmt: skip
    _warn(f"{doc} does not name tomogram {_listed(unknown)}, and is not taken for the map of {Path(path).name}")
    return None


def _table_of(rows: Floats, name: str | None = None) -> DynamoTable:
    return DynamoTable(rows[:, 5:8].copy(), rows[:, :3].copy(), rows[:, 3].copy(), rows[:, 8].copy(), name)


def _read_used_columns(path: str | Path) -> Floats:
    """Columns `_USED` of all lines, ``(n, 9)``."""
    lines, rows = [], []
    for number, line in read_lines(path):
        if _is_empty(line):
            continue
        words = [word.strip() for word in line.split(",")] if "," in line else line.split()
        if len(words) < _NEEDED:
            raise InputError(
                counted(len(words), "column"),
                where=f"{path}, line {number}",
                expected=f"a Dynamo table, at least {_NEEDED} columns: 24 to 26 are the position",
                remedy=_remedy(len(words)),
            )
        lines.append(number)
        rows.append([words[index] for index in _USED])
    columns = [_numbers(list(words), index, lines, path) for index, words in zip(_USED, zip(*rows, strict=True))]
    return np.array(columns, dtype=np.float64).reshape(len(_USED), len(rows)).T


def _numbers(words: Sequence[str], index: int, lines: Sequence[int], path: str | Path) -> list[float]:
    """One column; a cross-correlation of NaN and a class that is no whole number are unknown, others are refused."""
    unknown = [
        (index == _CC and word.lower() == "nan") or (index == _CLASS and not _WHOLE.fullmatch(_real(word)))
        for word in words
    ]

    def place(row: int) -> str:
        return f"{path}, line {lines[row]}, column {index + 1}"

    values = to_numbers(["0" if none else _real(word) for none, word in zip(unknown, words, strict=True)], place)
    if index == _TOMOGRAM:
        for row, value in enumerate(values):
            if value % 1 or abs(value) > 1e9:
                raise InputError(f"{words[row]!r}", where=place(row), expected="the number of a tomogram")
    return [np.nan if none else value for none, value in zip(unknown, values, strict=True)]


def _real(word: str) -> str:
    """Of a complex number whose imaginary part is rounding, the real part."""
    parts = _COMPLEX.fullmatch(word) if word.endswith("i") else None
    return parts[1] if parts is not None and abs(float(parts[2])) <= _NEGLIGIBLE else word


def _remedy(columns: int) -> str:
    if columns > _TOMOGRAM:
        return "Give a table of particles that were cropped from tomograms, such as crop.tbl of a data folder."
    return "Is it another format? Then give --from."


def _is_empty(line: str) -> bool:
    """Whether a line says nothing: blank, or a comment of a shell or of MATLAB."""
    return not line.strip() or line.lstrip()[0] in "#%"


def _begins_as_map(path: Path) -> bool:
    """Whether the first line that says something is a number and a tomogram's file: notes have this suffix, too."""
    try:
        first = next((line for _, line in read_lines(path) if not _is_empty(line)), "")
    except InputError:
        return False
    words = _MAP_LINE.fullmatch(first.strip())
    return words is not None and words[2].lower().endswith(_TOMOGRAMS)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_SOME])) + (", ..." if len(numbers) > _SOME else "")
