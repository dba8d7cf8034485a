"""``milopyp-export``: checkpoint -> ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from milopyp_shared.axes import ORDER_WORDS
from milopyp_shared.commandline import command, option, run
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency
from milopyp_shared.lengths import LARGEST, SMALLEST, diameter_in_voxels
from milopyp_shared.option_types import LengthRange, Number
from milopyp_shared.overwrite import refuse_existing

TRAINED = "How it was trained (for published checkpoints without opt.txt beside them; our own know it)"


@command("milopyp-export")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    group="Output",
    help="ONNX file.  [default: beside the checkpoint, under its name]",
)
@option("--overwrite", is_flag=True, group="Output", help="Replace an existing file.")
@option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    default="fp32",
    group="Output",
    help="fp16 is for GPUs; int8 for CPUs with VNNI, and needs --calibration; bf16 for OpenVINO on CPUs that have it, "
    "and needs --verify-on.",
)
@option(
    "--for",
    "target",
    type=click.Choice(["cpu", "gpu"]),
    group="Output",
    help="Layout of the graph: 2D convolutions over sections (cpu) or 3D ones (gpu); results are the same.  "
    "[default: gpu for fp16, else cpu]",
)
@option("--calibration", metavar="LIST", group="Output", help="Image list of tomograms on which int8 finds its ranges.")
@option(
    "--reduce-range/--no-reduce-range",
    default=None,
    group="Output",
    help="int8 weights of 7 bits, for CPUs without VNNI.  [default: as this machine needs]",
)
@option("--verify-on", metavar="LIST", group="Output", help="Image list of tomograms to compare with PyTorch on.")
@option("--gauss", type=Number(min=0), group=TRAINED, help="Sigma of the Gaussian filter, voxels.")
@option("--compress/--no-compress", default=None, group=TRAINED, help="One section of every two.")
@option(
    "--order",
    "--ord",
    type=click.Choice(ORDER_WORDS),
    group=TRAINED,
    help="File axes of its tomograms from fastest to slowest; auto: unknown or various.",
)
@option(
    "--bbox", type=LengthRange(min=SMALLEST, max=LARGEST), group=TRAINED,
    help="Particle diameter in voxels, or, beside --voxel-size, in Angstrom with an A (240A).",
)  # fmt: skip
@option("--voxel-size", type=Number(min=0, min_open=True), group=TRAINED, help="Angstrom; may stay unknown.")
@click.version_option(package_name="milopyp")
def export_command(checkpoint: Path, output: Path | None, overwrite: bool, **options: Any) -> None:
    """Export a trained model to one ONNX file.

    It knows its own recipe. The file is compared with PyTorch on three shapes before it gets its name.

    \b
    Examples:
      milopyp-export exp/semi/ribosome/model_last_contrastive.pth -o ribosome.onnx
      milopyp-export model_4.pth --gauss 0.8 --compress --order xzy --bbox 24
      milopyp-export model.pth --precision int8 --calibration train_imgs.txt -o fast.onnx
    """
    suffix = "" if options["precision"] == "fp32" else f"_{options['precision']}"
    output = output or checkpoint.with_name(f"{checkpoint.stem}{suffix}.onnx")
    refuse_existing(output, overwrite=overwrite, inputs=[checkpoint], made=".onnx")
    if options["bbox"] is not None:
        options["bbox"] = diameter_in_voxels(options["bbox"], options["voxel_size"], "--voxel-size beside it")
    try:
        import onnxscript  # noqa: F401 - PyTorch's exporter would miss it only halfway

        from milopyp_inference.engine.runtime import import_onnxruntime

        import_onnxruntime()
        from milopyp_training.loop.machine import use_threads

        from .convert import ExportOptions, export
        from .published_options import TrainingFacts
    except ImportError as error:
        raise MissingDependency(
            f"the package {error.name} is not installed",
            where="milopyp-export",
            remedy="Run: pip install 'milopyp[export,cpu]'.",
        ) from error
    from milopyp_shared.lists import read_image_list

    use_threads(None)
    lists = {name: options.pop(name) for name in ("calibration", "verify_on")}
    console = Console()
    wanted = ExportOptions(
        precision=options.pop("precision"),
        target=options.pop("target"),
        reduce_range=options.pop("reduce_range"),
        facts=TrainingFacts(**options),
        **{name: read_image_list(path, console.warn) if path else () for name, path in lists.items()},
    )
    recipe = export(checkpoint, output, wanted, console.say)
    figures = recipe.parity
    difference = figures.get("max_difference", figures.get("tomogram_max_difference", 0.0))
    agreement = f", {figures['pick_agreement']:.0%} of the picks agree" if "pick_agreement" in figures else ""
    console.say(
        f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB): {recipe.architecture}, {recipe.precision}, differs "
        f"from PyTorch by {difference:.1g} at most{agreement}"
    )


def main() -> None:
    """Entry point."""
    run(export_command)


if __name__ == "__main__":
    main()
