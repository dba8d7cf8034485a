"""How far picks can be trusted, from sparse labels alone.

Two things are wanted of new tomograms like those of the training: how many of the picks above a score are particles
(precision), and how many of the particles have a pick there (recall). Known are n labels, and places without a label,
which are particles or not.

1. *Number of particles.* Labels that a network has not seen score like unlabelled particles. If A places without a
   label score above the median of such labels, there are about 2 A unlabelled particles; more are counted when the
   network is so weak that background scores as high.
2. *Background.* At low scores nearly all places are background, in the training tomograms as many as in new ones. At
   high scores the training has taken some away: about half of them. So their number B above a score is found where
   there are many, and continued to high scores as an exponential of the score's logit.
3. *Particles found.* Of the A places above a score of the network that picks, A - B / 2 are particles. Unlabelled
   particles of the training tomograms are found as often as those in new ones.
4. *Recall* is the particles found, divided by their number; *precision* is T / (T + B), T being the particles found,
   those with labels added in proportion.

Each step was compared with the truth of simulated tomograms (`benchmarks/README.md`). With few labels the first step is
uncertain: the part of n labels above their own median scatters by ``1 / (2 sqrt(n))``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.calibration import Calibration

from ..data.cross_validated import CrossValidated

Floats = NDArray[np.float64]

# Background is counted between these numbers of places per unlabelled particle: with fewer, too many are particles.
# Networks that knew particles before they were shown labels tell so many apart that fewer do (decision 96).
COUNTED, FROM_SCRATCH = (1.75, 6.0), (4.0, 10.0)
LEFT = 0.5  # of the background places that new tomograms have at high scores
FEWEST_PARTICLES = 4.0  # unlabelled ones; with fewer their scores say nothing
_FLOOR = 0.01  # of scores that count
_GRID = np.linspace(0.02, 0.98, 97)


def unlabelled_particles(labels: Floats, places: Sequence[Floats]) -> float:
    """How many particles have no label; step 1.

    Parameters
    ----------
    labels
        Scores of labels by networks that have not seen them.
    places
        Per network, scores of all its places without a label, in the same tomograms.
    """
    median = float(np.median(labels))
    return 2.0 * float(np.mean([(scores > median).sum() for scores in places]))


def calibrate(
    found: CrossValidated, places: Floats, tomograms: int, counted: tuple[float, float] = COUNTED
) -> Calibration | None:
    """Expected precision and recall on new tomograms by score, steps 2 to 4; None where nothing can be said.

    Parameters
    ----------
    places
        Scores of the places without a label by the network that picks.
    tomograms
        Number of training tomograms with labels.
    counted
        Places per unlabelled particle between which background is counted.
    """
    labelled, unlabelled = len(found.label_scores), found.unlabelled
    background = _background(places, unlabelled, counted)
    if unlabelled < FEWEST_PARTICLES or background is None:
        return None
    wrong = background(_GRID)
    above = (places[None] > _GRID[:, None]).sum(axis=1)
    hits = np.clip(above - LEFT * wrong, 0.0, unlabelled)
    hits = np.maximum.accumulate(hits[::-1])[::-1]  # more picks never find less
    recall = hits / unlabelled
    in_new = hits * (1.0 + labelled / unlabelled)
    precision = np.where(hits > 0.0, in_new / np.maximum(in_new + wrong, 1e-9), 0.0)
    return Calibration(
        particles=(labelled + unlabelled) / tomograms,
        score=tuple(np.round(_GRID, 4).tolist()),
        precision=tuple(np.round(precision, 4).tolist()),
        recall=tuple(np.round(recall, 4).tolist()),
    )


def _background(places: Floats, unlabelled: float, counted: tuple[float, float]) -> Callable[[Floats], Floats] | None:
    """Number of background places above a score: an exponential of the logit through two counts."""
    falling = np.sort(places[places > _FLOOR])[::-1]
    counts = np.array(counted) * max(unlabelled, FEWEST_PARTICLES)
    counts = np.minimum(counts, len(falling) - 1)
    if counts[0] < FEWEST_PARTICLES or counts[1] < 1.5 * counts[0]:
        return None
    logits = logit(falling[counts.astype(int)])
    if logits[0] <= logits[1]:
        return None
    wrong = counts - unlabelled
    slope = float(np.log(wrong[1] / wrong[0]) / (logits[0] - logits[1]))

    def background(score: Floats) -> Floats:
        number: Floats = wrong[0] * np.exp(-slope * (logit(score) - logits[0]))
        return number

    return background


def logit(score: Floats) -> Floats:
    """Of scores in 0..1; the last ten-thousandths are cut off."""
    clipped = np.clip(score, 1e-4, 1 - 1e-4)
    result: Floats = np.log(clipped / (1 - clipped))
    return result
