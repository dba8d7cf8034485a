"""Coordinate text: one point per line, three numbers, nothing else (what IMOD's model2point prints).

Such a file says neither the order of its columns nor where they count from: both are the caller's to know. The
functions here keep columns and numbers as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import write_text
from ..errors import InputError
from ..textfile import fixed, read_lines, to_number

_SCORE_DECIMALS = 6


def read_points(
    path: str | Path, columns: int = 3, *, extra: Literal["score", "ignore"] | None = None
) -> NDArray[np.float64]:
    """Read whitespace-separated numbers; ``#`` comments, blank lines, a byte order mark and CRLF are accepted.

    Parameters
    ----------
    columns
        Numbers expected per line.
    extra
        What to do with further columns: None refuses them, ``"score"`` wants exactly one more and returns it as the
        last column, ``"ignore"`` drops whatever follows.

    Returns
    -------
    ``(n, columns)`` float64, ``(n, columns + 1)`` with ``extra="score"``; n > 0, columns as in the file.

    Raises
    ------
    InputError
        Unreadable, empty, a word or NaN or infinity where a number must be, a wrong number of columns; with the line.
    """
    wanted = columns + (extra == "score")
    rows = []
    for number, line in read_lines(path):
        fields = line.split("#", 1)[0].split()
        if not fields:
            continue
        where = f"{path}, line {number}"
        if len(fields) < wanted or (len(fields) > wanted and extra != "ignore"):
            raise InputError(
                f"{len(fields)} columns",
                where=where,
                expected=f"{wanted} numbers separated by spaces or tabs",
                remedy=_remedy(len(fields), columns, extra),
            )
        rows.append([to_number(field, where) for field in fields[:wanted]])
    if not rows:
        raise InputError("holds no points", where=path, expected=f"lines of {wanted} numbers", remedy="Check the file.")
    return np.array(rows, dtype=np.float64)


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


def _remedy(found: int, columns: int, extra: str | None) -> str:
    if found == columns + 1 and extra is None:
        return "Is the last column a score? Then say so, or remove it."
    if found > columns:
        return "Run model2point without -object and -contour, or remove the other columns."
    return "Add what is missing, or turn the line into a comment with #."
