"""From a density map to a model file, without a label: simulated tomograms, features, head, threshold, file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_shared.console import Console
from milopyp_shared.head import Head
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.recipe import Recipe
from milopyp_simulation.subject import Subject
from milopyp_training.data.dataset import TrainingSet
from milopyp_training.data.simulated import simulated_volumes
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.threshold import threshold_of_simulated

from .complete import learn_complete
from .heads import Known
from .kept_features import keep_features
from .model import recipe_of, write_model

LEARNED, HELD_OUT = 3, 1  # simulated tomograms


def learn_from_map(
    subject: Subject,
    network: FeatureNetwork,
    model: Path,
    console: Console,
    *,
    contrast: Contrast = "dark",
    scale: float = 1.0,
) -> tuple[Head, Recipe]:
    """Learn a head from simulated tomograms and write its model.

    Parameters
    ----------
    contrast
        Of the particles in the user's tomograms.
    scale
        At which the network sees these.

    Returns
    -------
    The head, and the recipe in the file.

    Raises
    ------
    MilopypError
        Settings that cannot be simulated, no room for the particle or for files, or a file that cannot be written.
    """
    made = simulated_volumes(subject, LEARNED + HELD_OUT, network.description.grey, scale, console)
    known = [Known(volume, keep_features(network, volume)) for volume in made]
    learned, held_out = known[:LEARNED], known[LEARNED:]
    recipe = recipe_of(network, TrainingSet([one.volume for one in learned], [], subject.diameter, contrast))
    head = learn_complete(learned, TargetMap(subject.diameter, recipe.geometry.stride))
    heat_maps = [(one.volume, one.features.heat_map(head)) for one in held_out]
    recipe = replace(recipe, threshold=threshold_of_simulated(heat_maps, recipe))
    return head, write_model(model, network, [head], recipe)
