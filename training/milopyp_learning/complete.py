"""A head from tomograms of which every particle is known: whatever else looks like one is a sure mistake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.head import Head, fit_head
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.head_examples import Choose, Place, gather
from milopyp_training.data.target_map import TargetMap

from .heads import TOLERANCE, Known, learn_head

MISTAKES = 200_000  # places of the background, of all tomograms, that a first head finds most like the particle
DECAY = 0.01  # with all particles known, more can be learned than from a few labels


def learn_complete(known: Sequence[Known], target_map: TargetMap) -> Head:
    """The head that tells all particles from what a first head takes for them.

    Raises
    ------
    InputError
        There are no particles.
    """
    mistakes = _mistakes(known, learn_head(known, target_map))
    parts = (part for one in known for part in one.features.parts(one.volume))
    examples = gather(parts, target_map, mistakes)
    return fit_head(examples.features, examples.target, examples.positive, decay=DECAY, tolerance=TOLERANCE)


def _mistakes(known: Sequence[Known], head: Head) -> Choose:
    """Chooses the places that `head` finds most like the particle, as many of each tomogram."""
    heat = {one.volume.name: one.features.heat_map(head) for one in known}
    count = MISTAKES // len(known)
    least = {name: np.partition(own, -count, axis=None)[-count] for name, own in heat.items() if count < own.size}

    def choose(volume: LabelledVolume, place: Place) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = heat[volume.name][place] >= least.get(volume.name, 0.0)
        return chosen

    return choose
