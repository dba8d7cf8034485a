"""Cross-validation: networks that each miss a part of the labels, before the network that picks is trained.

Most particles have no label. To a network for which everything without a label is background they are wrong
examples, and it gets around them by learning the labels by heart. What a network says of labels that it has not seen
is what it would say of particles in general: places that score as high may be particles, and do not count as
background in the training that follows. It also tells how far picks can be trusted (`calibration`), and which
labels are doubtful (`label_suggestions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.recipe import Recipe

from ..data.cross_validated import CrossValidated, ignoring
from ..data.dataset import LabelledVolume, with_particles
from ..loop.machine import Machine
from ..loop.state import Losses, new_state
from ..loop.trainer import train_epoch
from ..methods.base import MakeMethod
from ..methods.presets import DefaultPreset
from ..networks.base import PickingNetwork
from .held_out import Fold, Heat, OutOfFold, ask_out_of_fold, asked_of, folds, ignored_candidates, summarise
from .picking import picks_of
from .validation import heat_maps


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

    def predict_out_of_fold(
        self,
        volumes: Sequence[LabelledVolume],
        step: Callable[[str], None] = lambda text: None,
        part: Callable[[float], None] = lambda done: None,
    ) -> list[OutOfFold]:
        """Train one network per fold; what they say, see `ask_out_of_fold`.

        Parameters
        ----------
        step
            Called after every network, with what it has done.
        part
            Called with the part of a network's work that is done, 0..1.
        """
        parts = folds(volumes, self.preset.folds, self.seed)
        return ask_out_of_fold(volumes, parts, partial(self._heat_maps, part), self.recipe, step)

    def summarise(self, volumes: Sequence[LabelledVolume], out_of_fold: Sequence[OutOfFold]) -> list[CrossValidated]:
        """What was found of each class, see `held_out.summarise`."""
        kinds, per_label = range(len(self.recipe.classes)), self.preset.ignored_per_label
        return [summarise(*asked_of(kind, volumes, out_of_fold), per_label) for kind in kinds]

    def _heat_maps(
        self, part: Callable[[float], None], number: int, fold: Fold, volumes: Sequence[LabelledVolume]
    ) -> Iterator[Heat]:
        seed, epochs = self.seed + 1 + number, self.preset.fold_epochs
        torch.manual_seed(seed)
        method = self.make(fold.volumes)
        state = new_state(method, epochs, self.machine.world)
        steps = self.machine.world.steps(method.steps_per_epoch)
        for _ in range(epochs):

            def tell(step: int, losses: Losses) -> None:
                part((state.epoch + step / steps) / (epochs + 1))  # asking takes about as long as one epoch more

            train_epoch(method, state, seed, self.machine, tell)
        yield from heat_maps(
            state.ema_network, volumes, self.preset.flips, mixed_precision=bool(self.machine.mixed_precision)
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
    asked = with_particles(volumes)
    maps = list(zip(asked, heat_maps(network, asked, mixed_precision=mixed_precision), strict=True))
    found = []
    for kind, one in enumerate(recipe.classes):
        own = [(volume, picks_of(heat, volume, one)) for volume, heat in maps if volume.kind == kind]
        scores = np.concatenate([max_score_within(picks, volume.xyz, one.diameter / 2) for volume, picks in own])
        places = [exclude_near(picks, volume.told, one.diameter / 2) for volume, picks in own]
        chosen = ignored_candidates(places, scores, per_label * len(scores))
        found.append({volume.name: picks.xyz for (volume, _), picks in zip(own, chosen, strict=True)})
    return ignoring(found, volumes)
