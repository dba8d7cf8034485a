"""Many processes on one list: started, watched through what they leave on disk, started once more for the rest.

The processes are ordinary calls of ``milopyp-infer``, here or elsewhere; claims see to it that no two pick the same
tomogram, and records say what is done. Nothing is sent between them and this one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.errors import ContradictionError
from milopyp_shared.lists import ImageEntry

from ..batch.leases import Leases
from ..batch.records import PickingRun, read_record, status_line, summarise

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

    def fate(self) -> str:
        """Why a tomogram may have been left without a record, when none is running any more."""

    def leave(self) -> None:
        """End what is not to go on without this process."""


def pick_with(
    fleet: Launcher, run: PickingRun, images: Sequence[ImageEntry], everything: Sequence[ImageEntry], overwrite: bool
) -> dict[str, Any]:
    """Let a fleet pick tomograms; returns the summary of `everything`, as `batch.pick_all` does.

    What failed, or was left by a process that died, is tried once more.

    Raises
    ------
    ContradictionError
        Everything is to be picked anew, and a fleet is at it.
    """
    console = run.console
    make_folder(run.folder / "records")
    if overwrite:
        if fleet.running():
            raise ContradictionError(
                "jobs are at work there", where=run.folder, expected="--overwrite only when none is",
                remedy="Leave it out to follow them, or end them first.",
            )  # fmt: skip
        for image in images:
            run.record_path(image).unlink(missing_ok=True)
    waiting = [image for image in images if run.finished(image) is None]
    if done := len(images) - len(waiting):
        console.say(f"{done} of {len(images)} tomograms are done already")
    for image in waiting:
        if not image.path.exists():  # a list that names it would be refused
            _fail(run, image, f"{image.path}: no such file")
    there = [image for image in waiting if image.path.exists()]
    with Leases(run.folder / "records") as claims:
        try:
            attempts = 0
            while there and attempts < ATTEMPTS:
                if attempts:
                    console.say(f"once more: {', '.join(image.name for image in there[:5])}{' ...' * (len(there) > 5)}")
                attempts += _watch(fleet, run, there, claims)
                there = [image for image in there if run.finished(image) is None]
                if fleet.should_stop():
                    break
        finally:
            fleet.leave()
        for image in there:
            if claims.take(image.name):  # nobody is at it
                record = read_record(run.record_path(image))
                said_why = record.get("status") == "failed" and run.has_these_options(record)
                if run.finished(image) is None and not said_why:
                    _fail(run, image, fleet.fate())
                claims.release(image.name)
    return summarise(run, everything)


def _watch(fleet: Launcher, run: PickingRun, images: Sequence[ImageEntry], claims: Leases) -> bool:
    """Say what becomes of each tomogram until nobody is at work; returns whether the fleet was started for them."""
    seen, open_ones = _stamps(run), {image.name: image for image in images}
    started = fleet.start(images)
    with run.console.progress("tomogram", len(images)) as progress:
        at_work = True
        while at_work:
            at_work = fleet.running() or any(claims.held(name) for name in open_ones)
            stamps = _stamps(run)
            for name, image in list(open_ones.items()):
                if stamps.get(name) not in (None, seen.get(name)) and (record := read_record(run.record_path(image))):
                    seen[name] = stamps[name]
                    if record["status"] == "done":
                        del open_ones[name]
                    progress.step(f"{name} {status_line(record)}")
            if at_work:
                time.sleep(fleet.interval)
    return started


def _fail(run: PickingRun, image: ImageEntry, why: str) -> None:
    write_text(run.record_path(image), json.dumps(run.failure(image, why), indent=1) + "\n")


def _stamps(run: PickingRun) -> dict[str, int]:
    """Per tomogram, what changes whenever its record is written."""
    with os.scandir(run.folder / "records") as entries:
        return {
            entry.name.removesuffix(".json"): entry.stat().st_mtime_ns
            for entry in entries
            if entry.name.endswith(".json")
        }
