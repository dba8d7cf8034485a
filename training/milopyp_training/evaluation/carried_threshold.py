"""The threshold of a network that was trained on simulated tomograms, carried over to a user's.

How high such a network scores a user's particles depends on how much the tomogram looks like the simulated ones: more
than for the head that it began with, on features that have seen many kinds. So the head's threshold is taken, and the
network gets the score above which it finds as many picks in the user's tomogram as the head does above its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milopyp_shared.calibration import Threshold
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe
from milopyp_shared.wording import counted

from ..data.dataset import LabelledVolume
from ..networks.base import PickingNetwork
from .picking import picks_of
from .threshold import OF_BEGINNING, threshold_of_simulated
from .validation import predict


def count_of_picks(
    network: PickingNetwork, simulated: Sequence[LabelledVolume], user: LabelledVolume, recipe: Recipe
) -> int:
    """How many picks a network that has not changed yet finds in a user's tomogram above its own threshold.

    Parameters
    ----------
    simulated
        Tomograms that its head has not learned from; all of their particles are labels.
    """
    heat_maps = ((volume, predict(network, volume)) for volume in simulated)
    own = threshold_of_simulated(heat_maps, recipe, OF_BEGINNING)
    return int(np.count_nonzero(picks_of(predict(network, user), user, recipe).score > own.score))


def threshold_of_count(picks: Picks, count: int, name: str) -> Threshold | None:
    """The score that leaves `count` of the picks of the tomogram called `name`, best first; None without any."""
    if not count or len(picks) <= count:
        return None
    score = round(float(np.clip(picks.score[count - 1 : count + 1].mean(), 0.0, 1.0)), 4)
    return Threshold(
        score, f"finds {counted(count, 'pick')} in {name}, as many as before all of the network was trained"
    )
