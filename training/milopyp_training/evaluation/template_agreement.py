"""Do a density map and labels mean the same particle? Asked of a model that was learned from the map alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.recipe import Recipe
from milopyp_shared.wording import counted

from ..data.dataset import LabelledVolume
from .picking import scores_of_labels

AGREE = 0.5  # of the labels: if fewer are found, it is another particle, or the tomograms look like none simulated


@dataclass(frozen=True)
class TemplateAgreement:
    """How many labels are found at the suggested threshold, and how many there are."""

    found: int
    count: int
    threshold: float

    @property
    def text(self) -> str:
        """Both numbers."""
        return f"found at the suggested threshold: {self.found} of {counted(self.count, 'label')}, not learned from"

    def warning(self) -> str | None:
        """One sentence where template and labels do not agree."""
        if self.found >= AGREE * self.count:
            return None
        return (
            f"W14 template and labels disagree: {self.found} of {counted(self.count, 'label')} above the suggested "
            f"threshold {self.threshold:.2f}; look at the picks before you trust either"
        )


def compare_with_labels(
    heat_maps: Iterable[tuple[LabelledVolume, NDArray[np.float32]]], recipe: Recipe
) -> TemplateAgreement:
    """Compare what the model finds with labels that it was not learned from.

    Parameters
    ----------
    heat_maps
        Of each labelled tomogram, ``(z, y, x)`` 0..1.
    """
    each = scores_of_labels(heat_maps, recipe)
    threshold = recipe.threshold.score
    return TemplateAgreement(int(np.count_nonzero(each > threshold)), len(each), threshold)
