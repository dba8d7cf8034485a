"""A labelling at work: what the page asks for and changes, in words that do not know of HTTP."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.atomic import remove_leftovers
from milopyp_shared.colours import hex_colour_of
from milopyp_shared.errors import MilopypError, MissingDependency, UsageError
from milopyp_shared.matching import exclude_near
from milopyp_shared.picks import Picks, as_picks
from milopyp_shared.wording import counted

from . import runs
from .answers import Said, Shown, Wanted
from .editing import Editing
from .files import MODELS, Contents, write_files
from .jobs import Jobs
from .journal import Journal
from .labels import PARTICLE
from .runs import Method
from .setting import Setting
from .slices import SliceShelf
from .snap import snap
from .suggestions import Suggestions
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
        self._answers: dict[str, runs.Answers] = {}  # of the source, by tomogram
        self._scores: dict[str, dict[str, float]] = {}  # that models suggest, by class
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
        self._saving = threading.Lock()
        self._saved: Contents | None = None  # what the files say
        self._dirty, self._ended = threading.Event(), False
        self._dirty.set()  # the journal may know more than the files: it was killed, or labels were brought
        self._writer = threading.Thread(target=self._write_files, name="milopyp-files", daemon=True)
        self._writer.start()
        self._ask()
        self.look_at(0)
        if model := self._model(runs.models(setting.out)):
            with suppress(MilopypError):  # what it has found may be gone
                self.show(model)

    def state(self, window: str | None = None) -> dict[str, Any]:
        """All that is small; numbers of the page's contract."""
        count = self._windows.seen(window)
        models, sources = runs.models(self.setting.out), runs.sources(self.setting.out)
        picking = self._picking(models, sources)
        with self._lock:
            labels, running = self._journal.labels, self.jobs.all
            labelled = labels.labelled(self.setting.tomograms)
            return {
                "number": self.number,
                "out": str(self.setting.out),
                "revision": self.revision,
                "classes": [
                    {
                        "name": one.name,
                        "diameter": one.diameter,
                        "colour": hex_colour_of(number),
                    }
                    for number, one in enumerate(labels.particles)
                ],
                "windows": count,
                "undo": labels.can_undo,
                "redo": labels.can_redo,
                "problem": self.edits.problem or self._unsaved,
                "apart": self.suggestions.why_none(self._diameters()),
                "method": self._methods[0],
                "methods": self._methods,
                "tomograms": [self._tomogram(index, labelled) for index in range(len(self.setting.names))],
                "jobs": [
                    {**{key: value for key, value in vars(job).items() if key != "log"}, "log": "\n".join(job.log)}
                    for job in running
                ],
                "model": self.source,
                "models": models,
                "sources": sources,
                "picking": picking,
            }

    def _tomogram(self, index: int, labelled: Sequence[int]) -> dict[str, Any]:
        name = self.setting.names[index]
        tomogram, shown = self.setting.tomograms[name], self.suggestions.shown[name]
        species = range(len(self._journal.labels.particles))
        z, y, x = tomogram.shape
        return {
            "index": index,
            "name": name,
            "size": [x, y, z],
            "voxel": tomogram.voxel_size,
            "path": str(tomogram.path),
            "labels": [
                [number, *label.xyz, label.kind, label.species] for number, label in self._journal.labels.of(name)
            ],
            "features": shown.features,
            "suggestions": self._version(shown),
            "current": bool(self.source) or self._is_current(shown, labelled),
            "scores": [self._score(name, number) for number in species],
            "count": sum(one.count for one in self._answers[name].values()) if name in self._answers else None,
            "error": shown.error,
        }

    def _is_current(self, shown: Shown, labelled: Sequence[int]) -> bool:
        """Whether all is suggested that the labels of these classes say; where there are none, nothing is."""
        return bool(labelled) and all(shown.of(species).revision == self.revision for species in labelled)

    def suggested(self, index: int) -> tuple[int, list[Picks]]:
        """Version and suggestions of a tomogram by class, best first, none near a label that speaks of the class."""
        name = self.setting.names[index]
        with self._lock:
            shown, classes = self.suggestions.shown[name], range(len(self._journal.labels.particles))
            return self._version(shown), [self._open(name, species) for species in classes]

    def _open(self, name: str, species: int) -> Picks:
        if self.source is None:
            picks = self.suggestions.shown[name].of(species).picks
        else:
            answer = self._answers.get(name, {}).get(species)
            picks = answer.candidates if answer else as_picks([])
        labels = self._journal.labels  # they may be newer than the suggestions
        for xyz in (labels.xyz(name, PARTICLE, species), labels.against(name, species)):
            picks = exclude_near(picks, xyz, labels.particles[species].diameter / 2)
        return picks

    def _version(self, shown: Shown) -> int:
        """Of the suggestions: another number when others are shown."""
        version = 1 if self.source else shown.version
        return _PER_SOURCE * self._switched + version if version else 0

    def _score(self, name: str, species: int) -> float | None:
        """Above which suggestions of a class are likely to be right."""
        if self.source is None:
            return self.suggestions.shown[name].of(species).score
        answer = self._answers.get(name, {}).get(species)
        return answer.score if answer else None

    def look_at(self, index: int, species: int = 0) -> None:
        """A tomogram is in view, and a class is being labelled: what they lack is made first."""
        self.slices.look_at(index)
        self.suggestions.look_at(self.setting.names[index], species)

    def set_diameter(self, diameter: float, species: int = 0) -> None:
        """Particles have another size, voxels; a `UsageError` where the network cannot see them at any."""
        before = self._diameters()
        sizes = dict(enumerate(before)) | {species: diameter}
        try:
            self.suggestions.scale_of([diameter])
            if self.suggestions.why_none(before) is None:  # else it may take several steps
                self.suggestions.scale_of(list(sizes.values()))
        except UsageError as error:
            raise UsageError(f"{diameter:g} voxels", where="size", expected=error.expected) from error
        self.edits.set_diameter(diameter, species)

    def _diameters(self) -> list[float]:
        return [one.diameter for one in self._journal.labels.particles]

    def _edited(self) -> None:
        self.revision += 1
        self._dirty.set()
        self._ask()
        self._changed()

    def _ask(self) -> None:
        labels, names = self._journal.labels, self.setting.names
        classes = []
        for species, diameter in enumerate(self._diameters()):
            particles = {name: labels.xyz(name, PARTICLE, species) for name in names}
            classes.append(Said(diameter, particles, {name: labels.against(name, species) for name in names}))
        self.suggestions.want(Wanted(self.revision, classes))

    def _changed(self) -> None:
        with self._lock:
            self.number += 1

    def _meant(self, name: str, click: NDArray[np.float64], species: int) -> NDArray[np.float64]:
        """A suggestion of the class that a click is on, or the middle of the blob there."""
        diameter, tomogram = self._diameters()[species], self.setting.tomograms[name]
        index = self.setting.names.index(name)
        with self._lock:
            picks = self._open(name, species)
        likely = picks[picks.score > _LIKELY * (self._score(name, species) or 0.0)]
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
        MissingDependency
            The method's packages were not there when the page began.
        UsageError
            There are no labels, or another job is at work.
        """
        if method not in self._methods:
            raise MissingDependency(
                "the packages for it are not installed", where=f"method {method}",
                remedy="Run: pip install 'milopyp[export,cpu]', then milopyp label again.",
            )  # fmt: skip
        labels, out = self._journal.labels, self.setting.out
        if not self._save().tomograms:
            raise UsageError("no label yet", where="training", expected="a click on a particle")
        with self._lock:
            particles = [labels.particles[species] for species in labels.labelled(labels.tomograms())]
            name, scale = self._free_name("label-"), self.suggestions.scale_of([one.diameter for one in particles])
            lines = runs.training(self.setting, name, method, particles, scale)
            return self.jobs.start(method, name, lines, out / f"{name}.onnx", lambda: self.show(name)).number

    def pick(self, indices: Sequence[int], scores: Sequence[float | None]) -> int:
        """Pick tomograms with the model in use, or the last one that was made; the number of the job.

        Parameters
        ----------
        scores
            By class, above which picks count; None, or too few: those that the model suggests.

        Raises
        ------
        UsageError
            There is no model, or another job is at work.
        """
        out = self.setting.out
        model = self._model(runs.models(out))
        if model is None:
            raise UsageError("no model yet", where="picking", expected="a training before it")
        with self._lock:
            name, chosen = self._free_name("picks-"), [self.setting.names[index] for index in indices]
            said = {one.name: score for one, score in zip(self._journal.labels.particles, scores, strict=False)}
            lines = runs.picking(self.setting, name, model, chosen, said)
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
        particles = [one.name for one in self._journal.labels.particles]
        answers = {} if name is None else runs.answers(self.setting.out, name, particles)
        with self._lock:
            self.source, self._answers = name, answers
            self._switched += 1
        self._changed()
        return ", ".join(f"{_counts(own, particles)} in {tomogram}" for tomogram, own in answers.items())

    def _model(self, models: Sequence[str]) -> str | None:
        """The one that picks: that whose answers are shown, or the last one."""
        return self.source if self.source in models else next(reversed(models), None)

    def _picking(self, models: Sequence[str], sources: Sequence[str]) -> dict[str, Any] | None:
        """With which model, and above which score if nobody says another one."""
        model = self._model(models)
        if model is None:
            return None
        if model not in self._scores and model in sources:
            with suppress(MilopypError):  # its run is not ended, or was stopped
                self._scores[model] = runs.scores_of(self.setting.out, model)
        known = self._scores.get(model, {})
        return {"model": model, "scores": [[name, score] for name, score in known.items()]}

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
        return None if job is None else f"{job.name} was stopped: cd {shlex.quote(str(self.setting.out))} && {job.line}"

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
            try:
                self._save()
                self._unsaved = None
            except MilopypError as error:
                self._unsaved = str(error)
                self._warn(self._unsaved)
                self._changed()
            if not ended:
                time.sleep(0.3)

    def _save(self) -> Contents:
        """Write lists and models; what they say."""
        frames = {name: tomogram.frame for name, tomogram in self.setting.tomograms.items()}
        with self._saving:  # edits need not wait for the disk
            with self._lock:
                contents = Contents.of(self._journal.labels)
            write_files(self.setting.out, contents, self._saved, self._journal.paths, frames)
            self._saved = contents
        return contents


def _counts(answers: runs.Answers, particles: Sequence[str]) -> str:
    """How many picks of which class there are, in words."""
    said = [counted(own.count, f"{particles[species]} pick".strip()) for species, own in answers.items()]
    return ", ".join(said)
