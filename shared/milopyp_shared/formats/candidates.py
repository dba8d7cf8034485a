"""The table of all candidates that picking leaves: x, y, z and score in the inside frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..atomic import atomic_write
from ..errors import InputError
from ..picks import Picks
from ..textfile import read_lines, to_number
from ..wording import counted

CANDIDATES = ".candidates.csv"
_PLACES, _SCORES = 3, 6  # digits


def read_candidates(path: Path) -> Picks:
    """Read a table of ``milopyp-infer``: x, y, z, score in the inside frame.

    Raises
    ------
    InputError
        Not such a table.
    """
    lines = [(number, line) for number, line in read_lines(path) if line.strip() and not line.startswith("#")]
    if not lines or "".join(lines[0][1].split()) != "x,y,z,score":
        raise InputError("has no line 'x,y,z,score'", where=path, expected="a table written by milopyp-infer")
    rows = []
    for number, line in lines[1:]:
        cells = line.split(",")
        if len(cells) != 4:
            raise InputError(counted(len(cells), "column"), where=f"{path}, line {number}", expected="x,y,z,score")
        rows.append([to_number(cell, f"{path}, line {number}") for cell in cells])
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Picks(table[:, :3].copy(), table[:, 3].copy())


def as_written(picks: Picks) -> Picks:
    """Picks with the digits that a table of them has."""
    return Picks(np.round(picks.xyz, _PLACES), np.round(picks.score, _SCORES))


def write_candidates(
    path: Path, picks: Picks, what: str = "every local maximum of the heat map above the floor, best first"
) -> None:
    """Write such a table; `what` is said in its first line."""
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as stream:
        stream.write(
            f"# {what}; x, y, z in voxels of the full-resolution\n"
            "# tomogram (z = thickness), centre of the first voxel at 0, whatever the file's axis order\n"
            "x,y,z,score\n"
        )
        for (x, y, z), s in zip(picks.xyz, picks.score, strict=True):
            stream.write(f"{x:.{_PLACES}f},{y:.{_PLACES}f},{z:.{_PLACES}f},{s:.{_SCORES}f}\n")
