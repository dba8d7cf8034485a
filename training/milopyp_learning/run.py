"""From labelled tomograms to a model file: features, head, promises, file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_shared.console import Console
from milopyp_shared.recipe import Recipe
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.data.target_map import TargetMap

from .heads import Known, agreement_of, learn_head
from .kept_features import keep_features
from .model import recipe_of, write_model
from .promises import find_promises


@dataclass(frozen=True)
class Files:
    """Where a run writes.

    Attributes
    ----------
    model
        The model file.
    features
        Folder of the features; None: they are not kept.
    """

    model: Path
    features: Path | None = None


def learn(data: TrainingSet, network: FeatureNetwork, files: Files, console: Console) -> Recipe:
    """Learn a head and write its model.

    Returns
    -------
    The recipe in the file.

    Raises
    ------
    MilopypError
        Kept features that cannot be used, no room, or a file that cannot be written.
    """
    known = list(_known(data.volumes, network, files.features, console))
    recipe = recipe_of(network, data)
    agreement = agreement_of(known, recipe.geometry.stride)
    if agreement is not None and (doubt := agreement.warning()):
        console.warn(doubt)
    target_map = TargetMap(data.diameter, recipe.geometry.stride)
    head = learn_head(known, target_map)
    promises = find_promises(known, head, target_map, recipe)
    recipe = replace(recipe, threshold=promises.threshold, calibration=promises.calibration)
    return write_model(files.model, network, head, recipe)


def _known(
    volumes: Sequence[LabelledVolume], network: FeatureNetwork, folder: Path | None, console: Console
) -> list[Known]:
    known = []
    with console.progress("features", len(volumes)) as progress:
        for volume in volumes:
            features = keep_features(network, volume, folder)
            known.append(Known(volume, features))
            progress.step(f"{volume.name}, {features.codes.nbytes / 2**20:.0f} MiB")
    return known
