"""The picks of whole runs, as one program is to count and call them.

In: runs of milopyp-infer, and what a person says of them. Out: picks by tomogram, with what is known beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from milopyp_inference.batch.dynamo_map import MAP, plan_numbers
from milopyp_inference.batch.folder_doubts import folder_doubts
from milopyp_inference.batch.leases import Leases
from milopyp_inference.batch.outputs import OutputFiles
from milopyp_inference.batch.reader import picks_of, read_records
from milopyp_inference.batch.record_files import RECORDS, find_summary
from milopyp_inference.batch.records import Picked
from milopyp_inference.batch.stage import digests
from milopyp_shared.axes import NO_TURN
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.dynamo import read_doc
from milopyp_shared.formats.registry import DYNAMO
from milopyp_shared.names import listed, reduced
from milopyp_shared.picks import Picks
from milopyp_shared.turns import turned
from milopyp_shared.wording import counted
from milopyp_shared.written_names import KnownTomogram, Naming

from .judged import context_of

_REMEDY = "Give --names series, or --tomograms, so that both are called the same."


@dataclass(frozen=True)
class Asked:
    """What a person says of the runs.

    Attributes
    ----------
    word, unbinned
        As of the program, `file_sets.Program`.
    naming
        How tomograms are to be called.
    turn, binning, voxel_size
        As the options say; None: as in the run, as the list of tomograms says, as the header says.
    classes
        Names of the particles, one for each run; none: all are of one kind.
    """

    word: str
    unbinned: bool = False
    naming: Naming = field(default_factory=Naming)
    turn: str | None = None
    binning: float | None = None
    voxel_size: float | None = None
    classes: Sequence[str] = ()

    @property
    def kinds(self) -> list[str]:
        """The names of all classes, by number less 1."""
        return list(dict.fromkeys(self.classes))


@dataclass(frozen=True)
class Collected:
    """The picks of one tomogram in one run; `picks` may be none."""

    run: Path
    record: Picked
    picks: Picks
    context: FormatContext

    @property
    def label(self) -> str:
        """What the tomogram is called in the files."""
        return self.context.label


def collect_runs(runs: Sequence[Path], asked: Asked, warn: Callable[[str], None]) -> list[Collected]:
    """The picks of all tomograms of some runs, as written there: of the threshold, and with what `apply` has changed.

    Parameters
    ----------
    warn
        Called with one sentence for what is left out, and for what is doubtful.

    Raises
    ------
    InputError
        A run is none, or has no picks; the list of tomograms lacks one; a tomogram would have two names.
    UsageError
        The same tomogram is in several runs of one class; or there is not one name of a class for each run.
    ContradictionError
        The list of tomograms has other sizes than the headers, or two runs have of one tomogram.
    """
    if asked.classes and len(asked.classes) != len(runs):
        raise UsageError(
            f"{counted(len(asked.classes), 'name')} for {counted(len(runs), 'run')}", where="--class-names",
            expected="one for each run, in their order",
        )  # fmt: skip
    found = []
    for index, run in enumerate(runs):
        number = asked.kinds.index(asked.classes[index]) + 1 if asked.classes else None
        found += _of_run(run, asked, number, warn)
    if not any(len(own.picks) for own in found):
        raise _nothing(runs[0], len(found))
    _refuse_twice(found)
    return _numbered(found, runs) if asked.word == DYNAMO else found


def _nothing(run: Path, tomograms: int) -> InputError:
    return InputError(
        f"holds no picks, in {counted(tomograms, 'tomogram')}", where=run, expected="a run with picks",
        remedy="Choose a lower threshold: milopyp threshold, or --out-thresh of milopyp-infer.",
    )  # fmt: skip


def _of_run(run: Path, asked: Asked, number: int | None, warn: Callable[[str], None]) -> list[Collected]:
    """The picks of one run; `number` is that of its class."""
    records = read_records(run)
    _say_doubts(run, records, warn)
    called = asked.naming.call({record.name: record.tomo_name for record in records}, run)
    found = []
    for record in records:
        picks, context = _picked(run, record, asked)
        found.append(Collected(run, record, picks, replace(context, label=called[record.name], class_number=number)))
    sizes = {own.record.name: (_size(own.context), own.context.one_voxel_size) for own in found}
    asked.naming.check(called, sizes)
    if not any(len(own.picks) for own in found):
        if not asked.classes:
            raise _nothing(run, len(found))
        warn(f"{run} holds no picks, in {counted(len(found), 'tomogram')}")
    particle = asked.kinds[number - 1] if number else "particle"
    return [replace(own, context=_counted(own.context, asked, particle)) for own in found]


def _picked(run: Path, record: Picked, asked: Asked) -> tuple[Picks, FormatContext]:
    """The picks that a run has written of a tomogram, as of the turned one where they are to be."""
    context = context_of(record)
    picks = picks_of(run, record, context)
    if picks is None:
        raise InputError(
            f"lacks {record.name}.mod", where=run, expected="the picks of every tomogram",
            remedy="Run milopyp-infer again: it repairs what is missing.",
        )  # fmt: skip
    if asked.voxel_size is not None:
        context = replace(context, voxel_size=asked.voxel_size)
    turn = record.options.turn if asked.turn is None else asked.turn
    if turn != NO_TURN and record.options.published is not None:
        raise UsageError(
            f"given for {record.name}, which was picked with milopyp-infer --published", where="--turn",
            expected="a run without it", remedy="Leave it out.",
        )  # fmt: skip
    return turned(picks, replace(context, radius=record.diameter / 2), turn, run)


def _counted(context: FormatContext, asked: Asked, particle: str) -> FormatContext:
    """What is known of a tomogram, with the binning and the voxel size that the next program counts in.

    A program makes voxels of Angstrom with the pixel size of its own list, so that counts before the header's.
    """
    known = asked.naming.known.get(context.label, KnownTomogram())
    own = known.binning_of(_size(context), context.one_voxel_size)
    binning = asked.binning or (own if asked.unbinned else None) or 1.0
    voxel_size = known.pixel_size * own if known.pixel_size and own else context.voxel_size
    return replace(context, binning=binning, voxel_size=voxel_size, particle=particle)


def _size(context: FormatContext) -> tuple[int, int, int]:
    assert context.size is not None  # of a record
    return context.size


def dynamo_map(found: Sequence[Collected]) -> dict[int, str]:
    """The lines of the map of a Dynamo table: as the run's own map has them, else the tomograms' paths."""
    place = _with_map([own.run for own in found])
    known = read_doc(place / MAP) if (place / MAP).exists() else {}
    paths: dict[int, str] = {}
    for own in found:
        if (number := own.context.dynamo_tomogram) is not None:
            paths.setdefault(number, known.get(number, own.record.input.path))
    return paths


def _with_map(runs: Sequence[Path]) -> Path:
    """The first run that has a map, else the first."""
    return next((run for run in runs if (run / MAP).exists()), runs[0])


def _numbered(found: Sequence[Collected], runs: Sequence[Path]) -> list[Collected]:
    """With the numbers of Dynamo's tables: those of the first run that has some, then the next ones."""
    paths: dict[str, str] = {}
    for own in found:
        paths.setdefault(own.label, own.record.input.path)
    numbers = plan_numbers(_with_map(runs), paths.values())
    return [replace(own, context=replace(own.context, dynamo_tomogram=numbers[paths[own.label]])) for own in found]


def _refuse_twice(found: Sequence[Collected]) -> None:
    """Refuse a tomogram that is in several runs of one class, or under several names or sizes in several runs."""
    twice: dict[tuple[str, int | None], Collected] = {}
    known: dict[str, Collected] = {}
    for own in found:
        other = known.setdefault(reduced(own.label), own)
        if other.run != own.run:
            _refuse_other(own, other)
        first = twice.setdefault((own.label, own.context.class_number), own)
        if first is not own:
            raise UsageError(
                f"{own.label} is in {first.run} and in {own.run}", where="RUN",
                expected="every tomogram once, or other particles in each run, which --class-names names",
            )  # fmt: skip


def _refuse_other(own: Collected, other: Collected) -> None:
    if own.label != other.label:
        raise InputError(
            f"{other.label} of {other.run} and {own.label} of {own.run} would be two tomograms", where="RUN",
            expected="one name for one tomogram", remedy=_REMEDY,
        )  # fmt: skip
    if own.context.size != other.context.size:
        here, there = (" x ".join(map(str, _size(each.context))) for each in (own, other))
        raise ContradictionError(
            f"{own.label} is {there} in {other.run} and {here} in {own.run}", where="RUN",
            expected="the same tomogram in all runs", remedy="Collect them one by one.",
        )  # fmt: skip


def _say_doubts(run: Path, records: Sequence[Picked], warn: Callable[[str], None]) -> None:
    """Say what a run lacks, what is doubtful there, and what a person has changed that is not collected."""
    if at_work := Leases(run / RECORDS).all_taken():
        warn(f"{run}: somebody is picking {listed(at_work)}: what is not finished is not collected")
    summary = find_summary(run)
    if summary is not None:
        for doubt in folder_doubts(run, summary):
            warn(doubt)
        if summary.failed:
            warn(f"{run}: without {listed(summary.failed)}, which milopyp-infer could not pick")
    if changed := [name for record in records for name in _changed(run, record)]:
        warn(
            f"{run}: {listed(changed)} changed since milopyp wrote them, which does not count: the run's picks are "
            "collected (milopyp convert to a list, then milopyp apply, puts changes into the run)"
        )


def _changed(run: Path, record: Picked) -> list[str]:
    """Files of a tomogram's picks that were changed by hand, and are not read here."""
    now = digests(OutputFiles.of(run, record.name, record.options.formats))
    read = {f"{record.name}.mod"} if record.options.published is not None else set()
    known: Mapping[str, str] = record.outputs
    return [name for name, digest in now.items() if name not in read and known.get(name, digest) != digest]
