"""``milopyp threshold``: picks cut anew from the candidates of a run, without the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_inference.batch.reader import read_records, run_files, scores_of
from milopyp_shared.axes import TURNS
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import ContradictionError, InputError, MissingDependency, UsageError
from milopyp_shared.lengths import Length
from milopyp_shared.names import NAMES, listed
from milopyp_shared.option_types import Angstrom, LengthRange, Number
from milopyp_shared.overwrite import MARKS, refuse_others
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from milopyp_inference.batch.records import Picked


@dataclass(frozen=True)
class Changes:
    """What the command line says of every tomogram's picks; None: as in the run."""

    value: float | None = None
    precision: float | None = None
    total: int | None = None
    count: int | None = None
    distance: Length | None = None
    margin: float | None = None
    with_score: bool | None = None
    formats: tuple[str, ...] | None = None
    turn: str | None = None
    names: str | None = None
    tomograms: Path | None = None


@command("threshold")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@option("--value", type=Number(min=0, max=1), help="Picks score above this.  [default: as in the run]")
@option(
    "--precision", type=Number(min=0, max=1, min_open=True, max_open=True),
    help="Picks score above the value from which on this part of them is expected to be right.",
)  # fmt: skip
@option("--total", type=click.IntRange(min=1), help="Picks score above the value that leaves so many in all tomograms.")
@option("--count", "--K", "count", type=click.IntRange(min=1), help="The best so many of every tomogram.")
@option(
    "--distance", type=LengthRange(min=0),
    help="Between picks at least, in voxels, or in Angstrom with an A (120A).  [default: as in the run]",
)  # fmt: skip
@option(
    "--margin", type=Angstrom(min=0), metavar="ANGSTROM",
    help="Nothing is picked closer to a face than this: 150, or 150A.  [default: as in the run]",
)  # fmt: skip
@option("--with-score/--without-score", default=None, help="A fourth column of the text.  [default: as in the run]")
@option("--format", "formats", metavar="WORD,...", help="Other formats for the picks, as in milopyp-infer.")
@option(
    "--turn", type=click.Choice(TURNS),
    help="Write picks, NAME.mod and NAME.txt too, as of the turned tomogram: rotx for IMOD's clip rotx or trimvol "
    "-rx, yz for trimvol -yz.  "
    "[default: as in the run]",
)  # fmt: skip
@option(
    "--names", type=click.Choice(NAMES),
    help="What tomograms are called inside files for other programs, as in milopyp-infer.  [default: as in the run]",
)  # fmt: skip
@option(
    "--tomograms", type=click.Path(path_type=Path), metavar="PATH",
    help="The same names from RELION's tomograms.star, or from a folder of Warp's .tomostar, AreTomo's .aln or "
    "etomo's .edf files.",
)  # fmt: skip
@option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE.png",
    help="Draw how many picks every threshold leaves; alone, it changes nothing.",
)  # fmt: skip
@option("--out", type=click.Path(path_type=Path), help="Folder for the new picks.  [default: they replace the run's]")
@click.version_option(package_name="milopyp")
def threshold(run: Path, *, plot: Path | None, out: Path | None, formats: str | None, **given: Any) -> None:
    """Cut the picks of a run anew, at another threshold.

    RUN is a folder of milopyp-infer. NAME.txt and NAME.mod are written anew for every tomogram (one that was changed
    by hand is kept beside them); heat maps and candidates stay. --count alone takes the best ones whatever their
    score.

    \b
    Examples:
      milopyp threshold picks --plot counts.png
      milopyp threshold picks --value 0.35
      milopyp threshold picks --precision 0.9
      milopyp threshold picks --total 5000 --format relion5
      milopyp threshold picks --count 200 --margin 150 --out picks_200
      milopyp threshold picks_of_classes/ribosome --value 0.35
    """
    from msgspec import structs

    from milopyp_inference.batch.chosen import written_words
    from milopyp_inference.batch.folder_doubts import folder_doubts
    from milopyp_inference.batch.record_files import read_summary
    from milopyp_inference.pick_options import parse_formats
    from milopyp_shared.written_names import Naming

    from ..run_cutting import called, cut_all

    if plot is not None:
        refuse_others(plot, MARKS[".png"], run_files(run))
    if out is not None and out.exists() and out.samefile(run):
        out = None
    console = Console()
    changes = Changes(formats=None if formats is None else parse_formats(formats, published=False), **given)
    _refuse(run, changes, plot)
    lowest = _threshold(run, changes, console)
    before = read_records(run)
    records = [_changed(record, changes, lowest, run) for record in _without_count(before, run, changes, console)]
    naming = Naming.read(changes.names, changes.tomograms, records[0].options.formats)
    if changes.total is not None:
        lowest = _for_total(run, records, changes.total)
        records = [_changed(record, changes, lowest, run) for record in records]
        console.say(f"picks above {lowest:.6g}")
    if plot is not None:
        _draw(plot, run, records)
        console.say(f"wrote {plot}")
    if changes == Changes():
        return
    records = [structs.replace(record, frame=record.read_anew) for record in records]
    records = cut_all(run, out, before, called(records, naming, console), named=naming.said, console=console)
    for record in records:
        mended = f" ({own}, which stays)" if (own := record.edits.words) else ""
        console.say(f"{record.name}: {record.picks} of {counted(record.candidates, 'candidate')}{mended}")
    for doubt in folder_doubts(out or run, read_summary(out or run)):
        console.warn(doubt)
    picks = counted(sum(record.picks for record in records), "pick")
    console.say(f"{picks} in {counted(len(records), 'tomogram')}: {out or run}")
    console.say(f"written: {written_words(records[0].options)}")


def _refuse(run: Path, changes: Changes, plot: Path | None) -> None:
    """Raise an error for options that say nothing, or too much."""
    thresholds = {"--value": changes.value, "--precision": changes.precision, "--total": changes.total}
    wanted = [name for name, value in thresholds.items() if value is not None]
    if len(wanted) > 1:
        raise ContradictionError(
            "given together", where=" and ".join(wanted), expected="one of them: all are thresholds"
        )
    if changes == Changes() and plot is None:
        raise UsageError(
            "nothing to change",
            where=run,
            expected="--value, --precision, --total, --count, --distance, --margin, --format, --turn, --names, "
            "--tomograms, --with-score or --plot",
        )


def _threshold(run: Path, changes: Changes, console: Console) -> float | None:
    """The score that picks are to be above; None: the run's, or one that depends on the candidates."""
    if changes.precision is not None:
        score = _for_precision(run, changes.precision)
        console.say(f"picks above {score:.2f}: expected precision {changes.precision:.2f}")
        return score
    if changes.value is None and changes.count is not None:
        return 0.0
    return changes.value


def _without_count(records: list[Picked], run: Path, changes: Changes, console: Console) -> list[Picked]:
    """The records; a --count of before is no part of another threshold, but what `milopyp-infer` was told is."""
    from msgspec import structs

    from milopyp_inference.batch.record_files import read_summary

    if changes.count is not None or {changes.value, changes.precision, changes.total} == {None}:
        return records
    limit, before = read_summary(run).call.selection.limit, records[0].options.selection.limit
    if before not in (None, limit):
        console.say(f"no longer only the best {before} of each tomogram: --count beside the threshold keeps it so")
    return [
        structs.replace(own, options=replace(own.options, selection=replace(own.options.selection, limit=limit)))
        for own in records
    ]


def _changed(record: Picked, changes: Changes, lowest: float | None, run: Path) -> Picked:
    """A record with other options.

    Raises
    ------
    InputError
        Its picks are not made from candidates.
    UsageError
        The distance is in Angstrom, and the tomogram's voxel size is not known.
    """
    from msgspec import structs

    from milopyp_inference.batch.cutting import refuse_published

    refuse_published(record, run)
    distance = None if changes.distance is None else _voxels(changes.distance, record)
    selection = replace(
        record.options.selection,
        **_given(threshold=lowest, distance=distance, limit=changes.count, margin=changes.margin),
    )
    options = replace(
        record.options,
        selection=selection,
        **_given(formats=changes.formats, with_score=changes.with_score, turn=changes.turn),
    )
    return structs.replace(record, options=options, **_given(suppression_distance=distance))


def _voxels(distance: Length, record: Picked) -> float:
    """The distance between picks in voxels of a tomogram."""
    expected = f"a run that knows the voxel size of {record.name}"
    return distance.voxels(record.frame.one_voxel_size, "--distance", expected)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _for_total(run: Path, records: Sequence[Picked], total: int) -> float:
    """The threshold above which there are `total` picks in all tomograms; fewer where some score the same."""
    limit = records[0].options.selection.limit
    scores = sorted((float(score) for own in records for score in scores_of(run, own, limit)), reverse=True)
    if len(scores) < total:
        raise InputError(
            f"{counted(len(scores), 'candidate')} in all tomograms",
            where=run,
            expected=f"at least the {total} of --total",
        )
    if (kept := scores.count(math.inf)) > total:
        raise InputError(
            f"{counted(kept, 'pick')} put in with milopyp apply, which stay", where=run,
            expected=f"at most the {total} of --total", remedy="Take them out with milopyp apply --undo.",
        )  # fmt: skip
    return scores[total] if len(scores) > total else 0.0


def _draw(path: Path, run: Path, records: Sequence[Picked]) -> None:
    from milopyp_inference.batch.record_files import read_summary

    try:
        from ..plots.threshold_plot import draw_counts
    except ImportError as error:
        raise MissingDependency(
            f"the picture needs {error.name}, which is not installed",
            where="--plot",
            remedy="Run: pip install 'milopyp[plots]'.",
        ) from error
    selection = records[0].options.selection
    scores = [scores_of(run, record, selection.limit) for record in records]
    draw_counts(path, scores, selection.threshold, read_summary(run).calibration)


def _for_precision(run: Path, precision: float) -> float:
    """The threshold that the run's model expects this precision of."""
    from milopyp_inference.batch.record_files import read_summary

    summary = read_summary(run)
    expected = summary.calibration
    if len(summary.models) > 1:
        raise InputError(
            f"holds picks of several models ({listed(model for model, _ in summary.models)})",
            where=run,
            expected="those of one: what it expects is said by --precision",
            remedy="Give --value or --count.",
        )
    if expected is None:
        raise InputError(
            "its model does not know how many picks are right",
            where=run,
            expected="a run with a model of eight labels or more (milopyp learn, or milopyp-train without --quick)",
            remedy="Give --value, --total or --count.",
        )
    score = expected.threshold_for(precision)
    if score is None:
        raise InputError(
            f"no threshold is expected to give a precision of {precision:g}",
            where=run,
            expected=f"at most {max(expected.precision):.2f}",
        )
    return score
