"""Picks of a run cut anew from its candidates and written, there or in another folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from milopyp_inference.batch.dynamo_map import keep_numbers, plan_numbers
from milopyp_inference.batch.outputs import (
    OutputFiles,
    digests,
    format_context,
    keep_changed,
    write_more,
    write_picks,
)
from milopyp_inference.batch.reader import candidates_of
from milopyp_inference.batch.records import (
    SUMMARY,
    Picked,
    RunSummary,
    read_summary,
    record_path,
    write_record,
    write_summary,
)
from milopyp_shared.console import Console
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import DYNAMO, axes_warning, check_names
from milopyp_shared.names import listed
from milopyp_shared.overwrite import refuse_irreplaceable
from milopyp_shared.turns import turned_frame, turned_picks
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


def cut_all(run: Path, out: Path | None, records: Sequence[Picked], console: Console) -> list[Picked]:
    """Write the picks of all tomograms; in the run itself its records and summary, too. Returns what they say then.

    Parameters
    ----------
    records
        With the options and names that are wanted.
    out
        Another folder; None: they replace the run's.

    Raises
    ------
    UsageError, InputError, ContradictionError
        They would go over what they are cut from, a format lacks something, or a file cannot be written.
    """
    summary = read_summary(run) if out is None else None
    records = _numbered(records, out or run, run)
    targets = _targets(run, out or run, records, console)
    keep_numbers(out or run, {own.input.path: own.dynamo_tomogram for own in records if own.dynamo_tomogram})
    cut: list[Picked] = []
    try:
        for record, (files, context) in zip(records, targets, strict=True):
            if summary is not None:
                keep_changed(files, record.outputs, console.warn)
            cut.append(_cut(run, record, files, context))
            if summary is not None:
                write_record(run, cut[-1])
    finally:  # whatever ends it, the summary says what the records say
        if summary is not None and cut:
            write_summary(run, _updated(summary, cut))
    return cut


def _targets(
    run: Path, folder: Path, records: Sequence[Picked], console: Console
) -> list[tuple[OutputFiles, FormatContext]]:
    """Where the picks of each tomogram go, and what their formats must know of it.

    Raises
    ------
    UsageError, InputError
        They would go over what they are cut from; a format lacks something, or cannot hold a name.
    """
    for word in {word for record in records for word in record.options.formats}:
        check_names(word, [record.tomo_name for record in records], "--format")
    targets = []
    for record in records:
        files = OutputFiles.of(folder, record.name, record.options.formats)
        _refuse_loss(run, record.name, files)
        frame = turned_frame(record.frame, record.options.turn)
        context = format_context(files, frame, record.tomo_name, record.dynamo_tomogram, record.diameter / 2)
        targets.append((files, context))
        if doubt := axes_warning(record.options.formats, frame.order):
            console.warn(f"{record.name}: {doubt}")
    old = [path.name for files, _ in targets for path in files.picks if path.exists()]
    if folder != run and old:
        console.warn(f"{folder}: {listed(old)} written over")
    return targets


def _refuse_loss(run: Path, name: str, files: OutputFiles) -> None:
    """Refuse to write a tomogram's picks over what they are cut from."""
    read = [OutputFiles.of(run, name).candidates, record_path(run, name), run / SUMMARY]
    for path in (files.text, files.model, *files.more.values()):
        refuse_irreplaceable(path, read)


def _cut(run: Path, record: Picked, files: OutputFiles, context: FormatContext) -> Picked:
    """Write one tomogram's picks; returns its record with their number."""
    options, frame = record.options, record.frame
    picks = candidates_of(run, record, options.selection.threshold, options.selection.limit)
    picks = turned_picks(picks, frame, options.turn)
    write_more(files, picks, context)
    write_picks(
        files,
        picks,
        turned_frame(frame, options.turn),
        record.diameter / 2,
        with_score=options.with_score,
        model2point=options.coords == "model2point",
    )
    return structs.replace(record, picks=len(picks), outputs=record.outputs | digests(files))


def _updated(summary: RunSummary, records: Sequence[Picked]) -> RunSummary:
    """A run's summary with other records of some of its tomograms."""
    new = {record.name: record for record in records}
    tomograms = [new.get(old.name, old) for old in summary.tomograms]
    options = records[-1].options
    return structs.replace(summary, options=options, suppression_distance=options.selection.distance).with_records(
        tomograms
    )
