"""``milopyp threshold``: picks cut anew from the candidates of a run, without the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from milopyp_shared.commandline import Number, command, option
from milopyp_shared.errors import ContradictionError, InputError, UsageError

from .runs import frame_of, read_records, read_summary


@command("threshold")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@option("--value", type=Number(min=0, max=1), help="Picks score above this.  [default: as in the run]")
@option(
    "--precision", type=Number(min=0, max=1, min_open=True, max_open=True),
    help="Picks score above the value from which on this part of them is expected to be right.",
)  # fmt: skip
@option("--count", "--K", "count", type=click.IntRange(min=1), help="The best so many of every tomogram.")
@option("--distance", type=Number(min=0), help="Voxels between picks at least.  [default: as in the run]")
@option(
    "--margin", type=Number(min=0), metavar="ANGSTROM",
    help="Nothing is picked closer to a face than this.  [default: as in the run]",
)  # fmt: skip
@option("--with-score/--without-score", default=None, help="A fourth column of the text.  [default: as in the run]")
@option("--format", "formats", metavar="WORD,...", help="Other formats for the picks, as in milopyp-infer.")
@option("--out", type=click.Path(path_type=Path), help="Folder for the new picks.  [default: they replace the run's]")
@click.version_option(package_name="milopyp")
def threshold(
    run: Path, precision: float | None, count: int | None, value: float | None, out: Path | None, **given: Any
) -> None:
    """Cut picks from the candidates of RUN, a folder of milopyp-infer, again.

    NAME.txt and NAME.mod are written anew for every tomogram; heat maps and candidates stay. --count alone takes the
    best ones whatever their score.

    \b
    Examples:
      milopyp threshold picks --value 0.35
      milopyp threshold picks --precision 0.9
      milopyp threshold picks --count 200 --margin 150 --out picks_200
    """
    from milopyp_inference import checks
    from milopyp_inference.picking import Selection

    with_score, words = given.pop("with_score"), given.pop("formats")
    formats = None if words is None else checks.formats(words, published=False)
    changes = {name: number for name, number in given.items() if number is not None}
    if count is not None:
        changes |= {"limit": count, "threshold": 0.0}
    if precision is not None:
        if value is not None:
            raise ContradictionError("--value and --precision", expected="one of them: both are thresholds")
        value = _for_precision(run, precision)
        click.echo(f"picks above {value:.2f}: expected precision {precision:.2f}")
    if value is not None:
        changes["threshold"] = value
    if not changes and with_score is None and formats is None:
        raise UsageError(
            "nothing to change",
            expected="--value, --count, --precision, --distance, --margin, --format or --with-score",
        )
    records = read_records(run)
    done: list[tuple[dict[str, Any], int]] = []
    for record in records:
        options = record["options"]
        if options["published"] is not None:
            raise InputError(
                f"{record['name']} was picked with --published",
                where=run,
                expected="a run without it",
                remedy="Run milopyp-infer again with another --out-thresh.",
            )
        options["selection"] |= changes
        options["with_score"] = options["with_score"] if with_score is None else with_score
        options["formats"] = options.get("formats", ()) if formats is None else formats
        selection = Selection(**options["selection"])
        record["picks"] = _cut(run, out or run, record, selection)
        done.append((record, record["picks"]))
        if out is None:
            _update(run, record)
    for record, picks in done:
        click.echo(f"{record['name']}: {picks} of {record['candidates']} candidates")
    click.echo(f"{sum(picks for _, picks in done)} picks in {len(done)} tomograms: {out or run}")


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


def _cut(run: Path, out: Path, record: dict[str, Any], selection: Any) -> int:
    """Write one tomogram's picks; returns their number."""
    from milopyp_inference.outputs import OutputFiles, setting_of, write_more, write_picks
    from milopyp_inference.picking import choose
    from milopyp_shared.formats.candidates import CANDIDATES, read_candidates

    frame = frame_of(record)
    candidates = read_candidates(run / f"{record['name']}{CANDIDATES}")
    picks = choose(candidates, selection, frame)
    name, options = record["name"], record["options"]
    files = OutputFiles.of(out, name, options.get("formats", ()))
    setting = setting_of(files, frame, name, record["diameter"] / 2)
    write_more(files, picks, setting)
    write_picks(
        files,
        picks,
        frame,
        record["diameter"] / 2,
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
