"""Do a density map and labels mean the same particle? Asked of a model that was learned from the map alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.console import Console
from milopyp_shared.matching import max_score_within
from milopyp_shared.recipe import Recipe

from ..data.dataset import LabelledVolume
from .picking import picks_of

AGREE = 0.5  # of the labels: if fewer are found, it is another particle, or the tomograms look like none simulated


@dataclass(frozen=True)
class TemplateAgreement:
    """How many labels are found at the suggested threshold, and how many there are."""

    found: int
    count: int
    threshold: float

    def say(self, console: Console) -> None:
        """Both numbers, and a warning where they do not agree."""
        share = f"{self.found} of {self.count} labels"
        console.say(f"{share} are found at the suggested threshold; they were not learned from")
        if self.found < AGREE * self.count:
            console.warn(
                f"W14 template and labels disagree: {share} score above the suggested threshold "
                f"{self.threshold:.2f}; look at the picks before you trust either"
            )


def compare_with_labels(
    heat_maps: Iterable[tuple[LabelledVolume, NDArray[np.float32]]], recipe: Recipe
) -> TemplateAgreement:
    """Compare what the model finds with labels that it was not learned from.

    Parameters
    ----------
    heat_maps
        Of each labelled tomogram.
    """
    scores = [
        max_score_within(picks_of(heat, volume, recipe), volume.xyz, recipe.diameter / 2) for volume, heat in heat_maps
    ]
    each = np.concatenate([np.empty(0), *scores])
    threshold = recipe.threshold.score
    return TemplateAgreement(int(np.count_nonzero(each > threshold)), len(each), threshold)
