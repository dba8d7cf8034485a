"""What is doubtful in a run's folder as a whole: said at the end of a call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from milopyp_shared.names import listed

from .outputs import OutputFiles
from .records import Picked, RunSummary


def folder_doubts(folder: Path, summary: RunSummary, otherwise: Sequence[str] = ()) -> list[str]:
    """One sentence for each kind of doubt.

    Parameters
    ----------
    summary
        Of all records there.
    otherwise
        Tomograms of the call whose picks are of other options by now.
    """
    picked = [own for own in summary.tomograms if isinstance(own, Picked)]
    doubts = []
    if len(summary.models) > 1:
        each = ", ".join(f"{count} with {model}" for model, count in summary.models)
        doubts.append(f"{folder}: picks of several models, whose scores are not the same: {each}")
    if otherwise:
        doubts.append(
            f"{folder}: options of another command, which works there, hold for {listed(otherwise)}: give this one "
            "again when it has ended"
        )
    places: dict[str, list[str]] = defaultdict(list)
    for own in picked:
        places[own.input.path].append(own.name)
    for path, names in places.items():
        if len(names) > 1:
            doubts.append(f"{folder}: {' and '.join(names)} are the same tomogram, {path}: remove the files of one")
    if stale := [name for own in picked for name in stale_files(folder, own)]:
        doubts.append(
            f"{folder}: not of today's picks, since --format does not name them any more: {listed(stale)}; name all "
            "formats that you want, or remove the files"
        )
    return doubts


def stale_files(folder: Path, record: Picked) -> list[str]:
    """Files of a tomogram's picks that earlier calls have written in formats that are not asked for any more."""
    now = {path.name for path in OutputFiles.of(folder, record.name, record.options.formats).picks}
    return [name for name in record.outputs if name not in now and (folder / name).exists()]
