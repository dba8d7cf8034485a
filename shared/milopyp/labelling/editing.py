"""What a person does to labels: checked, kept in the journal, and told to whoever has to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from milopyp_shared.axes import inside
from milopyp_shared.errors import MilopypError, UsageError
from milopyp_shared.lengths import LARGEST, SMALLEST
from milopyp_shared.tomogram import Tomogram
from milopyp_shared.wording import counted

from .journal import Journal
from .labels import NOTHING, PARTICLE, Label, Place, Step, places

MOST_LABELS = 100_000
_SAME = 0.25  # diameters within which two labels would be of one place
_WORDS = {PARTICLE: "label", NOTHING: "“none”"}


class Editing:
    """Changes labels, one step at a time.

    Every method raises a `UsageError` for what cannot be, and what the journal raises where a step cannot be kept; the
    labels are as before then.

    Parameters
    ----------
    tomograms
        By name, open.
    lock
        Held during a step and what `edited` does, not while `meant` looks.
    edited
        Called after every step.
    meant
        Name of a tomogram, ``(3,)`` click and class -> ``(3,)`` the middle of what was clicked on.

    Attributes
    ----------
    problem
        Why the last step could not be kept; None: it was.
    """

    def __init__(
        self,
        journal: Journal,
        tomograms: Mapping[str, Tomogram],
        lock: AbstractContextManager[object],
        edited: Callable[[], None],
        meant: Callable[[str, NDArray[np.float64], int], NDArray[np.float64]],
    ) -> None:
        self.problem: str | None = None
        self._journal, self._tomograms, self._lock = journal, tomograms, lock
        self._edited, self._meant = edited, meant

    def add(self, name: str, xyz: Place, kind: int, species: int = 0, *, snapped: bool) -> tuple[int, Label]:
        """A new label, in the middle of what it is on if `snapped`, in place of one that was there; its number."""
        self._refuse_unknown(species)
        label = Label(name, self._placed(name, xyz, snapped, species), kind, species)
        with self._lock:
            number = self._journal.labels.next_number
            what = f"add {self._called(number, label)}"
            self._take(Step(what, self._replaced([label]) | {number: label}))
        return number, label

    def add_all(self, name: str, accepted: Sequence[Place], kind: int, species: int = 0) -> None:
        """Labels at suggestions that a person agrees with, or not; one step."""
        self._refuse_unknown(species)
        with self._lock:
            first = self._journal.labels.next_number
            made = [Label(name, self._inside(name, xyz), kind, species) for xyz in accepted]
            what = f"{'accept' if kind == PARTICLE else 'reject'} {counted(len(made), 'suggestion')}"
            if made:
                labels = dict(enumerate(made, first))
                self._take(Step(f"{what}{self._of(species)}", self._replaced(made) | labels))

    def move(self, number: int, xyz: Place, *, snapped: bool) -> Label:
        """A label is put elsewhere."""
        meant = self._label(number)
        place = self._placed(meant.tomogram, xyz, snapped, meant.species)
        with self._lock:
            label = replace(self._label(number), xyz=place)
            self._take(Step(f"move {self._called(number, label)}", {number: label}))
        return label

    def change(self, number: int, kind: int, species: int | None = None) -> None:
        """A label says the opposite, or is of another class (None: it stays)."""
        with self._lock:
            old = self._label(number)
            species = old.species if species is None else species
            self._refuse_unknown(species)
            self._take(Step(f"change label {number}", {number: replace(old, kind=kind, species=species)}))

    def remove(self, number: int) -> None:
        """A label goes."""
        with self._lock:
            self._take(Step(f"remove {self._called(number, self._label(number))}", {number: None}))

    def set_diameter(self, diameter: float, species: int = 0) -> None:
        """Particles of a class have another size, voxels."""
        self._refuse_unknown(species)
        if not SMALLEST <= diameter <= LARGEST:
            raise UsageError(f"{diameter:g} voxels", where="size", expected=f"{SMALLEST:g} to {LARGEST:g}")
        with self._lock:
            self._take(Step(f"change the size{self._of(species)}", {}, float(diameter), species))

    def undo(self) -> None:
        """Take the last step back."""
        with self._lock:
            self._keep(self._journal.undo)

    def redo(self) -> None:
        """Take the step again that was undone last."""
        with self._lock:
            self._keep(self._journal.redo)

    def _replaced(self, added: Sequence[Label]) -> dict[int, Label | None]:
        """Labels that go because new ones, of one tomogram, kind and class, say something of the same places.

        What says nothing of the same class stays: a place can be none of two classes.
        """
        labels, first = self._journal.labels, added[0]
        there = [
            (number, label)
            for number, label in labels.of(first.tomogram)
            if label.speaks_of(first.species) and first.speaks_of(label.species)
        ]
        if not there:
            return {}
        away, _ = cKDTree(places(one.xyz for one in added)).query(places(label.xyz for _, label in there))
        near = np.flatnonzero(np.asarray(away) < _SAME * labels.particles[first.species].diameter)
        return {there[index][0]: None for index in near.tolist()}

    def _called(self, number: int, label: Label) -> str:
        return f"{_WORDS[label.kind]} {number}{self._of(label.species)}"

    def _of(self, species: int) -> str:
        """Whose it is, where that is not clear."""
        name = self._journal.labels.particles[species].name
        return name and f" of {name}"

    def _refuse_unknown(self, species: int) -> None:
        if species not in range(len(self._journal.labels.particles)):
            raise UsageError(f"no class {species + 1}", where="labels", expected="one that is there")

    def _take(self, step: Step) -> None:
        if len(self._journal.labels.by_number.keys() | step.labels.keys()) > MOST_LABELS:
            raise UsageError("too many labels", where="labels", expected=f"at most {MOST_LABELS}")
        self._keep(lambda: self._journal.take(step))

    def _keep(self, change: Callable[[], None]) -> None:
        try:
            change()
        except MilopypError as error:
            self.problem = str(error)
            raise
        self.problem = None
        self._edited()

    def _label(self, number: int) -> Label:
        found = self._journal.labels.by_number.get(number)
        if found is None or found.tomogram not in self._tomograms:
            raise UsageError(f"no label {number}", where="labels", expected="one that is there")
        return found

    def _placed(self, name: str, xyz: Place, snapped: bool, species: int) -> Place:
        click = self._inside(name, xyz)
        if not snapped:
            return click
        last = np.array(self._tomograms[name].shape[::-1]) - 1
        x, y, z = np.clip(self._meant(name, np.array(click, np.float64), species), 0, last).tolist()
        return self._inside(name, (x, y, z))

    def _inside(self, name: str, xyz: Place) -> Place:
        shape = self._tomograms[name].shape
        if not inside(np.array([xyz]), shape).all():
            raise UsageError(f"{xyz} lies outside {name}", where="labels", expected=f"inside {shape[::-1]} voxels")
        x, y, z = (round(float(value), 2) for value in xyz)
        return (x, y, z)
