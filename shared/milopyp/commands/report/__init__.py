"""``milopyp report``: a run of picking as one HTML file to look at, to choose a threshold in and to mend by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_inference.batch.reader import read_records, run_files
from milopyp_shared.atomic import write_text
from milopyp_shared.commandline import Number, command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError
from milopyp_shared.overwrite import MARKS, refuse_irreplaceable, refuse_others

if TYPE_CHECKING:
    from milopyp_inference.batch.records import Picked

    from .contents import Known

REPORT = "report.html"


@command("report")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@option("-o", "--out", type=click.Path(path_type=Path), help="The page.  [default: RUN/report.html]")
@option("--only", multiple=True, metavar="NAME", help="Show this tomogram only; may be given several times.")
@option(
    "--tomograms", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Where the tomograms are now.  [default: where they were picked]",
)  # fmt: skip
@option(
    "--truth", type=click.Path(path_type=Path),
    help="All particles, to be shown beside the picks: a coordinate list, a file of one of milopyp convert's formats, "
    "or a folder of NAME.suffix.",
)  # fmt: skip
@option("--from", "from_", metavar="WORD", help="Format of the truth.  [default: by its suffix]")
@option(
    "--name-map", type=click.Path(path_type=Path), metavar="FILE",
    help="Two columns: name of a tomogram, its name in the truth, where no rule tells that they are the same.",
)  # fmt: skip
@option(
    "--class", "class_", metavar="CLASS",
    help="Only the particles of a class of the truth (eman, list, relion4, relion5, warp): its number, or its name in "
    "a list or an EMAN2 file.  [default: of a list, the run's]",
)  # fmt: skip
@option(
    "--size", type=Number(min=1), default=50.0, metavar="MB",
    help="Of the page at most: many or large tomograms are shown coarser.",
)  # fmt: skip
@click.version_option(package_name="milopyp")
def report(
    run: Path,
    *,
    out: Path | None,
    only: tuple[str, ...],
    tomograms: Path | None,
    truth: Path | None,
    size: float,
    **of_the_truth: Any,
) -> None:
    """Write one HTML page that shows the picks of a run.

    RUN is a folder of milopyp-infer. The page opens in any browser without a server or a network: slices of every
    tomogram with the picks as circles, a slider for the threshold, scores of all tomograms, the best and the
    borderline picks. Picks can be added and removed by a click, and what is left is saved as text.

    \b
    Examples:
      milopyp report picks
      milopyp report picks --truth coords_test.txt --only tomo_3 -o tomo_3.html
    """
    from milopyp_inference.batch.records import read_summary

    try:
        from . import contents, page
    except ImportError as error:
        raise MissingDependency(
            f"the page needs {error.name}, which is not installed",
            where="milopyp report",
            remedy="Run: pip install 'milopyp[report]'.",
        ) from error

    console = Console()
    everything = read_records(run)
    records = _chosen(everything, only, run)
    summary = read_summary(run)
    known = _known(run, everything, truth, **of_the_truth)
    known = {record.name: known[record.name] for record in records if record.name in known}
    target = out or run / REPORT
    _refuse_loss(target, run, records, [path for path in (truth, of_the_truth["name_map"]) if path is not None])
    if hosts := contents.hosts_of(records if tomograms is None else ()):
        console.say(f"tomograms are read from {', '.join(hosts)}, as the run says")
    opened = {record.name: contents.tomogram_of(record, tomograms) for record in records}
    facts = [contents.facts_of(run, record, opened[record.name], known.get(record.name)) for record in records]
    about = contents.about(run, summary, records, facts, known)
    thresholds = sorted({own["threshold"] for own in facts})
    if len(thresholds) > 1:
        console.warn(
            f"tomograms were picked above different scores, {thresholds[0]:.3g} to {thresholds[-1]:.3g}; the page "
            f"begins with {about['threshold']:.3g} for all"
        )
    left = size * 1e6 - len(page.render(about, facts, []))
    budget = int(max(left, 0.0) / page.GROWTH / len(records))
    pictures = []
    with console.progress("tomogram", len(records)) as progress:
        for record in records:
            pictures.append(contents.pictures_of(run, record, opened[record.name], budget))
            progress.step(record.name)
    text = page.render(about, facts, pictures)
    write_text(target, text)
    console.say(f"wrote {target} ({len(text) / 1e6:.1f} MB): open it in a browser")
    if len(text) > 1.05e6 * size:
        console.warn(
            f"{len(text) / 1e6:.1f} MB, more than the {size:g} of --size: pictures cannot be coarser; give --only"
        )


def _refuse_loss(target: Path, run: Path, records: list[Picked], given: list[Path]) -> None:
    """Refuse to write the page over what it is made from, or over something else than such a page."""
    from milopyp_shared.formats.positions import position_files

    names = [record.name for record in records]
    beside = [file for path in given for file in position_files(path, names)]
    inputs = [*run_files(run), *(run / f"{name}.mod" for name in names), *beside]
    if target == run / REPORT:  # a name of its own
        refuse_irreplaceable(target, inputs)
    else:
        refuse_others(target, MARKS[".html"], inputs)


def _chosen(records: list[Picked], names: tuple[str, ...], run: Path) -> list[Picked]:
    """The tomograms asked for; all without a wish."""
    if not names:
        return records
    if unknown := sorted(set(names) - {record.name for record in records}):
        raise UsageError(
            ", ".join(unknown), where="--only",
            expected=f"tomograms of {run}, such as {', '.join(record.name for record in records[:3])}",
        )  # fmt: skip
    return [record for record in records if record.name in names]


def _known(
    run: Path,
    records: list[Picked],
    truth: Path | None,
    *,
    from_: str | None,
    name_map: Path | None,
    class_: str | None,
) -> dict[str, Known]:
    """The true positions by tomogram; nothing without `truth`.

    Raises
    ------
    UsageError
        Something is said of a truth that there is not.
    """
    from ..convert import FORMAT_WORDS

    if from_ is not None and from_ not in FORMAT_WORDS:
        raise UsageError(from_, where="--from", expected=f"one of {', '.join(FORMAT_WORDS)}")
    if truth is None:
        said = [name for name, own in (("--from", from_), ("--name-map", name_map), ("--class", class_)) if own]
        if said:
            raise UsageError("given without --truth", where=" and ".join(said), expected="--truth beside it")
        return {}
    from milopyp_shared.formats.positions import read_positions
    from milopyp_shared.names import read_name_map

    from ...judged import run_contexts

    contexts = run_contexts(run, [record.name for record in records], class_=class_)
    positions = read_positions(truth, from_, contexts, {} if name_map is None else read_name_map(name_map))
    return {name: picks.xyz for name, picks in positions.with_empty.items()}
