"""``milopyp-infer``: ONNX file + tomograms -> picks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from milopyp_shared.axes import NO_TURN, ORDER_WORDS, TURNS
from milopyp_shared.commandline import command, option, run
from milopyp_shared.console import Console
from milopyp_shared.names import NAME_FROM, NAMES
from milopyp_shared.option_types import Angstrom, Number, OfEach
from milopyp_shared.wording import counted

from .engine.machine import AUTO
from .engine.providers.registry import ASKED_FOR, PROVIDERS
from .launch.options import launch_options
from .options import InferOptions

CHECKED = "As in training (the model file knows; a contradiction is refused)"
PROJECT = "A copick project"
PUBLISHED = "As the published program picks (with --published only)"


@command("milopyp-infer")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@option(
    "--model",
    "--load-model",
    "model",
    required=True,
    type=click.Path(path_type=Path),
    group="Model",
    help="ONNX file of milopyp-export, or a checkpoint (.pth), which is exported first where that has not been done.",
)
@option("--out", type=click.Path(path_type=Path), group="Output", help="Folder for all outputs.  [default: picks]")
@option("--exp-id", group="Output", help="With --out-id, instead of --out: outputs go to exp/semi/EXP_ID/OUT_ID.")
@option("--out-id", group="Output", help="See --exp-id.")
@option("--with-score", is_flag=True, group="Output", help="Add the score as a fourth column of the text.")
@option(
    "--coords", type=click.Choice(["model2point", "voxel"]), group="Output",
    help="Text as IMOD's point2model expects it, or as plain voxel indices.  [default: model2point]",
)  # fmt: skip
@option(
    "--format", "formats", metavar="WORD,...", group="Output",
    help="Other formats for the picks, beside text and IMOD model: csv, list, relion4, relion5, warp, tbl, copick, "
    "ndjson.",
)  # fmt: skip
@option(
    "--turn", type=click.Choice(TURNS), default=NO_TURN, group="Output",
    help="Write picks, NAME.mod and NAME.txt too, as of the turned tomogram: rotx for IMOD's clip rotx or trimvol "
    "-rx, yz for trimvol -yz.",
)  # fmt: skip
@option(
    "--heat-map", type=click.Choice(["mrc", "zarr"]), group="Output",
    help="As NAME_hm.mrc, or as NAME_hm.zarr (OME-Zarr 0.4).  [default: as it is there already, else mrc]",
)  # fmt: skip
@option(
    "--names", type=click.Choice(NAMES), group="Output",
    help="What tomograms are called inside files for other programs: as their files, or as the tilt series, without "
    "what programs add (TS_01 for TS_01_10.00Apx.mrc).  [default: the column tomo_name of an image list, else file]",
)  # fmt: skip
@option(
    "--tomograms", type=click.Path(path_type=Path), metavar="PATH", group="Output",
    help="The same names from RELION's tomograms.star, or from a folder of Warp's .tomostar, AreTomo's .aln or "
    "etomo's .edf files.",
)  # fmt: skip
@option("--overwrite", is_flag=True, group="Output", help="Pick again what is already done.")
@option(
    "--summary", type=click.Path(path_type=Path), metavar="FILE.csv", group="Output",
    help="One row per tomogram at the end: status, picks, axes, voxel size, seconds, warnings, errors.",
)  # fmt: skip
@option(
    "--out-thresh", group="Picks",
    help="Score threshold 0..1; auto takes the model's suggestion. This option, --K and --margin may say something of "
    "each class of a model: ribosome=0.3,proteasome=auto.  [default: auto]",
)  # fmt: skip
@option(
    "--exclusive/--no-exclusive", default=True, group="Picks",
    help="Of a model of several classes: nothing is picked where a pick of another class scores higher.",
)  # fmt: skip
@option(
    "--K", "limit", type=OfEach(click.IntRange(min=1)), group="Picks",
    help="Picks per tomogram at most; with --published, candidates before all filters.  [default: no limit; 900]",
)  # fmt: skip
@option("--test-img-txt", metavar="LIST", group="Tomograms", help="Image list, beside or instead of INPUT.")
@option(
    "--name-from", type=click.Choice(NAME_FROM), default="file", group="Tomograms",
    help="What outputs are named after: the tomograms' files, or the folders they lie in (TS_01 for "
    "TS_01/tomogram.mrc, TS_01_even for TS_01/even.mrc beside others).",
)  # fmt: skip
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
    "--level", type=click.IntRange(min=0), metavar="N", group="Tomograms",
    help="Of tomograms in OME-Zarr, from 0, the largest.  [default: that of the list or path, else the one with voxels "
    "nearest to those of the training]",
)  # fmt: skip
@option(
    "--rescale", is_flag=True, group="Tomograms",
    help="Resample tomograms of another voxel size to that of the training while reading.",
)  # fmt: skip
@option(
    "--mask", type=click.Path(path_type=Path), group="Tomograms",
    help="MRC mask of all tomograms, or a folder of NAME_mask.mrc: nothing is picked outside (0).",
)  # fmt: skip
@option(
    "--mask-distance", metavar="FROM:TO", group="Picks",
    help="Angstrom from the surface of --mask, a membrane or an organelle, that picks lie at (0:150), below 0 inside "
    "it; in place of picks inside it. Written into NAME.candidates.csv.",
)  # fmt: skip
@option(
    "--normals", is_flag=True, group="Picks",
    help="With --mask-distance: orient picks along the normal of that surface, pointing from it to them, turned about "
    "it at random. Written as Euler angles where a format has them.",
)  # fmt: skip
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
@option(
    "--copick", type=click.Path(path_type=Path), metavar="CONFIG.json", group=PROJECT,
    help="Pick the tomograms of a project in folders, in place of INPUT, and write the picks into its overlay, too.",
)  # fmt: skip
@option("--tomo-type", metavar="TYPE", group=PROJECT, help="Kind of its tomograms: wbp.  [default: the only one]")
@option(
    "--voxel-spacing", type=Number(min=0, min_open=True), metavar="ANGSTROM", group=PROJECT,
    help="Of its tomograms, as their folders say.  [default: the only one]",
)  # fmt: skip
@option(
    "--object", type=OfEach(click.STRING), metavar="NAME", group=PROJECT,
    help="What is picked, as the project calls it; of several classes that of each (ribosome=ribosome80S).  [default: "
    "the only particle, or those that are called as the classes]",
)  # fmt: skip
@option("--user", metavar="NAME", group=PROJECT, help="Whose picks they are.  [default: milopyp]")
@option("--session", metavar="NAME", group=PROJECT, help="Of the user.  [default: 0, a tool's]")
@option("--arch", metavar="NAME", group=CHECKED, help="Network.")
@option("--gauss", type=Number(min=0), group=CHECKED, help="Sigma of the Gaussian filter in voxels.")
@option("--compress/--no-compress", default=None, group=CHECKED, help="One section of every two.")
@option("--last-k", type=int, group=CHECKED, help="Kernel of the last 3D convolution.")
@option("--down-ratio", type=int, group=CHECKED, help="Voxels per heat-map voxel in x and y.")
@option("--dataset", type=click.Choice(["semi"]), group=CHECKED, help="There is one.")
@option("--published", is_flag=True, group=PUBLISHED, help="Its peaks, margins and text: whole numbers x z y.")
@option("--nms", type=click.IntRange(min=1), group=PUBLISHED, help="Window of a peak in x and y, odd.  [default: 3]")
@option(
    "--cutoff-z", type=click.IntRange(min=0), group=PUBLISHED,
    help="Heat-map sections without picks at either end.  [default: 10]",
)  # fmt: skip
@option("--fiber", is_flag=True, default=None, group=PUBLISHED, help="Picks are chained to fibres along x.")
@option(
    "--distance-cutoff", type=Number(min=0), group=PUBLISHED, help="Voxels from pick to pick at most.  [default: 15]"
)
@option("--r2-cutoff", type=Number(min=0), group=PUBLISHED, help="Mean squared residual at most.  [default: 30]")
@option("--curvature-cutoff", type=Number(min=0), group=PUBLISHED, help="Curvature at most.  [default: 0.003]")
@option(
    "--distance-scale", type=Number(min=0.01), group=PUBLISHED, help="Voxels in x from point to point.  [default: 2]"
)
@option(
    "--margin", type=OfEach(Angstrom(min=0)), group="Picks", metavar="ANGSTROM",
    help="Nothing is picked closer to a face than this: 150, or 150A.  [default: 0, particles at the border count]",
)  # fmt: skip
@option(
    "--provider", type=click.Choice((AUTO, *PROVIDERS)), default=AUTO, group="Machine",
    help="What the network runs on; auto takes the best that works here.",
)  # fmt: skip
@option(
    "--precision", type=click.Choice(ASKED_FOR), group="Machine",
    help="Arithmetic of an fp32 file: bf16 is twice as fast on CPUs that have it, with OpenVINO, and scores differ "
    "in the second decimal.  [default: the file's]",
)  # fmt: skip
@option("--gpus", group="Machine", help="Number of the GPU, or several with commas; -1: none, the CPU.")
@option(
    "--memory", metavar="SIZE", group="Machine",
    help="Bound of the process, e.g. 2GB (on a GPU: of what the network takes there).  [default: 1GB; GPU: 6GB]",
)  # fmt: skip
@option("--threads", type=click.IntRange(min=1), group="Machine", help="CPU threads.  [default: all that are allowed]")
@launch_options
@click.version_option(package_name="milopyp")
def infer_command(inputs: tuple[str, ...], **given: Any) -> int:
    """Pick particles in tomograms.

    INPUT: paths, globs, URLs of OME-Zarr stores (https, http, s3), or an image list; or, with --copick, none: the
    tomograms of a project, called as its runs.

    For every tomogram: NAME.txt, NAME.mod, NAME_hm.mrc, NAME.candidates.csv; run.json sums up. A tomogram that is
    already done with the same model and options is skipped.

    \b
    Examples:
      milopyp-infer tomograms/*.mrc --model ribosome.onnx --out picks
      milopyp-infer test_imgs.txt --model ribosome.onnx --out picks --out-thresh 0.3 --with-score
      milopyp-infer series/*/tomogram.mrc --model ribosome.onnx --out picks --name-from parent
      milopyp-infer tomograms/*.mrc --model ribosome.onnx --mask membranes --mask-distance 0:150 --normals
      milopyp-infer test_imgs.txt --model ribosome.onnx --out picks --workers 2 --summary picks.csv
      milopyp-infer --copick project.json --tomo-type wbp --voxel-spacing 10 --object ribosome --model ribosome.onnx
      milopyp-infer tomograms/*.mrc --model ribosome.onnx --out picks --heat-map zarr
      milopyp-infer tomograms/*.mrc --model ribosome.onnx --out picks --dry-run
      milopyp-infer test_imgs.txt --model ribosome.onnx --out picks --slurm --slurm-cpus 4 --dry-run
    """
    from . import infer
    from .request import find_tomograms, parse

    options = InferOptions(inputs, **given)
    request = parse(options, Console())
    images = find_tomograms(request)
    if not images.own:
        request.console.say(
            f"there is nothing to do for part {options.shard} of {counted(len(images.everything), 'tomogram')}"
        )
        return 0
    run, images = infer.open_run(request, images)
    return infer.show_plan(request, run, images) if options.dry_run else infer.pick(request, run, images)


def main() -> None:
    """Entry point."""
    run(infer_command)


if __name__ == "__main__":
    main()
