"""``milopyp report``: a run of picking as one HTML file to look at, to choose a threshold in and to mend by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.atomic import write_text
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency
from milopyp_shared.option_types import Number
from milopyp_shared.overwrite import MARKS, refuse_irreplaceable, refuse_others

if TYPE_CHECKING:
    from .contents import Shown

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
    help="Only the particles of a class of the truth (csv, eman, list, mod, relion4, relion5, tbl, warp): its number, "
    "or its name in a CSV, a list, a model or an EMAN2 file.  [default: of a CSV, a list or a model, the run's]",
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

    RUN is a folder of milopyp-infer, of one class or of several. The page opens in any browser without a server or a
    network: slices of every tomogram with the picks as circles, a slider for the threshold, scores of all tomograms,
    the best and the borderline picks. Picks can be added and removed by a click, and what is left is saved as text.

    \b
    Examples:
      milopyp report picks
      milopyp report picks --truth coords_test.txt --only tomo_3 -o tomo_3.html
    """
    try:
        from . import contents, page
        from .shown import read_shown
    except ImportError as error:
        raise MissingDependency(
            f"the page needs {error.name}, which is not installed",
            where="milopyp report",
            remedy="Run: pip install 'milopyp[report]'.",
        ) from error

    console = Console()
    shown = read_shown(run, only, truth, console.warn, **of_the_truth)
    records = shown[0].records
    target = out or run / REPORT
    _refuse_loss(target, run, shown, [path for path in (truth, of_the_truth["name_map"]) if path is not None])
    if hosts := contents.hosts_of(records if tomograms is None else ()):
        console.say(f"tomograms are read from {', '.join(hosts)}, as the run says")
    opened = [contents.tomogram_of(record, tomograms) for record in records]
    slicing = contents.slicing_of(shown, opened)
    about = [contents.about(own, opened, slicing) for own in shown]
    for own in about:
        _say_thresholds(own, console)
    name = run.resolve().name
    left = size * 1e6 - len(page.render(name, about, []))
    budget = int(max(left, 0.0) / page.GROWTH / len(records))
    pictures = []
    with console.progress("tomogram", len(records)) as progress:
        for index, record in enumerate(records):
            runs = {own.folder: own.records[index] for own in shown}
            pictures.append(contents.pictures_of(runs, opened[index], slicing[index], budget))
            progress.step(record.name)
    text = page.render(name, about, pictures)
    write_text(target, text)
    console.say(f"wrote {target} ({len(text) / 1e6:.1f} MB): open it in a browser")
    if len(text) > 1.05e6 * size:
        console.warn(
            f"{len(text) / 1e6:.1f} MB, more than the {size:g} of --size: pictures cannot be coarser; give --only"
        )


def _say_thresholds(about: Mapping[str, Any], console: Console) -> None:
    """Say where tomograms were picked above different scores; `about` as of `contents.about`."""
    thresholds = sorted({own["threshold"] for own in about["tomograms"]})
    if len(thresholds) > 1:
        whose = f"{about['name']}: " if about["name"] else ""
        console.warn(
            f"{whose}tomograms were picked above different scores, {thresholds[0]:.3g} to {thresholds[-1]:.3g}; the "
            f"page begins with {about['threshold']:.3g} for all"
        )


def _refuse_loss(target: Path, run: Path, shown: Sequence[Shown], given: list[Path]) -> None:
    """Refuse to write the page over what it is made from, or over something else than such a page."""
    from milopyp_inference.batch.reader import run_files
    from milopyp_shared.formats.positions import position_files

    names = [record.name for record in shown[0].records]
    beside = [file for path in given for file in position_files(path, names)]
    own = [file for each in shown for file in (*run_files(each.folder), *(each.folder / f"{n}.mod" for n in names))]
    if target == run / REPORT:  # a name of its own
        refuse_irreplaceable(target, [*own, *beside])
    else:
        refuse_others(target, MARKS[".html"], [*own, *beside])
