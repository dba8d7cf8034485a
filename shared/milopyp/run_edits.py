"""Picks that a person has mended, put into a run: the list of the page of ``milopyp report``, held against records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec import structs

from milopyp_inference.batch.class_runs import class_of
from milopyp_inference.batch.cutting import refuse_published
from milopyp_inference.batch.outputs import OutputFiles
from milopyp_inference.batch.reader import candidates_of
from milopyp_inference.batch.records import Applied, Picked
from milopyp_inference.decode.edits import candidates_at, edits_for
from milopyp_shared.coordinate_lists import read_pick_list
from milopyp_shared.errors import InputError
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.names import listed
from milopyp_shared.picks import NO_SCORE, Picks
from milopyp_shared.textfile import read_lines
from milopyp_shared.wording import counted

from .judged import context_of
from .pick_context import refuse_outside

_ABOVE = re.compile(r"#.*\bpicks above (\d(?:\.\d+)?e-\d+|0(?:\.\d+)?|1(?:\.0+)?)(?![\d.e])")


def read_edits(path: Path, run: Path, records: Sequence[Picked]) -> dict[str, Picks]:
    """All picks that tomograms of a run are to have, by name.

    Raises
    ------
    InputError
        It is no coordinate list, names tomograms that the run has not, or was saved of another run's page.
    ContradictionError
        Picks outside their tomogram.
    """
    wanted = read_pick_list(path, class_of(run))
    known = {record.name: record for record in records}
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(
            f"has picks of {listed(unknown)}", where=path,
            expected=f"names of finished tomograms of {run}: {listed(known)}",
        )  # fmt: skip
    for name, picks in wanted.items():
        refuse_published(known[name], run)
        refuse_outside(picks, context_of(known[name]), f"{path}, {name}", "Is it of another run?")
    return wanted


def threshold_said(path: Path, kind: str | None = None) -> float | None:
    """The score that the page's picks were above: the first line says it in a comment, of classes a line for each."""
    lines = [line for _, line in read_lines(path) if line.strip()]
    own = [line for line in lines if line.startswith(f"# {kind}: ")]
    found = next((_ABOVE.match(line) for line in own or lines), None)
    return float(found[1]) if found else None


def edited(
    run: Path, record: Picked, wanted: Picks, applied: Applied, warn: Callable[[str], None] = lambda text: None
) -> Picked:
    """A record with the edits that make `wanted` its picks; as it is where they are that already.

    Parameters
    ----------
    applied
        With the file, the time and the thresholds; the edits are put in here.
    warn
        Called with one sentence where places count as added by hand though they have a score, and where some are
        there twice.

    Raises
    ------
    InputError
        Most of the scores are of candidates that the run has not: it is another one, or was picked anew.
    """
    table = read_candidates(OutputFiles.of(run, record.name).candidates)
    if moved := _count_moved(table, wanted, record, applied.file):
        warn(f"{applied.file}: {counted(moved, 'pick')} of {record.name} with a score at no candidate: added by hand")
    if twice := len(wanted) - len(np.unique(wanted.xyz, axis=0)):
        warn(f"{applied.file}: {counted(twice, 'pick')} of {record.name} given twice, and counted once")
    selection = replace(record.options.selection, threshold=applied.thresholds[1])
    chosen = candidates_of(run, record, selection.threshold, selection.limit)
    edits = edits_for(table, chosen, wanted, record.edits, record.suppression_distance)
    if edits == record.edits and selection == record.options.selection:
        return record
    options = replace(record.options, selection=selection)
    return structs.replace(record, options=options, applied=replace(applied, edits=edits))


def _count_moved(table: Picks, wanted: Picks, record: Picked, file: str) -> int:
    """How many picks have scores, as candidates, and are none of the tomogram's; raises where most are so."""
    scored = wanted[wanted.score < NO_SCORE]
    strange = scored[candidates_at(table, scored.xyz) < 0]
    if 2 * len(strange) > len(scored):
        first = ", ".join(f"{value:.2f}" for value in strange.xyz[0])
        raise InputError(
            f"{len(strange)} of {counted(len(scored), 'pick')} of {record.name} with a score are at no candidate, the "
            f"first at x, y, z = {first}",
            where=file,
            expected=f"picks of this run's page, and the score {NO_SCORE:g} for those by hand",
            remedy="It is of another run, or this one was picked anew: write the page again with milopyp report.",
        )
    return len(strange)


def last_applied(records: Iterable[Picked]) -> str:
    """When the last command has applied something; empty where none has."""
    return max((record.applied.when for record in records if record.applied), default="")


def undone(records: Iterable[Picked], when: str) -> dict[str, Picked]:
    """Records, by name, without what the command of that time has applied; of a threshold chosen since, it stays."""
    applied = {record.name: (record, record.applied) for record in records if record.applied}
    return {name: _without(record, own) for name, (record, own) in applied.items() if own.when == when}


def _without(record: Picked, applied: Applied) -> Picked:
    before, since = applied.thresholds
    selection = record.options.selection
    if selection.threshold == since:
        selection = replace(selection, threshold=before)
    return structs.replace(record, options=replace(record.options, selection=selection), applied=applied.before)
