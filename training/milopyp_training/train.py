"""One training as a person asks for it: from options to a run, and what is said before and after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from milopyp_shared.console import Console
from milopyp_shared.coordinate_lists import Classes, read_classes, read_coordinate_list
from milopyp_shared.errors import UsageError
from milopyp_shared.levels import read_images
from milopyp_shared.lists import ImageEntry
from milopyp_shared.particles import Particle, particles_of, refuse_unknown
from milopyp_shared.recipe import Recipe
from milopyp_shared.scale import say_scale, scale_for_all
from milopyp_shared.wording import counted

from .data.dataset import LabelledVolume, TrainingSet, with_particles
from .data.loading import check_diameter, check_listed, load_classes
from .data.rejected import read_rejected, with_rejected
from .evaluation.template_agreement import compare_with_labels
from .evaluation.validation import predict
from .export_onnx import can_export, export_model
from .from_template import simulated_set
from .loop.checkpoint import load_initial_weights
from .loop.distributed import process_group
from .loop.machine import Machine, use_threads
from .methods.base import MakeMethod, Method
from .methods.presets import Preset, PublishedPreset
from .methods.registry import make_method
from .options import TrainOptions
from .preset_choice import DEFAULT, OLD_WORDS, choose_preset
from .run import TrainingRun
from .run_folder import held, keep_earlier, refuse_earlier, run_folder, write_options
from .schedule import Schedule

Lists: TypeAlias = "tuple[Sequence[ImageEntry], Classes]"

TELLS_NOTHING = 0.02  # a suggested threshold below which hardly any candidate is left out


def train(options: TrainOptions) -> None:
    """Train a model as the options say, and say what to do next.

    Raises
    ------
    MilopypError
        Options, lists, tomograms or checkpoints that cannot be used, or a training that fails.
    """
    exports = can_export(options.export)
    preset = choose_preset(options)
    folder = run_folder(options.exp_id)
    if not (options.resume or options.overwrite):
        refuse_earlier(folder)
    use_threads(options.threads)
    with ExitStack() as held_by_one:
        with process_group(options.gpus) as (device, world):
            console = Console(quiet=world.rank > 0)
            warn = console.warn if world.rank == 0 else lambda text: None
            machine = Machine(device, world, options.amp, options.num_workers)
            run, compared = _prepared(options, preset, machine, console, warn)
            if world.rank == 0:
                held_by_one.enter_context(held(folder))
            _begin(run, options, world.rank)
            if world.rank == 0:
                write_options(folder.options, options, preset)
            recipe = run.train()
        if world.rank == 0:
            if compared:
                _compare(run, compared, recipe)
            _report(run, recipe)
            exported = export_model(folder.last, console) if exports else None
            console.say(
                f"next: milopyp-infer TOMOGRAM... --model {exported}"
                if exported
                else f"next: milopyp-export {folder.last}"
            )


def _prepared(
    options: TrainOptions, preset: Preset, machine: Machine, console: Console, warn: Callable[[str], None]
) -> tuple[TrainingRun, list[LabelledVolume]]:
    """The run before its first epoch, and labelled tomograms that are only compared with."""
    compared: list[LabelledVolume] = []
    if options.template is None:
        data = _load(options, preset, console.say, warn)
    else:
        data, compared = _simulated(options, preset, console, warn)
    if options.preset in OLD_WORDS:
        console.say(f"--preset {options.preset} is now called {preset.name}")
    if isinstance(preset, PublishedPreset) and options.preset is None:
        console.say(f"published preset, selected by its options (--preset {DEFAULT} is the other method)")
    folder = run_folder(options.exp_id)
    run = TrainingRun(
        _maker(
            options,
            preset,
            [one.diameter for one in data.particles],
            machine.device,
            resumed=options.resume and folder.last.is_file(),
        ),
        data,
        _schedule(options, preset.epochs, simulated=bool(data.simulated)),
        folder,
        machine,
        console=console,
        options={name: str(value) for name, value in options.with_values().items()},
    )
    arithmetic = "bfloat16" if run.machine.mixed_precision else "float32"
    console.detail(
        f"PyTorch {torch.__version__} on {machine.device}, {counted(torch.get_num_threads(), 'thread')}, {arithmetic}"
    )
    return run, compared


def _load(
    options: TrainOptions, preset: Preset, say: Callable[[str], None], warn: Callable[[str], None]
) -> TrainingSet:
    """Training and validation tomograms with their labels."""

    def read(images: str | None, coordinates: str | None) -> Lists:
        if not (images and coordinates):
            return (), {}
        return read_images(images, say), read_classes(coordinates, say)

    images, labels = read(options.train_img_txt, options.train_coord_txt)
    if isinstance(preset, PublishedPreset):
        # which draws no patch from a tomogram without labels, whatever is said of it
        labels = {kind: {name: xyz for name, xyz in own.items() if len(xyz)} for kind, own in labels.items()}
    validation, truth = read(options.val_img_txt, options.val_coord_txt)
    looked_at = [*_labelled(images, labels), *_labelled(validation, truth)]
    _say_diameters(options, say)
    for diameter in options.diameters.values():
        check_diameter(diameter, looked_at, options.order, options.voxel_size, warn, guess=_in_voxels(options))
    particles = particles_of(options.diameters, list(labels))
    load = _loader(options, preset, _scale(preset, list(options.diameters.values()), say), say, warn)
    classes, labelled = [particle.name for particle in particles], _labelled(images, labels)
    rejected = read_rejected(options.rejected, classes, labelled, options.order, warn)
    volumes = load(images, _of_each(labels, particles), particles=particles, where=options.train_coord_txt)
    judged: list[LabelledVolume] = []
    if options.val_coord_txt:
        if list(truth) == [""] and len(labels) == 1:  # of the only class that there is
            truth = dict(zip(labels, truth.values(), strict=True))
        refuse_unknown(truth, list(labels), options.val_coord_txt)
        judged = load(validation, _of_each(truth, particles), particles=particles, where=options.val_coord_txt)
    return TrainingSet.of(with_rejected(volumes, rejected), judged, particles, options.contrast)


def _labelled(images: Sequence[ImageEntry], labels: Classes) -> list[ImageEntry]:
    return [image for image in images if any(image.name in own for own in labels.values())]


def _of_each(labels: Classes, particles: Sequence[Particle]) -> list[Mapping[str, NDArray[np.float64]]]:
    """Labels of each class, of which there may be none."""
    return [labels.get(particle.name, {}) for particle in particles]


def _simulated(
    options: TrainOptions, preset: Preset, console: Console, warn: Callable[[str], None]
) -> tuple[TrainingSet, list[LabelledVolume]]:
    """Tomograms that are simulated with the template, and those with labels, which are only compared with."""
    listed = read_images(options.train_img_txt, console.warn, console.say)
    labels = read_coordinate_list(options.train_coord_txt, console.warn) if options.train_coord_txt else {}
    _say_diameters(options, console.say)
    if len(options.diameters) > 1:
        raise UsageError(
            f"diameters of {counted(len(options.diameters), 'class', 'classes')}", where="--bbox",
            expected="that of the template, or none",
        )  # fmt: skip
    check_listed(
        options.bbox, listed, options.order, options.voxel_size, warn, read=labels, guess=_in_voxels(options)
    )  # fmt: skip
    scale = _scale(preset, [options.bbox], console.say)
    compared: list[LabelledVolume] = []
    if labels and not console.quiet:  # of several processes, only the one that speaks compares
        load = _loader(options, preset, scale, console.say, warn)
        particles = [Particle("", options.bbox)]
        compared = with_particles(load(listed, [labels], particles=particles, where=options.train_coord_txt))
    return simulated_set(options, preset.grey, scale, console), compared


def _loader(
    options: TrainOptions,
    preset: Preset,
    scale: float,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> Callable[..., list[LabelledVolume]]:
    """`load_classes` with everything that the options say."""
    return partial(
        load_classes, parameters=preset.grey, may_overlap=options.may_overlap, order=options.order,
        contrast=options.contrast, masks=options.mask, voxel_size=options.voxel_size, scale=scale, say=say, warn=warn,
    )  # fmt: skip


def _say_diameters(options: TrainOptions, say: Callable[[str], None]) -> None:
    for name, diameter in options.diameters.items() if "bbox" in options.in_angstrom else ():
        say(f"--bbox {name and f'of {name} '}is {diameter:.4g} voxels")


def _in_voxels(options: TrainOptions) -> bool:
    """Whether somebody has given the diameter in voxels, and may have meant Angstrom."""
    return "bbox" in options.given and "bbox" not in options.in_angstrom


def _compare(run: TrainingRun, labelled: Sequence[LabelledVolume], recipe: Recipe) -> None:
    """Say how many of the labels are found, of which nothing was learned."""
    heat_maps = ((volume, predict(run.state.ema_network, volume, recipe.flips)) for volume in labelled)
    found = compare_with_labels(heat_maps, recipe)
    run.console.say(found.text)
    if doubt := found.warning():
        run.console.warn(doubt)


def _scale(preset: Preset, diameters: Sequence[float], say: Callable[[str], None]) -> float:
    """At which size the network is to see the tomograms; said where it is another than theirs."""
    known = None if isinstance(preset, PublishedPreset) else preset.diameters
    scale = 1.0 if known is None else scale_for_all(diameters, known)
    say_scale(diameters, scale, say)
    return scale


def _maker(
    options: TrainOptions, preset: Preset, diameters: Sequence[float], device: torch.device, *, resumed: bool
) -> MakeMethod:
    """How the run makes a method; it begins with the weights of ``--load-model`` unless it is resumed."""
    make: MakeMethod = partial(make_method, preset, diameters=diameters, device=device)
    if options.load_model is None or resumed:
        return make
    path: Path = options.load_model

    def make_with_weights(volumes: Sequence[LabelledVolume]) -> Method:
        method = make(volumes)
        load_initial_weights(method.network, path)
        return method

    return make_with_weights


def _schedule(options: TrainOptions, epochs: int, *, simulated: bool) -> Schedule:
    return Schedule(
        epochs=epochs,
        seed=options.seed,
        interval=options.val_interval,
        save_all=options.save_all,
        metric=options.metric,
        fully_labelled=options.val_fully_labelled or simulated,
        pictures=options.debug == "4",
        limit=options.K,
        print_every=options.print_iter,
    )


def _begin(run: TrainingRun, options: TrainOptions, rank: int) -> None:
    """Go on with the run in the folder, or keep it under another name."""
    folder = run.folder
    if options.resume and folder.last.is_file():
        run.resume(folder.last)
    elif options.resume:
        run.console.say(f"nothing to resume in {folder.path}: this run begins anew")
    if rank:
        return
    if not options.resume and not options.overwrite:
        refuse_earlier(folder)  # which may have ended since the first look
    elif not options.resume and (kept := keep_earlier(folder)):
        run.console.say(f"the earlier training is kept as {kept}")
    if run.is_unfinished and (exported := folder.last.with_suffix(".onnx")).is_file():
        exported.unlink()  # else it would stand beside a model that it is not made of
        run.console.say(f"{exported} is removed: it is of the training as it was before")


def _report(run: TrainingRun, recipe: Recipe) -> None:
    """What the model suggests and expects, and what to label next."""
    for one in recipe.classes:
        of, score = one.particle and f"{one.particle}: ", one.threshold.score
        digits = 2 if score >= TELLS_NOTHING else 4
        run.console.say(f"{of}suggested threshold {score:.{digits}f} ({one.threshold.basis})")
        if score < TELLS_NOTHING:
            run.console.warn(
                f"{of}such a score leaves nearly every candidate: the network does not tell the labels from the rest; "
                "more epochs, more labels, or labels on better places would help"
            )
        if one.calibration is not None:
            run.console.say(f"{of}expected: about {counted(round(one.calibration.particles), 'particle')} per tomogram")
    for line in run.suggestions:
        run.console.say(line)
    run.console.say(f"wrote {run.folder.path}; which model to use: {run.folder.model_selection}")
