"""Many tomograms: one record each, written when its outputs are complete; a restart skips what is done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, repeat

from msgspec import structs

from milopyp_shared import axes
from milopyp_shared.atomic import SUFFIX, remove_leftovers
from milopyp_shared.errors import FullDiskError, InputError, MilopypError, memory_error
from milopyp_shared.files import file_size
from milopyp_shared.formats.candidates import as_written, read_candidates, write_candidates
from milopyp_shared.formats.registry import axes_warning
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.lists import ImageEntry
from milopyp_shared.prefetch import prefetch
from milopyp_shared.system import peak_memory_mib
from milopyp_shared.turns import turned_frame
from milopyp_shared.wording import counted

from ..decode.membrane import Surface, doubts, near_surface, seed_of, voxel_size_of
from ..decode.published import MARGIN, pick
from ..decode.published import ORDER as PUBLISHED_ORDER
from ..decode.rivals import with_rivals
from ..decode.select import Selection, margin_in_voxels, select_picks
from ..pipeline import Prepared, Result, prepare, run_network
from .cutting import cut_picks
from .heat_maps import write_heat_map
from .leases import SUFFIX as LEASE
from .leases import Leases
from .outputs import OutputFiles, write_all_picks, write_published_picks
from .picking_run import PickingRun, summarise
from .prechecks import Opened, check_formats, open_input
from .records import RECORDS, Failed, Picked, RunSummary, TomogramRecord
from .stage import SUFFIX as STAGE
from .stage import Stage, clear_stage, stage_of
from .states import Cut, Done, State
from .warm_up import WarmUp


def pick_all(
    run: PickingRun,
    images: Sequence[ImageEntry],
    states: Mapping[str, State],
    *,
    overwrite: bool = False,
    opened: dict[str, Opened] | None = None,
) -> RunSummary:
    """Pick tomograms; returns the folder's summary, which is also written as ``run.json``.

    Parameters
    ----------
    images
        Those that this process is to pick.
    states
        What is to be done with each, by name.
    overwrite
        Whether others may have been told to do again what is done.
    opened
        Tomograms that are open already, by name; each is taken out when its turn comes, so that it does not stay open.

    The next tomogram is read and prepared while the network works on this one. A tomogram that cannot be picked is
    reported and does not stop the others; one that another process is at is left to it.
    """
    folder = run.folder / RECORDS
    run.begin()
    run.status.begin()
    done = {name: state for name, state in states.items() if isinstance(state, Done)}
    named = {image.name: image for image in images}
    work = {image.name: file_size(image.path) for image in images}
    not_cut: dict[str, str] = {}
    warm_up = WarmUp()
    run.count(*(state.record for state in done.values()))
    with run.console.progress("tomogram", len(images), sum(work.values())) as progress, Leases(folder) as leases:
        run.counting.seconds_left = progress.seconds_left
        # looked for once: folders of thousands of files take long to list
        beside = [path.name for path in folder.iterdir() if path.suffix != ".json"]
        for name, state in done.items():
            left = [own for own in beside if own.removeprefix(".").startswith(f"{name}.")]
            if left:
                leases.clear(name)
            if state.moved or f"{name}{STAGE}" in left:
                keep_up(run, leases, named[name])
            progress.skip(f"{name} {_done_already(run, name)}", work[name])
        waiting = [image for image in images if image.name not in done]
        parts = [path.name for place in (run.folder, folder) for path in place.glob(f".*{SUFFIX}")]
        with_what = _Work(run, leases, overwrite, parts, {} if opened is None else opened, _threads(run), warm_up)
        prepared = ((image, _acquire_and_prepare(with_what, image)) for image in waiting)
        for image, found in prefetch(prepared):
            run.counting.current = partial(tuple, [image.name])
            if found is None:
                progress.skip(f"{image.name} is left to the process that is at it", work[image.name])
                continue
            if isinstance(found, Cut):
                said = "; ".join(_cut(one, image, not_cut) for one in reversed(run.classes))
            else:
                said = _conclude(run, image, found, partial(progress.part, work=work[image.name]))
            leases.release(image.name)
            count = progress.step if isinstance(found, _Ready) else progress.skip
            count(f"{image.name} {said}", work[image.name])
    warm_up.end()
    *_, summary = [summarise(one) for one in reversed(run.classes)]
    return structs.replace(summary, failed=summary.failed | not_cut)


def _threads(run: PickingRun) -> Iterator[int]:
    """For each tomogram that is prepared: all for the first, for which the network waits, then what that leaves."""
    everything = run.model.threads
    return chain([everything], repeat(everything if run.model.provider.gpu else 1))


def _has_candidates(run: PickingRun, image: ImageEntry) -> bool:
    """Whether its candidates can be read: where they are damaged, the tomogram is picked again."""
    try:
        for one in run.classes:
            read_candidates(one.files(image).candidates)
    except InputError:
        return False
    return True


def _cut(run: PickingRun, image: ImageEntry, failures: dict[str, str]) -> str:
    """Cut a class's picks of a tomogram anew, and say so; if that fails its record stays, and `failures` says why."""
    found = run.own_state(image)
    if not isinstance(found, Cut):
        return "as it was"
    try:
        record = cut_picks(found.record, run.folder, run.folder, run.written(image), run.console.warn)
    except FullDiskError:
        raise
    except MilopypError as error:
        failures[image.name] = f"{error} Its picks are as they were."
        return f"FAILED: {failures[image.name]}"
    run.counting.saw(record, kind=run.kind)
    return f"cut anew: {record.picks} of {counted(record.candidates, 'candidate')}"


def summarise_what_there_is(run: PickingRun) -> None:
    """After an interruption: ``run.json`` says what the records say, if it can be written."""
    with contextlib.suppress(MilopypError, OSError):
        for one in run.classes:
            summarise(one)


def keep_up(run: PickingRun, leases: Leases, image: ImageEntry) -> None:
    """Let the record of a tomogram that is done say where its file lies now, and remove what is left of a stage."""
    if not leases.acquire(image.name):
        return
    for one in run.classes:
        if isinstance(state := one.own_state(image), Done):
            one.write(state.record)
            clear_stage(stage_of(one.record_path(image)))
    leases.release(image.name)


@dataclass(frozen=True)
class _Work:
    """What tomograms are prepared with.

    Attributes
    ----------
    parts
        Names of the temporary files that were there when this process began.
    opened
        Tomograms that are open already, each until it is taken.
    threads
        To prepare each of them with, one after the other.
    warm_up
        Begins when the first one is prepared.
    """

    run: PickingRun
    leases: Leases
    overwrite: bool
    parts: Sequence[str]
    opened: dict[str, Opened]
    threads: Iterator[int]
    warm_up: WarmUp


@dataclass(frozen=True)
class _Ready:
    """A prepared tomogram.

    Attributes
    ----------
    asked
        What it was before it was opened.
    surfaces
        That the distances of each class are from.
    warnings, start
        That were said of it, and when picking it began.
    """

    prepared: Prepared
    asked: TomogramRecord
    surfaces: Sequence[Surface | None]
    warnings: tuple[str, ...] = ()
    start: float = 0.0


def _acquire_and_prepare(work: _Work, image: ImageEntry) -> _Ready | Done | Cut | Failed | None:
    """The prepared tomogram, or what there is instead; None when it is another's."""
    run, leases, opened = work.run, work.leases, work.opened.pop(image.name, None)
    try:
        if not leases.acquire(image.name):
            return None
        state = run.state(image)
        if not work.overwrite and (isinstance(state, Done) or (isinstance(state, Cut) and _has_candidates(run, image))):
            return state  # done by another process meanwhile, or with candidates that hold
        if leases.taken_over(image.name) or any(part.startswith(f".{image.name}") for part in work.parts):
            for one in run.classes:
                _remove_leftovers(one, image)
        found = opened or open_input(run, image)
        for one in run.classes:  # known to be impossible before the work is done
            margin_in_voxels(one.options.selection, found.tomogram.frame)
        check_formats(run, image, found.tomogram)
        recipe, options, threads = run.model.recipe, run.options, next(work.threads)
        inside = found.mask if options.mask_distance is None else None
        prepared = prepare(found.tomogram, recipe, options.contrast, options.rescale, inside, threads=threads)
        work.warm_up.begin()
        surfaces = [_surface(one, image.name, found, prepared.rescaled) for one in run.classes]
        return _Ready(prepared, found.asked, surfaces)
    except (MilopypError, MemoryError) as error:
        return _failed(run, image, error)


def _surface(run: PickingRun, name: str, found: Opened, rescaled: float) -> Surface | None:
    """What distances are measured from, if they are asked for and the tomogram has a mask."""
    options = run.options
    if options.mask_distance is None or found.mask is None:
        return None
    size = voxel_size_of(found.tomogram.frame)
    nearest, farthest = (each / size for each in options.mask_distance)
    facing = run.recipe.diameter / 2 / rescaled if options.normals else None
    return Surface(found.mask, nearest, farthest, size, facing, seed_of(name))


def _conclude(
    run: PickingRun, image: ImageEntry, found: _Ready | Done | Failed, progress: Callable[[float], None]
) -> str:
    """Pick what is ready and write what has become of the tomogram; returns it in words."""
    if isinstance(found, Done):
        run.count(found.record)
        return _done_already(run, image.name)
    try:
        if isinstance(found, _Ready):
            return _pick_one(run, image, found, progress)
        failed = found
    except (MilopypError, MemoryError) as error:
        failed = _failed(run, image, error)
    run.fail(image, failed.error)
    return run.in_words(failed)


def _done_already(run: PickingRun, name: str) -> str:
    return f"is already done: {run.picks_in_words(name)}"


def _pick_one(run: PickingRun, image: ImageEntry, ready: _Ready, progress: Callable[[float], None]) -> str:
    """Pick a tomogram, write outputs and record of each class; returns it in words."""
    prepared = ready.prepared
    ready = replace(ready, start=time.perf_counter(), warnings=tuple(_warn(image.name, prepared, run)))
    results = run_network(prepared, run.model, run.options.flips, progress)
    results = [
        result if surface is None else replace(result, candidates=near_surface(result.candidates, surface))
        for result, surface in zip(results, ready.surfaces, strict=True)
    ]
    if run.others:
        results = _with_rivals(run, results, prepared)
    for one, result in reversed(list(zip(run.classes, results, strict=True))):
        record = _keep(one, image, ready, result)
    steps = ", ".join(f"{step} {value:.2f} s" for step, value in record.seconds.items())
    run.console.detail(f"{image.name} on {run.model.provider.runtime_name}: {steps}")
    return run.in_words(record)


def _with_rivals(run: PickingRun, results: Sequence[Result], prepared: Prepared) -> list[Result]:
    """The results of the classes, each with what the others have at its places."""
    candidates = with_rivals(
        [as_written(result.candidates) for result in results],
        [_in_its_voxels(one.options.selection, prepared) for one in run.classes],
        [one.recipe.diameter / prepared.rescaled for one in run.classes],
        prepared.tomogram.frame,
    )
    return [replace(result, candidates=own) for result, own in zip(results, candidates, strict=True)]


def _in_its_voxels(selection: Selection, prepared: Prepared) -> Selection:
    return replace(selection, distance=selection.distance / prepared.rescaled)


def _keep(run: PickingRun, image: ImageEntry, ready: _Ready, result: Result) -> Picked:
    """Write outputs and record of a class."""
    written, prepared = time.perf_counter(), ready.prepared
    known, before = run.given_up(image), run.recorded_outputs(image)
    asked = structs.replace(ready.asked, options=run.options, dynamo_tomogram=run.number_of(image))
    with Stage(run.files(image), stage_of(run.record_path(image))) as stage:
        picks = _write(stage.new, asked, result, prepared, run)
        outputs = stage.place(known, run.console.warn)
        end = time.perf_counter()
        seconds = result.seconds | {"write": end - written, "total": end - ready.start + prepared.seconds}
        record = asked.picked(
            shape_zyx=prepared.tomogram.shape,
            frame=prepared.tomogram.frame,
            diameter=run.recipe.diameter / prepared.rescaled,
            suppression_distance=run.options.selection.distance / prepared.rescaled,
            provider=run.model.provider.runtime_name,
            operators=run.model.engine.operators(),
            warnings=ready.warnings,
            levels=prepared.grey.levels,
            candidates=len(result.candidates),
            picks=picks,
            seconds={step: round(value, 4) for step, value in seconds.items()},
            peak_memory_mib=peak_memory_mib(),
            outputs=before | outputs,
        )
        run.write(record)
    return record


def _failed(run: PickingRun, image: ImageEntry, error: MilopypError | MemoryError) -> Failed:
    """The record of a tomogram that cannot be picked; a full disk is raised: the next ones would fail, too."""
    if isinstance(error, FullDiskError):
        raise error
    return run.failed(image, error if isinstance(error, MilopypError) else memory_error(error, image.path))


def _write(files: OutputFiles, asked: TomogramRecord, result: Result, prepared: Prepared, run: PickingRun) -> int:
    """Write one tomogram's outputs; returns the number of picks."""
    recipe, options, frame = run.recipe, run.options, prepared.tomogram.frame
    scale = prepared.rescaled
    candidates = as_written(result.candidates)  # picks are the same when they are cut anew from the table
    write_candidates(files.candidates, candidates)
    if options.published is None:
        picks = select_picks(candidates, _in_its_voxels(options.selection, prepared), frame)
        for doubt in doubts(picks):
            run.console.say(f"{asked.name}: {doubt}")
        z, y, x = recipe.voxel_per_output
        write_heat_map(files.heat, result.heat, frame, (z / scale, y / scale, x / scale))
        write_all_picks(files, picks, frame, asked, recipe.diameter / 2 / scale)
        return len(picks)
    threshold = options.selection.threshold
    xyz, score, left_out = pick(result.heat, options.published, threshold, recipe.voxel_per_output, prepared.mask)
    if left_out:
        run.console.say(f"{asked.name}: {left_out}")
    write_heat_map(files.heat, result.heat, frame, recipe.voxel_per_output, PUBLISHED_ORDER)
    write_published_picks(files, xyz, score, frame, recipe.diameter / 2, with_score=options.with_score)
    return len(xyz)


def _remove_leftovers(run: PickingRun, image: ImageEntry) -> None:
    """What a killed process has left of this tomogram, which is ours now."""
    record = run.record_path(image)
    for path in (*run.files(image).all, record, record.with_suffix(LEASE)):
        remove_leftovers(path.parent, path.name)


def _warn(name: str, prepared: Prepared, run: PickingRun) -> list[str]:
    warnings, tomogram = [], prepared.tomogram
    if doubt := axes.order_warning(tomogram.order, tomogram.mrc.stored_shape):
        warnings.append(f"{name}: {doubt}")
    warnings += [f"{name}: {doubt}" for doubt in header_warnings(tomogram)]
    trained = run.model.recipe.voxel_size
    if trained and tomogram.voxel_size and not run.options.rescale and abs(tomogram.voxel_size / trained - 1) > 0.05:
        warnings.append(
            f"{name}: W02 voxels of {tomogram.voxel_size:.3g} A, but the model was trained at {trained:.3g} A "
            "(--rescale resamples)"
        )
    recipe, levels = run.model.recipe, prepared.grey.levels
    if levels and (doubt := levels.doubt(recipe.grey.statistics, recipe.levels)):
        warnings.append(f"{name}: {doubt}")
    if doubt := axes_warning(run.options.formats, turned_frame(tomogram.frame, run.options.turn).order):
        warnings.append(f"{name}: {doubt}")
    published = run.options.published
    if published and published.leaves_nothing(tomogram.shape, run.model.recipe.voxel_per_output):
        z, y, x = tomogram.shape
        warnings.append(
            f"{name}: W06 the published margins leave nothing of {x} x {y} x {z} voxels ({MARGIN} voxels at either "
            f"end of x and y, {published.cutoff_z} heat-map sections of z)"
        )
    for text in warnings:
        run.console.warn(text)
    return warnings
