"""What ``milopyp-infer`` has left in a folder, read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from milopyp_shared.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from milopyp_shared.formats.context import FormatContext
    from milopyp_shared.picks import Picks

    from .records import Picked


def read_run(path: Path) -> tuple[dict[str, Picks], float | None]:
    """Candidates by tomogram name, and the run's suppression distance when it is known.

    Raises
    ------
    InputError
        No candidates there.
    """
    from milopyp_shared.formats.candidates import CANDIDATES, read_candidates

    from .class_runs import refuse_several

    if path.is_dir():
        refuse_several(path)
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
    from milopyp_shared.formats.candidates import CANDIDATES

    from .record_files import RECORDS, SUMMARY

    if not path.is_dir():
        return [path]
    return [path / SUMMARY, *path.glob(f"{RECORDS}/*.json"), *path.glob(f"*{CANDIDATES}")]


def read_records(folder: Path) -> list[Picked]:
    """Records of the tomograms that a run has finished, by name.

    Raises
    ------
    InputError
        There are none, or one is damaged.
    """
    from .class_runs import refuse_several
    from .record_files import RECORDS, load_record
    from .records import Picked

    if not folder.is_dir():
        raise InputError("no such folder", where=folder, expected="a folder written by milopyp-infer")
    refuse_several(folder)
    records = [load_record(path) for path in sorted((folder / RECORDS).glob("*.json"))]
    picked = [record for record in records if isinstance(record, Picked)]
    if not picked:
        raise InputError("holds no finished tomogram", where=folder, expected="a folder written by milopyp-infer")
    return picked


def candidates_of(folder: Path, record: Picked, lowest: float = 0.0, most: int | None = None) -> Picks:
    """All that a threshold chooses from, best first: close neighbours and margins are left out as in the run.

    Parameters
    ----------
    lowest, most
        Only those that score above, and the best so many.
    """
    from dataclasses import replace

    from milopyp_shared.formats.candidates import CANDIDATES, read_candidates

    from ..decode.select import select_picks

    # of a rescaled tomogram the record knows the distance in its own voxels
    selection = replace(
        record.options.selection, threshold=lowest, limit=most, distance=record.suppression_distance
    )  # fmt: skip
    return select_picks(read_candidates(folder / f"{record.name}{CANDIDATES}"), selection, record.frame)


def chosen_picks(folder: Path, record: Picked) -> Picks:
    """What the record's options choose of the candidates, with what a person has changed; best first."""
    from milopyp_shared.formats.candidates import CANDIDATES, read_candidates

    from ..decode.edits import NO_EDITS, measured_as

    selection = record.options.selection
    picks = candidates_of(folder, record, selection.threshold, selection.limit)
    mended = record.edits.mended(picks, record.suppression_distance)
    if record.edits == NO_EDITS or picks.distance is None:
        return mended
    return measured_as(read_candidates(folder / f"{record.name}{CANDIDATES}"), mended)


def scores_of(folder: Path, record: Picked, most: int | None) -> NDArray[np.float64]:
    """Of all that a threshold chooses from, the best `most`, and infinity for what a person has put in."""
    from numpy import append, full, inf

    edits = record.edits
    left = edits.left_to_scores(candidates_of(folder, record, most=most), record.suppression_distance)
    return append(left.score, full(len(edits.kept), inf))


def picks_of(folder: Path, record: Picked, context: FormatContext) -> Picks | None:
    """The picks that the run has written, best first.

    None: it has picked as the published program does, which makes no picks of candidates, and its model is not there.

    Parameters
    ----------
    context
        What is known of the tomogram.
    """
    from milopyp_shared.formats.conventions import read_mod

    if record.options.published is None:
        return chosen_picks(folder, record)
    model = folder / f"{record.name}.mod"
    return read_mod(model, context) if model.is_file() else None


def _distance(folder: Path) -> float | None:
    from .record_files import read_summary

    try:
        return read_summary(folder).suppression_distance
    except InputError:
        return None
