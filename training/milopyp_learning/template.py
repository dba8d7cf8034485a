"""From a density map to a model file, without a label: simulated tomograms, features, head, threshold, file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_shared.arrays import as_tomogram
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.head import Head
from milopyp_shared.matching import evaluate, f_beta, max_score_within
from milopyp_shared.preprocessing import Contrast, grey_levels
from milopyp_shared.recipe import Recipe, Threshold
from milopyp_shared.resample import resampled
from milopyp_simulation.among_others import PARTICLE, Imaging, simulate_among_others
from milopyp_simulation.densities import Density
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.data.wanted import Wanted
from milopyp_training.evaluation.calibration import logit
from milopyp_training.evaluation.picking import picks_of
from milopyp_training.evaluation.threshold import AS_GOOD

from .complete import learn_complete
from .heads import Known
from .kept_features import keep_features
from .model import recipe_of, write_model

SEED = 0
LEARNED, HELD_OUT = 3, 1  # simulated tomograms
THINNEST = 8  # voxels of a simulated tomogram
METHOD = "good on a simulated tomogram that was not learned from"


@dataclass(frozen=True)
class Subject:
    """What is looked for, and in what.

    Attributes
    ----------
    density
        Of the particle.
    diameter
        Voxels of the user's tomograms.
    contrast
        Of the particles in them.
    imaging
        Of them.
    scale
        At which the network sees them.
    """

    density: Density
    diameter: float
    contrast: Contrast
    imaging: Imaging
    scale: float = 1.0


def learn_from_map(subject: Subject, network: FeatureNetwork, model: Path, console: Console) -> tuple[Head, Recipe]:
    """Learn a head from simulated tomograms and write its model.

    Returns
    -------
    The head, and the recipe in the file.

    Raises
    ------
    MilopypError
        Settings that cannot be simulated, no room for the particle or for files, or a file that cannot be written.
    """
    known = list(_known(subject, network, console))
    learned, held_out = known[:LEARNED], known[LEARNED:]
    recipe = recipe_of(network, TrainingSet([one.volume for one in learned], [], subject.diameter, subject.contrast))
    head = learn_complete(learned, Wanted(subject.diameter, recipe.geometry.stride))
    recipe = replace(recipe, threshold=_threshold(held_out[0], head, recipe))
    return head, write_model(model, network, head, recipe)


def found_labels(known: Sequence[Known], head: Head, recipe: Recipe) -> tuple[int, int]:
    """How many labels the head finds at the recipe's threshold, and how many there are."""
    radius, scores = recipe.diameter / 2, [np.empty(0)]
    for one in known:
        picks = picks_of(one.features.heat_map(head), one.volume, recipe)
        scores.append(max_score_within(picks, one.volume.xyz, radius))
    each = np.concatenate(scores)
    return int(np.count_nonzero(each > recipe.threshold.score)), len(each)


def simulated_volume(subject: Subject, network: FeatureNetwork, number: int) -> LabelledVolume:
    """Simulated tomogram `number` (from 1), as the network sees the user's; all particles are labels.

    Where the network sees tomograms at a part of their size, so they are simulated: that takes a part of the time.
    """
    seen = min(subject.scale, 1.0)
    given = subject.imaging
    thickness = max(round(given.thickness * seen), THINNEST)
    imaging = replace(given, thickness=thickness, voxel_size=given.voxel_size / seen)
    made = simulate_among_others(subject.density, imaging, (SEED, number))
    tomogram = resampled(as_tomogram(made.volume), subject.scale / seen)
    xyz = (made.truth[PARTICLE].xyz + 0.5) / seen - 0.5
    grey = grey_levels(tomogram, network.description.grey)
    return LabelledVolume(f"simulated_{number}", grey, xyz, given.voxel_size, scale=subject.scale)


def _known(subject: Subject, network: FeatureNetwork, console: Console) -> Iterator[Known]:
    with console.progress("simulated tomograms", LEARNED + HELD_OUT) as progress:
        for number in range(1, LEARNED + HELD_OUT + 1):
            volume = simulated_volume(subject, network, number)
            if volume.is_empty:
                raise UsageError(
                    f"no copy of the particle found room in {subject.imaging.thickness} simulated sections",
                    where="--template",
                    expected="tomograms that are clearly thicker than the particle",
                    remedy="Are the voxel sizes of map and tomograms right?",
                )
            yield Known(volume, keep_features(network, volume))
            progress.step(f"{volume.name}, {len(volume.xyz)} particles")


def _threshold(held_out: Known, head: Head, recipe: Recipe) -> Threshold:
    """The middle of the scores that are about the best on a tomogram that the head has not learned from.

    Not the best itself: scores in the user's tomograms are mostly lower.
    """
    picks = picks_of(held_out.features.heat_map(head), held_out.volume, recipe)
    curve = evaluate(picks, held_out.volume.xyz, recipe.diameter / 2).curve
    if not len(curve.threshold):
        return Threshold(0.5, "nothing was found on a simulated tomogram")
    f1 = f_beta(curve.precision, curve.recall)
    good = curve.threshold[f1 >= f1.max() - AS_GOOD]
    middle = float(logit(good[[0, -1]]).mean())
    return Threshold(1.0 / (1.0 + math.exp(-middle)), METHOD)
