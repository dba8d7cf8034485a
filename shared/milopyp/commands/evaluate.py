"""``milopyp evaluate``: picks against known positions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_inference.batch.inputs import gather
from milopyp_inference.batch.reader import run_files
from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.axes import ORDER_WORDS
from milopyp_shared.commandline import LengthRange, Number, command, option, spelled
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError
from milopyp_shared.lengths import Length
from milopyp_shared.wording import counted

from .convert import FORMAT_WORDS

if TYPE_CHECKING:
    from milopyp_shared.formats.context import FormatContext

    from ..comparison import Comparison
    from ..evaluation import Scale
    from ..judged import Judged

REPORT = ("evaluation.json", "evaluation.md", "evaluation.png")  # of --out
OF_TOMOGRAMS = ("tomogram", "order", "size", "voxel_size")  # options that say what a run knows
OF_FILES = ("picks_from", "picks_binning", "with_score")  # and those of files that are no run


@command("evaluate")
@click.argument("picks", type=click.Path(path_type=Path), nargs=-1, required=True)
@option(
    "--truth",
    required=True,
    type=click.Path(path_type=Path),
    help="All particles: a coordinate list, a file of one of milopyp convert's formats, or a folder of NAME.suffix.",
)
@option(
    "--radius",
    type=LengthRange(min=0, min_open=True),
    help="Largest distance of a match, in voxels, or in Angstrom with an A (105A).  [default: half the particle of the "
    "run]",
)
@option(
    "--distance",
    type=LengthRange(min=0),
    help="Drop candidates, or what is ranked in a file, closer than this to a better one, in voxels, or in Angstrom "
    "with an A.  [default: of candidates the run's, else 1.2 radii; nothing of a file]",
)
@option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures and the curve as JSON.")
@option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Write evaluation.json, evaluation.md and evaluation.png there.",
)  # fmt: skip
@option(
    "--from", "from_", type=click.Choice(FORMAT_WORDS), group="Truth", help="Its format.  [default: as the file says]"
)
@option(
    "--name-map", type=click.Path(path_type=Path), metavar="FILE", group="Truth",
    help="Two columns: name of a tomogram, its name in the truth, where no rule tells that they are the same.",
)  # fmt: skip
@option(
    "--coords", type=click.Choice(["model2point", "voxel"]), group="Truth",
    help="What a text of one tomogram counts, also among PICKS: IMOD model coordinates, or plain voxel indices from 0.",
)  # fmt: skip
@option(
    "--binning", type=Number(min=0, min_open=True), default=1.0, group="Truth",
    help="The tomogram's voxel over that of the coordinates in relion4, warp, tbl and ndjson.",
)  # fmt: skip
@option(
    "--class", "class_", metavar="CLASS", group="Truth",
    help="Only the particles of a class (eman, list, relion4, relion5, warp): its number, or its name in a list or an "
    "EMAN2 file; of lists among PICKS, too.  [default: of a list, the run's]",
)  # fmt: skip
@option(
    "--picks-from", type=click.Choice(FORMAT_WORDS), group="PICKS that are no run",
    help="Their format.  [default: as the file says]",
)  # fmt: skip
@option(
    "--picks-binning", type=Number(min=0, min_open=True), group="PICKS that are no run",
    help="As --binning, of theirs.  [default: 1]",
)  # fmt: skip
@option("--with-score", is_flag=True, group="PICKS that are no run", help="A text has the score as fourth column.")
@option(
    "--tomogram", multiple=True, metavar="FILE", group="Tomograms, where no run knows them",
    help="One of them, a pattern in quotes, or an image list; can be given again. Says order, size and voxel size.",
)  # fmt: skip
@option(
    "--order", type=click.Choice(ORDER_WORDS), group="Tomograms, where no run knows them",
    help="File axes from fastest to slowest.  [default: auto with --tomogram, else xyz where the format allows it]",
)  # fmt: skip
@option(
    "--shape", "size", type=click.IntRange(min=1), nargs=3, metavar="X Y Z",
    group="Tomograms, where no run knows them", help="Size in voxels, fastest axis first.",
)  # fmt: skip
@option(
    "--voxel-size", type=Number(min=0, min_open=True), metavar="ANGSTROM",
    group="Tomograms, where no run knows them", help="Of the tomograms.  [default: of their headers]",
)  # fmt: skip
@click.version_option(package_name="milopyp")
def evaluate(picks: tuple[Path, ...], truth: Path, json_file: Path | None, out: Path | None, **given: Any) -> None:
    """Compare picks with known positions.

    PICKS are of one run or program, or of several, for one table and one plot.

    Each of PICKS is a run folder of milopyp-infer, a NAME.candidates.csv, or what another program has left: a file of
    one of milopyp convert's formats, a folder of NAME.suffix, or a pattern in quotes. What is known of a run's
    tomograms serves the other files. Several are judged on the tomograms that all have picks of.

    Precision, recall and F1 are those of the picks that a run has written, or that a file holds. AUPRC (the average
    precision over all particles) and best F1 look at all candidates of the run, or at the scores in the file. Matching
    is one to one, best score first, within --radius; errors of position are those above the score of the best F1.

    \b
    Examples:
      milopyp evaluate picks --truth coords_test.tsv --json figures.json
      milopyp evaluate picks --truth particles.star --radius 105A --out judged
      milopyp evaluate picks picks_b template_matching.star --truth coords_test.tsv --out compared
      milopyp evaluate template_matching.star --truth coords_test.tsv --tomogram TS_01.mrc --radius 105A
    """
    from milopyp_shared.formats.positions import read_positions
    from milopyp_shared.names import read_name_map

    from ..comparison import compare, doubts
    from ..evaluation import SEPARATION, scale_of
    from ..evaluation_tables import shortest

    console = Console()
    judged = _read(picks, console, given)
    _refuse_loss(judged, [json_file, *([out / name for name in REPORT] if out else [])], truth, given)
    scale = scale_of(judged.sources, judged.contexts)
    voxels = _lengths(judged, scale)
    radius = _radius(given["radius"], voxels, judged, scale, console)
    wanted = voxels(given["distance"], "--distance")
    said = {"coords": given["coords"], "binning": given["binning"], "class_": given["class_"], "with_score": False}
    contexts = {name: replace(context, **said) for name, context in judged.contexts.items()}
    names = {} if given["name_map"] is None else read_name_map(given["name_map"])
    known = read_positions(truth, given["from_"], contexts, names)
    compared = []
    for source in judged.sources:
        own = SEPARATION * radius if source.candidates and source.distance is None else source.distance
        compared.append(compare(source, known, radius, own if wanted is None else wanted, truth))
    for source in judged.sources:
        if source.published:
            console.warn(
                f"{source.path} was picked with milopyp-infer --published: AUPRC, best F1 and errors of position are "
                "those of its candidates, and its whole-voxel picks have others; its NAME.mod, judged alone, has them"
            )
    for doubt in doubts(compared, judged.left_out):
        console.warn(doubt)
    _tell(dict(zip(shortest(picks), compared, strict=True)), str(truth), json_file, out, console)


def _read(picks: Sequence[Path], console: Console, given: Mapping[str, Any]) -> Judged:
    """What is to be judged.

    Raises
    ------
    UsageError
        Something is given twice, or says nothing of PICKS.
    """
    from milopyp_inference.batch.records import RECORDS

    from ..judged import is_run, read_sources
    from ..pick_files import format_context

    if len({path.resolve() for path in picks}) < len(picks):
        raise UsageError("given twice", where="PICKS", expected="each once")
    said = [name for name in (*OF_TOMOGRAMS, *OF_FILES) if given[name]]
    runs = [path for path in picks if is_run(path)]
    knowing = [path for path in runs if ((path if path.is_dir() else path.parent) / RECORDS).is_dir()]
    if knowing and (idle := [name for name in said if name in OF_TOMOGRAMS]):
        raise _idle(idle, f"the records of {knowing[0]} say all that is known of its tomograms")
    if len(runs) == len(picks) and (idle := [name for name in said if name in OF_FILES]):
        raise _idle(idle, "all PICKS are runs")
    said_of_all = {name: given[name] for name in ("order", "size", "voxel_size")}
    tomograms: dict[str, FormatContext] = {}
    for entry in gather(given["tomogram"]) if given["tomogram"] else ():
        tomograms[entry.name] = replace(
            format_context(entry.path, entry.path, said_of_all, console.warn), label=entry.name
        )
    more = {"coords": given["coords"], "with_score": given["with_score"], "binning": given["picks_binning"]}
    context = format_context(picks[0], None, more if tomograms else said_of_all | more, console.warn)
    judged = read_sources(picks, tomograms, context, given["picks_from"])
    for source in judged.sources:
        if not source.candidates:
            count = sum(map(len, source.ranked.values()))
            how_read = source.format or ("a coordinate list" if source.path.is_file() else "one file for each tomogram")
            console.say(f"{source.path}: {counted(count, 'pick')}, read as {how_read}")
    return judged


def _idle(names: Sequence[str], why: str) -> UsageError:
    called = spelled(*("shape" if name == "size" else name for name in names))
    return UsageError("changes nothing", where=called, expected=f"nothing: {why}", remedy="Leave it out.")


def _refuse_loss(judged: Judged, targets: Sequence[Path | None], truth: Path, given: Mapping[str, Any]) -> None:
    """Refuse to write over what is read, and what is no answer of milopyp."""
    from milopyp_shared.formats.positions import position_files
    from milopyp_shared.overwrite import MARKS, refuse_others

    inputs = [*position_files(truth, judged.names), *filter(None, [given["name_map"]])]
    for source in judged.sources:
        inputs += run_files(source.path) if source.candidates else position_files(source.path, judged.names)
    for target in targets:
        if target is not None:
            refuse_others(target, MARKS.get(target.suffix, MARKS[".json"]), inputs)


def _lengths(judged: Judged, scale: Scale) -> Callable[[Length | None, str], float | None]:
    """What turns lengths into voxels; it raises as `Length.voxels`."""
    expected = f"one voxel size of all tomograms in {_paths(judged)}"
    if not any(source.candidates for source in judged.sources):
        expected = "--voxel-size, or --tomogram that says it"
    return lambda length, where: None if length is None else length.voxels(scale.voxel_size, where, expected)


def _radius(
    given: Length | None, voxels: Callable[..., float | None], judged: Judged, scale: Scale, console: Console
) -> float:
    """The radius in voxels; see `milopyp.evaluation.matching_radius`."""
    from ..evaluation import matching_radius

    guess = given is not None and not given.angstrom
    radius = matching_radius(voxels(given, "--radius"), scale, _paths(judged), "--radius", guess=guess)
    if given is None:
        console.say(f"radius {radius:g} voxels: half the particle of the run")
    return radius


def _paths(judged: Judged) -> str:
    """The runs, or what there is."""
    runs = [str(source.path) for source in judged.sources if source.candidates]
    return ", ".join(runs or [str(source.path) for source in judged.sources])


def _tell(
    named: Mapping[str, Comparison], truth: str, json_file: Path | None, out: Path | None, console: Console
) -> None:
    """Print the figures, and write them where that is wanted.

    Raises
    ------
    MissingDependency
        No matplotlib.
    """
    from .. import evaluation_tables as tables

    [(name, first), *others] = named.items()
    console.answer(tables.describe_several(named) if others else tables.describe(first))
    figures = tables.figures_of_several(named, truth) if others else first.to_dict()
    content = json.dumps({"made_by": "milopyp evaluate"} | figures, indent=1) + "\n"
    if json_file is not None:
        write_text(json_file, content)
    if out is None:
        return
    try:
        from ..plots.evaluation_curves import draw_comparison, draw_curves
    except ImportError as error:
        raise MissingDependency(
            f"the picture needs {error.name}, which is not installed",
            where="--out",
            remedy="Run: pip install 'milopyp[plots]', or give --json instead.",
        ) from error
    make_folder(out)
    write_text(out / REPORT[0], content)
    if others:
        draw_comparison(out / REPORT[2], named)
    else:
        draw_curves(out / REPORT[2], first)
    text = tables.markdown_of_several(named, truth) if others else tables.markdown(first, name, truth)
    write_text(out / REPORT[1], text)
    console.say(f"wrote {out / 'evaluation.md'}, .json and .png")
