"""`milopyp learn`: labels, or a density map, and tomograms -> model file, without PyTorch."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.commandline import LengthRange, command, option
from milopyp_shared.console import Console
from milopyp_shared.label_options import (
    PARTICLE,
    contrast_option,
    mask_option,
    order_option,
    voxel_size_option,
)
from milopyp_shared.lengths import LARGEST, SMALLEST, Length, diameter_in_voxels
from milopyp_shared.overwrite import refuse_existing
from milopyp_shared.template_options import check_template, template_options
from milopyp_shared.wording import counted

if TYPE_CHECKING:  # the command line starts without numpy
    import numpy as np
    from numpy.typing import NDArray

    from milopyp_inference.engine.features import FeatureNetwork
    from milopyp_shared.lists import ImageEntry
    from milopyp_shared.recipe import Recipe

OUTPUT, MACHINE = "Output", "Machine"
OF_LABELS = ("mask", "keep_features", "rejected")


@command("learn")
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("coords", type=click.Path(path_type=Path), required=False)
@option(
    "--bbox", type=LengthRange(min=SMALLEST, max=LARGEST), group=PARTICLE,
    help="Particle diameter in voxels of the tomograms, or in Angstrom with an A (210A).  [default: the template's]",
)  # fmt: skip
@contrast_option
@order_option
@mask_option
@voxel_size_option
@option(
    "--rejected", type=click.Path(path_type=Path), metavar="FILE", group=PARTICLE,
    help="Coordinate list of places in labelled tomograms that hold no particle, however much they look like one.",
)  # fmt: skip
@template_options
@option("-o", "--output", type=click.Path(path_type=Path), required=True, group=OUTPUT, help="ONNX file.")
@option("--overwrite", is_flag=True, group=OUTPUT, help="Replace an existing file.")
@option(
    "--keep-features", type=click.Path(path_type=Path), group=OUTPUT,
    help="Folder that keeps what the network sees of each tomogram, 4 bytes per voxel: with other labels, the next run "
    "on the same tomograms takes a few seconds.",
)  # fmt: skip
@option("--memory", metavar="SIZE", group=MACHINE, help="Bound of the network at work, e.g. 2GB.  [default: 1GB]")
@option("--threads", type=click.IntRange(min=1), group=MACHINE, help="CPU threads.  [default: all that are allowed]")
@click.pass_context
def learn(
    ctx: click.Context, /, output: Path, overwrite: bool, memory: str | None, threads: int | None, **given: Any
) -> None:
    """Learn a model in seconds, without PyTorch.

    From labels, or with --template from a density map. IMAGES and COORDS are the image list and the coordinate list
    that `milopyp prepare` writes. The network that every installation has looks at the tomograms, and only its last
    layer is learned. milopyp-train changes all of it: that takes minutes and mostly finds more.

    With --template nothing needs to be clicked: COORDS and --bbox can be left out.

    \b
    Examples:
      milopyp learn ribo_train_imgs.txt ribo_train_coords.txt --bbox 21 -o ribo.onnx
      milopyp learn imgs.txt coords.txt --bbox 210A -o ribo.onnx --keep-features features
      milopyp learn imgs.txt --template ribosome.mrc -o ribo.onnx
    """
    check_template(ctx, "coords", required=("coords", "bbox"), of_labels=OF_LABELS)
    inputs = [given[name] for name in ("images", "coords", "template") if given[name] is not None]
    refuse_existing(output, overwrite=overwrite, inputs=inputs, made=".onnx")
    from milopyp_inference.engine.features import open_features
    from milopyp_inference.engine.machine import Machine
    from milopyp_inference.engine.planning import parse_memory

    console = Console()
    machine = Machine(threads=threads, memory=None if memory is None else parse_memory(memory))
    network = open_features(machine=machine, say=console.say)
    if given["template"] is None:
        recipe = _from_labels(output, network, console, **given)
    else:
        from milopyp_simulation.subject import Template

        from .learn_template import Request, learn_template

        request = Request(**{item.name: given[item.name] for item in fields(Request)})
        recipe = learn_template(Template.of(given), request, output, network, console)
    _report(recipe, output, console)


def _from_labels(output: Path, network: FeatureNetwork, console: Console, **given: Any) -> Recipe:
    """Learn from the labels of the lists."""
    from milopyp_learning.run import Files, learn
    from milopyp_shared.levels import read_images
    from milopyp_shared.lists import read_coordinate_list
    from milopyp_shared.scale import say_scale, scale_for
    from milopyp_training.data.dataset import TrainingSet, check_diameter, load_volumes

    listed = read_images(given["images"], console.warn, console.say)
    labels = read_coordinate_list(given["coords"], console.warn)
    labelled = [image for image in listed if image.name in labels]
    diameter = _diameter(given["bbox"], labelled, given["order"], given["voxel_size"], console)
    check_diameter(
        diameter, labelled, given["order"], given["voxel_size"], console.warn, guess=not given["bbox"].angstrom
    )
    scale = scale_for(diameter, network.description.diameters)
    say_scale(diameter, scale, console.say)
    rejected = _rejected(given["rejected"], labelled, given["order"], console)
    volumes = load_volumes(
        listed, labels, network.description.grey, diameter=diameter, order=given["order"], contrast=given["contrast"],
        masks=given["mask"], voxel_size=given["voxel_size"], scale=scale, where=given["coords"], say=console.say,
        warn=console.warn,
    )  # fmt: skip
    volumes = [replace(one, rejected=rejected[one.name]) if one.name in rejected else one for one in volumes]
    files = Files(output, given["keep_features"])
    return learn(TrainingSet(volumes, [], diameter, given["contrast"]), network, files, console)


def _rejected(
    path: Path | None, labelled: list[ImageEntry], order: str, console: Console
) -> dict[str, NDArray[np.float64]]:
    """Places by labelled tomogram that a person has rejected."""
    from milopyp_shared.labels import check_labels
    from milopyp_shared.lists import read_coordinate_list
    from milopyp_shared.names import listed
    from milopyp_shared.tomogram import read_header

    if path is None:
        return {}
    rejected = read_coordinate_list(path, console.warn)
    found = {image.name: rejected.pop(image.name) for image in labelled if image.name in rejected}
    for image in labelled:
        if image.name in found:
            check_labels(found[image.name], read_header(image.path, order), path)
    if rejected:
        console.warn(f"{path}: tomograms without labels are left out: {listed(rejected)}")
    return found


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
    console.say(f"suggested threshold {recipe.threshold.score:.2f} ({recipe.threshold.basis})")
    if recipe.calibration is not None:
        console.say(f"expected: about {counted(round(recipe.calibration.particles), 'particle')} per tomogram")
    console.say(f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    console.say(f"next: milopyp-infer TOMOGRAM... --model {output}")
