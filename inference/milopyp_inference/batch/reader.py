"""What ``milopyp-infer`` has left in a folder, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milopyp_shared.errors import InputError, UsageError

if TYPE_CHECKING:
    from milopyp_shared.picks import Picks
    from milopyp_shared.tomogram import Frame


def read_run(path: Path) -> tuple[dict[str, Picks], float | None]:
    """Candidates by tomogram name, and the run's suppression distance when it is known.

    Raises
    ------
    InputError
        No candidates there.
    """
    from milopyp_shared.formats.candidates import CANDIDATES, read_candidates

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


def run_files(path: Path) -> list[Path]:
    """What is read of a run: its summary, records and candidates; of a lone table, that table."""
    if not path.is_dir():
        return [path]
    return [path / "run.json", *path.glob("records/*.json"), *path.glob("*.candidates.csv")]


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
                _refuse_incomplete(record, path.stem)
                records.append(record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "is no record of a tomogram",
                where=path,
                expected="what milopyp-infer wrote",
                remedy="Run milopyp-infer again: it repairs what is missing.",
            ) from error
    if not records:
        raise InputError("holds no finished tomogram", where=folder, expected="a folder written by milopyp-infer")
    return records


def _refuse_incomplete(record: dict[str, Any], name: str) -> None:
    """Raise a plain error for a record that lacks what others rely on, or is called by another name than its file."""
    from milopyp_shared import axes

    from ..decode.select import Selection

    frame = frame_of(record)
    if record["name"] != name or frame.order not in axes.ORDERS or len(frame.stored_shape) != 3:
        raise ValueError
    Selection(**record["options"]["selection"])
    Path(record["input"]["path"])
    for key in ("diameter", "suppression_distance", "picks"):
        float(record[key])


def frame_of(record: dict[str, Any]) -> Frame:
    """Where the voxels of a record's tomogram are."""
    from milopyp_shared.tomogram import Frame

    facts: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record["frame"].items()}
    return Frame(**facts)


def candidates_of(folder: Path, record: dict[str, Any], lowest: float = 0.0, most: int | None = None) -> Picks:
    """All that a threshold chooses from, best first: close neighbours and margins are left out as in the run.

    Parameters
    ----------
    lowest, most
        Only those that score above, and the best so many.
    """
    from dataclasses import replace

    from milopyp_shared.formats.candidates import CANDIDATES, read_candidates

    from ..decode.select import Selection, select_picks

    # of a rescaled tomogram the record knows the distance in its own voxels
    selection = replace(
        Selection(**record["options"]["selection"]),
        threshold=lowest, limit=most, distance=record["suppression_distance"],
    )  # fmt: skip
    return select_picks(read_candidates(folder / f"{record['name']}{CANDIDATES}"), selection, frame_of(record))


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
