"""What ``milopyp-infer`` has left in a folder, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milopyp_shared.errors import InputError, UsageError

if TYPE_CHECKING:
    from milopyp_shared.picks import Picks
    from milopyp_shared.tomogram import Frame

CANDIDATES = ".candidates.csv"


def read_run(path: Path) -> tuple[dict[str, Picks], float | None]:
    """Candidates by tomogram name, and the run's suppression distance when it is known.

    Raises
    ------
    InputError
        No candidates there.
    """
    if path.is_dir():
        files = sorted(path.glob(f"*{CANDIDATES}"))
        if not files:
            raise InputError(f"no *{CANDIDATES} in it", where=path, expected="a folder written by milopyp-infer")
        return {file.name.removesuffix(CANDIDATES): read_candidates(file) for file in files}, _distance(path)
    if not path.exists():
        raise InputError("no such file or folder", where=path, expected=f"a run folder or NAME{CANDIDATES}")
    if not path.name.endswith(CANDIDATES):
        raise UsageError("is no candidate table", where=path, expected=f"a run folder or NAME{CANDIDATES}")
    return {path.name.removesuffix(CANDIDATES): read_candidates(path)}, _distance(path.parent)


def read_candidates(path: Path) -> Picks:
    """Read a table of ``milopyp-infer``: x, y, z, score in the inside frame.

    Raises
    ------
    InputError
        Not such a table.
    """
    import numpy as np

    from milopyp_shared.formats.text import read_lines, to_number
    from milopyp_shared.picks import Picks

    lines = [(number, line) for number, line in read_lines(path) if line.strip() and not line.startswith("#")]
    if not lines or "".join(lines[0][1].split()) != "x,y,z,score":
        raise InputError("has no line 'x,y,z,score'", where=path, expected="a table written by milopyp-infer")
    rows = []
    for number, line in lines[1:]:
        cells = line.split(",")
        if len(cells) != 4:
            raise InputError(f"{len(cells)} columns", where=f"{path}, line {number}", expected="x,y,z,score")
        rows.append([to_number(cell, f"{path}, line {number}") for cell in cells])
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Picks(table[:, :3].copy(), table[:, 3].copy())


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Records of the tomograms that a run has finished, by name.

    Raises
    ------
    InputError
        There are none, or one is damaged.
    """
    records = []
    for path in sorted((folder / "records").glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["status"] == "done":
                records.append(record)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                "is no record of a tomogram",
                where=path,
                expected="what milopyp-infer wrote",
                remedy="Run milopyp-infer again: it repairs what is missing.",
            ) from error
    if not records:
        raise InputError("holds no finished tomogram", where=folder, expected="a folder written by milopyp-infer")
    return records


def frame_of(record: dict[str, Any]) -> Frame:
    """Where the voxels of a record's tomogram are."""
    from milopyp_shared.tomogram import Frame

    facts: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record["frame"].items()}
    return Frame(**facts)


def read_summary(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says of the whole run.

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    path = folder / "run.json"
    try:
        summary: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            "is no summary of a run", where=path, expected="what milopyp-infer wrote", remedy="Run it again."
        ) from error
    return summary


def _distance(folder: Path) -> float | None:
    try:
        value = json.loads((folder / "run.json").read_text(encoding="utf-8"))["suppression_distance"]
        return float(value)
    except (OSError, ValueError, KeyError, TypeError):
        return None
