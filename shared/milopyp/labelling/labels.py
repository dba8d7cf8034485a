"""Labels as a person makes them: what a step changes, and what undoing it brings back."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.particles import Particle
from milopyp_training.data.classes import apart

PARTICLE, NOTHING = 1, 0  # what a label says of its place

Place: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Label:
    """What a person says of a place.

    Attributes
    ----------
    tomogram
        Its name.
    xyz
        Voxels, inside frame.
    kind
        `PARTICLE`, or `NOTHING`: what is there is none, however much it looks like one.
    species
        The number of the class of particles that it is one of, or none of.
    """

    tomogram: str
    xyz: Place
    kind: int = PARTICLE
    species: int = 0

    def speaks_of(self, species: int) -> bool:
        """Whether it says something of a class: a particle of one is none of any other."""
        return self.kind == PARTICLE or self.species == species


@dataclass(frozen=True)
class Step:
    """What one action of a person leaves, undone as a whole.

    Attributes
    ----------
    what
        In words, as on the button that undoes it.
    labels
        By their numbers; None: the label is gone.
    diameter, species
        Of which class particles have another size, voxels; None: they stay.
    """

    what: str
    labels: Mapping[int, Label | None] = field(default_factory=dict)
    diameter: float | None = None
    species: int = 0


class Labels:
    """All labels, and how they came about.

    Parameters
    ----------
    particles
        The classes, by their numbers, with the diameters that they have before anybody says otherwise.
    """

    def __init__(self, particles: Sequence[Particle]) -> None:
        self.particles = list(particles)
        self.by_number: dict[int, Label] = {}
        self._by_tomogram: dict[str, dict[int, Label]] = {}
        self.next_number = 1
        self._done: list[tuple[Step, Step]] = []  # each with the step back
        self._undone: list[Step] = []

    @property
    def can_undo(self) -> str | None:
        """What undoing would take back, in words; None: nothing is left to be undone."""
        return self._done[-1][0].what if self._done else None

    @property
    def can_redo(self) -> str | None:
        """What was undone last, in words."""
        return self._undone[-1].what if self._undone else None

    def take(self, step: Step) -> None:
        """Take a step; what was undone before it cannot be done again."""
        self._undone.clear()
        self._forward(step)

    def undo(self) -> None:
        """Take the last step back, if there is one."""
        if self._done:
            step, back = self._done.pop()
            self._set(back)
            self._undone.append(step)

    def redo(self) -> None:
        """Take the step again that was undone last, if there is one."""
        if self._undone:
            self._forward(self._undone.pop())

    def of(self, tomogram: str) -> list[tuple[int, Label]]:
        """The labels of a tomogram with their numbers, in the order in which they were made."""
        return sorted(self._by_tomogram.get(tomogram, {}).items())

    def xyz(self, tomogram: str, kind: int = PARTICLE, species: int = 0) -> NDArray[np.float64]:
        """``(n, 3)`` places of a kind that are of a class, voxels, inside frame."""
        return places(label.xyz for _, label in self.of(tomogram) if (label.kind, label.species) == (kind, species))

    def against(self, tomogram: str, species: int) -> NDArray[np.float64]:
        """``(n, 3)`` places of which a person has said that they hold no particle of a class.

        A particle of another class is none of this one, unless one of this one has a label there as well.
        """
        others = places(
            label.xyz for _, label in self.of(tomogram) if label.kind == PARTICLE and label.species != species
        )
        near = self.particles[species].diameter / 2
        others = others[apart(others, self.xyz(tomogram, PARTICLE, species), near)]
        return np.concatenate([self.xyz(tomogram, NOTHING, species), others])

    def know(self, species: int, particle: Particle) -> None:
        """A class, the next one or one that is known, is called so and has this size."""
        self.particles[species : species + 1] = [particle]

    def labelled(self, tomograms: Container[str]) -> list[int]:
        """The numbers of the classes that have particles in some of these."""
        found = {one.species for one in self.by_number.values() if one.kind == PARTICLE and one.tomogram in tomograms}
        return sorted(found)

    def tomograms(self) -> list[str]:
        """Names of those with labels of any kind, in the order of their first ones."""
        first = {name: min(own) for name, own in self._by_tomogram.items() if own}
        return sorted(first, key=lambda name: first[name])

    def _forward(self, step: Step) -> None:
        before = {number: self.by_number.get(number) for number in step.labels}
        size = None if step.diameter is None else self.particles[step.species].diameter
        self._done.append((step, Step(step.what, before, size, step.species)))
        self._set(step)

    def _set(self, step: Step) -> None:
        for number, label in step.labels.items():
            self.next_number = max(self.next_number, number + 1)  # numbers are never given twice
            if (old := self.by_number.pop(number, None)) is not None:
                del self._by_tomogram[old.tomogram][number]
            if label is not None:
                self.by_number[number] = label
                self._by_tomogram.setdefault(label.tomogram, {})[number] = label
        if step.diameter is not None:
            self.know(step.species, replace(self.particles[step.species], diameter=step.diameter))


def places(found: Iterable[Place]) -> NDArray[np.float64]:
    """``(n, 3)`` of places one by one."""
    return np.array(list(found), np.float64).reshape(-1, 3)
