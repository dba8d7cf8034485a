"""`milopyp learn`: labels, or a density map, and tomograms -> model file, without PyTorch."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.label_options import (
    PARTICLE,
    contrast_option,
    mask_option,
    may_overlap_option,
    order_option,
    rejected_option,
    voxel_size_option,
)
from milopyp_shared.lengths import Length
from milopyp_shared.option_types import DiameterOfEach
from milopyp_shared.overwrite import refuse_existing
from milopyp_shared.template_options import check_template, template_options
from milopyp_shared.wording import counted

if TYPE_CHECKING:  # the command line starts without numpy
    from milopyp_inference.engine.features import FeatureNetwork
    from milopyp_shared.lists import ImageEntry
    from milopyp_shared.recipe import Recipe

OUTPUT, MACHINE = "Output", "Machine"
OF_LABELS = ("mask", "keep_features")


@command("learn")
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("coords", type=click.Path(path_type=Path), required=False)
@option(
    "--bbox", type=DiameterOfEach(), group=PARTICLE,
    help="Particle diameter in voxels of the tomograms, or in Angstrom with an A (210A); of several classes of labels "
    "that of each (ribosome=21,proteasome=200A).  [default: the template's]",
)  # fmt: skip
@contrast_option
@order_option
@mask_option
@voxel_size_option
@may_overlap_option
@rejected_option
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
      milopyp learn both_train_imgs.txt both_train_coords.txt --bbox ribosome=21,proteasome=20 -o both.onnx
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
        from milopyp_shared.particles import one_diameter
        from milopyp_simulation.subject import Template

        from .learn_template import Request, learn_template

        given["bbox"] = one_diameter(given["bbox"])
        request = Request(**{item.name: given[item.name] for item in fields(Request)})
        recipe = learn_template(Template.of(given), request, output, network, console)
    _report(recipe, output, console)


def _from_labels(output: Path, network: FeatureNetwork, console: Console, **given: Any) -> Recipe:
    """Learn from the labels of the lists."""
    from milopyp_learning.run import Files, learn
    from milopyp_shared.coordinate_lists import read_classes
    from milopyp_shared.levels import read_images
    from milopyp_shared.particles import particles_of
    from milopyp_shared.scale import say_scale, scale_for_all
    from milopyp_training.data.dataset import TrainingSet
    from milopyp_training.data.loading import check_diameter, load_classes
    from milopyp_training.data.rejected import read_rejected, with_rejected

    listed = read_images(given["images"], console.warn, console.say)
    labels = read_classes(given["coords"], console.warn)
    labelled = [image for image in listed if any(image.name in own for own in labels.values())]
    order, voxel_size = given["order"], given["voxel_size"]
    diameters = _diameters(given["bbox"], labelled, order, voxel_size, console)
    particles = particles_of(diameters, list(labels))
    for name, length in given["bbox"].items():
        check_diameter(diameters[name], labelled, order, voxel_size, console.warn, guess=not length.angstrom)
    scale = scale_for_all(list(diameters.values()), network.description.diameters)
    say_scale(list(diameters.values()), scale, console.say)
    rejected = read_rejected(given["rejected"], list(labels), labelled, order, console.warn)
    volumes = load_classes(
        listed, list(labels.values()), network.description.grey, particles=particles,
        may_overlap=given["may_overlap"], order=order, contrast=given["contrast"], masks=given["mask"],
        voxel_size=voxel_size, scale=scale, where=given["coords"], say=console.say, warn=console.warn,
    )  # fmt: skip
    files = Files(output, given["keep_features"])
    data = TrainingSet.of(with_rejected(volumes, rejected), [], particles, given["contrast"])
    return learn(data, network, files, console)


def _diameters(
    bbox: dict[str, Length], labelled: list[ImageEntry], order: str, voxel_size: float | None, console: Console
) -> dict[str, float]:
    """Of each class in voxels; said where they were given in Angstrom."""
    from milopyp_shared.lengths import diameter_in_voxels
    from milopyp_training.data.loading import first_voxel_size

    size = voxel_size
    if size is None and any(length.angstrom for length in bbox.values()):
        size = first_voxel_size(labelled, [image.name for image in labelled], order)
    expected = "--voxel-size, or a training tomogram whose header says it"
    found = {name: diameter_in_voxels(length, size, expected) for name, length in bbox.items()}
    for name in (name for name, length in bbox.items() if length.angstrom):
        console.say(f"--bbox {name and f'of {name} '}is {found[name]:.4g} voxels")
    return found


def _report(recipe: Recipe, output: Path, console: Console) -> None:
    """What the model suggests and expects."""
    for one in recipe.classes:
        of = one.particle and f"{one.particle}: "
        console.say(f"{of}suggested threshold {one.threshold.score:.2f} ({one.threshold.basis})")
        if one.calibration is not None:
            console.say(f"{of}expected: about {counted(round(one.calibration.particles), 'particle')} per tomogram")
    console.say(f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    console.say(f"next: milopyp-infer TOMOGRAM... --model {output}")
