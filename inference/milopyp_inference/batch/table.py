"""A run as one table of comma-separated values, for spreadsheets and pipelines: ``--summary``."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from pathlib import Path

from milopyp_shared.atomic import write_text

from .records import Failed, Picked

COLUMNS = (
    "name", "status", "picks", "candidates", "threshold", "order", "voxel_size", "seconds", "provider", "warnings",
    "error", "model", "tomogram",
)  # fmt: skip


def write_table(path: Path, tomograms: Iterable[Picked | Failed], names: Collection[str]) -> None:
    """Write one row per tomogram of a call, with `COLUMNS`; what is not known is left empty.

    Parameters
    ----------
    tomograms
        Records.
    names
        Of the call's tomograms; one without a record, which is another's to pick or not yet picked, is ``pending``.

    Raises
    ------
    InputError, FullDiskError
        The file cannot be written.
    """
    records = {record.name: record for record in tomograms}
    stream = io.StringIO()
    rows = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for name in names:
        rows.writerow({"name": name} | _facts(records.get(name)))
    write_text(path, stream.getvalue())


def _facts(record: Picked | Failed | None) -> dict[str, object]:
    if record is None:
        return {"status": "pending"}
    facts: dict[str, object] = {"model": record.model, "tomogram": record.input.path}
    if isinstance(record, Failed):
        return facts | {"status": "failed", "error": record.error}
    return facts | {
        "status": "done",
        "picks": record.picks,
        "candidates": record.candidates,
        "threshold": f"{record.options.selection.threshold:g}",
        "order": record.frame.order,
        "voxel_size": "" if record.frame.one_voxel_size is None else f"{record.frame.one_voxel_size:.6g}",
        "seconds": record.seconds["total"],
        "provider": record.provider,
        "warnings": " | ".join(record.warnings),
    }
