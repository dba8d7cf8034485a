"""Many processes on one list: started, watched through what they leave on disk, started once more for the rest.

The processes are ordinary calls of ``milopyp-infer``, here or elsewhere; leases see to it that no two pick the same
tomogram, and records say what is done. Nothing is sent between them and this one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product
from typing import Protocol

from msgspec import structs

from milopyp_shared import stores
from milopyp_shared.errors import ContradictionError
from milopyp_shared.files import file_size
from milopyp_shared.lists import ImageEntry
from milopyp_shared.wording import counted

from ..batch.batch import keep_up
from ..batch.leases import Leases
from ..batch.picking_run import PickingRun, stamps, summarise
from ..batch.record_files import RECORDS, read_record
from ..batch.records import Failed, Picked, RunSummary
from ..batch.stage import keep_changed, remember, stage_of
from ..batch.states import Cut, Done, State

ATTEMPTS = 2


class Launcher(Protocol):
    """Processes that pick a list of tomograms.

    Attributes
    ----------
    interval
        Seconds between looks at what they have done.
    """

    interval: float

    def start(self, images: Sequence[ImageEntry]) -> bool:
        """Set them to work on these; False when others, started earlier, are at work still."""

    def running(self) -> bool:
        """Whether one of them may still pick something."""

    def should_stop(self) -> bool:
        """Whether another try would end like the last one, or is not wanted."""

    def failure_reason(self) -> str:
        """Why a tomogram may have been left without a record, when none is running any more."""

    def shutdown(self) -> None:
        """End what is not to go on without this process."""


def pick_with(launcher: Launcher, run: PickingRun, images: Sequence[ImageEntry], overwrite: bool) -> RunSummary:
    """Let other processes pick tomograms; returns the folder's summary, as `batch.pick_all` does.

    What failed, or was left by a process that died, is tried once more.

    Raises
    ------
    ContradictionError
        Everything is to be picked anew, and others are at it; or they have given Dynamo's numbers to other tomograms.
    """
    run.begin()
    run.status.begin()
    if overwrite:
        _forget(launcher, run, images)
    states = {image.name: run.state(image) for image in images}
    waiting = [image for image in images if not isinstance(states[image.name], Done)]
    run.count(*(state.record for state in states.values() if isinstance(state, Done)))
    if done := len(images) - len(waiting):
        run.console.say(f"done already: {done} of {counted(len(images), 'tomogram')}")
    there = []
    for image in waiting:
        if stores.is_there(image.path):
            there.append(image)
        else:  # a list that names it would be refused
            run.fail(image, f"{image.path}: no such file")
    with Leases(run.folder / RECORDS) as leases:
        for image in [own for own in images if _has_moved(states[own.name])]:
            keep_up(run, leases, image)
        try:
            left = _try(launcher, run, there, leases)
        finally:
            launcher.shutdown()
        not_cut = [image.name for image in left if isinstance(run.state(image), Cut)]
        for image in [own for own in left if own.name not in not_cut]:
            _record_failure(launcher, run, image, leases)
    *_, summary = [summarise(one) for one in reversed(run.classes)]
    why = "cannot be cut anew, or nobody has come to it; its picks are as they were"
    return structs.replace(summary, failed=summary.failed | dict.fromkeys(not_cut, why))


def _has_moved(state: State) -> bool:
    return isinstance(state, Done) and state.moved


def _forget(launcher: Launcher, run: PickingRun, images: Sequence[ImageEntry]) -> None:
    """Remove the records of tomograms that are to be picked anew, and with them what is known of their files."""
    if launcher.running():
        raise ContradictionError(
            "jobs are at work there", where=run.folder, expected="--overwrite only when none is",
            remedy="Leave it out to follow them, or end them first.",
        )  # fmt: skip
    for image, one in product(images, run.classes):
        keep_changed(one.files(image), one.given_up(image), run.console.warn)
        remember(stage_of(one.record_path(image)), one.files(image))
        one.record_path(image).unlink(missing_ok=True)


def _try(launcher: Launcher, run: PickingRun, images: Sequence[ImageEntry], leases: Leases) -> list[ImageEntry]:
    """Start the processes as often as makes sense; returns the tomograms that are not done then."""
    waiting, attempts = list(images), 0
    while waiting and attempts < ATTEMPTS:
        if attempts:
            some = ", ".join(image.name for image in waiting[:5]) + " ..." * (len(waiting) > 5)
            run.console.say(f"once more: {some}")
        attempts += _watch(launcher, run, waiting, leases)
        waiting = [image for image in waiting if run.finished(image) is None]
        if launcher.should_stop():
            break
    return waiting


def _record_failure(launcher: Launcher, run: PickingRun, image: ImageEntry, leases: Leases) -> None:
    """Say why a tomogram was left, unless somebody is at it or its own record says so."""
    if not leases.acquire(image.name):
        return
    record = read_record(run.record_path(image))
    said_why = isinstance(record, Failed) and run.is_of_this_call(record)
    if not said_why and run.finished(image) is None:
        run.fail(image, launcher.failure_reason())
    leases.release(image.name)


def _watch(launcher: Launcher, run: PickingRun, images: Sequence[ImageEntry], leases: Leases) -> bool:
    """Say what becomes of each tomogram until nobody is at work; returns whether processes were started for them."""
    seen, unfinished = stamps(run.folder), {image.name: image for image in images}
    started = launcher.start(images)
    work = {image.name: file_size(image.path) for image in images}
    run.counting.current = lambda: tuple(leases.all_taken())
    with run.console.progress("tomogram", len(images), sum(work.values())) as progress:
        run.counting.seconds_left = progress.seconds_left
        at_work = True
        while at_work:
            at_work = launcher.running() or any(leases.is_taken(name) for name in unfinished)
            now = stamps(run.folder)
            for name, image in list(unfinished.items()):
                if now.get(name) not in (None, seen.get(name)) and (record := read_record(run.record_path(image))):
                    seen[name] = now[name]
                    run.count(record)
                    if isinstance(record, Picked):
                        del unfinished[name]
                    progress.step(f"{name} {run.in_words(record)}", work[name])
            if at_work:
                time.sleep(launcher.interval)
    return started
