"""What suggestions are made from, and what there is of them: what a person has said, what a tomogram seems to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.picks import Picks, as_picks


@dataclass(frozen=True)
class Said:
    """What a person has said of a class.

    Attributes
    ----------
    diameter
        Voxels.
    particles, rejected
        Places by tomogram that hold a particle of it, and that hold none, ``(n, 3)``.
    """

    diameter: float
    particles: Mapping[str, NDArray[np.float64]]
    rejected: Mapping[str, NDArray[np.float64]]

    @property
    def labelled(self) -> set[str]:
        """Tomograms with particles."""
        return {name for name, xyz in self.particles.items() if len(xyz)}


@dataclass(frozen=True)
class Wanted:
    """What suggestions are to be made from.

    Attributes
    ----------
    revision
        Number of the state of the labels.
    classes
        What was said of each: each is learned as if it were the only one.
    """

    revision: int
    classes: Sequence[Said]

    @property
    def diameters(self) -> list[float]:
        """Of each class, voxels."""
        return [said.diameter for said in self.classes]

    @property
    def labelled(self) -> set[str]:
        """Tomograms with particles of any class."""
        return set().union(*(said.labelled for said in self.classes))


@dataclass(frozen=True)
class Found:
    """What a tomogram seems to hold of one class.

    Attributes
    ----------
    revision
        Of the labels that were answered; 0: none.
    picks
        Best first, none near a label.
    score
        Above which picks are likely to be particles.
    """

    revision: int = 0
    picks: Picks = field(default_factory=lambda: as_picks([]))
    score: float | None = None


NOTHING_FOUND = Found()


@dataclass(frozen=True)
class Shown:
    """What there is of one tomogram.

    Attributes
    ----------
    features
        How much of the features is made, 0..1; None: not begun.
    version
        Grows with every new answer; 0: there is none.
    found
        By the number of the class.
    error
        Why there is nothing.
    """

    features: float | None = None
    version: int = 0
    found: Mapping[int, Found] = field(default_factory=dict)
    error: str | None = None

    def of(self, species: int) -> Found:
        """What there is of a class."""
        return self.found.get(species, NOTHING_FOUND)
