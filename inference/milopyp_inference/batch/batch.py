"""Many tomograms: one record each, written when its outputs are complete; a restart skips what is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import TypeAlias

from msgspec import structs

from milopyp_shared.atomic import SUFFIX, remove_leftovers
from milopyp_shared.errors import FullDiskError, InputError, MilopypError, memory_error
from milopyp_shared.files import file_size
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.lists import ImageEntry
from milopyp_shared.prefetch import Behind, prefetch
from milopyp_shared.wording import counted

from ..decode.membrane import Surface, seed_of, voxel_size_of
from ..decode.select import margin_in_voxels
from ..pipeline import prepare
from .cutting import cut_picks
from .leases import SUFFIX as LEASE
from .leases import Leases
from .one_tomogram import Ready, Searched, keep_picks, search_tomogram
from .picking_run import PickingRun, summarise
from .prechecks import Opened, check_formats, open_input
from .record_files import RECORDS
from .records import Failed, RunSummary
from .stage import SUFFIX as STAGE
from .stage import clear_stage, stage_of
from .states import Cut, Done, State
from .warm_up import WarmUp

Outcome: TypeAlias = Done | Cut | Failed | None  #: of a tomogram that is not searched; None when it is another's


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

    The next tomogram is read and prepared, and what was found in the last one is written, while the network works on
    this one. A tomogram that cannot be picked is reported and does not stop the others; one that another process is at
    is left to it.
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
        opened = {} if opened is None else opened
        with_what = _Work(run, leases, overwrite, parts, opened, _threads(run), warm_up, not_cut)
        prepared = ((image, _acquire_and_prepare(with_what, image)) for image in waiting)
        with Behind() as behind:
            for image, ready in prefetch(prepared):
                run.counting.current, size = partial(tuple, [image.name]), work[image.name]
                part, step, skip = (partial(tell, work=size) for tell in (progress.part, progress.step, progress.skip))
                if isinstance(ready, Ready):  # what is found has no name here, which would keep it while the next runs
                    behind.finish(partial(_finish, with_what, image, _search(run, image, ready, part), step))
                else:
                    behind.finish(partial(_finish, with_what, image, ready, skip))
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
    """What tomograms are prepared and finished with.

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
    not_cut
        Why picks could not be cut anew, by name.
    """

    run: PickingRun
    leases: Leases
    overwrite: bool
    parts: Sequence[str]
    opened: dict[str, Opened]
    threads: Iterator[int]
    warm_up: WarmUp
    not_cut: dict[str, str]


def _acquire_and_prepare(work: _Work, image: ImageEntry) -> Ready | Outcome:
    """The prepared tomogram, or what there is instead."""
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
        return Ready(prepared, found.asked, surfaces)
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


def _search(run: PickingRun, image: ImageEntry, ready: Ready, progress: Callable[[float], None]) -> Searched | Failed:
    """What the network finds in a tomogram."""
    try:
        return search_tomogram(run, image, ready, progress)
    except (MilopypError, MemoryError) as error:
        return _failed(run, image, error)


def _finish(work: _Work, image: ImageEntry, found: Searched | Outcome, count: Callable[[str], None]) -> None:
    """Write what has become of a tomogram, give it back, and `count` it, in words."""
    if found is None:
        count(f"{image.name} is left to the process that is at it")
        return
    if isinstance(found, Cut):
        said = "; ".join(_cut(one, image, work.not_cut) for one in reversed(work.run.classes))
    else:
        said = _conclude(work.run, image, found)
    work.leases.release(image.name)
    count(f"{image.name} {said}")


def _conclude(run: PickingRun, image: ImageEntry, found: Searched | Done | Failed) -> str:
    """Write what was found, or that nothing could be; returns it in words."""
    if isinstance(found, Done):
        run.count(found.record)
        return _done_already(run, image.name)
    try:
        if isinstance(found, Searched):
            return keep_picks(run, image, found)
        failed = found
    except (MilopypError, MemoryError) as error:
        failed = _failed(run, image, error)
    run.fail(image, failed.error)
    return run.in_words(failed)


def _done_already(run: PickingRun, name: str) -> str:
    return f"is already done: {run.picks_in_words(name)}"


def _failed(run: PickingRun, image: ImageEntry, error: MilopypError | MemoryError) -> Failed:
    """The record of a tomogram that cannot be picked; a full disk is raised: the next ones would fail, too."""
    if isinstance(error, FullDiskError):
        raise error
    return run.failed(image, error if isinstance(error, MilopypError) else memory_error(error, image.path))


def _remove_leftovers(run: PickingRun, image: ImageEntry) -> None:
    """What a killed process has left of this tomogram, which is ours now."""
    record = run.record_path(image)
    for path in (*run.files(image).all, record, record.with_suffix(LEASE)):
        remove_leftovers(path.parent, path.name)
