"""From the heat map of a training tomogram to picks, as its model will make them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
