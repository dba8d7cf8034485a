"""``milopyp threshold``: picks cut anew from the candidates of a run, without the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from milopyp_inference.batch.reader import candidates_of, frame_of, read_records, read_summary
from milopyp_shared.commandline import Number, command, option
from milopyp_shared.errors import ContradictionError, InputError, MissingDependency, UsageError


@command("threshold")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@option("--value", type=Number(min=0, max=1), help="Picks score above this.  [default: as in the run]")
@option(
    "--precision", type=Number(min=0, max=1, min_open=True, max_open=True),
    help="Picks score above the value from which on this part of them is expected to be right.",
)  # fmt: skip
@option("--total", type=click.IntRange(min=1), help="Picks score above the value that leaves so many in all tomograms.")
@option("--count", "--K", "count", type=click.IntRange(min=1), help="The best so many of every tomogram.")
@option("--distance", type=Number(min=0), help="Voxels between picks at least.  [default: as in the run]")
@option(
    "--margin", type=Number(min=0), metavar="ANGSTROM",
    help="Nothing is picked closer to a face than this.  [default: as in the run]",
)  # fmt: skip
@option("--with-score/--without-score", default=None, help="A fourth column of the text.  [default: as in the run]")
@option("--format", "formats", metavar="WORD,...", help="Other formats for the picks, as in milopyp-infer.")
@option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE.png",
    help="Draw how many picks every threshold leaves; alone, it changes nothing.",
)  # fmt: skip
@option("--out", type=click.Path(path_type=Path), help="Folder for the new picks.  [default: they replace the run's]")
@click.version_option(package_name="milopyp")
def threshold(run: Path, plot: Path | None, out: Path | None, **given: Any) -> None:
    """Cut picks from the candidates of RUN, a folder of milopyp-infer, again.

    NAME.txt and NAME.mod are written anew for every tomogram; heat maps and candidates stay. --count alone takes the
    best ones whatever their score.

    \b
    Examples:
      milopyp threshold picks --plot counts.png
      milopyp threshold picks --value 0.35
      milopyp threshold picks --precision 0.9
      milopyp threshold picks --total 5000 --format relion5
      milopyp threshold picks --count 200 --margin 150 --out picks_200
    """
    from milopyp_inference import options as checks

    formats = None if given["formats"] is None else checks.formats(given["formats"], published=False)
    options = {"formats": formats, "with_score": given["with_score"]}
    options = {name: value for name, value in options.items() if value is not None}
    changes = {name: given[name] for name in ("distance", "margin") if given[name] is not None}
    if given["count"] is not None:
        changes |= {"limit": given["count"], "threshold": 0.0}
    if given["value"] is not None:
        changes["threshold"] = given["value"]
    wanted = [f"--{name}" for name in ("value", "precision", "total") if given[name] is not None]
    if len(wanted) > 1:
        raise ContradictionError(
            "given together", where=" and ".join(wanted), expected="one of them: all are thresholds"
        )
    cuts = bool(wanted or changes or options)
    if not cuts and plot is None:
        raise UsageError(
            "nothing to change",
            where=run,
            expected="--value, --precision, --total, --count, --distance, --margin, --format, --with-score or --plot",
        )
    if given["precision"] is not None:
        changes["threshold"] = _for_precision(run, given["precision"])
        click.echo(f"picks above {changes['threshold']:.2f}: expected precision {given['precision']:.2f}")
    records = [_changed(record, changes, options, run) for record in read_records(run)]
    if given["total"] is not None:
        _take(records, _for_total(run, records, given["total"]))
        click.echo(f"picks above {records[0]['options']['selection']['threshold']:.6g}")
    if plot is not None:
        _draw(plot, run, records)
        click.echo(f"wrote {plot}")
    if not cuts:
        return
    for record in records:
        record["picks"] = _cut(run, out or run, record)
        if out is None:
            _update(run, record)
    for record in records:
        click.echo(f"{record['name']}: {record['picks']} of {record['candidates']} candidates")
    click.echo(f"{sum(record['picks'] for record in records)} picks in {len(records)} tomograms: {out or run}")


def _changed(record: dict[str, Any], changes: dict[str, Any], options: dict[str, Any], run: Path) -> dict[str, Any]:
    """A record with other options.

    Raises
    ------
    InputError
        Its picks are not made from candidates.
    """
    if record["options"]["published"] is not None:
        raise InputError(
            f"{record['name']} was picked with --published",
            where=run,
            expected="a run without it",
            remedy="Run milopyp-infer again with another --out-thresh.",
        )
    record["options"] |= options
    record["options"]["selection"] |= changes
    record["suppression_distance"] = changes.get("distance", record["suppression_distance"])
    return record


def _take(records: list[dict[str, Any]], value: float) -> None:
    for record in records:
        record["options"]["selection"]["threshold"] = value


def _for_total(run: Path, records: list[dict[str, Any]], total: int) -> float:
    """The threshold above which there are `total` picks in all tomograms; fewer where some score the same."""
    limit = records[0]["options"]["selection"].get("limit")
    scores = sorted((float(s) for r in records for s in candidates_of(run, r, most=limit).score), reverse=True)
    if len(scores) < total:
        raise InputError(
            f"{len(scores)} candidates in all tomograms", where=run, expected=f"at least the {total} of --total"
        )
    return scores[total] if len(scores) > total else 0.0


def _draw(path: Path, run: Path, records: list[dict[str, Any]]) -> None:
    from milopyp_shared.recipe import read_calibration

    try:
        from ..plots.threshold_plot import draw_counts
    except ImportError as error:
        raise MissingDependency(
            f"the picture needs {error.name}, which is not installed",
            where="--plot",
            remedy="Run: pip install matplotlib.",
        ) from error
    stored = read_summary(run).get("calibration")
    expected = None if stored is None else read_calibration(stored, run / "run.json")
    selection = records[0]["options"]["selection"]
    scores = [candidates_of(run, record, most=selection.get("limit")).score for record in records]
    draw_counts(path, scores, selection["threshold"], expected)


def _for_precision(run: Path, precision: float) -> float:
    """The threshold that the run's model expects this precision of."""
    from milopyp_shared.recipe import read_calibration

    stored = read_summary(run).get("calibration")
    if stored is None:
        raise InputError(
            "its model does not know how many picks are right",
            where=run,
            expected="a model of milopyp-train without --quick, from enough labels, and a run made with it",
            remedy="Give --value or --count.",
        )
    expected = read_calibration(stored, run / "run.json")
    score = expected.threshold_for(precision)
    if score is None:
        raise InputError(
            f"no threshold is expected to give a precision of {precision:g}",
            where=run,
            expected=f"at most {max(expected.precision):.2f}",
        )
    return score


def _cut(run: Path, out: Path, record: dict[str, Any]) -> int:
    """Write one tomogram's picks; returns their number."""
    from milopyp_inference.batch.outputs import OutputFiles, setting_of, write_more, write_picks

    name, options, frame, radius = record["name"], record["options"], frame_of(record), record["diameter"] / 2
    selection = options["selection"]
    picks = candidates_of(run, record, selection["threshold"], selection.get("limit"))
    files = OutputFiles.of(out, name, options.get("formats", ()))
    write_more(files, picks, setting_of(files, frame, name, radius))
    write_picks(
        files,
        picks,
        frame,
        radius,
        with_score=options["with_score"],
        model2point=options["coords"] == "model2point",
    )
    return len(picks)


def _update(run: Path, record: dict[str, Any]) -> None:
    """Say in the run's records what its picks are now."""
    from milopyp_shared.atomic import write_text

    write_text(run / "records" / f"{record['name']}.json", json.dumps(record, indent=1) + "\n")
    summary = json.loads((run / "run.json").read_text(encoding="utf-8"))
    summary["options"] = record["options"]
    for number, old in enumerate(summary["tomograms"]):
        if old["name"] == record["name"]:
            summary["tomograms"][number] = record
    summary["picks"] = sum(old.get("picks", 0) for old in summary["tomograms"])
    write_text(run / "run.json", json.dumps(summary, indent=1) + "\n")
