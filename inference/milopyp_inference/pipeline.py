"""One tomogram: grey levels, heat map, candidates."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import CheckError
from milopyp_shared.flips import averaged_heat_map
from milopyp_shared.grey import Contrast, grey_levels
from milopyp_shared.peaks import find_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Tomogram

from .providers import Model


@dataclass(frozen=True)
class Result:
    """What the network says of one tomogram.

    Attributes
    ----------
    heat
        ``(z, y, x)`` float32 heat map, 0..1.
    candidates
        Every local maximum above the floor, best first, nothing suppressed.
    seconds
        Per stage.
    """

    heat: NDArray[np.float32]
    candidates: Picks
    seconds: dict[str, float]


def run_network(
    tomogram: Tomogram,
    model: Model,
    contrast: Contrast | None = None,
    flips: int | None = None,
    own_sections: int | None = None,
) -> Result:
    """Grey levels, heat map and candidates of one tomogram.

    Parameters
    ----------
    contrast
        Of the particles; the recipe's when None.
    flips
        Mirrored copies to average over, 1, 2 or 4; the recipe's when None.
    own_sections
        Sections per slab; chosen from the size when None. The result does not depend on it.

    Raises
    ------
    InputError
        The tomogram has NaN voxels or no contrast.
    CheckError
        The network gives NaN.
    """
    recipe = model.recipe
    start = time.perf_counter()
    grey = grey_levels(tomogram, recipe.grey, contrast or recipe.contrast)
    prepared = time.perf_counter()
    heat = averaged_heat_map(
        grey.sections,
        grey.shape,
        lambda sections: model.heat_map(sections, grey.levels),
        recipe.geometry,
        flips or recipe.flips,
        own_sections,
    )
    if not np.isfinite(heat.max()):
        raise CheckError("the network gives NaN", where=tomogram.path, remedy="Report the model file.")
    computed = time.perf_counter()
    candidates = find_candidates(heat, recipe.voxel_per_output)
    found = time.perf_counter()
    seconds = {"preprocess": prepared - start, "network": computed - prepared, "peaks": found - computed}
    return Result(heat, candidates, seconds)
