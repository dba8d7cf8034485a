"""What is known once networks, or heads, have been asked about labels that were kept from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .dataset import LabelledVolume


@dataclass(frozen=True)
class CrossValidated:
    """What networks that each missed a part of the labels have told of one class.

    Attributes
    ----------
    ignored_candidates
        Per tomogram name, ``(m, 3)`` places that look like particles; see `LabelledVolume.ignored`.
    unlabelled
        Estimated number of particles without a label, in all training tomograms.
    label_scores
        Of all labels, by the networks that had not seen them; 0 where they have no pick.
    """

    ignored_candidates: dict[str, NDArray[np.float64]]
    unlabelled: float
    label_scores: NDArray[np.float64]


def ignoring(
    candidates: Sequence[Mapping[str, NDArray[np.float64]]], volumes: Sequence[LabelledVolume]
) -> list[LabelledVolume]:
    """The tomograms with candidates ignored, ``(m, 3)`` by class and name."""
    return [
        replace(volume, ignored=np.concatenate([volume.ignored, own]))
        if (own := candidates[volume.kind].get(volume.name)) is not None
        else volume
        for volume in volumes
    ]
