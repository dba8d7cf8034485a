"""Picks that a person has mended, put into a run: the list of the page of ``milopyp report``, held against records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from milopyp_inference.batch.cutting import refuse_published
from milopyp_inference.batch.outputs import OutputFiles
from milopyp_inference.batch.reader import candidates_of
from milopyp_inference.batch.records import Applied, Picked
from milopyp_inference.decode.edits import candidates_at, edits_for
from milopyp_shared.errors import InputError
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.lists import read_pick_list
from milopyp_shared.names import listed
from milopyp_shared.picks import NO_SCORE, Picks, as_picks
from milopyp_shared.textfile import read_lines
from milopyp_shared.wording import counted

from .judged import context_of
from .pick_files import refuse_outside

_NAMES = "# tomograms:"
_ABOVE = re.compile(r"#.*\bpicks above (0(?:\.\d+)?|1(?:\.0+)?|\d(?:\.\d+)?e-\d+)\b")


def read_edits(path: Path, run: Path, records: Sequence[Picked]) -> dict[str, Picks]:
    """All picks that tomograms of a run are to have, by name.

    Raises
    ------
    InputError
        It is no coordinate list, names tomograms that the run has not, or was saved of another run's page.
    ContradictionError
        Picks outside their tomogram.
    """
    rows = read_pick_list(path)
    wanted = {name: rows.get(name, as_picks([])) for name in [*_tomograms_said(path), *rows]}
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


def _tomograms_said(path: Path) -> list[str]:
    """All that the page has, which a comment names, tabs between them: one without picks has no row."""
    found = next((line for _, line in read_lines(path) if line.startswith(_NAMES)), _NAMES)
    return [name.strip() for name in found.removeprefix(_NAMES).split("\t") if name.strip()]


def threshold_said(path: Path) -> float | None:
    """The score that the page's picks were above, which the first line of the list says in a comment."""
    found = next((_ABOVE.match(line) for _, line in read_lines(path) if line.strip()), None)
    return float(found[1]) if found else None


def edited(run: Path, record: Picked, wanted: Picks, applied: Applied) -> Picked:
    """A record with the edits that make `wanted` its picks; as it is where they are that already.

    Parameters
    ----------
    applied
        With the file, the time and the thresholds; the edits are put in here.

    Raises
    ------
    InputError
        There are scores of candidates that the run has not: it is another one, or was picked anew.
    """
    table = read_candidates(OutputFiles.of(run, record.name).candidates)
    _refuse_strangers(table, wanted, record, applied.file)
    selection = replace(record.options.selection, threshold=applied.thresholds[1])
    chosen = candidates_of(run, record, selection.threshold, selection.limit)
    edits = edits_for(table, chosen, wanted, record.edits, record.suppression_distance)
    if edits == record.edits and selection == record.options.selection:
        return record
    options = replace(record.options, selection=selection)
    return structs.replace(record, options=options, applied=replace(applied, edits=edits))


def _refuse_strangers(table: Picks, wanted: Picks, record: Picked, file: str) -> None:
    """Refuse picks with scores, which are candidates, that are none of the tomogram's."""
    scored = wanted[wanted.score < NO_SCORE]
    strange = scored[candidates_at(table, scored.xyz) < 0]
    if len(strange):
        first = ", ".join(f"{value:.2f}" for value in strange.xyz[0])
        raise InputError(
            f"{counted(len(strange), 'pick')} of {record.name} with a score, the first at x, y, z = {first}, where no "
            "candidate is",
            where=file,
            expected=f"picks of this run's page, and the score {NO_SCORE:g} for those by hand",
            remedy="It is of another run, or this one was picked anew: write the page again with milopyp report.",
        )


def undone(records: Iterable[Picked]) -> dict[str, Picked]:
    """Records, by name, without what the last command has applied; of a threshold chosen since, it stays."""
    applied = {record.name: (record, record.applied) for record in records if record.applied}
    last = max((own.when for _, own in applied.values()), default="")
    return {name: _without(record, own) for name, (record, own) in applied.items() if own.when == last}


def _without(record: Picked, applied: Applied) -> Picked:
    before, since = applied.thresholds
    selection = record.options.selection
    if selection.threshold == since:
        selection = replace(selection, threshold=before)
    return structs.replace(record, options=replace(record.options, selection=selection), applied=applied.before)
