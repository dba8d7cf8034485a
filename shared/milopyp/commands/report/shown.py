"""What the page shows of a run: its tomograms, class by class, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from milopyp_inference.batch.class_runs import class_folders
from milopyp_inference.batch.reader import read_records
from milopyp_inference.batch.records import Picked, read_summary
from milopyp_shared.coordinate_lists import CLASS, read_classes
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.positions import by_names, read_positions
from milopyp_shared.names import listed, read_name_map
from milopyp_shared.picks import as_picks

from ...judged import run_contexts
from ..convert import FORMAT_WORDS
from .contents import Known, Shown


def read_shown(
    run: Path,
    only: Sequence[str],
    truth: Path | None,
    warn: Callable[[str], None],
    *,
    from_: str | None,
    name_map: Path | None,
    class_: str | None,
) -> list[Shown]:
    """The classes of a run, one where it is of one, with the same tomograms.

    Parameters
    ----------
    only
        Names of the tomograms asked for; all without a wish.
    truth, from_, name_map, class_
        The options of the command.
    warn
        Called with one sentence.

    Raises
    ------
    UsageError
        No such tomogram; or something is said of a truth that there is not, or that says nothing of classes.
    InputError
        Not all classes have finished a tomogram that is asked for, or something cannot be read.
    """
    folders = class_folders(run) or {"": run}
    records = _common({kind: read_records(folder) for kind, folder in folders.items()}, run, warn)
    _refuse_unused(truth, from_, name_map, class_)
    names = {} if name_map is None else read_name_map(name_map)
    if truth is None:
        known: dict[str, dict[str, Known]] = {}
    elif len(folders) > 1:
        known = _known_classes(truth, records, names, class_ or from_)
    else:
        contexts = run_contexts(run, [record.name for record in records[""]], class_=class_)
        positions = read_positions(truth, from_, contexts, names)
        known = {"": {name: picks.xyz for name, picks in positions.with_empty.items()}}
    chosen = {kind: _chosen(own, only, run) for kind, own in records.items()}
    return [
        Shown(
            kind, number, folders[kind], read_summary(folders[kind]), own,
            {record.name: known[kind][record.name] for record in own} if kind in known else {},
        )
        for number, (kind, own) in enumerate(chosen.items())
    ]  # fmt: skip


def _common(records: Mapping[str, list[Picked]], run: Path, warn: Callable[[str], None]) -> dict[str, list[Picked]]:
    """Those of the tomograms that all classes have finished."""
    names = [{record.name for record in own} for own in records.values()]
    both = set.intersection(*names)
    if not both:
        raise InputError("no tomogram was finished in all classes", where=run, expected="a run of milopyp-infer")
    if left := sorted(set.union(*names) - both):
        warn(f"left out, because not all classes have finished them: {listed(left)}")
    return {kind: [record for record in own if record.name in both] for kind, own in records.items()}


def _chosen(records: list[Picked], names: Sequence[str], run: Path) -> list[Picked]:
    """The tomograms asked for; all without a wish."""
    if not names:
        return records
    if unknown := sorted(set(names) - {record.name for record in records}):
        raise UsageError(
            ", ".join(unknown), where="--only",
            expected=f"tomograms of {run}, such as {', '.join(record.name for record in records[:3])}",
        )  # fmt: skip
    return [record for record in records if record.name in names]


def _refuse_unused(truth: Path | None, from_: str | None, name_map: Path | None, class_: str | None) -> None:
    """Refuse an unknown format, and what is said of a truth that there is not."""
    if from_ is not None and from_ not in FORMAT_WORDS:
        raise UsageError(from_, where="--from", expected=f"one of {', '.join(FORMAT_WORDS)}")
    said = [name for name, own in (("--from", from_), ("--name-map", name_map), ("--class", class_)) if own]
    if truth is None and said:
        raise UsageError("given without --truth", where=" and ".join(said), expected="--truth beside it")


def _known_classes(
    truth: Path, records: Mapping[str, list[Picked]], names: Mapping[str, str], said: str | None
) -> dict[str, dict[str, Known]]:
    """The true positions by class and tomogram, of a coordinate list that has classes."""
    if said is not None:
        raise UsageError(
            "given for several classes", where="--from or --class",
            expected=f"--truth LIST, a coordinate list with a column {CLASS}",
            remedy="Leave it out, or make the page of one class.",
        )  # fmt: skip
    found = read_classes(truth)
    if not (there := [kind for kind in records if kind in found]):
        raise InputError(
            f"has labels of {listed([kind for kind in found if kind]) or 'no named class'}", where=truth,
            expected=f"a column {CLASS} with {listed(list(records))}",
        )  # fmt: skip
    known = {}
    for kind in there:
        picks = {name: as_picks(xyz) for name, xyz in found[kind].items()}
        positions = by_names(truth, picks, [record.name for record in records[kind]], names)
        known[kind] = {name: own.xyz for name, own in positions.with_empty.items()}
    return known
