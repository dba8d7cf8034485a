"""Cross-validation: networks that each miss a part of the labels, before the network that picks is trained.

Most particles have no label. To a network for which everything without a label is background they are wrong
examples, and it gets around them by learning the labels by heart. What a network says of labels that it has not seen
is what it would say of particles in general: places that score as high may be particles, and do not count as
background in the training that follows. It also tells how far picks can be trusted (`calibration`), and which
labels are doubtful (`label_suggestions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe

from ..data.dataset import LabelledVolume, with_particles
from ..loop.machine import Machine
from ..loop.state import CrossValidated, new_state
from ..loop.trainer import train_epoch
from ..methods.base import MakeMethod
from ..methods.presets import DefaultPreset
from ..networks.base import PickingNetwork
from .calibration import unlabelled_particles
from .validation import picks_of, predict

Heat = NDArray[np.float32]

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
    """Leave out every label once, in `count` parts of equal size drawn at random."""
    labelled, empty = with_particles(volumes), [volume for volume in volumes if volume.is_empty]
    total = sum(len(volume.xyz) for volume in labelled)
    part = np.random.default_rng(seed).permutation(np.arange(total) % count)
    parts = np.split(part, np.cumsum([len(volume.xyz) for volume in labelled])[:-1])
    made = []
    for number in range(count):
        held_out = [own == number for own in parts]
        left = [replace(volume, xyz=volume.xyz[~out]) for volume, out in zip(labelled, held_out, strict=True)]
        made.append(Fold(with_particles(left) + empty, held_out))
    return made


@dataclass(frozen=True)
class CrossValidation:
    """How the networks are trained and asked.

    Attributes
    ----------
    recipe
        Of the model that is to be trained.
    """

    make: MakeMethod
    preset: DefaultPreset
    recipe: Recipe
    seed: int
    machine: Machine

    @property
    def radius(self) -> float:
        """Of the particle, voxels."""
        return self.recipe.diameter / 2

    def predict_out_of_fold(
        self,
        volumes: Sequence[LabelledVolume],
        step: Callable[[str], None] = lambda text: None,
        part: Callable[[float], None] = lambda done: None,
    ) -> list[OutOfFold]:
        """Train one network per fold; what they say, per tomogram with labels (`with_particles`).

        What looks like a particle in an empty tomogram is none, and says nothing of what is unlabelled elsewhere.

        Parameters
        ----------
        step
            Called after every network, with what it has done.
        part
            Called with the part of a network's work that is done, 0..1.
        """
        asked = with_particles(volumes)
        labels = [np.zeros(len(volume.xyz)) for volume in asked]
        scores: list[list[NDArray[np.float64]]] = [[] for _ in asked]
        sums: list[Heat] = []
        parts = folds(volumes, self.preset.folds, self.seed)
        for number, fold in enumerate(parts):
            for index, heat in enumerate(self._heat_maps(number, fold, asked, part)):
                out = fold.held_out[index]
                picks, xyz = picks_of(heat, asked[index], self.recipe), asked[index].xyz
                labels[index][out] = max_score_within(picks, xyz[out], self.radius)
                scores[index].append(exclude_near(picks, xyz, self.radius).score)
                if number == 0:
                    sums.append(np.zeros_like(heat))
                sums[index] += heat / np.float32(len(parts))
            step("asked about the labels it has not seen")
        places = [
            exclude_near(picks_of(heat, volume, self.recipe), volume.xyz, self.radius)
            for heat, volume in zip(sums, asked, strict=True)
        ]
        return [OutOfFold(*own) for own in zip(labels, places, scores, strict=True)]

    def summarise(self, volumes: Sequence[LabelledVolume], out_of_fold: Sequence[OutOfFold]) -> CrossValidated:
        """Which places may be particles, and how many particles have no label; `volumes` are those that were asked."""
        labels = np.concatenate([own.labels for own in out_of_fold])
        of_networks = [np.concatenate(own) for own in zip(*(own.scores for own in out_of_fold), strict=True)]
        limit = self.preset.ignored_per_label * len(labels)
        chosen = ignored_candidates([own.places for own in out_of_fold], labels, limit)
        places = {volume.name: picks.xyz for volume, picks in zip(volumes, chosen, strict=True)}
        return CrossValidated(places, unlabelled_particles(labels, of_networks), labels)

    def _heat_maps(
        self, number: int, fold: Fold, volumes: Sequence[LabelledVolume], part: Callable[[float], None]
    ) -> Iterator[Heat]:
        seed, epochs = self.seed + 1 + number, self.preset.fold_epochs
        torch.manual_seed(seed)
        method = self.make(fold.volumes)
        state = new_state(method, epochs, self.machine.world)
        for epoch in range(epochs):
            part(epoch / (epochs + 1))  # asking takes about as long as one more
            train_epoch(method, state, seed, self.machine)
        part(epochs / (epochs + 1))
        for volume in volumes:
            yield predict(
                state.ema_network, volume, self.preset.flips, mixed_precision=bool(self.machine.mixed_precision)
            )


def ignore_look_alikes(
    network: PickingNetwork,
    volumes: Sequence[LabelledVolume],
    recipe: Recipe,
    per_label: int,
    *,
    mixed_precision: bool = False,
) -> list[LabelledVolume]:
    """The tomograms without the places that `network`, which knows their labels, takes for particles.

    For networks that tell particles apart before they are trained, where cross-validation is not asked for or has too
    few labels.

    Parameters
    ----------
    per_label
        Places at most.
    """
    asked, radius = with_particles(volumes), recipe.diameter / 2
    picks = [picks_of(predict(network, volume, mixed_precision=mixed_precision), volume, recipe) for volume in asked]
    labels = [max_score_within(own, volume.xyz, radius) for own, volume in zip(picks, asked, strict=True)]
    places = [exclude_near(own, volume.xyz, radius) for own, volume in zip(picks, asked, strict=True)]
    scores = np.concatenate(labels)
    chosen = ignored_candidates(places, scores, per_label * len(scores))
    found = {volume.name: own.xyz for volume, own in zip(asked, chosen, strict=True)}
    return [replace(volume, ignored=found.get(volume.name, volume.ignored)) for volume in volumes]


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
