"""Point files of copick (JSON, Angstrom) and of the CryoET Data Portal (one JSON object per line, voxels).

Numbers are kept as the files have them. Of copick's points only ``location`` is the position: some writers repeat it in
the last column of ``transformation_``, so the two are never added.
"""

from __future__ import annotations

import json
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
Floats = NDArray[np.float64]


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
        rows.append(location(point, where))
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


def read_by_run(path: str | Path) -> dict[str | None, CopickPicks]:
    """As `read_copick`, by the name of the run, which is that of the tomogram; none that is said of no picks counts."""
    picks = read_copick(path)
    return {picks.run_name if len(picks.angstrom) else None: picks}


@dataclass(frozen=True, eq=False)
class Written:
    """What a file has: ``(n, 3)`` Angstrom, ``(n,)`` scores, and ``(n, 3, 3)`` matrices from particle to tomogram."""

    angstrom: Floats
    score: Floats
    rotations: Floats | None = None


def write_copick(path: str | Path, picks: Written, voxel_spacing: float, *, run_name: str, object_name: str) -> None:
    """Write picks of ``milopyp``, session ``1``; `transformation_` turns and does not shift."""
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
        "pickable_object_name": object_name,
        "user_id": "milopyp",
        "session_id": "1",
        "run_name": run_name,
        "voxel_spacing": voxel_spacing,
        "unit": ANGSTROM,
        "points": points,
        "trust_orientation": picks.rotations is not None,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_ndjson(path: str | Path) -> Floats:
    """``(n, 3)`` voxels of a point annotation of the data portal; orientations are ignored.

    Raises
    ------
    InputError
        A line that is no JSON object with a location.
    """
    rows = []
    for line_number, line in read_lines(path):
        if line.strip():
            where = f"{path}, line {line_number}"
            rows.append(location(parse(line, where), where))
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
