"""The table of all candidates that picking leaves: x, y, z and score in the inside frame.

Where they were measured, there follow the distance from a mask's surface in Angstrom, and RELION's angles rot, tilt and
psi; in a run of several classes, last, the best score that a pick of another class has at the place. Cells are empty
where nothing is known.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_write
from ..errors import InputError
from ..picks import Picks
from ..textfile import fixed, read_lines, to_number
from ..wording import counted

CANDIDATES = ".candidates.csv"
DISTANCE, ANGLES, RIVAL = "distance", ("rot", "tilt", "psi"), "rival"
_ALWAYS = ("x", "y", "z", "score")
_PLACES, _SCORES, _DISTANCES, _ANGLES = 3, 6, 2, 3  # digits


def tomogram_of(path: Path) -> str:
    """The tomogram that a file of picks is called after, such a table or another one."""
    return path.name.removesuffix(CANDIDATES) if path.name.endswith(CANDIDATES) else path.stem


def read_candidates(path: Path) -> Picks:
    """Read a table of ``milopyp-infer``: x, y, z, score in the inside frame, and what was measured beside them.

    Raises
    ------
    InputError
        Not such a table.
    """
    lines = [(number, line) for number, line in read_lines(path) if line.strip() and not line.startswith("#")]
    names = tuple("".join(lines[0][1].split()).split(",")) if lines else ()
    rivals = names[-1:] == (RIVAL,)
    measured = names[4 : len(names) - rivals]
    if names[:4] != _ALWAYS or measured not in ((), (DISTANCE,), (DISTANCE, *ANGLES)):
        raise InputError("has no line 'x,y,z,score'", where=path, expected="a table written by milopyp-infer")
    rows = []
    for number, line in lines[1:]:
        cells = line.split(",")
        if len(cells) != len(names):
            expected = ",".join(names)
            raise InputError(counted(len(cells), "column"), where=f"{path}, line {number}", expected=expected)
        where = f"{path}, line {number}"
        known = [to_number(cell, where) for cell in cells[:4]]
        rows.append(known + [to_number(cell, where) if cell.strip() else np.nan for cell in cells[4:]])
    table = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    return Picks(
        table[:, :3].copy(),
        table[:, 3].copy(),
        table[:, 4].copy() if measured else None,
        table[:, 5:8].copy() if len(measured) > 1 else None,
        table[:, -1].copy() if rivals else None,
    )


def as_written(picks: Picks) -> Picks:
    """Picks with the digits that a table of them has."""
    distance = None if picks.distance is None else np.round(picks.distance, _DISTANCES)
    angles = None if picks.angles is None else np.round(picks.angles, _ANGLES)
    rival = None if picks.rival is None else np.round(picks.rival, _SCORES)
    return replace(
        picks, xyz=np.round(picks.xyz, _PLACES), score=np.round(picks.score, _SCORES), distance=distance, angles=angles,
        rival=rival,
    )  # fmt: skip


def measured_cells(picks: Picks) -> dict[str, list[str]]:
    """Columns of what was measured of picks, by name, as text; those of angles only beside that of distances."""
    columns: dict[str, tuple[NDArray[np.float64], int]] = {}
    if picks.distance is not None or picks.angles is not None:
        unknown = np.full(len(picks), np.nan)
        columns[DISTANCE] = (unknown if picks.distance is None else picks.distance, _DISTANCES)
    if picks.angles is not None:
        columns |= {name: (picks.angles[:, axis], _ANGLES) for axis, name in enumerate(ANGLES)}
    return {name: _cells(values, digits) for name, (values, digits) in columns.items()}


def _cells(values: NDArray[np.float64], digits: int) -> list[str]:
    cells = [""] * len(values)
    for number in np.flatnonzero(~np.isnan(values)).tolist():  # of rivals few are known
        cells[number] = fixed(float(values[number]), digits)
    return cells


def write_candidates(
    path: Path, picks: Picks, what: str = "every local maximum of the heat map above the floor, best first"
) -> None:
    """Write such a table; `what` is said in its first line."""
    measured = measured_cells(picks)
    columns = measured | ({} if picks.rival is None else {RIVAL: _cells(picks.rival, _SCORES)})
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as stream:
        stream.write(
            f"# {what}; x, y, z in voxels of the full-resolution\n"
            "# tomogram (z = thickness), centre of the first voxel at 0, whatever the file's axis order\n"
        )
        if measured:
            stream.write(
                "# distance from the mask's surface in Angstrom, negative inside it"
                + ("; rot, tilt, psi as RELION's, along x, y, z\n" if len(measured) > 1 else "\n")
            )
        if RIVAL in columns:
            stream.write("# rival: the best score that a pick of another class has at this place\n")
        stream.write(",".join((*_ALWAYS, *columns)) + "\n")
        line = ",".join([f"%.{_PLACES}f"] * 3 + [f"%.{_SCORES}f"] + ["%s"] * len(columns)) + "\n"
        numbers = (*picks.xyz.T.tolist(), picks.score.tolist())  # as Python's own, which are written much faster
        stream.writelines(map(line.__mod__, zip(*numbers, *columns.values(), strict=True)))
