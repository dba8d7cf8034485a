"""Dynamo tables (``.tbl``): one particle per line, columns by number, no header.

Column numbers are those of Dynamo's table convention: 4-6 refined shift, 10 cross-correlation, 20 tomogram, 24-26
position. Numbers are kept as the file has them; whether the first voxel is 0 or 1 is the caller's to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..errors import InputError, UsageError
from ..textfile import fixed, read_lines, to_number

COLUMNS = 35  # written
_NEEDED = 26
_SHIFT, _CC, _TOMOGRAM, _POSITION = (3, 4, 5), 9, 19, (23, 24, 25)
_NEGLIGIBLE = 1e-3  # imaginary parts that MATLAB's rounding leaves

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_COMPLEX = re.compile(rf"({_NUMBER})([+-](?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)i")

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DynamoTable:
    """Particles of one tomogram: ``xyz`` and ``shift`` ``(n, 3)`` voxels (position is their sum), ``cc`` ``(n,)``."""

    xyz: Floats
    shift: Floats
    cc: Floats


def read_table(path: str | Path, tomogram: int | None = None) -> DynamoTable:
    """Read a table; only the columns named above are looked at.

    Parameters
    ----------
    tomogram
        Number of the tomogram (column 20). None: there is only one.

    Raises
    ------
    InputError
        Unreadable, fewer than 26 columns, a word that is no number (with the line), no such tomogram.
    UsageError
        Several tomograms and no number.
    """
    used = (*_SHIFT, _CC, _TOMOGRAM, *_POSITION)
    rows = []
    for number, line in read_lines(path):
        words = line.split()
        if not words:
            continue
        where = f"{path}, line {number}"
        if len(words) < _NEEDED:
            raise InputError(
                f"{len(words)} columns",
                where=where,
                expected=f"a Dynamo table, at least {_NEEDED} columns",
                remedy="Is it another format? Then give --from.",
            )
        rows.append([_real(words[index], where) for index in used])
    table = np.array(rows, dtype=np.float64).reshape(-1, len(used))
    numbers = table[:, 4]
    known = [f"{value:g}" for value in np.unique(numbers)]
    listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    if tomogram is None and len(known) > 1:
        raise UsageError(
            f"particles of {len(known)} tomograms",
            where=path,
            expected="those of one",
            remedy=f"It has {listed}: choose with --dynamo-tomogram of milopyp convert.",
        )
    if tomogram is not None and len(table):
        table = table[numbers == tomogram]
        if not len(table):
            raise InputError(f"no tomogram {tomogram}", where=path, expected=f"one of its numbers: {listed}")
    return DynamoTable(table[:, 5:8].copy(), table[:, :3].copy(), table[:, 3].copy())


def write_table(path: str | Path, xyz: Floats, cc: Floats, tomogram: int = 1) -> None:
    """Write ``(n, 3)`` positions, three decimals, without orientations and shifts; ``cc`` is ``(n,)``."""
    lines = []
    for tag, (point, score) in enumerate(zip(xyz.tolist(), cc.tolist(), strict=True), start=1):
        words = ["0"] * COLUMNS
        words[0], words[1], words[_TOMOGRAM] = str(tag), "1", str(tomogram)
        words[_CC] = fixed(score, 6)
        for index, value in zip(_POSITION, point, strict=True):
            words[index] = fixed(value, 3)
        lines.append(" ".join(words) + "\n")
    write_text(path, "".join(lines))


def _real(word: str, where: str) -> float:
    """A number; of a complex one whose imaginary part is rounding, the real part."""
    parts = _COMPLEX.fullmatch(word)
    if parts is not None and abs(float(parts[2])) <= _NEGLIGIBLE:
        word = parts[1]
    return to_number(word, where)
