"""Labels left out: asking a network, or a head, about labels that it has not seen.

What it says of them is what it would say of particles in general, so that it tells how many particles have no label,
which places may be some, how far picks can be trusted (`calibration`) and which labels are doubtful
(`label_suggestions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe

from ..data.cross_validated import CrossValidated
from ..data.dataset import LabelledVolume, with_particles
from .calibration import unlabelled_particles
from .picking import picks_of

Heat: TypeAlias = NDArray[np.float32]

FEWEST_LABELS = 8  # below, a quarter of them says nothing
AS_LOW_AS = 0.25  # of the labels score lower than a place that does not count as background


@dataclass(frozen=True)
class Fold:
    """One part of the labels and the tomograms without it.

    Attributes
    ----------
    volumes
        The tomograms with the labels that are left, and the empty ones; those with none left are missing.
    held_out
        Per tomogram with labels of the whole set, which of them are left out: ``(n,)`` bool.
    """

    volumes: list[LabelledVolume]
    held_out: list[NDArray[np.bool_]]


@dataclass(frozen=True)
class OutOfFold:
    """One tomogram as networks see it that have not seen what they are asked about (out of fold).

    Attributes
    ----------
    labels
        ``(n,)`` score of each label by the network that it was kept from; 0 where that has no pick.
    places
        Picks of all networks' mean heat map that are near no label, best first.
    scores
        Per network, scores of its own picks that are near no label.
    """

    labels: NDArray[np.float64]
    places: Picks
    scores: list[NDArray[np.float64]]


def folds(volumes: Sequence[LabelledVolume], count: int, seed: int) -> list[Fold]:
    """Leave out every label once, in `count` parts of equal size drawn at random from each class."""
    labelled, empty = with_particles(volumes), [volume for volume in volumes if volume.is_empty]
    kinds = np.repeat([volume.kind for volume in labelled], [len(volume.xyz) for volume in labelled])
    rng, part = np.random.default_rng(seed), np.empty(len(kinds), np.int64)
    for kind in np.unique(kinds):
        total = int(np.count_nonzero(kinds == kind))
        part[kinds == kind] = rng.permutation(np.arange(total) % count)
    parts = np.split(part, np.cumsum([len(volume.xyz) for volume in labelled])[:-1])
    made = []
    for number in range(count):
        held_out = [own == number for own in parts]
        left = [replace(volume, xyz=volume.xyz[~out]) for volume, out in zip(labelled, held_out, strict=True)]
        made.append(Fold(with_particles(left) + empty, held_out))
    return made


def ask_out_of_fold(
    volumes: Sequence[LabelledVolume],
    parts: Sequence[Fold],
    heat_maps: Callable[[int, Fold, Sequence[LabelledVolume]], Iterable[Heat]],
    recipe: Recipe,
    step: Callable[[str], None] = lambda text: None,
) -> list[OutOfFold]:
    """What those say of every label that have not seen it, per tomogram with labels (`with_particles`).

    What looks like a particle in an empty tomogram is none, and says nothing of what is unlabelled elsewhere.

    Parameters
    ----------
    parts
        Of the labels, from `folds`.
    heat_maps
        Learns from a part's number and a part, and gives a heat map of each of the tomograms, of its class.
    recipe
        How heat maps become picks.
    step
        Called after every part, with what has been done.
    """
    asked, classes = with_particles(volumes), recipe.classes
    labels = [np.zeros(len(volume.xyz)) for volume in asked]
    scores: list[list[NDArray[np.float64]]] = [[] for _ in asked]
    sums: list[Heat] = []
    for number, fold in enumerate(parts):
        for index, heat in enumerate(heat_maps(number, fold, asked)):
            out, volume, one = fold.held_out[index], asked[index], classes[asked[index].kind]
            picks = picks_of(heat, volume, one)
            labels[index][out] = max_score_within(picks, volume.xyz[out], one.diameter / 2)
            scores[index].append(exclude_near(picks, volume.told, one.diameter / 2).score)
            if number == 0:
                sums.append(np.zeros_like(heat))
            sums[index] += heat / np.float32(len(parts))
        step("asked about the labels it has not seen")
    places = [
        exclude_near(picks_of(heat, volume, one), volume.told, one.diameter / 2)
        for heat, volume, one in zip(sums, asked, (classes[volume.kind] for volume in asked), strict=True)
    ]
    return [OutOfFold(*own) for own in zip(labels, places, scores, strict=True)]


def asked_of(
    kind: int, volumes: Sequence[LabelledVolume], out_of_fold: Sequence[OutOfFold]
) -> tuple[list[LabelledVolume], list[OutOfFold]]:
    """The tomograms with labels of a class, and what was said of them."""
    own = [number for number, volume in enumerate(volumes) if volume.kind == kind]
    return [volumes[number] for number in own], [out_of_fold[number] for number in own]


def summarise(volumes: Sequence[LabelledVolume], out_of_fold: Sequence[OutOfFold], per_label: int) -> CrossValidated:
    """Which places may be particles of a class, and how many of them have no label.

    Parameters
    ----------
    volumes
        Those that were asked, of one class.
    per_label
        Places at most.
    """
    labels = np.concatenate([own.labels for own in out_of_fold])
    of_networks = [np.concatenate(own) for own in zip(*(own.scores for own in out_of_fold), strict=True)]
    chosen = ignored_candidates([own.places for own in out_of_fold], labels, per_label * len(labels))
    places = {volume.name: picks.xyz for volume, picks in zip(volumes, chosen, strict=True)}
    return CrossValidated(places, unlabelled_particles(labels, of_networks), labels)


def ignored_candidates(places: Sequence[Picks], labels: NDArray[np.float64], limit: int) -> list[Picks]:
    """Places that score higher than a quarter of the labels do that were not seen, the best `limit` of all tomograms.

    Parameters
    ----------
    places
        Per tomogram, near no label.
    labels
        Scores of all labels.
    """
    everywhere = np.sort(np.concatenate([picks.score for picks in places]))[::-1]
    threshold = float(np.quantile(labels, AS_LOW_AS))
    if len(everywhere) > limit:
        threshold = max(threshold, float(everywhere[limit]))
    return [picks[picks.score > threshold] for picks in places]
