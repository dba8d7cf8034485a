"""Point files of copick (JSON, Angstrom) and of the CryoET Data Portal (one JSON object per line, voxels).

Numbers are kept as the files have them. The position of a copick point is its ``location`` and the shift in the last
column of ``transformation_``, as copick's ``full_positions`` says; some writers repeat the location there, which is no
shift.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..errors import InputError
from ..textfile import read_lines
from ._json import location, number, parse, read_json

ANGSTROM = "angstrom"
RUNS, PICKS = "ExperimentRuns", "Picks"
POINT_TYPES = ("point", "orientedPoint", "instancePoint")  # of the data portal
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\s_]|^[-.]|-$')  # copick's sanitize_name; a dot in front hides files

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Whose:
    """Whose picks of what: the parts of a file's name. Session 0 is copick's word for a tool."""

    object: str = "particle"
    user: str = "milopyp"
    session: str = "0"

    def place(self, root: Path, run: str) -> Path:
        """Where copick looks for them in a root of the project."""
        return root / RUNS / run / PICKS / f"{self.user}_{self.session}_{self.object}.json"


def can_name(word: str) -> bool:
    """Whether copick takes a word for an object, user or session: no spaces, no ``_``, nothing that leads elsewhere."""
    return bool(word) and _REFUSED.search(word) is None


@dataclass(frozen=True, eq=False)
class CopickPicks:
    """``angstrom`` ``(n, 3)``, ``score`` ``(n,)`` (NaN: none); ``voxel_spacing`` in Angstrom, or None."""

    angstrom: Floats
    score: Floats
    voxel_spacing: float | None
    run_name: str | None


def read_copick(path: str | Path) -> CopickPicks:
    """Read a copick picks file.

    Raises
    ------
    InputError
        Not JSON, no list of points, another unit than Angstrom, a coordinate that is no number.
    """
    content = read_json(path)
    points = content.get("points", ...)
    points = [] if points is None else points  # of an annotation that nobody has begun
    if not isinstance(points, list):
        raise InputError(
            "has no 'points'", where=path, expected="a copick picks file", remedy="Is it another format? Give --from."
        )
    unit = content.get("unit", ANGSTROM)
    if unit != ANGSTROM:
        raise InputError(f"unit {json.dumps(unit)[:40]}", where=path, expected=f'"{ANGSTROM}"')
    spacing = content.get("voxel_spacing")
    if spacing is not None and number(spacing, f"{path}, voxel_spacing") <= 0:
        raise InputError(f"voxel_spacing {spacing}", where=path, expected="a size above 0, or null")
    rows, scores = [], []
    for index, point in enumerate(points):
        where = f"{path}, point {index}"
        rows.append(_centre(point, where))
        score = point.get("score")
        absent = score is None or score != score  # NaN, as pandas writes what is not there
        scores.append(np.nan if absent else number(score, f"{where}, score"))
    run_name = content.get("run_name")
    return CopickPicks(
        np.array(rows, dtype=np.float64).reshape(-1, 3),
        np.array(scores, dtype=np.float64),
        None if spacing is None else float(spacing),
        run_name if isinstance(run_name, str) and run_name else None,
    )


def _centre(point: Any, where: str) -> list[float]:
    """Location and shift together."""
    place = location(point, where)
    matrix = point.get("transformation_")
    if matrix is None:
        return place
    if not (isinstance(matrix, list) and len(matrix) == 4 and all(_is_row(row) for row in matrix)):
        raise InputError("a 'transformation_' of another shape", where=where, expected="4 x 4 numbers")
    shift = [number(row[3], f"{where}, transformation_") for row in matrix[:3]]
    return place if shift == place else [own + more for own, more in zip(place, shift, strict=True)]


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 4


def read_by_run(path: str | Path) -> dict[str | None, CopickPicks]:
    """As `read_copick`, by the name of the run, which is that of the tomogram; none that is said of no picks counts."""
    picks = read_copick(path)
    return {picks.run_name if len(picks.angstrom) else None: picks}


@dataclass(frozen=True, eq=False)
class Written:
    """What a file has.

    Attributes
    ----------
    run_name
        Of the tomogram.
    angstrom, score
        ``(n, 3)`` and ``(n,)``.
    rotations
        ``(n, 3, 3)`` matrices from particle to tomogram; None: orientations are not known.
    """

    run_name: str
    angstrom: Floats
    score: Floats
    rotations: Floats | None = None


def write_copick(path: str | Path, picks: Written, voxel_spacing: float, whose: Whose) -> None:
    """Write picks; `transformation_` turns and does not shift."""
    write_text(path, as_text(picks, voxel_spacing, whose))


def as_text(picks: Written, voxel_spacing: float, whose: Whose, **more: object) -> str:
    """What `write_copick` writes, with `more` entries, which copick leaves aside."""
    turned = np.tile(np.eye(4), (len(picks.score), 1, 1))
    if picks.rotations is not None:
        turned[:, :3, :3] = picks.rotations.round(6)
    points = [
        {
            "location": dict(zip("xyz", point, strict=True)),
            "transformation_": matrix,
            "instance_id": 0,
            "score": value,
        }
        for point, matrix, value in zip(
            picks.angstrom.round(4).tolist(), turned.tolist(), picks.score.tolist(), strict=True
        )
    ]
    content = {
        "pickable_object_name": whose.object,
        "user_id": whose.user,
        "session_id": whose.session,
        "run_name": picks.run_name,
        "voxel_spacing": voxel_spacing,
        "unit": ANGSTROM,
        "points": points,
        "trust_orientation": picks.rotations is not None,
        **more,
    }
    return json.dumps(content, indent=1) + "\n"


def read_ndjson(path: str | Path) -> Floats:
    """``(n, 3)`` voxels of a point annotation of the data portal; orientations and instances are left aside.

    Raises
    ------
    InputError
        A line that is no JSON object with a location, or of another type than points have.
    """
    rows = []
    for line_number, line in read_lines(path):
        if line.strip():
            where = f"{path}, line {line_number}"
            point = parse(line, where)
            kind = point.get("type", POINT_TYPES[0])
            if kind not in POINT_TYPES:
                raise InputError(
                    f"the type {json.dumps(kind)[:40]}", where=where, expected=f"one of {', '.join(POINT_TYPES)}"
                )
            rows.append(location(point, where))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def write_ndjson(path: str | Path, voxels: Floats, rotations: Floats | None = None) -> None:
    """Write ``(n, 3)`` voxels as points, with `rotations` as oriented ones; the format has no place for scores."""
    places = [{"location": dict(zip("xyz", row, strict=True))} for row in voxels.round(4).tolist()]
    points: list[dict[str, Any]] = [{"type": "point", **own} for own in places]
    if rotations is not None:
        matrices = rotations.round(6).tolist()
        points = [
            {"type": "orientedPoint", **own, "xyz_rotation_matrix": matrix}
            for own, matrix in zip(places, matrices, strict=True)
        ]
    write_text(path, "".join(json.dumps(point) + "\n" for point in points))
