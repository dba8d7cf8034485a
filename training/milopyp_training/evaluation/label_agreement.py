"""Do the labels look like each other? Asked of a network that tells particles apart before it is trained on any.

Of each label the others are shown to the network, and it says how much of the background looks more like them than the
label does. Of right labels that is mostly less than a hundredth (of three small membrane proteins up to a tenth), of
places drawn at random from a tenth on, half of it as a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.head import ridge

from ..data.dataset import LabelledVolume, with_particles

Features = NDArray[np.float32]

PER_LABEL = 400  # voxels of its surroundings that are background
MOST_LABELS = 200  # enough to compare each with
DOUBTFUL = 0.05  # part of the background that looks more like the other labels
NAMED = 5  # in a warning


@dataclass(frozen=True)
class Agreement:
    """What the labels look like beside each other.

    Attributes
    ----------
    names, xyz
        Tomogram ``(n,)`` and place ``(n, 3)`` of every label that was looked at, voxels.
    more_alike
        ``(n,)``: part of the background that looks more like the other labels than this one does.
    """

    names: Sequence[str]
    xyz: NDArray[np.float64]
    more_alike: NDArray[np.float64]

    def warning(self) -> str | None:
        """One sentence that shows the labels which look like background; None where none does."""
        doubtful = np.flatnonzero(self.more_alike > DOUBTFUL)
        if not len(doubtful):
            return None
        worst = doubtful[np.argsort(-self.more_alike[doubtful])][:NAMED]
        places = "; ".join(f"{self.names[i]} {' '.join(f'{value:g}' for value in self.xyz[i])}" for i in worst)
        places += "; ..." if len(doubtful) > NAMED else ""
        if 2 * len(doubtful) > len(self.xyz):
            return (
                f"W13 the labels do not look like each other: {len(doubtful)} of {len(self.xyz)} look like background "
                f"({places}); check order, binning, contrast and --bbox"
            )
        return f"W13 labels that look like background beside the others, {len(doubtful)} of {len(self.xyz)}: {places}"


def labels_to_compare(volumes: Sequence[LabelledVolume], rng: np.random.Generator) -> list[tuple[LabelledVolume, int]]:
    """Labels, as tomogram and number: all, or some where there are many; none where there is only one."""
    places = [(volume, index) for volume in with_particles(volumes) for index in range(len(volume.xyz))]
    if len(places) > MOST_LABELS:
        places = [places[i] for i in np.sort(rng.permutation(len(places))[:MOST_LABELS])]
    return places if len(places) > 1 else []


def compare(places: Sequence[tuple[LabelledVolume, int]], at_labels: Features, background: Features) -> Agreement:
    """Compare every label with the others.

    Parameters
    ----------
    places
        From `labels_to_compare`.
    at_labels
        ``(n, d)`` features there.
    background
        ``(m, d)`` features of places that are none of the labels.
    """
    more_alike = [_more_alike(at_labels, index, background) for index in range(len(places))]
    names, xyz = [volume.name for volume, _ in places], np.stack([volume.xyz[index] for volume, index in places])
    return Agreement(names, xyz, np.array(more_alike))


def _more_alike(at_labels: Features, index: int, background: Features) -> float:
    others = np.delete(at_labels, index, axis=0)
    positive = np.arange(len(others) + len(background)) < len(others)
    head = ridge(np.concatenate([others, background]), np.zeros(len(positive), np.float32), positive)[:-1]
    return float(np.mean(background @ head >= at_labels[index] @ head))
