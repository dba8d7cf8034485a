"""From the heat map of a training tomogram to picks, as its model will make them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.matching import max_score_within
from milopyp_shared.peaks import find_candidates, nms
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe

from ..data.dataset import LabelledVolume


def picks_of(heat: NDArray[np.float32], volume: LabelledVolume, recipe: Recipe) -> Picks:
    """Peaks of a heat map that lie inside the mask, best first, close neighbours suppressed."""
    candidates = find_candidates(heat, recipe.voxel_per_output)
    if volume.mask is not None:
        candidates = candidates[volume.mask.keeps(candidates.xyz)]
    return nms(candidates, recipe.suppression_distance)


def scores_of_labels(
    heat_maps: Iterable[tuple[LabelledVolume, NDArray[np.float32]]], recipe: Recipe
) -> NDArray[np.float64]:
    """``(n,)`` score of the best pick within half a diameter of each label, tomogram after tomogram; 0 without one.

    Parameters
    ----------
    heat_maps
        Of each tomogram, ``(z, y, x)`` 0..1.
    """
    radius = recipe.diameter / 2
    found = [max_score_within(picks_of(heat, volume, recipe), volume.xyz, radius) for volume, heat in heat_maps]
    return np.concatenate([np.empty(0), *found])
