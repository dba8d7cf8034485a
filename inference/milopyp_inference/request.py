"""What ``milopyp-infer`` is asked for: its options, and the tomograms that they mean, before the model is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milopyp_shared.console import Console
from milopyp_shared.levels import at_levels
from milopyp_shared.lists import ImageEntry, check_image_name
from milopyp_shared.overwrite import refuse_others
from milopyp_shared.written_names import Naming
from milopyp_shared.zarr_writing import refuse_missing

from .batch.inputs import gather
from .batch.into_project import IntoProject
from .batch.prechecks import refuse_beside_tomograms
from .batch.record_files import find_summary
from .batch.records import RunSummary
from .batch.table import COLUMNS
from .engine.machine import Machine
from .launch.local import LocalWorkers
from .launch.options import choose_launcher
from .launch.shards import Shard, parse_shard, part_of
from .launch.slurm import SlurmArray
from .of_project import ProjectTomograms, of_project, refuse_idle
from .options import InferOptions, output_folder, parse_machine
from .pick_options import Decoding, decoding


@dataclass(frozen=True)
class Request:
    """What the command line asks for, checked as far as that goes without a file.

    Attributes
    ----------
    folder
        For the outputs.
    launcher
        Other processes that do the work; None: this one does.
    machine
        What the network is to run on.
    """

    options: InferOptions
    console: Console
    folder: Path
    shard: Shard | None
    launcher: SlurmArray | LocalWorkers | None
    machine: Machine
    decoding: Decoding


@dataclass(frozen=True)
class Images:
    """The tomograms of the command line.

    Attributes
    ----------
    own
        Those of them that this process is to pick.
    naming
        How they are called.
    before
        What the folder of the outputs says of itself, if it does.
    of_project
        The copick project that they are of.
    targets
        Where the picks of each class go in that, once the model is known.
    """

    everything: list[ImageEntry]
    own: list[ImageEntry]
    naming: Naming
    before: RunSummary | None
    of_project: ProjectTomograms | None = None
    targets: Sequence[IntoProject] = ()


def parse(options: InferOptions, console: Console) -> Request:
    """What the options say.

    Raises
    ------
    UsageError
        One that is wrong, or two that do not go together.
    """
    shard = None if options.shard is None else parse_shard(options.shard)
    folder = output_folder(options)
    if options.heat_map == "zarr":
        refuse_missing("--heat-map zarr")
    if options.summary is not None:
        refuse_others(options.summary, ",".join(COLUMNS).encode() + b"\n")
    launcher = choose_launcher(options, folder, console)
    first_gpu = options.gpus if launcher is None or options.gpus is None else options.gpus.split(",")[0]
    machine = parse_machine(replace(options, gpus=first_gpu))
    return Request(options, console, folder, shard, launcher, machine, decoding(options))


def find_tomograms(request: Request) -> Images:
    """The tomograms that are asked for.

    Raises
    ------
    UsageError, InputError
        There are none, two of one name, or they lie where the outputs go.
    """
    options, words = request.options, request.options.inputs
    words = words[1:] if words[:1] == ("semi",) else words
    refuse_idle(options, words)
    project = None if options.copick is None else of_project(options, options.copick, request.console.say)
    if project is None:
        everything = gather(words, options.test_img_txt, request.console.warn, options.name_from)
    else:
        everything = project.volumes.images
    refuse_beside_tomograms(everything, request.folder)
    before = find_summary(request.folder)
    naming = _naming(request, everything, before)
    called = naming.call({image.name: image.label for image in everything}, "milopyp-infer")
    for name in called.values():
        check_image_name(name, options.tomograms or "milopyp-infer", remedy="Name it otherwise there.")
    everything = [replace(image, tomo_name=called[image.name]) for image in everything]
    own = everything if request.shard is None else part_of(everything, request.shard)
    return Images(everything, own, naming, before, project)


def _naming(request: Request, images: list[ImageEntry], before: RunSummary | None) -> Naming:
    """How tomograms are to be called: as the command line or a list says, else as was chosen in the folder before."""
    options = request.options
    naming = Naming.read(options.names, options.tomograms, request.decoding.formats)
    if naming.said or request.decoding.published or any(image.tomo_name for image in images):
        return naming
    if before is None or not before.named:
        return naming
    request.console.say(f"chosen with milopyp threshold, and stays: names by {before.named}")
    return Naming.of_saying(before.named)


def with_levels(request: Request, images: Images, voxel_size: float | None) -> Images:
    """The same tomograms, of the levels that are asked for, else of those that are like the model's."""
    if request.options.as_worker:  # whose list names them
        return images
    everything = at_levels(images.everything, request.console.say, level=request.options.level, near=voxel_size)
    named = {image.name: image for image in everything}
    return replace(images, everything=everything, own=[named[image.name] for image in images.own])
