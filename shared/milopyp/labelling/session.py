"""A labelling at work: what the page asks for and changes, in words that do not know of HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.atomic import remove_leftovers
from milopyp_shared.errors import MilopypError, UsageError
from milopyp_shared.matching import exclude_near
from milopyp_shared.picks import Picks
from milopyp_shared.wording import counted

from . import runs
from .editing import Editing
from .files import MODELS, write_files
from .jobs import Jobs
from .journal import Journal
from .labels import NOTHING, PARTICLE
from .runs import Method
from .setting import Setting
from .slices import SliceShelf
from .snap import snap
from .suggestions import Shown, Suggestions, Wanted
from .windows import Windows

_PER_SOURCE = 1_000_000_000  # versions of suggestions
_STALE = 600.0  # seconds after which half a file is nobody's: a job may go on when the page's server was killed
_NEAR = 0.4  # of a click, diameters: a suggestion that is meant by it
_LIKELY = 0.5  # of the suggested score, that such a suggestion has at least


class Session:
    """Everything that the page sees.

    Parameters
    ----------
    journal
        Of `setting.out`, in which all tomograms are known.
    say, warn
        What the terminal is told.

    Attributes
    ----------
    number
        Of the state; it grows with every change.
    edits
        What changes the labels.
    """

    def __init__(
        self, setting: Setting, journal: Journal, say: Callable[[str], None], warn: Callable[[str], None]
    ) -> None:
        self.setting, self._journal, self._warn = setting, journal, warn
        self.number = self.revision = 1
        self._unsaved: str | None = None  # why lists cannot be written
        self._methods = runs.methods()
        self.source: str | None = None  # of the suggestions; None: the clicks
        self._switched = 0  # times
        self._answers: dict[str, runs.Answer] = {}  # of the source, by tomogram
        self._scores: dict[str, float | None] = {}  # that models suggest
        self._windows = Windows()
        self._lock = threading.RLock()
        self.edits = Editing(journal, setting.tomograms, self._lock, self._edited, self._meant)
        for folder in (setting.out, setting.out / MODELS, *(setting.out / runs.FEATURES).glob("*")):
            remove_leftovers(folder, older_than=_STALE)
        self.slices = SliceShelf(list(setting.tomograms.values()))
        self.suggestions = Suggestions(
            setting.tomograms, setting.contrast, setting.out / runs.FEATURES, self._changed, say
        )
        self.jobs = Jobs(setting.out, self._changed)
        self._dirty, self._ended = threading.Event(), False
        self._dirty.set()  # the journal may know more than the files: it was killed, or labels were brought
        self._writer = threading.Thread(target=self._write_files, name="milopyp-files", daemon=True)
        self._writer.start()
        self._ask()
        self.look_at(0)
        if model := self._model():
            with suppress(MilopypError):  # what it has found may be gone
                self.show(model)

    def state(self, window: str | None = None) -> dict[str, Any]:
        """All that is small; numbers of the page's contract."""
        count = self._windows.seen(window)
        with self._lock:
            labels, running = self._journal.labels, self.jobs.all
            sizes = [tomogram.voxel_size for tomogram in self.setting.tomograms.values() if tomogram.voxel_size]
            return {
                "number": self.number,
                "version": version("milopyp"),
                "out": str(self.setting.out),
                "revision": self.revision,
                "diameter": labels.diameter,
                "angstrom": labels.diameter * sizes[0] if sizes else None,
                "windows": count,
                "undo": labels.can_undo,
                "redo": labels.can_redo,
                "problem": self.edits.problem or self._unsaved,
                "method": self._methods[0],
                "methods": self._methods,
                "tomograms": [self._tomogram(index) for index in range(len(self.setting.names))],
                "jobs": [
                    {**{key: value for key, value in vars(job).items() if key != "log"}, "log": "\n".join(job.log)}
                    for job in running
                ],
                "model": self.source,
                "models": runs.models(self.setting.out),
                "sources": runs.sources(self.setting.out),
                "picking": self._picking(),
            }

    def _tomogram(self, index: int) -> dict[str, Any]:
        name = self.setting.names[index]
        tomogram, shown = self.setting.tomograms[name], self.suggestions.shown[name]
        answer = self._answers.get(name)
        z, y, x = tomogram.shape
        return {
            "index": index,
            "name": name,
            "size": [x, y, z],
            "voxel": tomogram.voxel_size,
            "path": str(tomogram.path),
            "labels": [[number, *label.xyz, label.kind] for number, label in self._journal.labels.of(name)],
            "features": shown.features,
            "copied": self.slices[index].share,
            "suggestions": self._version(shown),
            "current": bool(self.source) or shown.revision == self.revision,
            "score": answer.score if answer else None if self.source else shown.score,
            "count": answer.count if answer else None,
            "error": shown.error,
        }

    def suggested(self, index: int) -> tuple[int, Picks]:
        """Version and suggestions of a tomogram, best first, none near a label."""
        name = self.setting.names[index]
        with self._lock:
            shown, labels, answer = self.suggestions.shown[name], self._journal.labels, self._answers.get(name)
            picks = shown.picks if self.source is None else answer.picks if answer else shown.picks[:0]
            for kind in (PARTICLE, NOTHING):  # labels may be newer than the suggestions
                picks = exclude_near(picks, labels.xyz(name, kind), labels.diameter / 2)
            return self._version(shown), picks

    def _version(self, shown: Shown) -> int:
        """Of the suggestions: another number when others are shown."""
        return _PER_SOURCE * self._switched + (1 if self.source else shown.version)

    def look_at(self, index: int) -> None:
        """A tomogram is in view: what it lacks is made first."""
        self.slices.look_at(index)
        self.suggestions.look_at(self.setting.names[index])

    def set_diameter(self, diameter: float) -> None:
        """Particles have another size, voxels; a `UsageError` where the network cannot see them at any."""
        try:
            self.suggestions.scale_of(diameter)
        except UsageError as error:
            raise UsageError(f"{diameter:g} voxels", where="size", expected=error.expected) from error
        self.edits.set_diameter(diameter)

    def _edited(self) -> None:
        self.revision += 1
        self._dirty.set()
        self._ask()
        self._changed()

    def _ask(self) -> None:
        labels, names = self._journal.labels, self.setting.names
        particles = {name: labels.xyz(name, PARTICLE) for name in names}
        rejected = {name: labels.xyz(name, NOTHING) for name in names}
        self.suggestions.want(Wanted(self.revision, labels.diameter, particles, rejected))

    def _changed(self) -> None:
        with self._lock:
            self.number += 1

    def _meant(self, name: str, click: NDArray[np.float64]) -> NDArray[np.float64]:
        """A suggestion that a click is on, or the middle of the blob there."""
        diameter, tomogram = self._journal.labels.diameter, self.setting.tomograms[name]
        index = self.setting.names.index(name)
        _, picks = self.suggested(index)
        likely = picks[picks.score > _LIKELY * (self.suggestions.shown[name].score or 0.0)]
        if len(likely):
            away = np.linalg.norm(likely.xyz - click, axis=1)
            nearest = int(np.argmin(away))
            if away[nearest] <= _NEAR * diameter:
                found: NDArray[np.float64] = likely.xyz[nearest]
                return found
        try:
            return snap(click, diameter, self.slices[index].box, tomogram.shape, self.setting.contrast)
        except MilopypError:  # the file is gone: the click counts all the same
            return click

    def train(self, method: Method) -> int:
        """Start a training under a name that is free; the number of the job.

        Raises
        ------
        UsageError
            There are no labels, it cannot be done here, or another job is at work.
        """
        if method not in runs.methods():
            raise UsageError(method, where="training", expected="milopyp[export], which is not installed here")
        with self._lock:
            labels, out = self._journal.labels, self.setting.out
            if not any(len(labels.xyz(name)) for name in labels.tomograms()):
                raise UsageError("no label yet", where="training", expected="a click on a particle")
            self._save()
            name, scale = self._free_name("label-"), self.suggestions.scale_of(labels.diameter)
            lines = runs.training(self.setting, name, method, labels.diameter, scale)
            return self.jobs.start(method, name, lines, out / f"{name}.onnx", lambda: self.show(name)).number

    def pick(self, indices: Sequence[int], score: float | None) -> int:
        """Pick tomograms with the model in use, or the last one that was made; the number of the job.

        Raises
        ------
        UsageError
            There is no model, or another job is at work.
        """
        with self._lock:
            out = self.setting.out
            model = self._model()
            if model is None:
                raise UsageError("no model yet", where="picking", expected="a training before it")
            name, chosen = self._free_name("picks-"), [self.setting.names[index] for index in indices]
            lines = runs.picking(self.setting, name, model, chosen, score)
            return self.jobs.start("pick", name, lines, out / name, lambda: self.show(name)).number

    def _free_name(self, prefix: str) -> str:
        return runs.free_name(self.setting.out, prefix, {job.name for job in self.jobs.all})

    def show(self, name: str | None) -> str:
        """Show what a run has found in place of what the clicks suggest (None: the latter again); says what that is.

        Raises
        ------
        UsageError
            There is no such run.
        InputError
            What it has found is gone.
        """
        if name is not None and name not in runs.sources(self.setting.out):
            raise UsageError(name, where="source", expected="a run that was made here")
        answers = {} if name is None else runs.answers(self.setting.out, name)
        with self._lock:
            self.source, self._answers = name, answers
            self._switched += 1
        self._changed()
        return ", ".join(f"{counted(answer.count, 'pick')} in {own}" for own, answer in answers.items())

    def _model(self) -> str | None:
        """The one that picks: that whose answers are shown, or the last one."""
        models = runs.models(self.setting.out)
        return self.source if self.source in models else next(reversed(models), None)

    def _picking(self) -> dict[str, Any] | None:
        """With which model, and above which score if nobody says another one."""
        model = self._model()
        if model is None:
            return None
        if model not in self._scores and model in runs.sources(self.setting.out):  # its run may not be ended yet
            found = runs.answers(self.setting.out, model)
            self._scores[model] = next((answer.score for answer in found.values()), None)
        return {"model": model, "score": self._scores.get(model)}

    def leave(self, window: str, *, keep: bool) -> None:
        """A page goes; a job that is not to go on without a page ends when none comes back."""
        self._windows.gone(window, None if keep else self._stop_job)

    def end(self) -> str | None:
        """End everything; what was at work and is stopped, in words."""
        job = self.jobs.shutdown()
        self.suggestions.stop()
        self._ended = True
        self._dirty.set()
        self._writer.join()
        self._journal.close()
        return None if job is None else f"{job.name} was stopped: {job.line}"

    def _stop_job(self) -> None:
        if (job := self.jobs.running) is not None:
            self.jobs.stop(job.number)

    def _write_files(self) -> None:
        """Lists and models follow the journal, a moment behind it."""
        ended = False
        while not ended:
            self._dirty.wait()
            ended = self._ended
            self._dirty.clear()
            with self._lock:
                try:
                    self._save()
                    self._unsaved = None
                except MilopypError as error:
                    self._unsaved = str(error)
                    self._warn(self._unsaved)
                    self._changed()
            if not ended:
                time.sleep(0.3)

    def _save(self) -> None:
        frames = {name: tomogram.frame for name, tomogram in self.setting.tomograms.items()}
        write_files(self.setting.out, self._journal.labels, self._journal.paths, frames)
