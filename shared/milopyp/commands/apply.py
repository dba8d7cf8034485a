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

    RUN is a folder of milopyp-infer. EDITS is what "Save all picks" on its page (milopyp report) has saved: all picks
    of the tomograms that it names, the others stay as they are. What was taken out stays out, and what was put in or
    added stays in, whatever threshold is chosen later; the page, milopyp threshold, evaluate and convert go on from
    there. NAME.txt, NAME.mod and other formats are written anew; candidates and heat maps stay.

    \b
    Examples:
      milopyp apply picks picks_above_0.500.tsv --dry-run
      milopyp apply picks picks_above_0.500.tsv
      milopyp apply picks --undo
    """
    from ..run_cutting import cut_all

    if undo == (edits is not None):
        raise UsageError(
            "given together" if undo else "nothing to apply", where="EDITS and --undo" if undo else run,
            expected="one of them" if undo else "EDITS, a list of picks, or --undo",
        )  # fmt: skip
    console = Console()
    records = {record.name: record for record in read_records(run)}
    changed = _undone(run, records) if edits is None else _edited(run, records, edits, console)
    if changed and not dry_run:
        before = [records[name] for name in changed]
        written = cut_all(run, None, before, list(changed.values()), named="", console=console)
        records |= {record.name: record for record in written}
    for name in changed:
        counts = "" if dry_run else f": {counted(records[name].picks, 'pick')}"
        console.say(f"{name}: {changed[name].edits.words or 'as milopyp-infer picked it'}{counts}")
    picks = counted(sum(record.picks for record in records.values()), "pick")
    console.say(
        f"{counted(len(changed), 'tomogram')} of {len(records)} would be changed in {run}" if dry_run
        else f"{counted(len(changed), 'tomogram')} of {len(records)} changed, {picks}: {run}"
    )  # fmt: skip


def _undone(run: Path, records: dict[str, Picked]) -> dict[str, Picked]:
    """The records that change when the last command is taken back.

    Raises
    ------
    InputError
        Nothing was applied.
    """
    from ..run_edits import undone

    if not (changed := undone(records.values())):
        raise InputError("nothing was applied", where=run, expected="a run that milopyp apply has changed")
    return changed


def _edited(run: Path, records: dict[str, Picked], path: Path, console: Console) -> dict[str, Picked]:
    """The records that the list changes; raises as `read_edits` and `edited`."""
    from datetime import UTC, datetime

    from milopyp_inference.batch.records import Applied
    from milopyp_inference.decode.edits import NO_EDITS

    from ..run_edits import edited, read_edits, threshold_said

    wanted = read_edits(path, run, list(records.values()))
    threshold = threshold_said(path)
    if threshold is not None and wanted.keys() < records.keys():
        threshold = None  # what is chosen in a part of the run is no choice for all of it
    when = datetime.now(UTC).isoformat(timespec="microseconds")
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
        console.say(f"picks above {threshold:.6g}, as on the page")
    return changed
