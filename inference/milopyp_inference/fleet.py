"""Many processes on one list: started, watched through what they leave on disk, started once more for the rest.

The processes are ordinary calls of ``milopyp-infer``, here or elsewhere; claims see to it that no two pick the same
tomogram, and records say what is done. Nothing is sent between them and this one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, Protocol

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.lists import ImageEntry

from .records import Run, line_of, read_record, summarise

ATTEMPTS = 2
POLL = 0.5  # seconds


class Fleet(Protocol):
    """Processes that pick a list of tomograms."""

    def start(self, images: Sequence[ImageEntry]) -> None:
        """Set them to work on these, or find those that are at work already."""

    def running(self) -> bool:
        """Whether one of them may still pick something."""

    def fate(self) -> str:
        """Why a tomogram may have been left without a record, when none is running any more."""

    def leave(self) -> None:
        """End what is not to go on without this process."""


def pick_with(fleet: Fleet, run: Run, images: Sequence[ImageEntry], overwrite: bool) -> dict[str, Any]:
    """Let a fleet pick all tomograms; returns the run's summary, as `batch.pick_all` does.

    What failed, or was left by a process that died, is tried once more.
    """
    console = run.console
    make_folder(run.folder / "records")
    if overwrite:
        for image in images:
            run.record_path(image).unlink(missing_ok=True)
    waiting = [image for image in images if run.finished(image) is None]
    if done := len(images) - len(waiting):
        console.say(f"{done} of {len(images)} tomograms are done already")
    try:
        for attempt in range(ATTEMPTS):
            if not waiting:
                break
            if attempt:
                console.say(f"once more: {', '.join(image.name for image in waiting[:5])}{' ...' * (len(waiting) > 5)}")
            _watch(fleet, run, waiting)
            waiting = [image for image in waiting if run.finished(image) is None]
    finally:
        fleet.leave()
    for image in waiting:
        if read_record(run.record_path(image)).get("status") != "failed":
            left = run.identity(image) | {"status": "failed", "error": fleet.fate()}
            write_text(run.record_path(image), json.dumps(left, indent=1) + "\n")
    return summarise(run, images)


def _watch(fleet: Fleet, run: Run, images: Sequence[ImageEntry]) -> None:
    """Say what becomes of each tomogram until the fleet has ended."""
    seen = {image.name: _stamp(run, image) for image in images}
    fleet.start(images)
    with run.console.progress("tomogram", len(images)) as progress:
        at_work = True
        while at_work:
            at_work = fleet.running()
            for image in images:
                if image.name in seen and _stamp(run, image) not in (None, seen[image.name]):
                    del seen[image.name]
                    progress.step(f"{image.name} {line_of(read_record(run.record_path(image)))}")
            if at_work:
                time.sleep(POLL)


def _stamp(run: Run, image: ImageEntry) -> int | None:
    """Changes whenever a record is written."""
    try:
        return run.record_path(image).stat().st_mtime_ns
    except OSError:
        return None
