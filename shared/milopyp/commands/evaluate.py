"""``milopyp evaluate``: picks against known positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_inference.batch.reader import read_run, run_files
from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.commandline import LengthRange, Number, command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency
from milopyp_shared.lengths import Length
from milopyp_shared.wording import counted

from .convert import FORMAT_WORDS

if TYPE_CHECKING:
    from milopyp_shared.matching import Evaluation

    from ..evaluation import Comparison, Scale

TABLE_SCORES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
REPORT = ("evaluation.json", "evaluation.md", "evaluation.png")  # of --out
BETA = 4.0  # weight of recall in the second F: that of the CryoET object identification challenge


@command("evaluate")
@click.argument("picks", type=click.Path(path_type=Path))
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
@option("--from", "from_", type=click.Choice(FORMAT_WORDS), help="Format of the truth.  [default: by its suffix]")
@option(
    "--name-map", type=click.Path(path_type=Path), metavar="FILE",
    help="Two columns: name of a tomogram, its name in the truth, where no rule tells that they are the same.",
)  # fmt: skip
@option(
    "--coords", type=click.Choice(["model2point", "voxel"]),
    help="What a text of one tomogram counts: IMOD model coordinates, or plain voxel indices from 0.",
)  # fmt: skip
@option(
    "--binning", type=Number(min=0, min_open=True), default=1.0,
    help="The tomogram's voxel over that of the coordinates in relion4, warp, tbl and ndjson.",
)  # fmt: skip
@option(
    "--class", "class_", metavar="CLASS",
    help="Only the particles of a class of the truth (eman, relion4, relion5, warp): its number, or its name in an "
    "EMAN2 file.",
)  # fmt: skip
@option(
    "--distance",
    type=LengthRange(min=0),
    help="Drop candidates closer than this to a better one, in voxels, or in Angstrom with an A.  [default: the run's, "
    "else 1.2 radii]",
)
@option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures and the curve as JSON.")
@option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Write evaluation.json, evaluation.md and evaluation.png there.",
)  # fmt: skip
@click.version_option(package_name="milopyp")
def evaluate(picks: Path, truth: Path, radius: Length | None, json_file: Path | None, **given: Any) -> None:
    """Compare picks with known positions.

    PICKS is a run folder of milopyp-infer, or a NAME.candidates.csv. Matching is one to one, best score first, within
    --radius. AUPRC is the average precision over all particles; errors of position are those of the picks above the
    score of the best F1.

    \b
    Examples:
      milopyp evaluate picks --truth coords_test.tsv --json figures.json
      milopyp evaluate picks --truth particles.star --from relion5 --radius 105A --out judged
    """
    from milopyp_shared.formats.positions import position_files, read_positions
    from milopyp_shared.names import read_name_map
    from milopyp_shared.overwrite import refuse_irreplaceable

    from ..evaluation import SEPARATION, compare, run_contexts, run_scale

    console, out = Console(), given["out"]
    found, run_distance = read_run(picks)
    inputs = [*run_files(picks), *position_files(truth, found), *filter(None, [given["name_map"]])]
    for target in [json_file, *([out / name for name in REPORT] if out else [])]:
        if target is not None:
            refuse_irreplaceable(target, inputs)
    contexts = run_contexts(picks, found, coords=given["coords"], binning=given["binning"], class_=given["class_"])
    scale = run_scale(picks, found)
    voxels = _radius(radius, scale, picks, console)
    wanted = _voxels(given["distance"], "--distance", scale, picks)
    distance = next(value for value in (wanted, run_distance, SEPARATION * voxels) if value is not None)
    names = {} if given["name_map"] is None else read_name_map(given["name_map"])
    known = read_positions(truth, given["from_"], contexts, names)
    compared = compare(found, known, voxels, distance, of=picks, where=truth)
    for doubt in compared.doubts:
        console.warn(doubt)
    result, each = compared.total, compared.each
    console.answer(describe(result, each))
    figures = _figures(result, each, distance)
    if json_file is not None:
        write_text(json_file, json.dumps(figures, indent=1) + "\n")
    if out is not None:
        _write_report(out, figures, compared, markdown(result, each, picks, truth))
        console.say(f"wrote {out / 'evaluation.md'}, .json and .png")


def _write_report(out: Path, figures: dict[str, Any], compared: Comparison, text: str) -> None:
    """The files of ``--out``.

    Raises
    ------
    MissingDependency
        No matplotlib.
    """
    try:
        from ..plots.evaluation_curves import draw_curves
    except ImportError as error:
        raise MissingDependency(
            f"the picture needs {error.name}, which is not installed",
            where="--out",
            remedy="Run: pip install matplotlib, or give --json instead.",
        ) from error
    make_folder(out)
    write_text(out / REPORT[0], json.dumps(figures, indent=1) + "\n")
    draw_curves(out / REPORT[2], compared.total, compared.each)
    write_text(out / REPORT[1], text)


def _radius(given: Length | None, scale: Scale, picks: Path, console: Console) -> float:
    """The radius in voxels; see `milopyp.evaluation.matching_radius`."""
    from ..evaluation import matching_radius

    wanted = _voxels(given, "--radius", scale, picks)
    radius = matching_radius(wanted, scale, picks, "--radius", guess=given is not None and not given.angstrom)
    if given is None:
        console.say(f"radius {radius:g} voxels: half the particle of the run")
    return radius


def _voxels(length: Length | None, where: str, scale: Scale, picks: Path) -> float | None:
    """A length in voxels of a run's tomograms; raises as `Length.voxels`."""
    expected = f"one voxel size of all tomograms in {picks}"
    return None if length is None else length.voxels(scale.voxel_size, where, expected)


def _figures(result: Evaluation, each: dict[str, Evaluation], distance: float) -> dict[str, Any]:
    from milopyp_shared.matching import best_f1

    second = best_f1(result.curve, BETA)
    extra = {"f4": None if second.f1 != second.f1 else second.f1, "tomograms": list(each), "distance": distance}
    per_tomogram = {name: {key: v for key, v in own.to_dict().items() if key != "curve"} for name, own in each.items()}
    return result.to_dict() | extra | {"per_tomogram": per_tomogram}


def describe(result: Evaluation, each: dict[str, Evaluation]) -> str:
    """A table for people."""
    import numpy as np

    from milopyp_shared.matching import best_f1

    best, second = result.best, best_f1(result.curve, BETA)
    at_best = f"at score {best.threshold:.3f} (precision {best.precision:.3f}, recall {best.recall:.3f})"
    offset = " ".join(f"{value:+.2f}" for value in result.mean_offset)
    rms = " ".join(f"{value:.2f}" for value in result.rms_error)
    picks = counted(result.n_picks, "pick")
    lines = [
        f"tomograms   {', '.join(each)}",
        f"particles   {result.n_truth}; {result.n_hits} within {result.radius:g} voxels of {picks}",
        f"AUPRC       {result.auprc:.3f}",
        f"best F1     {best.f1:.3f} {at_best}",
        f"best F{BETA:g}     {second.f1:.3f} at score {second.threshold:.3f}",
        f"RMSE        {result.rmse:.2f} voxels; {rms} along x, y, z",
        f"mean offset {offset} voxels (x y z, pick minus truth)",
        "",
        "score   precision  recall",
    ]
    for score in TABLE_SCORES:
        above = int(np.searchsorted(-result.curve.threshold, -score, side="right"))
        if above:
            lines.append(
                f"{score:5.2f}   {result.curve.precision[above - 1]:.3f}      {result.curve.recall[above - 1]:.3f}"
            )
    if len(each) > 1:
        lines += ["", "tomogram: particles, AUPRC, best F1 at score, RMSE"]
        lines += [
            f"{name}: {own.n_truth}, {own.auprc:.3f}, {own.best.f1:.3f} at {own.best.threshold:.3f}, {own.rmse:.2f}"
            for name, own in each.items()
        ]
    return "\n".join(lines)


def markdown(result: Evaluation, each: dict[str, Evaluation], picks: Path, truth: Path) -> str:
    """``evaluation.md``."""
    offset = ", ".join(f"{value:+.2f}" for value in result.mean_offset)
    rms = ", ".join(f"{value:.2f}" for value in result.rms_error)
    lines = [
        "# Evaluation",
        "",
        f"Picks of `{picks}` against `{truth}`; matched one to one, best score first, within {result.radius:g} voxels.",
        "",
        "![precision and recall](evaluation.png)",
        "",
        "| tomogram | particles | picks | AUPRC | best F1 | at score | precision | recall | RMSE, voxels |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(name, own) for name, own in each.items()),
        _row("**all**", result),
        "",
        f"Pick minus truth, voxels along x, y, z: mean {offset}; root mean square {rms}. A mean that is far from 0 is",
        "a shift of all picks: an origin or a binning that is not what was thought.",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, own: Evaluation) -> str:
    best = own.best
    return (
        f"| {name} | {own.n_truth} | {own.n_picks} | {own.auprc:.3f} | {best.f1:.3f} | {best.threshold:.3f} | "
        f"{best.precision:.3f} | {best.recall:.3f} | {own.rmse:.2f} |"
    )
