"""``milopyp evaluate``: picks against known positions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.axes import ORDER_WORDS
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency
from milopyp_shared.option_types import LengthRange, Number, OfEach

from .convert import FORMAT_WORDS

if TYPE_CHECKING:
    from ..judged import Judged
    from .evaluate_inputs import Lengths

REPORT = ("evaluation.json", "evaluation.md", "evaluation.png")  # of --out


@dataclass(frozen=True)
class Answer:
    """What there is to tell: for a terminal, as JSON, as Markdown, and what draws the picture with its `plots`."""

    text: str
    figures: Mapping[str, Any]
    markdown: str
    draw: Callable[[Any, Path], None]


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
    type=OfEach(LengthRange(min=0, min_open=True)),
    help="Largest distance of a match, in voxels, or in Angstrom with an A (105A); of several classes also that of "
    "each (ribosome=105A,proteasome=75A).  [default: half the particle of the run]",
)
@option(
    "--distance",
    type=OfEach(LengthRange(min=0)),
    help="Drop candidates, or what is ranked in a file, closer than this to a better one; as --radius.  [default: of "
    "candidates the run's, else 1.2 radii; nothing of a file]",
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
    help="Only the particles of a class (csv, eman, list, mod, relion4, relion5, tbl, warp): its number, or its name "
    "in a CSV, a list, a model or an EMAN2 file; of CSV, lists and models among PICKS, too.  [default: of these, the "
    "run's]",
)  # fmt: skip
@option(
    "--picks-from", type=click.Choice(FORMAT_WORDS), group="PICKS that are no run",
    help="Their format.  [default: as the file says]",
)  # fmt: skip
@option(
    "--picks-binning", type=Number(min=0, min_open=True), group="PICKS that are no run",
    help="As --binning, of theirs.  [default: 1]",
)  # fmt: skip
@option(
    "--picks-class", metavar="CLASS", group="PICKS that are no run",
    help="As --class, of theirs, which other programs may call otherwise.  [default: of CSV, lists and models as "
    "--class, else all]",
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

    Of a run of several classes, or a coordinate list or CSV with a column class, each class is judged by the rows of
    the truth that are of it, and a table says which class was picked on which.

    Precision, recall and F1 are those of the picks that a run has written, or that a file holds. AUPRC (the average
    precision over all particles) and best F1 look at all candidates of the run, or at the scores in the file. Matching
    is one to one, best score first, within --radius; errors of position are those above the score of the best F1.

    \b
    Examples:
      milopyp evaluate picks --truth coords_test.tsv --json figures.json
      milopyp evaluate picks --truth particles.star --radius 105A --out judged
      milopyp evaluate picks picks_b template_matching.star --truth coords_test.tsv --out compared
      milopyp evaluate template_matching.star --truth coords_test.tsv --tomogram TS_01.mrc --radius 105A
      milopyp evaluate picks_of_classes --truth coords_of_classes.tsv --out judged_classes
    """
    from .evaluate_inputs import Lengths, kinds_of, read_judged, refuse_loss

    console = Console()
    kinds = kinds_of(picks, given)
    judged = read_judged(picks, kinds, console, given)
    refuse_loss(judged, [json_file, *([out / name for name in REPORT] if out else [])], truth, given)
    lengths = Lengths(given["radius"], given["distance"], console)
    judge = _of_classes if len(kinds) > 1 else _of_one_class
    answer = judge(picks, list(kinds), judged, truth, lengths=lengths, given=given, console=console)
    for source in judged.sources:
        if source.published:
            console.warn(
                f"{source.path} was picked with milopyp-infer --published: AUPRC, best F1 and errors of position are "
                "those of its candidates, and its whole-voxel picks have others; its NAME.mod, judged alone, has them"
            )
    _tell(answer, json_file, out, console)


def _of_one_class(
    picks: Sequence[Path], kinds: Sequence[str], judged: Judged, truth: Path, *, lengths: Lengths,
    given: Mapping[str, Any], console: Console,
) -> Answer:  # fmt: skip
    """The figures of one source, or of several on the same tomograms."""
    from .. import evaluation_tables as tables
    from ..comparison import compare, doubts
    from .evaluate_inputs import read_known

    lengths.refuse_others(kinds)
    asked = lengths.of(judged.sources, judged.contexts, next(iter(kinds), ""))
    known = read_known(truth, given, judged.contexts)
    compared = [
        compare(source, known, own.radius, own.distance, truth)
        for source, own in zip(judged.sources, asked, strict=True)
    ]
    for doubt in doubts(compared, judged.left_out):
        console.warn(doubt)
    named = dict(zip(tables.shortest(picks), compared, strict=True))
    [(name, first), *others] = named.items()
    if others:
        return Answer(
            tables.describe_several(named),
            tables.figures_of_several(named, str(truth)),
            tables.markdown_of_several(named, str(truth)),
            lambda plots, path: plots.draw_comparison(path, named),
        )
    return Answer(
        tables.describe(first), first.to_dict(), tables.markdown(first, name, str(truth)),
        lambda plots, path: plots.draw_curves(path, first),
    )  # fmt: skip


def _of_classes(
    picks: Sequence[Path], kinds: Sequence[str], judged: Judged, truth: Path, *, lengths: Lengths,
    given: Mapping[str, Any], console: Console,
) -> Answer:  # fmt: skip
    """The figures of each class, and which was taken for which."""
    from ..class_comparison import compare_classes
    from ..class_tables import describe_classes, markdown_of_classes
    from .evaluate_inputs import read_known_classes

    sources = dict(zip(kinds, judged.sources, strict=True))
    known = read_known_classes(truth, given, sources)
    lengths.refuse_others([*kinds, *(name for name in known if name not in kinds)])
    asked = {kind: lengths.of([source], source.contexts, kind)[0] for kind, source in sources.items()}
    radius = lengths.radii([name for name in known if name not in kinds], sources[kinds[0]].contexts)
    compared = compare_classes(sources, known, asked, radius, truth)
    for doubt in compared.doubts(judged.left_out, truth):
        console.warn(doubt)
    return Answer(
        describe_classes(compared),
        compared.to_dict(str(truth)),
        markdown_of_classes(compared, str(picks[0]), str(truth)),
        lambda plots, path: plots.draw_comparison(path, compared.named),
    )


def _tell(answer: Answer, json_file: Path | None, out: Path | None, console: Console) -> None:
    """Print the figures, and write them where that is wanted.

    Raises
    ------
    MissingDependency
        No matplotlib.
    """
    console.answer(answer.text)
    content = json.dumps({"made_by": "milopyp evaluate", **answer.figures}, indent=1) + "\n"
    if json_file is not None:
        write_text(json_file, content)
    if out is None:
        return
    try:
        from ..plots import evaluation_curves as plots
    except ImportError as error:
        raise MissingDependency(
            f"the picture needs {error.name}, which is not installed",
            where="--out",
            remedy="Run: pip install 'milopyp[plots]', or give --json instead.",
        ) from error
    make_folder(out)
    write_text(out / REPORT[0], content)
    answer.draw(plots, out / REPORT[2])
    write_text(out / REPORT[1], answer.markdown)
    console.say(f"wrote {out / 'evaluation.md'}, .json and .png")
