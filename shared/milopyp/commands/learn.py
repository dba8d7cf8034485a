"""`milopyp learn`: labels and tomograms -> model file, without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.axes import ORDER_WORDS
from milopyp_shared.commandline import LengthRange, Number, command, option
from milopyp_shared.console import Console
from milopyp_shared.lengths import LARGEST, SMALLEST, Length, diameter_in_voxels
from milopyp_shared.overwrite import refuse_existing

if TYPE_CHECKING:  # the command line starts without numpy
    from milopyp_shared.lists import ImageEntry
    from milopyp_shared.recipe import Recipe

DATA, PARTICLE, OUTPUT, MACHINE = "Data", "Particle", "Output", "Machine"


@command("learn")
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("coords", type=click.Path(path_type=Path))
@option(
    "--bbox", required=True, type=LengthRange(min=SMALLEST, max=LARGEST), group=PARTICLE,
    help="Particle diameter in voxels of the tomograms, or in Angstrom with an A (210A).",
)  # fmt: skip
@option(
    "--contrast", type=click.Choice(["dark", "bright"]), default="dark", group=PARTICLE,
    help="Are particles darker or brighter than their surroundings?",
)  # fmt: skip
@option(
    "--order", type=click.Choice(ORDER_WORDS), default="auto", group=DATA,
    help="File axes from fastest to slowest; auto takes the clearly thinnest axis as z.",
)  # fmt: skip
@option(
    "--mask", type=click.Path(path_type=Path), group=DATA,
    help="MRC mask of all tomograms, or a folder of NAME_mask.mrc: nothing outside (0) is a particle or background.",
)  # fmt: skip
@option(
    "--voxel-size", type=Number(min=0, min_open=True), group=DATA,
    help="Angstrom, of all tomograms; overrides their headers.",
)  # fmt: skip
@option("-o", "--output", type=click.Path(path_type=Path), required=True, group=OUTPUT, help="ONNX file.")
@option("--overwrite", is_flag=True, group=OUTPUT, help="Replace an existing file.")
@option(
    "--keep-features", "features", type=click.Path(path_type=Path), group=OUTPUT,
    help="Folder that keeps what the network sees of each tomogram, 4 bytes per voxel: with other labels, the next run "
    "on the same tomograms takes a second.",
)  # fmt: skip
@option("--memory", metavar="SIZE", group=MACHINE, help="Bound of the network at work, e.g. 2GB.  [default: 1GB]")
@option("--threads", type=click.IntRange(min=1), group=MACHINE, help="CPU threads.  [default: all that are allowed]")
def learn(images: Path, coords: Path, output: Path, *, overwrite: bool, features: Path | None, **given: Any) -> None:
    """Learn a model from labels in seconds, without PyTorch.

    IMAGES and COORDS are the image list and the coordinate list that `milopyp prepare` writes. The network that every
    installation has looks at the tomograms, and only its last layer is learned. milopyp-train changes all of it: that
    takes minutes and mostly finds more.

    \b
    Examples:
      milopyp learn ribo_train_imgs.txt ribo_train_coords.txt --bbox 21 -o ribo.onnx
      milopyp learn imgs.txt coords.txt --bbox 210A -o ribo.onnx --keep-features features
    """
    refuse_existing(output, overwrite=overwrite, inputs=[images, coords], made=".onnx")
    from milopyp_inference.engine.features import open_features
    from milopyp_inference.engine.machine import Machine
    from milopyp_inference.engine.planning import parse_memory
    from milopyp_learning.run import Files
    from milopyp_learning.run import learn as run
    from milopyp_shared.lists import read_coordinate_list, read_image_list
    from milopyp_shared.scale import describe_scale, scale_for
    from milopyp_training.data.dataset import TrainingSet, check_diameter, load_volumes

    console = Console()
    memory = None if given["memory"] is None else parse_memory(given["memory"])
    listed, labels = read_image_list(images), read_coordinate_list(coords)
    labelled = [image for image in listed if image.name in labels]
    diameter = _diameter(given["bbox"], labelled, given["order"], given["voxel_size"], console)
    check_diameter(
        diameter, labelled, given["order"], given["voxel_size"], console.warn, guess=not given["bbox"].angstrom
    )
    network = open_features(machine=Machine(threads=given["threads"], memory=memory))
    scale = scale_for(diameter, network.description.diameters)
    if scale != 1.0:
        console.say(f"{diameter:.4g} voxels across: tomograms are seen at {describe_scale(scale)}")
    volumes = load_volumes(
        listed, labels, network.description.grey, diameter=diameter, order=given["order"], contrast=given["contrast"],
        masks=given["mask"], voxel_size=given["voxel_size"], scale=scale, where=coords, say=console.say,
        warn=console.warn,
    )  # fmt: skip
    recipe = run(TrainingSet(volumes, [], diameter, given["contrast"]), network, Files(output, features), console)
    _report(recipe, output, console)


def _diameter(
    bbox: Length, labelled: list[ImageEntry], order: str, voxel_size: float | None, console: Console
) -> float:
    """Of the particle in voxels; said where it was given in Angstrom."""
    from milopyp_training.data.dataset import first_voxel_size

    if not bbox.angstrom:
        return bbox.value
    size = voxel_size or first_voxel_size(labelled, [image.name for image in labelled], order)
    diameter = diameter_in_voxels(bbox, size, "--voxel-size, or a training tomogram whose header says it")
    console.say(f"--bbox is {diameter:.4g} voxels")
    return diameter


def _report(recipe: Recipe, output: Path, console: Console) -> None:
    """What the model suggests and expects."""
    note = "" if recipe.threshold.calibrated else ", uncalibrated"
    console.say(f"suggested threshold {recipe.threshold.score:.2f} ({recipe.threshold.method}{note})")
    if recipe.calibration is not None:
        console.say(f"about {recipe.calibration.particles:.0f} particles per tomogram are expected")
    console.say(f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    console.say(f"next: milopyp-infer TOMOGRAM... --model {output}")
