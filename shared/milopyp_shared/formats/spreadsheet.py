"""Points in CSV: what napari saves of a points layer, and tables of spreadsheets with columns x, y and z.

The first line names the columns, in any case and order. Cells are separated by ``;``, tabs or commas; beside the first
two, numbers may have a decimal comma, as Excel writes them in many languages. Lines that begin with ``#`` are comments.
Columns ``tomogram`` and ``class``, as ``milopyp collect`` writes them, say whose each row is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..lists import check_image_name
from ..particles import check_names
from ..textfile import read_lines, to_numbers
from ..wording import counted
from .candidates import ANGLES, DISTANCE, RIVAL

_SEPARATORS = ";\t,"
_SCORE = "score"
TOMOGRAM, CLASS = "tomogram", "class"
_XYZ = ("x", "y", "z")
_MEASURED = (_SCORE, DISTANCE, *ANGLES, RIVAL)
_ARRAY = ("axis-2", "axis-1", "axis-0")  # of napari, fastest first: axis-0 is the array's first, the slowest
_IDLE = {"", "index", "unnamed: 0"}  # row numbers of napari, spreadsheets and pandas
_SHAPES = {"shape-type", "vertex-index"}

Floats = NDArray[np.float64]
Words = NDArray[np.str_]

_OF_ROWS = ("columns", "score", "distance", "angles", "rival", "tomogram", "kind")  # of `SheetPoints`


@dataclass(frozen=True, eq=False)
class SheetPoints:
    """Points as the file has them.

    Attributes
    ----------
    columns
        ``(n, 3)``: x, y, z, or indices of an array, that of its last axis first.
    score
        ``(n,)``, NaN for an empty cell; None without such a column.
    of_array
        Whether `columns` are indices of an array, as napari has them.
    distance, angles, rival
        ``(n,)``, ``(n, 3)`` and ``(n,)`` of a table of candidates, NaN for an empty cell; None without such columns.
    tomogram, kind
        ``(n,)`` words: what the tomogram and the class of each are called; None without such a column.
    """

    columns: Floats
    score: Floats | None
    of_array: bool
    distance: Floats | None = None
    angles: Floats | None = None
    rival: Floats | None = None
    tomogram: Words | None = None
    kind: Words | None = None

    def __getitem__(self, index: slice | NDArray[np.generic]) -> SheetPoints:
        columns = {name: getattr(self, name) for name in _OF_ROWS}
        return replace(self, **{name: own[index] for name, own in columns.items() if own is not None})


def read_classes(path: str | Path) -> dict[str, dict[str | None, SheetPoints]]:
    """As `read_points`, by class and tomogram, in the file's order.

    Without a column ``class`` the only one is called "", without ``tomogram`` the only one is None.

    Raises
    ------
    InputError
        As `read_points`.
    """
    points = read_points(path)
    kinds = [""] * len(points.columns) if points.kind is None else points.kind.tolist()
    names = [None] * len(points.columns) if points.tomogram is None else points.tomogram.tolist()
    rows: dict[str, dict[str | None, list[int]]] = {}
    for index, (kind, name) in enumerate(zip(kinds, names, strict=True)):
        rows.setdefault(kind, {}).setdefault(name, []).append(index)
    found = {kind: {name: points[np.array(own)] for name, own in each.items()} for kind, each in rows.items()}
    return found or {"": {None: points}}


def read_points(path: str | Path) -> SheetPoints:
    """Read a table whose columns are ``x, y, z`` and perhaps ``score``, or ``axis-0, axis-1, axis-2`` of napari.

    Raises
    ------
    InputError
        Unreadable, other columns, a cell that is no number (with its line), or decimal points beside decimal commas; a
        tomogram or class that cannot be called so.
    """
    sheet = _read_sheet(path)
    wanted = _coordinates(sheet.names, path)
    more = [name for name in _MEASURED if name in sheet.names]
    tomogram = kind = None
    if wanted == _ARRAY:
        more = [name for name in more if name == _SCORE]
    else:
        tomogram, kind = sheet.tomograms(), sheet.classes()
    sheet = _with_decimal_points(sheet, [*wanted, *more])
    columns = np.array([sheet.numbers(name) for name in wanted]).reshape(3, len(sheet.rows)).T
    known = {name: sheet.numbers(name, may_lack=True) for name in more}
    angles = np.column_stack([known[name] for name in ANGLES]) if known.keys() >= {*ANGLES} else None
    return SheetPoints(
        columns, known.get(_SCORE), wanted == _ARRAY, known.get(DISTANCE), angles, known.get(RIVAL), tomogram, kind
    )


@dataclass(frozen=True)
class _Sheet:
    """Cells as text: names of columns, rows that are as long, and the line of each."""

    path: str | Path
    separator: str
    names: list[str]
    rows: list[list[str]]
    lines: list[int]

    def numbers(self, name: str, *, may_lack: bool = False) -> Floats:
        """One column, ``(n,)``; with `may_lack` NaN for cells that are empty or say so."""
        words = [row[self.names.index(name)] for row in self.rows]
        lacks = np.array([may_lack and word.lower() in ("", "nan") for word in words], dtype=bool)
        values = to_numbers(
            ["0" if lack else word for lack, word in zip(lacks, words, strict=True)],
            lambda row: f"{self.path}, line {self.lines[row]}, {name}",
        )
        return np.where(lacks, np.nan, values)

    def tomograms(self) -> Words | None:
        """The tomogram of each row, ``(n,)``; None without such a column."""
        if (words := self._words(TOMOGRAM)) is not None:
            for name, row in zip(*np.unique(words, return_index=True), strict=True):
                check_image_name(str(name), f"{self.path}, line {self.lines[row]}")
        return words

    def classes(self) -> Words | None:
        """The class of each row, ``(n,)``; None without such a column."""
        if (words := self._words(CLASS)) is not None:
            check_names(dict.fromkeys(words.tolist()), self.path)
        return words

    def _words(self, name: str) -> Words | None:
        if name not in self.names:
            return None
        return np.array([row[self.names.index(name)] for row in self.rows], dtype=np.str_)


def _read_sheet(path: str | Path) -> _Sheet:
    """The cells of a file; rows without a word are left out."""
    lines = [(number, line) for number, line in read_lines(path) if line.strip() and not line.startswith("#")]
    if not lines:
        raise _no_points("is empty", path)
    separator = next((sign for sign in _SEPARATORS if sign in lines[0][1]), ",")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader((line for _, line in lines), delimiter=separator)]
    except csv.Error as error:
        raise InputError(f"is no CSV ({error})", where=path, expected="a table of cells") from error
    if len(rows) != len(lines):
        raise InputError("a quoted cell does not end in its line", where=path, expected="a table of cells")
    names = [name.casefold() for name in rows[0]]
    remedy = "Decimal commas need another separator: save the table with ; between cells." if separator == "," else ""
    filled = [(number, row) for (number, _), row in zip(lines[1:], rows[1:], strict=True) if any(row)]
    for number, row in filled:
        if len(row) < len(names) or any(row[len(names) :]):
            raise InputError(
                counted(len(row), "cell"),
                where=f"{path}, line {number}",
                expected=f"{len(names)}, as in the first line",
                remedy=remedy,
            )
    return _Sheet(path, separator, names, [row for _, row in filled], [number for number, _ in filled])


def _coordinates(names: Sequence[str], path: str | Path) -> tuple[str, str, str]:
    """The columns with the coordinates, `_XYZ` or `_ARRAY`; of anything else it is not known what it means."""
    axes = [name for name in names if re.fullmatch(r"axis-\d+", name)]
    wanted = _ARRAY if axes else _XYZ
    if _SHAPES & set(names):
        raise InputError("is a shapes layer of napari", where=path, expected="a points layer")
    if axes and sorted(axes) != sorted(_ARRAY):
        raise InputError(
            f"points with {len(axes)} axes ({', '.join(axes)})", where=path,
            expected="axis-0, axis-1 and axis-2: a layer of points in three dimensions",
        )  # fmt: skip
    once = (*_MEASURED, TOMOGRAM, CLASS)
    strange = [] if axes else [name for name in names if name not in {*_XYZ, *once, *_IDLE}]
    some_angles = {*ANGLES} & {*names}
    if (
        strange
        or some_angles not in (set(), {*ANGLES})
        or any(names.count(name) != 1 for name in wanted)
        or any(names.count(own) > 1 for own in once)
    ):
        raise _no_points(f"columns {', '.join(names)}"[:200], path)
    return wanted


def _with_decimal_points(sheet: _Sheet, used: Sequence[str]) -> _Sheet:
    """The sheet with decimal points where it has decimal commas, which only other separators allow."""
    if sheet.separator == ",":
        return sheet
    columns = [sheet.names.index(name) for name in used]
    cells = [(number, row[column]) for number, row in zip(sheet.lines, sheet.rows, strict=True) for column in columns]
    with_comma = next((number for number, cell in cells if "," in cell), None)
    with_point = next((number for number, cell in cells if "." in cell), None)
    if with_comma is None:
        return sheet
    if with_point is not None:
        raise InputError(
            f"decimal commas, and a point in line {with_point}", where=f"{sheet.path}, line {with_comma}",
            expected="one decimal sign, and none between thousands",
        )  # fmt: skip
    return replace(sheet, rows=[[cell.replace(",", ".") for cell in row] for row in sheet.rows])


def _no_points(found: str, path: str | Path) -> InputError:
    return InputError(
        found,
        where=path,
        expected="a first line that names the columns x, y, z and perhaps score, tomogram, class; or napari's axis-0, "
        "axis-1, axis-2",
        remedy="Count x, y, z in voxels from 0 at the centre of the first one, z along the thickness.",
    )
