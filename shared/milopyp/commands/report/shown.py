"""What the page shows of a run: its tomograms, class by class, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from milopyp_inference.batch.class_runs import class_folders
from milopyp_inference.batch.reader import read_records
from milopyp_inference.batch.record_files import read_summary
from milopyp_inference.batch.records import Picked
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.positions import list_classes, read_positions
from milopyp_shared.names import listed, read_name_map
from milopyp_shared.particles import case_hint

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
    _refuse_unused(truth, from_, name_map, class_)
    folders = class_folders(run) or {"": run}
    records = _common({kind: read_records(folder) for kind, folder in folders.items()}, run, warn)
    judged = _judged(truth, from_, class_, list(folders), warn)
    chosen = {kind: _chosen(own, only, run) for kind, own in records.items()}
    names = {} if name_map is None else read_name_map(name_map)
    known: dict[str, dict[str, Known]] = {kind: {} for kind in folders}
    if truth is not None:
        for kind in judged:
            contexts = run_contexts(
                folders[kind], [record.name for record in records[kind]], class_=class_ or kind or None
            )
            positions = read_positions(truth, from_, contexts, names).with_empty
            known[kind] = {own.name: positions[own.name].xyz for own in chosen[kind] if own.name in positions}
    return [
        Shown(kind, number, folders[kind], read_summary(folders[kind]), own, known[kind])
        for number, (kind, own) in enumerate(chosen.items())
    ]


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


def _judged(
    truth: Path | None, from_: str | None, class_: str | None, kinds: list[str], warn: Callable[[str], None]
) -> list[str]:
    """The classes of a run that the truth knows; that of a run of one is asked for when it is read."""
    if truth is None or len(kinds) == 1:
        return kinds
    if class_ is not None:
        raise UsageError(
            "given for several classes", where="--class", expected="none: each class has its own of a list"
        )
    found = list_classes(truth, from_)
    if not (judged := [kind for kind in kinds if kind in found]):
        raise InputError(
            f"no class {', '.join(found)} in the run" if found else "says nothing of classes", where=truth,
            expected=f"a coordinate list with a column class: {', '.join(kinds)}",
            remedy=f"{case_hint(found, kinds)} Or make the page of one class.".strip(),
        )  # fmt: skip
    if unknown := [kind for kind in kinds if kind not in found]:
        hint = case_hint(unknown, found)
        warn(f"{truth} has no class {', '.join(unknown)}: no true positions of it are shown{hint and f'. {hint}'}")
    if others := [kind for kind in found if kind not in kinds]:
        warn(f"no class {', '.join(others)} in the run: its true positions are not shown")
    return judged
