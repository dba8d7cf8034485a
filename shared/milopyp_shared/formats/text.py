"""Coordinate text: one point per line, three numbers, perhaps others beside them (what IMOD's model2point prints).

Such a file says neither the order of its columns nor where they count from: both are the caller's to know. The
functions here keep columns and numbers as they are. Where model2point writes the numbers of objects and contours, and
values, is in its model2point.f90: contour x y z with ``-contour``, object contour x y z with ``-object``, a value last
with ``-values``; the numbers in front are whole, coordinates have two decimals unless ``-integer`` is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import write_text
from ..errors import InputError
from ..textfile import fixed, read_lines, to_number
from ..wording import counted

Extra: TypeAlias = Literal["score", "contour", "object", "ignore"]

_SCORE_DECIMALS = 6
_WHOLE = re.compile(r"[+-]?\d+")
_IN_FRONT = {"contour": 1, "object": 2}


def read_points(path: str | Path, *, extra: Extra | None = None) -> NDArray[np.float64]:
    """Read whitespace-separated numbers; ``#`` comments, blank lines, a byte order mark and CRLF are accepted.

    Whole numbers before coordinates that all have a decimal point are numbers of contours, or of objects and contours,
    whatever `extra` says; they and a value behind them are left out.

    Parameters
    ----------
    extra
        What there is beside three coordinates: None refuses it, ``"score"`` wants one more number at the end and
        returns it as the last column, ``"contour"`` is a contour's number in front (at the end where only the last
        numbers are whole), ``"object"`` those of object and contour in front, ``"ignore"`` is whatever follows.

    Returns
    -------
    ``(n, 3)`` float64, ``(n, 4)`` with ``extra="score"``; columns as in the file, n 0 for an empty one.

    Raises
    ------
    InputError
        Unreadable, a word or NaN or infinity where a number must be, a wrong number of columns; with the line.
    """
    lines = [(number, line.split("#", 1)[0].split()) for number, line in read_lines(path)]
    lines = [(number, words) for number, words in lines if words]
    if not lines:
        return np.empty((0, 3 + (extra == "score")))
    first = _first_coordinate([words for _, words in lines], extra)
    end = first + 3 + (extra == "score")
    longest = end + (extra in _IN_FRONT or (extra is None and first > 0))
    rows = []
    for number, words in lines:
        where = f"{path}, line {number}"
        if len(words) < end or (len(words) > longest and extra != "ignore"):
            raise InputError(
                counted(len(words), "column"),
                where=where,
                expected=f"{end} numbers separated by spaces or tabs",
                remedy=_remedy(len(words), end, extra),
            )
        rows.append([to_number(word, where) for word in words[first:end]])
    return np.array(rows, dtype=np.float64)


def _first_coordinate(rows: Sequence[Sequence[str]], extra: Extra | None) -> int:
    """The column that the coordinates begin with."""
    if told := next((count for count in _IN_FRONT.values() if _are_numbered(rows, count)), 0):
        return told
    if extra == "contour" and not all(_WHOLE.fullmatch(words[0]) for words in rows):
        return 0
    return 0 if extra is None else _IN_FRONT.get(extra, 0)


def _are_numbered(rows: Sequence[Sequence[str]], count: int) -> bool:
    """Whether `count` numbers of objects and contours, from 0 or 1, stand before coordinates with a decimal point."""
    return rows[0][0] in ("0", "1") and all(
        len(words) in (count + 3, count + 4)
        and all(_WHOLE.fullmatch(word) for word in words[:count])
        and all("." in word for word in words[count:])
        for words in rows
    )


def write_points(path: str | Path, xyz_columns: ArrayLike, scores: ArrayLike | None = None, decimals: int = 2) -> None:
    """Write points as tab-separated lines, with `scores` as a last column of six decimals.

    Parameters
    ----------
    xyz_columns
        ``(n, 3)`` in the order and frame that the file is to have; n can be 0.
    scores
        ``(n,)`` or None.
    decimals
        Digits after the point; 0 writes whole numbers.

    Raises
    ------
    InputError
        A value is not finite, the shapes do not fit, or the file cannot be written.
    """
    points = np.asarray(xyz_columns, dtype=np.float64)
    points = points.reshape(-1, 3) if points.size == 0 else points
    values = np.empty((len(points), 0)) if scores is None else np.asarray(scores, dtype=np.float64).reshape(-1, 1)
    if points.ndim != 2 or points.shape[1] != 3 or len(values) != len(points):
        raise InputError(
            f"points of shape {points.shape} with {len(values)} scores cannot be written",
            where=path,
            expected="(n, 3) and n scores",
        )
    if not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise InputError("a coordinate or score is not finite", where=path, expected="numbers")
    lines = [
        "\t".join([*(fixed(value, decimals) for value in point), *(fixed(value, _SCORE_DECIMALS) for value in score)])
        for point, score in zip(points.tolist(), values.tolist(), strict=True)
    ]
    write_text(path, "".join(line + "\n" for line in lines))


def _remedy(found: int, wanted: int, extra: Extra | None) -> str:
    if found == wanted + 1 and extra is None:
        return "Is the last column a score, or the first a contour? Say so with --fourth-column of milopyp prepare."
    if found > wanted:
        return "Run model2point without -object and -contour, or tell milopyp prepare with --fourth-column."
    return "Add what is missing, or turn the line into a comment with #."
