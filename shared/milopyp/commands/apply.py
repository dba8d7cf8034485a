"""``milopyp apply``: picks that were mended by hand, put into the run that they are of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_inference.batch.reader import read_records
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from milopyp_inference.batch.records import Picked


@command("apply")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("edits", type=click.Path(path_type=Path), metavar="[EDITS]", required=False)
@option("--undo", is_flag=True, help="Take back what the last milopyp apply has changed.")
@option("-n", "--dry-run", is_flag=True, help="Say what would be changed, and change nothing.")
@click.version_option(package_name="milopyp")
def apply(run: Path, edits: Path | None, *, undo: bool, dry_run: bool) -> None:
    """Put picks that were mended by hand into a run.

    RUN is a folder of milopyp-infer, of one class or of several. EDITS is what "Save all picks" on its page (milopyp
    report) has saved: all picks of the tomograms that it names, the others stay as they are. What was taken out stays
    out, and what was put in or added stays in, whatever threshold is chosen later; the page, milopyp threshold,
    evaluate and convert go on from there. NAME.txt, NAME.mod and other formats are written anew; candidates and heat
    maps stay.

    \b
    Examples:
      milopyp apply picks picks_above_0.500.tsv --dry-run
      milopyp apply picks picks_above_0.500.tsv
      milopyp apply picks --undo
    """
    from milopyp_inference.batch.class_runs import class_folders

    if undo == (edits is not None):
        raise UsageError(
            "given together" if undo else "nothing to apply", where="EDITS and --undo" if undo else run,
            expected="one of them" if undo else "EDITS, a list of picks, or --undo",
        )  # fmt: skip
    console = Console()
    folders = class_folders(run) or {"": run}
    records = {kind: {own.name: own for own in read_records(folder)} for kind, folder in folders.items()}
    # all classes are looked at before the first is written
    changed = _undone(run, records) if edits is None else _edited(folders, records, edits, console)
    for kind, own in changed.items():
        _write(folders[kind], records[kind], own, kind, console, dry_run=dry_run)


def _write(
    run: Path, records: dict[str, Picked], changed: dict[str, Picked], kind: str, console: Console, *, dry_run: bool
) -> None:
    """Cut the tomograms of a class anew whose records change, and say what was changed."""
    from ..run_cutting import cut_all

    if changed and not dry_run:
        before = [records[name] for name in changed]
        written = cut_all(run, None, before, list(changed.values()), named="", console=console)
        records = records | {record.name: record for record in written}
    for name in changed:
        counts = "" if dry_run else f": {counted(records[name].picks, 'pick')}"
        what = f"{name}, {kind}" if kind else name
        console.say(f"{what}: {changed[name].edits.words or 'as milopyp-infer picked it'}{counts}")
    picks = counted(sum(record.picks for record in records.values()), "pick")
    console.say(
        f"{counted(len(changed), 'tomogram')} of {len(records)} would be changed in {run}" if dry_run
        else f"{counted(len(changed), 'tomogram')} of {len(records)} changed, {picks}: {run}"
    )  # fmt: skip


def _undone(run: Path, records: dict[str, dict[str, Picked]]) -> dict[str, dict[str, Picked]]:
    """The records, by class, that change when the last command is taken back.

    Raises
    ------
    InputError
        Nothing was applied.
    """
    from ..run_edits import last_applied, undone

    if not (when := max(last_applied(own.values()) for own in records.values())):
        raise InputError("nothing was applied", where=run, expected="a run that milopyp apply has changed")
    return {kind: undone(own.values(), when) for kind, own in records.items()}


def _edited(
    folders: dict[str, Path], records: dict[str, dict[str, Picked]], path: Path, console: Console
) -> dict[str, dict[str, Picked]]:
    """The records that the list changes, by class, of those that it has; raises as `read_edits` and `edited`.

    Raises
    ------
    InputError
        The list has other classes than the run, or says nothing of classes.
    """
    from datetime import UTC, datetime

    from milopyp_shared.coordinate_lists import read_picks

    when = datetime.now(UTC).isoformat(timespec="microseconds")
    if list(folders) == [""]:
        return {"": _edited_class(folders[""], records[""], path, when, console)}
    listed = read_picks(path).kinds
    if unknown := [kind for kind in listed if kind not in folders]:
        raise InputError(
            f"has picks of {', '.join(unknown)}" if any(unknown) else "says nothing of classes", where=path,
            expected=f"a column class with {', '.join(folders)}", remedy="Or name the run of one class.",
        )  # fmt: skip
    return {kind: _edited_class(folders[kind], records[kind], path, when, console) for kind in listed}


def _edited_class(run: Path, records: dict[str, Picked], path: Path, when: str, console: Console) -> dict[str, Picked]:
    """The records of one class that the list changes; raises as `read_edits` and `edited`."""
    from milopyp_inference.batch.class_runs import class_of
    from milopyp_inference.batch.records import Applied
    from milopyp_inference.decode.edits import NO_EDITS

    from ..run_edits import edited, read_edits, threshold_said

    wanted = read_edits(path, run, list(records.values()))
    kind = class_of(run)
    threshold = threshold_said(path, kind)
    if threshold is not None and wanted.keys() < records.keys():
        threshold = None  # what is chosen in a part of the run is no choice for all of it
    changed = {}
    for name, picks in wanted.items():
        record = records[name]
        now = record.options.selection.threshold
        thresholds = (now, now if threshold is None else threshold)
        applied = Applied(NO_EDITS, str(path), when, thresholds, record.applied)
        new = edited(run, record, picks, applied, console.warn)
        if new is not record:
            changed[name] = new
    if threshold is not None and any(new.options != records[name].options for name, new in changed.items()):
        console.say(f"{f'{kind}: ' if kind else ''}picks above {threshold:.6g}, as on the page")
    return changed
