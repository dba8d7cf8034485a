"""Picks of several classes against particles of several: which class was taken for which.

In: picks and particles by class. Out: counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from milopyp_shared.matching import match_greedy
from milopyp_shared.picks import Picks

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Confusion:
    """On particles of which class the picks of each class lie.

    Attributes
    ----------
    picks, particles
        The classes of the picks and of the particles, in the order of the counts; they need not be the same.
    on
        ``(picks, particles)``: picks of a class that lie on a particle of a class, each on another particle.
    n_picks, n_particles
        ``(picks,)`` and ``(particles,)``: all that there are.
    not_picked
        ``(particles,)``: particles on which no pick of any class lies.
    """

    picks: tuple[str, ...]
    particles: tuple[str, ...]
    on: Counts
    n_picks: Counts
    n_particles: Counts
    not_picked: Counts

    @property
    def on_none(self) -> Counts:
        """``(picks,)``: picks that lie on no particle, or on one that a better pick of their class has."""
        none: Counts = self.n_picks - self.on.sum(axis=1)
        return none

    @property
    def picked_again(self) -> Counts:
        """``(particles,)``: by how many picks of a second class, or a third, particles were picked, too."""
        again: Counts = self.on.sum(axis=0) + self.not_picked - self.n_particles
        return again

    def __add__(self, other: Confusion) -> Confusion:
        """Both together, of the same classes."""
        return Confusion(
            self.picks, self.particles, self.on + other.on, self.n_picks + other.n_picks,
            self.n_particles + other.n_particles, self.not_picked + other.not_picked,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """For JSON: by the class of the picks, and by that of the particles."""
        on, lists = self.on.tolist(), zip(self.on_none.tolist(), self.n_picks.tolist(), strict=True)
        picks = {
            name: {"on": dict(zip(self.particles, row, strict=True)), "on_none": none, "all": every}
            for name, row, (none, every) in zip(self.picks, on, lists, strict=True)
        }
        counts = zip(self.not_picked.tolist(), self.picked_again.tolist(), self.n_particles.tolist(), strict=True)
        particles = {
            name: {
                "picked_as": dict(zip(self.picks, column, strict=True)),
                "not_picked": not_picked, "picked_again": again, "all": every,
            }
            for name, column, (not_picked, again, every) in zip(
                self.particles, self.on.T.tolist(), counts, strict=True
            )
        }  # fmt: skip
        return {"picks": picks, "particles": particles}


def confuse(picks: Mapping[str, Picks], particles: Mapping[str, ArrayLike], radius: Mapping[str, float]) -> Confusion:
    """Match the picks of one tomogram with its particles.

    The picks of each class are matched by themselves, one to one and best score first: at first with the particles of
    their own class, as they are judged; those that are not right then with the particles of the other classes, each
    within the radius of its class. So a count on the diagonal is that of the right picks, and a particle that picks of
    two classes claim counts for both.

    Parameters
    ----------
    picks
        By class; voxels of the inside frame.
    particles
        ``(n, 3)`` x, y, z by class, voxels of the same frame.
    radius
        Of a match, voxels, by class of the particles; where it is not known, that of the pick's class counts.

    Raises
    ------
    InputError, UsageError
        As `milopyp_shared.matching.match_greedy`.
    """
    places = {name: np.asarray(xyz, dtype=np.float64).reshape(-1, 3) for name, xyz in particles.items()}
    sizes = [len(xyz) for xyz in places.values()]
    kind = np.repeat(np.arange(len(sizes)), sizes)  # of each particle, whatever its class
    xyz = np.concatenate([np.empty((0, 3)), *places.values()])
    claimed = np.zeros((len(picks), len(xyz)), dtype=bool)
    for row, (name, own) in enumerate(picks.items()):
        limits = np.array([radius.get(each, radius.get(name, 0.0)) for each in places], dtype=np.float64)[kind]
        is_own = np.array([each == name for each in places], dtype=bool)[kind]
        left = np.ones(len(own), dtype=bool)
        for these in (np.flatnonzero(is_own), np.flatnonzero(~is_own)):
            if not len(these):
                continue
            partner = match_greedy(own.xyz[left], own.score[left], xyz[these], limits[these]).truth_of_pick
            claimed[row, these[partner[partner >= 0]]] = True
            left[np.flatnonzero(left)[partner >= 0]] = False
    on = np.array([np.bincount(kind[own], minlength=len(sizes)) for own in claimed], dtype=np.int64)
    return Confusion(
        tuple(picks), tuple(places), on.reshape(len(picks), len(sizes)),
        np.array([len(own) for own in picks.values()], dtype=np.int64), np.array(sizes, dtype=np.int64),
        np.bincount(kind[~claimed.any(axis=0)], minlength=len(sizes)),
    )  # fmt: skip
