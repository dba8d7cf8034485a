"""``milopyp evaluate``: picks against known positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_shared.atomic import write_text
from milopyp_shared.commandline import Number, command, option
from milopyp_shared.errors import InputError

from .runs import read_run

if TYPE_CHECKING:
    from milopyp_shared.matching import Evaluation

TABLE_SCORES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)


@command("evaluate")
@click.argument("picks", type=click.Path(path_type=Path))
@option("--truth", required=True, type=click.Path(path_type=Path), help="Coordinate list with all particles.")
@option(
    "--radius",
    required=True,
    type=Number(min=0, min_open=True),
    help="Largest distance of a match, voxels: half the particle diameter.",
)
@option(
    "--distance",
    type=Number(min=0),
    help="Drop candidates closer than this to a better one, voxels.  [default: the run's, else 1.2 radii]",
)
@option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures and the curve as JSON.")
@click.version_option(package_name="milopyp")
def evaluate(picks: Path, truth: Path, radius: float, distance: float | None, json_file: Path | None) -> None:
    """Compare PICKS (a run folder of milopyp-infer, or a NAME.candidates.csv) with known positions.

    Matching is one to one, best score first, within --radius. AUPRC is the average precision over all particles.

    \b
    Example:
      milopyp evaluate picks --truth coords_test.tsv --radius 10.5 --json figures.json
    """
    from milopyp_shared.lists import read_coordinate_list
    from milopyp_shared.matching import evaluate_many
    from milopyp_shared.peaks import suppress

    found, run_distance = read_run(picks)
    distance = next(value for value in (distance, run_distance, 1.2 * radius) if value is not None)
    known = read_coordinate_list(truth)
    common = [name for name in found if name in known]
    if not common:
        raise InputError(
            f"no tomogram of {picks} ({', '.join(list(found)[:3])}) is in the list",
            where=truth,
            expected="the same names in both",
        )
    if missing := sorted(set(known) - set(found)):
        click.echo(f"warning: not picked, left out: {', '.join(missing)}", err=True)
    kept = {name: suppress(found[name], distance) for name in common}
    result = evaluate_many([(kept[name], known[name]) for name in common], radius)
    click.echo(describe(result, common))
    if json_file is not None:
        write_text(
            json_file, json.dumps(result.to_dict() | {"tomograms": common, "distance": distance}, indent=1) + "\n"
        )


def describe(result: Evaluation, names: list[str]) -> str:
    """A table for people."""
    import numpy as np

    best = result.best
    at_best = f"at score {best.threshold:.3f} (precision {best.precision:.3f}, recall {best.recall:.3f})"
    offset = " ".join(f"{value:+.2f}" for value in result.mean_offset)
    lines = [
        f"tomograms   {', '.join(names)}",
        f"particles   {result.n_truth}; {result.n_hits} within {result.radius:g} voxels of {result.n_picks} picks",
        f"AUPRC       {result.auprc:.3f}",
        f"best F1     {best.f1:.3f} {at_best}",
        f"RMSE        {result.rmse:.2f} voxels",
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
    return "\n".join(lines)
