"""The steps of ``milopyp-infer`` from the model on: model and headers, then picking here or by other processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from milopyp_shared.axes import NO_TURN
from milopyp_shared.errors import CheckError, FullDiskError
from milopyp_shared.formats.registry import DYNAMO
from milopyp_shared.masks import find_masks
from milopyp_shared.names import listed
from milopyp_shared.particles import of_class
from milopyp_shared.status import NAME as STATUS
from milopyp_shared.status import StatusFile
from milopyp_shared.wording import counted

from .batch.batch import pick_all, summarise_what_there_is
from .batch.chosen import as_chosen, written_words
from .batch.class_runs import refuse_other_classes
from .batch.counting import Counting
from .batch.dry_run import what_would_be_done
from .batch.dynamo_map import plan_numbers
from .batch.folder_doubts import folder_doubts
from .batch.identity import absolute
from .batch.into_project import hand_over
from .batch.picking_run import PickingRun
from .batch.prechecks import (
    check_headers,
    check_memory,
    check_names,
    check_naming,
    open_first,
    refuse_foreign_picks,
)
from .batch.record_files import find_summary, read_summary
from .batch.records import Picked, RunSummary
from .batch.states import Pick, State, why_again
from .batch.table import write_table
from .engine.machine import Machine
from .engine.model import Model, open_model, precision_of
from .engine.providers.registry import choose
from .engine.runtime import import_onnxruntime
from .launch.launcher import pick_with
from .launch.local import EXIT_DISK_FULL, LocalWorkers
from .launch.slurm import SlurmArray
from .options import InferOptions, check_against_recipe
from .pick_options import check_classes, pick_options, threshold_note, typed_options
from .request import Images, Request, with_levels

ONLY_THE_RECIPE = Machine("cpu", threads=1)  # of a process that leads others


def open_run(request: Request, images: Images) -> tuple[PickingRun, Images]:
    """Open the model, hold options and headers against it, and say what is to be known before.

    Of the tomograms in OME-Zarr the levels are known from here on.

    Raises
    ------
    MilopypError
        The model cannot be used here or with these options, or none of the tomograms and masks can.
    """
    options, console = request.options, request.console
    alone = request.launcher is None
    model = open_model(
        options.model, request.machine if alone else ONLY_THE_RECIPE, console.say, leave_all=options.dry_run
    )
    if isinstance(request.launcher, LocalWorkers):
        precision = precision_of(model.recipe, request.machine.precision, model.path)
        choose(request.machine.provider, precision, gpu=request.machine.device)  # as each of them will
    console.detail(f"{model.path} on {model.provider.name}, onnxruntime {import_onnxruntime().__version__}")
    if model.path != options.model:
        console.say(f"{model.path} is the export of {options.model}: picking with it")
    check_against_recipe(options, model.recipe, model.path)
    check_classes(options, request.decoding, model.recipe, model.path)
    names = [one.particle for one in model.recipe.classes]
    refuse_other_classes(request.folder, names if len(names) > 1 else [])
    if options.fiber and options.with_score:
        console.say("points of fibres have no score: --with-score changes nothing")
    images = with_levels(request, images, model.recipe.voxel_size)
    if images.of_project is not None:
        images = replace(images, targets=images.of_project.targets(options, names, console.say))
    counting = Counting(len(images.own))
    status = StatusFile(_status_path(request), counting.facts, console.warn)
    classes = [_run_of(kind, model, request, images) for kind in range(len(model.recipe.classes))]
    first, *others = (replace(one, counting=counting, status=status) for one in classes)
    run = replace(first, others=tuple(others))
    if not options.as_worker:  # who has called it has looked at the whole list
        _check_whole_list(run, request, images)
    return run, images


def _run_of(kind: int, model: Model, request: Request, images: Images) -> PickingRun:
    """What the call works with for a class; what counts is said.

    Each of several classes has a folder of its own in that of the outputs, which is a run like any other.
    """
    options, recipe = request.options, model.recipe.classes[kind]
    several = len(model.recipe.classes) > 1
    folder = request.folder / recipe.particle if several else request.folder
    call, typed = pick_options(options, request.decoding, recipe), typed_options(options)
    chosen = as_chosen(call, typed, find_summary(folder) if several else images.before, model.sha256)
    numbers = {}
    if DYNAMO in chosen.options.formats:
        numbers = plan_numbers(folder, [absolute(image.path) for image in images.everything])
    if not options.as_worker:
        threshold = chosen.options.selection.threshold
        asked = of_class(request.decoding.thresholds, recipe.particle, None) is not None
        own = asked or threshold != call.selection.threshold
        for note in filter(None, [threshold_note(threshold if own else None, recipe), *chosen.notes]):
            request.console.say(note)
    named, heat_map = images.naming.said, options.heat_map
    return PickingRun(model, call, chosen.options, folder, request.console, typed, numbers, named, heat_map, kind)


def _status_path(request: Request) -> Path | None:
    """Of this process's status; of those of one machine, only who leads them has one."""
    if request.shard is not None:
        return request.folder / f"status.{request.shard.number}-of-{request.shard.count}.json"
    return None if request.options.as_worker else request.folder / STATUS


def _check_whole_list(run: PickingRun, request: Request, images: Images) -> None:
    options = request.options
    if options.mask is not None:
        masks = find_masks(options.mask, images.everything, request.console.say)
        if options.mask_distance is not None and (without := {own.name for own in images.everything} - masks.keys()):
            request.console.say(f"without distances from a mask: {listed(sorted(without))}")
    for one in run.classes:
        check_names(one, images.everything)
        if not options.overwrite:
            refuse_foreign_picks(one, images.own)
    for target in images.targets:
        target.refuse_others([image.name for image in images.own], overwrite=options.overwrite)
    check_headers(run, images.everything)
    check_naming(run, images.everything, images.naming)
    if note := images.naming.note({image.name: image.label for image in images.everything}, run.options.formats):
        request.console.say(note)


def show_plan(request: Request, run: PickingRun, images: Images) -> int:
    """Say what would be done with each tomogram, and write the batch script of ``--slurm``; returns the exit code."""
    states = _states(run, images, request.options)
    table, fail = what_would_be_done(run, images.own, states)
    request.console.answer(table)
    if isinstance(request.launcher, SlurmArray):
        script = request.launcher.write(images.own)
        if run.numbers:  # which its jobs must know
            run.begin()
        request.console.say(f"wrote {script}; submit it with sbatch")
        if images.targets:
            request.console.say("then give this command without --slurm: it writes the picks into the project")
    return 1 if fail else 0


def _states(run: PickingRun, images: Images, options: InferOptions) -> dict[str, State]:
    """What is to be done with each tomogram, by name."""
    if options.overwrite:
        return {image.name: Pick() for image in images.own}
    return {image.name: run.state(image) for image in images.own}


def pick(request: Request, run: PickingRun, images: Images) -> int:
    """Pick, here or by other processes; returns the exit code.

    Raises
    ------
    CheckError
        Every tomogram failed, or no space is left.
    """
    with run.status as status:
        status.code = _pick_and_conclude(request, run, images)
        return status.code


def _pick_and_conclude(request: Request, run: PickingRun, images: Images) -> int:
    _write_table(request, images, None)  # one of an earlier call must not be taken for this one's, should it die
    try:
        summary = _pick(request, run, images)
    except KeyboardInterrupt:
        if not request.options.as_worker:
            summarise_what_there_is(run)
        raise
    except FullDiskError:
        if request.launcher is not None or not request.options.as_worker:
            raise
        return EXIT_DISK_FULL
    _write_table(request, images, summary)
    left = _hand_over(run, images, summary)
    return max(_conclude(run, images, summary), left)


def _write_table(request: Request, images: Images, summary: RunSummary | None) -> None:
    """Write what ``--summary`` asks for, from what is known so far."""
    if request.options.summary is not None and not request.options.as_worker:
        records = () if summary is None else summary.tomograms
        write_table(request.options.summary, records, [image.name for image in images.own])


def _pick(request: Request, run: PickingRun, images: Images) -> RunSummary:
    options = request.options
    states = _states(run, images, options)
    if not options.as_worker:
        for line in why_again(states):
            run.console.say(line)
    if request.launcher is not None:
        return pick_with(request.launcher, run, images.own, options.overwrite)
    to_pick = [image for image in images.own if isinstance(states[image.name], Pick)]
    check_memory(run, to_pick)
    begun = len(to_pick) < len(images.own) or options.as_worker or request.shard is not None
    opened = {} if begun else open_first(run, images.own)
    return pick_all(run, images.own, states, overwrite=options.overwrite, opened=opened)


def _hand_over(run: PickingRun, images: Images, summary: RunSummary) -> bool:
    """Write the picks of each class into the copick project, if there is one, and say so; whether some could not be."""
    asked, failed = {image.name for image in images.own}, False
    for target, (one, said) in zip(images.targets, _of_each(run, summary), strict=False):
        here = [own for own in said.tomograms if isinstance(own, Picked) and own.name in asked]
        here = [own for own in here if one.is_of_this_call(own)]
        problems = hand_over(target, one.folder, here, run.console.warn)
        for name, why in problems.items():
            run.console.fail(name, why)
        if done := len(here) - len(problems):
            run.console.say(f"the picks of {counted(done, 'run')} are in the project: {target.words}")
        failed = failed or bool(problems)
    return failed


def _of_each(run: PickingRun, summary: RunSummary) -> Iterator[tuple[PickingRun, RunSummary]]:
    """The runs of all classes, with what their folders say of themselves; `summary` is that of the first."""
    yield run, summary
    for one in run.others:
        yield one, read_summary(one.folder)


def _say_picks(run: PickingRun, images: Images, summary: RunSummary) -> None:
    """Say what is in the folder of a class."""
    asked = {image.name for image in images.everything}
    picked_here = [own for own in summary.tomograms if isinstance(own, Picked) and own.name in asked]
    here = [own for own in picked_here if run.is_of_this_call(own)]
    picks, tomograms = counted(sum(own.picks for own in here), "pick"), counted(len(asked), "tomogram")
    run.console.say(f"{picks} in {len(here)} of {tomograms}: {run.folder}")
    if more := len({own.name for own in summary.tomograms} - asked):
        run.console.say(f"{run.folder} holds {more} more, of other calls: run.json and milopyp report have them all")
    if run.options.turn != NO_TURN:
        run.console.say(f"written: {written_words(run.options)}")
    for doubt in folder_doubts(run.folder, summary, [own.name for own in picked_here if own not in here]):
        run.console.warn(doubt)


def _conclude(run: PickingRun, images: Images, summary: RunSummary) -> int:
    """Say what came of it; returns the exit code, 1 when some tomograms failed."""
    own = {image.name for image in images.own}
    for one, said in _of_each(run, summary):
        run.counting.end(said, own, kind=one.kind)
        _say_picks(one, images, said)
    failed = {image.name: summary.failed[image.name] for image in images.own if image.name in summary.failed}
    for name, error in failed.items():
        run.console.fail(name, error)
    if len(failed) == len(images.own):
        raise CheckError(
            "every tomogram failed", where=run.folder, expected="one at least that can be picked",
            remedy="The lines above say why.",
        )  # fmt: skip
    return 1 if failed else 0
