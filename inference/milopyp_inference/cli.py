"""``milopyp-infer``: ONNX file + tomograms -> picks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from milopyp_shared.commandline import Number, command, option, run
from milopyp_shared.console import Console
from milopyp_shared.errors import CheckError, InputError, MilopypError, UsageError

ORDER_WORDS = ("xyz", "xzy", "zyx", "zxy", "yxz", "yzx", "auto")


@command("milopyp-infer")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@option(
    "--model",
    "--load-model",
    "model",
    required=True,
    type=click.Path(path_type=Path),
    group="Model",
    help="ONNX file of milopyp-export.",
)
@option("--out", type=click.Path(path_type=Path), default=Path("picks"), group="Output", help="Folder for all outputs.")
@option("--with-score", is_flag=True, group="Output", help="Add the score as a fourth column of the text.")
@option(
    "--coords", type=click.Choice(["model2point", "voxel"]), default="model2point", group="Output",
    help="Text as IMOD's point2model expects it, or as plain voxel indices.",
)  # fmt: skip
@option("--overwrite", is_flag=True, group="Output", help="Pick again what is already done.")
@option("--out-thresh", default="auto", group="Picks", help="Score threshold 0..1; auto takes the model's suggestion.")
@option(
    "--K", "limit", type=click.IntRange(min=1), group="Picks", help="Picks per tomogram at most.  [default: no limit]"
)
@option(
    "--order",
    "--ord",
    type=click.Choice(ORDER_WORDS),
    default="auto",
    group="Tomograms",
    help="File axes from fastest to slowest; auto takes the clearly thinnest axis as z.",
)
@option(
    "--voxel-size",
    type=Number(min=0, min_open=True),
    group="Tomograms",
    help="Angstrom; overrides the header.",
)
@option(
    "--contrast",
    type=click.Choice(["dark", "bright"]),
    group="Tomograms",
    help="Of the particles.  [default: as in training]",
)
@option(
    "--flips",
    type=click.Choice(["1", "2", "4"]),
    group="Picks",
    help="Mirrored copies to average over.  [default: the model's]",
)
@option("--threads", type=click.IntRange(min=1), group="Machine", help="CPU threads.  [default: all that are allowed]")
@option("-q", "--quiet", is_flag=True, group="Machine", help="Say only what is wrong.")
@click.version_option(package_name="milopyp")
def infer_command(inputs: tuple[str, ...], **options: Any) -> int:
    """Pick particles in tomograms (INPUT: paths, globs or an image list).

    For every tomogram: NAME.txt, NAME.mod, NAME_hm.mrc, NAME.candidates.csv; run.json sums up. A tomogram that is
    already done with the same model and options is skipped.

    \b
    Examples:
      milopyp-infer tomograms/*.mrc --model ribosome.onnx --out picks
      milopyp-infer test_imgs.txt --model ribosome.onnx --out picks --out-thresh 0.3 --with-score
    """
    from .batch import PickOptions, pick_all
    from .inputs import gather
    from .providers import open_model

    console = Console(quiet=options["quiet"])
    threshold = _threshold(options["out_thresh"])
    images = gather(tuple(word for word in inputs if word != "semi"))
    _refuse_folder_of_inputs(images, options["out"])
    model = open_model(options["model"], options["threads"])
    suggestion = model.recipe.threshold
    if threshold is None:
        note = "" if suggestion.calibrated else ", uncalibrated"
        console.say(f"threshold {suggestion.score:.2f} ({suggestion.method}{note})")
    pick_options = PickOptions(
        threshold=suggestion.score if threshold is None else threshold,
        limit=options["limit"],
        order=options["order"],
        voxel_size=options["voxel_size"],
        contrast=options["contrast"],
        flips=options["flips"] and int(options["flips"]),
        with_score=options["with_score"],
        coords=options["coords"],
    )
    _refuse_if_all_bad(images, pick_options)
    summary = pick_all(images, model, pick_options, options["out"], console, options["overwrite"])
    console.say(f"{summary['picks']} picks in {summary['done']} of {len(images)} tomograms: {options['out']}")
    for name, error in summary["failed"].items():
        click.echo(f"failed: {name}: {error}", err=True)
    if len(summary["failed"]) == len(images):
        raise CheckError("every tomogram failed", where=options["out"], remedy="The lines above say why.")
    return 1 if summary["failed"] else 0


def _threshold(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{text}", where="--out-thresh", expected="a score from 0 to 1, or auto")
    return value


def _refuse_folder_of_inputs(images: Any, out: Path) -> None:
    """Outputs must not replace what lies beside the tomograms: NAME.txt and NAME.mod are often a person's clicks."""
    for image in images:
        if image.path.parent.resolve() == out.resolve():
            raise UsageError(
                f"holds the tomogram {image.path.name}",
                where=out,
                expected="a folder of its own, because outputs replace files of the same names (.txt, .mod)",
                remedy="Give another --out.",
            )


def _refuse_if_all_bad(images: Any, options: Any) -> None:
    """Look at every header before any work: when none is usable, nothing is begun."""
    from milopyp_shared.tomogram import open_tomogram

    errors = []
    for image in images:
        try:
            open_tomogram(image.path, options.order)
        except MilopypError as error:
            errors.append(error)
    if len(errors) == len(images):
        if len(errors) == 1:
            raise errors[0]
        raise InputError(f"none of the {len(errors)} tomograms can be read; the first: {errors[0]}")


def main() -> None:
    """Entry point."""
    run(infer_command)


if __name__ == "__main__":
    main()
