"""Suggestions: a head learned from the labels there are, asked about tomograms whose features are kept.

A thread of its own does one thing after the other: what the tomogram in view lacks comes first. Features are made once
and kept; a head and its answers are made anew after every label.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milopyp_inference.engine.features import FeatureNetwork, open_features, read_feature_file
from milopyp_learning.heads import Known, learn_head
from milopyp_learning.kept_features import keep_features
from milopyp_learning.model import recipe_of
from milopyp_learning.promises import LEARNED
from milopyp_shared.errors import MilopypError, UsageError
from milopyp_shared.head import Head
from milopyp_shared.matching import exclude_near
from milopyp_shared.peaks import warm_up
from milopyp_shared.preprocessing import Contrast, grey_levels
from milopyp_shared.recipe import Recipe
from milopyp_shared.resample import resampled
from milopyp_shared.scale import scale_for_all
from milopyp_shared.tomogram import Tomogram
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.picking import picks_of, scores_of_labels
from milopyp_training.evaluation.threshold import OF_HEADS, suggested_score

from .answers import Found, Shown, Wanted

LOWEST, MOST = 0.02, 5000  # suggestions that the page is told of


@dataclass(frozen=True)
class _Learned:
    """A head, of which state of the labels, and the score that it suggests."""

    revision: int
    head: Head
    score: float


class Suggestions:
    """Makes suggestions in the background.

    Parameters
    ----------
    tomograms
        By name.
    folder
        Where features are kept.
    changed
        Called whenever there is something new to show.
    say
        Is told what the terminal is to show.

    Attributes
    ----------
    shown
        What there is by tomogram; entries are replaced, never changed.
    """

    def __init__(
        self,
        tomograms: Mapping[str, Tomogram],
        contrast: Contrast,
        folder: Path,
        changed: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.shown = {name: Shown() for name in tomograms}
        self._tomograms, self._contrast, self._folder = tomograms, contrast, folder
        self._changed, self._say = changed, say
        self._diameters = read_feature_file()[1].diameters
        self._wanted: Wanted | None = None
        self._view, self._species = next(iter(tomograms)), 0
        self._known: dict[str, Known] = {}
        self._scale = 0.0
        self._learned: dict[int, _Learned] = {}  # by class
        self._wake, self._stopped = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="milopyp-suggestions", daemon=True)
        self._thread.start()

    def scale_of(self, diameters: Sequence[float]) -> float:
        """At which size the network sees tomograms with particles of these voxels; a `UsageError` if at none."""
        return scale_for_all(diameters, self._diameters)

    def why_none(self, diameters: Sequence[float]) -> str | None:
        """Why nothing is suggested of particles of these sizes together, as undoing may leave them; None: it is."""
        try:
            self.scale_of(diameters)
        except UsageError as error:
            remedy = "Change one, or redo; nothing new is suggested until then."
            return str(UsageError(error.found, where="sizes", expected=error.expected, remedy=remedy))
        return None

    def want(self, wanted: Wanted) -> None:
        """The labels are others now."""
        with self._wake:
            self._wanted = wanted
            for species, said in enumerate(wanted.classes):
                if not said.labelled:  # nothing is like no label
                    self._forget(species)
            self._wake.notify()

    def _forget(self, species: int) -> None:
        for name, shown in self.shown.items():
            if species in shown.found:
                left = {number: found for number, found in shown.found.items() if number != species}
                self._show(name, version=shown.version + 1, found=left)

    def look_at(self, name: str, species: int = 0) -> None:
        """Put a tomogram and a class first; what has failed with it is tried again."""
        with self._wake:
            self._view, self._species = name, species
            self._show(name, error=None)
            self._wake.notify()

    def stop(self) -> None:
        """End the thread; features that are not complete are not kept."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()

    def _show(self, name: str, **new: Any) -> None:
        with self._wake:
            self.shown[name] = replace(self.shown[name], **new)

    def _run(self) -> None:
        try:
            network = open_features(say=self._say)
            warm_up()
        except MilopypError as error:
            for name in self.shown:
                self._show(name, error=str(error))
            self._changed()
            return
        while (job := self._next()) is not None:
            wanted, name, species = job
            try:
                if species is None:
                    self._look(network, wanted, name)
                else:
                    self._answer(network, wanted, name, species)
            except _Stopped:
                return
            except MilopypError as error:
                self._show(name, features=None, error=str(error))
            except Exception as error:  # such as no memory: a thread has nobody else to tell
                self._show(name, features=None, error=f"{type(error).__name__}: {error}")
            self._changed()

    def _next(self) -> tuple[Wanted, str, int | None] | None:
        """For which labels which tomogram is to be looked at (None), or asked about a class; waits for it."""
        with self._wake:
            while not self._stopped:
                if self._wanted is not None and (chosen := self._choose(self._wanted)) is not None:
                    return self._wanted, *chosen
                self._wake.wait()
        return None

    def _choose(self, wanted: Wanted) -> tuple[str, int | None] | None:
        """The tomogram in view comes first, then what heads are learned from, then the others; so do classes."""
        labelled = wanted.labelled
        try:
            fresh = set(self._known) if self._scale == self.scale_of(wanted.diameters) else set()
        except UsageError:  # see `why_none`
            return None
        classes = sorted(range(len(wanted.classes)), key=lambda species: species != self._species)
        learned = [species for species in classes if wanted.classes[species].labelled & fresh]
        order = sorted(self.shown, key=lambda name: (name != self._view, name not in labelled))
        for name in order:
            shown = self.shown[name]
            if shown.error is not None:
                continue
            if name not in fresh:
                if name == self._view or name in labelled or learned:
                    return name, None
                continue
            for species in learned:
                if shown.of(species).revision != wanted.revision:
                    return name, species
        return None

    def _look(self, network: FeatureNetwork, wanted: Wanted, name: str) -> None:
        """Make the features of a tomogram, or take those that are kept."""
        scale = self.scale_of(wanted.diameters)
        if scale != self._scale:
            self._known, self._learned, self._scale = {}, {}, scale
            for other, shown in self.shown.items():
                before = {species: replace(found, revision=0) for species, found in shown.found.items()}
                self._show(other, features=None, found=before)

        def told(share: float) -> None:
            self._show(name, features=share)
            self._changed()
            if self._stopped:
                raise _Stopped

        told(0.0)
        tomogram = self._tomograms[name]
        grey = grey_levels(resampled(tomogram, scale), network.description.grey, self._contrast)
        volume = LabelledVolume(name, grey, np.empty((0, 3)), tomogram.voxel_size, scale=scale)
        features = keep_features(network, volume, self._folder / f"{scale:g}", told)
        self._known[name] = Known(volume, features)
        self._show(name, features=1.0)

    def _answer(self, network: FeatureNetwork, wanted: Wanted, name: str, species: int) -> None:
        """Ask the head of a class's labels about a tomogram."""
        said = wanted.classes[species]
        known = [
            Known(replace(one.volume, xyz=said.particles[own], rejected=said.rejected[own]), one.features)
            for own, one in self._known.items()
        ]
        labelled = [one for one in known if len(one.volume.xyz)]
        others = [one for one in known if not len(one.volume.xyz)]
        data = TrainingSet([one.volume for one in labelled], [], said.diameter, self._contrast)
        recipe = recipe_of(network, data)
        learned = self._learned.get(species)
        if learned is None or learned.revision != wanted.revision:
            learned = self._learned[species] = _learn(labelled, others, recipe, wanted.revision)
        [asked] = [one for one in known if one.volume.name == name]
        picks = picks_of(asked.features.heat_map(learned.head), asked.volume, recipe)
        picks = exclude_near(picks[picks.score > LOWEST][:MOST], asked.volume.told, said.diameter / 2)
        with self._wake:
            if self._wanted is None or not self._wanted.classes[species].labelled:
                return  # the last label has gone meanwhile
            shown = self.shown[name]
            found = {**shown.found, species: Found(wanted.revision, picks, learned.score)}
            self._show(name, version=shown.version + 1, found=found)


def _learn(labelled: Sequence[Known], others: Sequence[Known], recipe: Recipe, revision: int) -> _Learned:
    """The head of all labels, and the score that it suggests from what it says of those that it has seen."""
    head = learn_head(labelled, TargetMap(recipe.diameter, recipe.geometry.stride), others)
    heat_maps = [(one.volume, one.features.heat_map(head)) for one in labelled]
    scores = scores_of_labels(heat_maps, recipe)
    return _Learned(revision, head, suggested_score(scores, OF_HEADS, LEARNED))


class _Stopped(Exception):
    """The server ends."""
