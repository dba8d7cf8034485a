"""Labels of several classes in one tomogram: what those of one say of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from milopyp_shared.particles import Particle

from .dataset import LabelledVolume

NAMED = 5  # places in a warning


def of_each(
    volume: LabelledVolume,
    labels: Mapping[int, NDArray[np.float64]],
    particles: Sequence[Particle],
    *,
    may_overlap: bool = False,
) -> list[LabelledVolume]:
    """A tomogram as every class that was labelled in it has it.

    Where there is a particle of another class, there is none of this one; if they `may_overlap`, nothing is known. A
    place that has labels of two classes says nothing of either to the other.

    Parameters
    ----------
    labels
        ``(n, 3)`` by the number of the class, voxels.
    particles
        All classes.
    """
    made = []
    for kind, xyz in labels.items():
        own = [other for number, other in labels.items() if number != kind]
        others = np.concatenate([np.empty((0, 3)), *own])
        others = others[apart(others, xyz, particles[kind].diameter / 2)]
        own_view = replace(volume, kind=kind, xyz=xyz)
        made.append(replace(own_view, ignored=others) if may_overlap else replace(own_view, rejected=others))
    return made


def shared_places(labels: Mapping[int, NDArray[np.float64]], particles: Sequence[Particle]) -> str | None:
    """One sentence that shows places with labels of two classes, nearer than the smaller one's radius; None: no such.

    Parameters as those of `of_each`.
    """
    found = []
    for first, second in combinations(labels, 2):
        radius = min(particles[first].diameter, particles[second].diameter) / 2
        near = ~apart(labels[first], labels[second], radius)
        names = f"{particles[first].name} and {particles[second].name}"
        found += [f"{names} {' '.join(f'{value:g}' for value in place)}" for place in labels[first][near]]
    if not found:
        return None
    return f"W18 labels of two classes on one place, {len(found)}: {'; '.join(found[:NAMED])}" + (
        "; ..." if len(found) > NAMED else ""
    )


def apart(points: NDArray[np.float64], others: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """Which points ``(n, 3)`` have none of the others ``(m, 3)`` within a radius; ``(n,)``."""
    if not len(points) or not len(others):
        return np.ones(len(points), np.bool_)
    distance, _ = cKDTree(others).query(points)
    return np.asarray(distance > radius)
