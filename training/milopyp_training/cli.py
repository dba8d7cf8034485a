"""``milopyp-train``: labels and tomograms -> checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from milopyp_shared.commandline import command, option, run
from milopyp_shared.errors import MissingDependency
from milopyp_shared.label_options import (
    DATA,
    PARTICLE,
    contrast_option,
    mask_option,
    may_overlap_option,
    order_option,
    rejected_option,
    voxel_size_option,
)
from milopyp_shared.lengths import diameter_in_voxels
from milopyp_shared.option_types import DiameterOfEach, LengthRange, Number
from milopyp_shared.template_options import check_template, template_options

from .networks.registry import NETWORKS, trained_by
from .options import OPTIONS, TrainOptions

PRESETS = "  [default: the preset's]"

TRAINING, PUBLISHED, OUTPUT, MACHINE = (
    "Training", "Published method (any of these selects --preset published)", "Output", "Machine",
)  # fmt: skip


class Epochs(click.ParamType[tuple[int, ...]]):
    """Epochs separated by commas."""

    name = "EPOCH,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """``"200,400"`` -> ``(200, 400)``."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is no list of epochs such as 200,400,600", param, ctx)
        return tuple(int(part) for part in parts)


class NetworkName(click.ParamType[str]):
    """A row of the registry, looked up when the command runs: a plug-in may have added one."""

    name = "NETWORK"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """All of them, as click writes a choice."""
        return f"[{'|'.join(NETWORKS)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if there is such a network."""
        if value not in NETWORKS:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, NETWORKS))}.", param, ctx)
        return str(value)


def options_of(context: click.Context) -> TrainOptions:
    """The options of a parsed command line."""
    check_template(context, "train_coord_txt", required=("train_coord_txt", "bbox"), of_labels=("mask",))
    values = {name: context.params[name] for name in OPTIONS}
    on_line = click.core.ParameterSource.COMMANDLINE
    given = frozenset(name for name in values if context.get_parameter_source(name) == on_line)
    lengths = values["bbox"] or {}
    in_angstrom = frozenset({"bbox"} if any(length.angstrom for length in lengths.values()) else ())
    diameters = _diameters(values)
    bbox = next(iter(diameters.values()))
    return TrainOptions(**values | {"bbox": bbox}, given=given, diameters=diameters, in_angstrom=in_angstrom)


def _diameters(values: dict[str, Any]) -> dict[str, float]:
    """``--bbox`` in voxels, by class.

    The voxel size is ``--voxel-size``, else that of the first labelled tomogram whose header says one. With a template
    the first tomogram counts, and the diameter may be missing: its particle's is taken.

    Raises
    ------
    UsageError
        It is in Angstrom, and neither says it; or no particle is so small or so large.
    InputError
        It is in Angstrom, and a list or a tomogram cannot be read; or as `template_diameter`.
    """
    bbox, size = values["bbox"], values["voxel_size"]
    if bbox is None:
        from milopyp_simulation.subject import Template

        from .from_template import template_diameter

        return {"": template_diameter(Template.of(values), values["train_img_txt"], values["order"], size)}
    if any(length.angstrom for length in bbox.values()) and size is None:
        from milopyp_shared.coordinate_lists import read_classes
        from milopyp_shared.lists import read_image_list

        from .data.loading import first_voxel_size

        images = read_image_list(values["train_img_txt"])
        simulated = values["template"] is not None  # like the first tomogram
        labelled = {} if simulated else read_classes(values["train_coord_txt"])
        of_interest = [images[0].name] if simulated else {name for own in labelled.values() for name in own}
        size = first_voxel_size(images, of_interest, values["order"])
    expected = "--voxel-size, or a training tomogram whose header says it"
    return {name: diameter_in_voxels(length, size, expected) for name, length in bbox.items()}


@command("milopyp-train", after_interrupt="the same command with --resume goes on after the last finished epoch")
@click.argument("task", required=False, type=click.Choice(["semi"]))
@option("--train-img-txt", required=True, group=DATA, help="Image list of the training tomograms.")
@option("--train-coord-txt", group=DATA, help="Coordinate list with the labels.  [required without --template]")
@option("--val-img-txt", group=DATA, help="Image list of the validation tomograms.")
@option("--val-coord-txt", group=DATA, help="Coordinate list of the validation tomograms.")
@option(
    "--val-fully-labelled",
    is_flag=True,
    group=DATA,
    help="Every particle of the validation tomograms is in their list.",
)
@order_option
@mask_option
@voxel_size_option
@template_options
@option("--dataset", type=click.Choice(["semi"]), default="semi", group=DATA, help="Way of sampling; there is one.")
@option(
    "--bbox", type=DiameterOfEach(LengthRange()), group=PARTICLE,
    help="Particle diameter in voxels of the tomograms, or in Angstrom with an A (210A); of several classes of labels "
    "that of each (ribosome=21,proteasome=200A).  [default: the template's]",
)  # fmt: skip
@may_overlap_option
@rejected_option
@contrast_option
@option(
    "--fiber", is_flag=True, default=None, group=PARTICLE, help="Filaments: binary targets (published preset only)."
)
@option("--gauss", type=Number(min=0), group=PARTICLE, help="Sigma of the Gaussian filter in voxels." + PRESETS)
@option("--compress/--no-compress", default=None, group=PARTICLE, help="Make one section of every two." + PRESETS)
@option(
    "--preset",
    type=click.Choice(["pretrained", "scratch", "published", "default"]),
    group=TRAINING,
    help="pretrained begins with a network that knows simulated particles, scratch with random weights; published is "
    "the published method, and an option of it selects it. default is the old word for scratch.  [default: "
    "pretrained]",
)
@option(
    "--arch",
    type=NetworkName(),
    group=TRAINING,
    help=f"Network; {' and '.join(trained_by('published'))} select the published preset.",
)
@option(
    "--quick",
    is_flag=True,
    default=None,
    group=TRAINING,
    help="A fifth of the time: fewer epochs and no cross-validation, so that precision is not estimated. With "
    "--template, which has none, half the epochs. Not with the published preset.",
)
@option("--num-epochs", type=click.IntRange(min=1), group=TRAINING, help="Epochs." + PRESETS)
@option(
    "--lr",
    type=Number(min=0, min_open=True),
    group=TRAINING,
    help="Learning rate (not of the published preset: its peak)." + PRESETS,
)
@option(
    "--batch-size",
    type=click.IntRange(min=1),
    group=TRAINING,
    help="Patches per step (published preset: 1, a pair)." + PRESETS,
)
@option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=317,
    group=TRAINING,
    help="Equal seeds give equal models on one machine.",
)
@option(
    "--load-model", type=click.Path(path_type=Path), group=TRAINING, help="Begin with the weights of this checkpoint."
)
@option("--resume", is_flag=True, group=TRAINING, help="Go on after the last finished epoch of this --exp-id, if any.")
@option(
    "--contrastive/--no-contrastive",
    default=None,
    group=PUBLISHED,
    help="Contrastive regularisation and consistency of mirrored branches.",
)
@option(
    "--exact-contrastive",
    is_flag=True,
    default=None,
    group=PUBLISHED,
    help="Over all voxel pairs instead of a sample of them; slower.",
)
@option("--tau", type=Number(0, 1, min_open=True, max_open=True), group=PUBLISHED, help="Class prior probability.")
@option("--thresh", type=Number(min=0), group=PUBLISHED, help="Target value above which a voxel is a positive.")
@option("--temp", type=Number(min=0, min_open=True), group=PUBLISHED, help="Temperature of the contrastive term.")
@option("--cr-weight", type=Number(min=0), group=PUBLISHED, help="Weight of the contrastive term.")
@option("--last-k", type=click.IntRange(min=1), group=PUBLISHED, help="Kernel of the last 3D convolution, odd.")
@option("--pn", is_flag=True, default=None, group=PUBLISHED, help="Unlabelled voxels are negatives.")
@option("--ge", is_flag=True, default=None, group=PUBLISHED, help="Generalised expectation on the unlabelled voxels.")
@option(
    "--lr-step", type=Epochs(), group=PUBLISHED, help="Epochs after which the rate drops to a tenth (does not select)."
)
@option(
    "--translation-ratio",
    type=Number(min=0),
    group=PUBLISHED,
    help="Wide shift of the second patch, parts of --bbox (does not select).",
)
@option("--down-ratio", type=int, default=2, group=PUBLISHED, help="Always 2 (does not select).")
@option("--exp-id", default="default", group=OUTPUT, help="Name of the run: files go to exp/semi/EXP_ID.")
@option(
    "--overwrite",
    is_flag=True,
    group=OUTPUT,
    help="Begin anew where there is a training of this --exp-id, which is kept as EXP_ID.1.",
)
@option("--save-all", is_flag=True, group=OUTPUT, help="Keep model_{epoch}.pth of every validated epoch.")
@option(
    "--val-intervals",
    "--val-interval",
    "val_interval",
    type=click.IntRange(min=1),
    default=1,
    group=OUTPUT,
    help="Epochs between validations.",
)
@option(
    "--metric",
    type=click.Choice(["auto", "auprc", "f1", "labels", "loss"]),
    default="auto",
    group=OUTPUT,
    help="What makes an epoch the best; auto: auprc with --val-fully-labelled, else labels.",
)
@option(
    "--debug", type=click.Choice(["0", "4"]), default="0", group=OUTPUT, help="4 draws validation pictures into debug/."
)
@option(
    "--K",
    "K",
    type=click.IntRange(min=1),
    group=OUTPUT,
    help="Picks per tomogram in debug/ at most.  [default: no limit]",
)
@option(
    "--export/--no-export",
    default=None,
    group=OUTPUT,
    help="Write the last model as an ONNX file, too.  [default: where milopyp[export] is installed]",
)
@option(
    "--print-iter",
    type=click.IntRange(min=0),
    default=0,
    group=OUTPUT,
    help="Print the losses every so many steps; 0 for never.",
)
@option("--gpus", default="auto", group=MACHINE, help="GPU number, -1 for the CPU, auto for a GPU if there is one.")
@option(
    "--amp/--no-amp",
    default=None,
    group=MACHINE,
    help="Mixed precision (bfloat16).  [default: on GPUs and, but for the published preset, on CPUs that have it]",
)
@option("--threads", type=click.IntRange(min=1), group=MACHINE, help="CPU threads.  [default: all that are allowed]")
@option(
    "--num-workers",
    type=click.IntRange(min=0),
    default=2,
    group=MACHINE,
    help="Batches prepared ahead in the background.",
)
@click.version_option(package_name="milopyp")
def train_command(**_: Any) -> None:
    """Train a picker from sparse labels, or from a density map.

    \b
    Examples:
      milopyp-train --train-img-txt ribo_train_imgs.txt --train-coord-txt ribo_train_coords.txt \\
          --bbox 21 --exp-id ribosome
      milopyp-train --train-img-txt ribo_train_imgs.txt --template ribosome.mrc --exp-id ribosome
      milopyp-train --train-img-txt ribo_train_imgs.txt --train-coord-txt ribo_train_coords.txt \\
          --bbox 240A --exp-id old --preset published --num-epochs 5
      milopyp-train --train-img-txt both_train_imgs.txt --train-coord-txt both_train_coords.txt \\
          --bbox ribosome=21,proteasome=20 --exp-id both
    """  # fmt: skip
    options = options_of(click.get_current_context())
    try:
        from .train import train
    except ImportError as error:  # not installed, or a library of its own is missing
        raise MissingDependency(
            f"the package {error.name} cannot be loaded ({error})",
            where="milopyp-train",
            remedy="Run: pip install 'milopyp[train]'.",
        ) from error
    train(options)


def main() -> None:
    """Entry point."""
    run(train_command)


if __name__ == "__main__":
    main()
