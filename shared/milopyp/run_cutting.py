"""Picks of a run cut anew from its candidates and written, there or in another folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from milopyp_inference.batch.chosen import parts_of, with_parts
from milopyp_inference.batch.cutting import cut_picks
from milopyp_inference.batch.dynamo_map import keep_numbers, plan_numbers
from milopyp_inference.batch.leases import Leases
from milopyp_inference.batch.outputs import OutputFiles, format_context, refuse_own_names
from milopyp_inference.batch.record_files import (
    RECORDS,
    load_record,
    read_record,
    read_summary,
    record_path,
    write_summary,
)
from milopyp_inference.batch.records import Picked, RunSummary
from milopyp_inference.batch.stage import written_digests
from milopyp_inference.decode.select import margin_in_voxels
from milopyp_shared.atomic import make_folder
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.registry import DYNAMO, axes_warning, check_names
from milopyp_shared.names import listed
from milopyp_shared.overwrite import refuse_irreplaceable
from milopyp_shared.turns import turned_frame
from milopyp_shared.written_names import Naming


def called(records: Sequence[Picked], naming: Naming, console: Console) -> list[Picked]:
    """Records with the names that tomograms have inside files for other programs; raises as `Naming` does."""
    called = naming.call({record.name: record.tomo_name for record in records}, "milopyp threshold")
    frames = {record.name: turned_frame(record.frame, record.options.turn) for record in records}
    naming.check(called, {name: (own.size, own.one_voxel_size) for name, own in frames.items()})
    if note := naming.note(called, {word for record in records for word in record.options.formats}):
        console.say(note)
    return [structs.replace(record, tomo_name=called[record.name]) for record in records]


def _numbered(records: Sequence[Picked], folder: Path, run: Path) -> list[Picked]:
    """Records with the numbers of their tomograms in the Dynamo tables of `folder`; as in `run`, if it has none yet."""
    paths = [record.input.path for record in records if DYNAMO in record.options.formats]
    numbers = plan_numbers(folder, paths, before=run) if paths else {}
    return [structs.replace(record, dynamo_tomogram=numbers.get(record.input.path)) for record in records]


def cut_all(
    run: Path,
    out: Path | None,
    before: Sequence[Picked],
    records: Sequence[Picked],
    *,
    named: str,
    console: Console,
) -> list[Picked]:
    """Write the picks of all tomograms, with their records and the summary. Returns what the records say then.

    Parameters
    ----------
    before
        The records as they were read.
    records
        The same with the options and names that are wanted.
    named
        As in `RunSummary`; empty: as it was.
    out
        Another folder, which becomes a run of its own, without heat maps; None: they replace the run's.

    Raises
    ------
    UsageError, InputError, ContradictionError
        They would go over what they are cut from or over picks of another run, a format or a margin lacks something,
        somebody picks there, or a file cannot be written.
    """
    folder, summary = out or run, read_summary(run)
    records = _numbered(records, folder, run)
    _check(run, folder, records, console)
    make_folder(folder / RECORDS)
    with Leases(folder / RECORDS) as leases:
        _take(leases, run, folder, before)
        written = {record.name: _written(folder, record) for record in records}
        keep_numbers(folder, {own.input.path: own.dynamo_tomogram for own in records if own.dynamo_tomogram})
        cut: list[Picked] = []
        try:
            for record in records:
                cut.append(cut_picks(record, run, folder, written[record.name], console.warn))
        finally:  # whatever ends it, the summary says what the records say; only what holds for all is the run's
            chosen = _chosen(before, records) if len(cut) == len(records) else {}
            summary = structs.replace(summary, named=named or summary.named)
            write_summary(folder, _updated(summary, folder, chosen))
    return cut


def _take(leases: Leases, run: Path, folder: Path, before: Sequence[Picked]) -> None:
    """Take every tomogram, so that nobody picks it meanwhile.

    Raises
    ------
    UsageError
        Somebody picks in the run, or has done so since its records were read.
    """
    at_work = Leases(run / RECORDS).all_taken()
    taken = [] if at_work else [own.name for own in before if not leases.acquire(own.name)]
    changed = [own.name for own in before if load_record(record_path(run, own.name)) != own]
    if found := at_work or taken or changed:
        raise UsageError(
            f"somebody is picking {listed(found)}", where=folder, expected="a run that nobody works on",
            remedy="Repeat the command when milopyp-infer has ended.",
        )  # fmt: skip


def _check(run: Path, folder: Path, records: Sequence[Picked], console: Console) -> None:
    """Find out what can go wrong before anything is written.

    Raises
    ------
    UsageError, InputError
        As `cut_all`.
    """
    gone = [path.name for own in records if not (path := OutputFiles.of(run, own.name).candidates).is_file()]
    if gone:
        raise InputError(
            f"lacks {listed(gone)}", where=run, expected="the candidates of every tomogram",
            remedy="Run milopyp-infer again: it repairs what is missing.",
        )  # fmt: skip
    for word in {word for record in records for word in record.options.formats}:
        check_names(word, [record.tomo_name for record in records], "--format")
    foreign: list[str] = []
    for record in records:
        files = OutputFiles.of(folder, record.name, record.options.formats)
        refuse_own_names(files, record.name)
        for path in files.picks:
            refuse_irreplaceable(path, [OutputFiles.of(run, record.name).candidates, record_path(run, record.name)])
        frame = turned_frame(record.frame, record.options.turn)
        margin_in_voxels(record.options.selection, record.frame)
        format_context(files, frame, record.tomo_name, record.dynamo_tomogram, record.diameter / 2)
        if doubt := axes_warning(record.options.formats, frame.order):
            console.warn(f"{record.name}: {doubt}")
        if folder != run and _written(folder, record) is None:
            foreign += [path.name for path in (*files.picks, files.candidates) if path.exists()]
    if foreign:
        raise UsageError(
            f"holds {listed(foreign)} of something else", where=folder,
            expected="a new folder, or one that was cut from this run before", remedy="Give another --out.",
        )  # fmt: skip


def _chosen(before: Sequence[Picked], records: Sequence[Picked]) -> dict[str, Any]:
    """The options that were changed to one value for all tomograms, which is the run's then, by their names."""
    old, new = ([parts_of(own.options) for own in each] for each in (before, records))
    changed = {name for was, now in zip(old, new, strict=True) for name in now if now[name] != was[name]}
    return {name: new[0][name] for name in changed if all(own[name] == new[0][name] for own in new)}


def _written(folder: Path, record: Picked) -> dict[str, set[str]] | None:
    """Digests of what was written of a tomogram in `folder`; None where that is nothing, or of another run."""
    path = record_path(folder, record.name)
    try:
        before = load_record(path)
    except InputError:
        return None
    same = isinstance(before, Picked) and (before.model_sha256, before.input.size) == (
        record.model_sha256, record.input.size,
    )  # fmt: skip
    return written_digests(before, path) if same else None


def _updated(summary: RunSummary, folder: Path, chosen: dict[str, Any]) -> RunSummary:
    """A run's summary with the records that its folder has now, and what was `chosen` for all of them."""
    distance = chosen.get("distance", summary.suppression_distance)
    options = with_parts(summary.options, **chosen)
    return structs.replace(summary, options=options, suppression_distance=distance).with_records(
        [record for path in sorted((folder / RECORDS).glob("*.json")) if (record := read_record(path))]
    )
