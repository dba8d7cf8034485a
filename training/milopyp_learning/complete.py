"""A head from tomograms of which every particle is known: whatever else looks like one is a sure mistake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.head import NEAR, Head, fit_head
from milopyp_training.data.wanted import Wanted

from .heads import TOLERANCE, Known, learn_head

MISTAKES = 200_000  # places of the background, of all tomograms, that a first head finds most like the particle
DECAY = 0.01  # with all particles known, more can be learned than from a few labels


def learn_complete(known: Sequence[Known], wanted: Wanted) -> Head:
    """The head that tells all particles from what a first head takes for them.

    Raises
    ------
    InputError
        There are no particles.
    """
    first = learn_head(known, wanted)
    each = [part for one in known for part in _examples(one, first, wanted, MISTAKES // len(known))]
    features, target, positive = (np.concatenate(column) for column in zip(*each, strict=True))
    return fit_head(features, target, positive, decay=DECAY, tolerance=TOLERANCE)


def _examples(
    known: Known, head: Head, wanted: Wanted, count: int
) -> list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]]:
    """Features, target and positives of what is near a particle, and of the `count` places that look most like one."""
    heat = known.features.heat_map(head)
    count = min(count, heat.size)
    least = np.partition(heat.ravel(), -count)[-count]
    found = []
    for volume, (z, y, x), take in known.features.parts(known.volume):
        first = np.array([z.start, y.start, x.start], np.int64)
        target, positive = wanted.in_box(volume, first, (z.stop - z.start, y.stop - y.start, x.stop - x.start))
        kept = positive | ((target < 1) & ((target > NEAR) | (heat[z, y, x] >= least)))
        found.append((take(kept), target[kept], positive[kept]))
    return found
