"""From labelled tomograms to a model file: features, head, promises, file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_shared.console import Console
from milopyp_shared.recipe import Recipe
from milopyp_training.data.dataset import LabelledVolume, TrainingSet, by_tomogram
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
    """Learn a head for each class and write their model.

    Returns
    -------
    The recipe in the file.

    Raises
    ------
    MilopypError
        Kept features that cannot be used, no room, or a file that cannot be written.
    """
    known = _known(data.volumes, network, files.features, console)
    recipe = recipe_of(network, data)
    heads, classes = [], []
    for kind, one in enumerate(recipe.classes):
        # each class is learned as if it were the only one
        own = [Known(replace(each.volume, kind=0), each.features) for each in known if each.volume.kind == kind]
        agreement = agreement_of(own, recipe.geometry.stride)
        if agreement is not None and (doubt := agreement.warning()):
            console.warn(f"{one.particle}: {doubt}" if one.particle else doubt)
        target_map = TargetMap(one.diameter, recipe.geometry.stride)
        heads.append(learn_head(own, target_map))
        promises = find_promises(own, heads[-1], target_map, one)
        classes.append(replace(one, threshold=promises.threshold, calibration=promises.calibration))
    return write_model(files.model, network, heads, recipe.with_classes(classes))


def _known(
    volumes: Sequence[LabelledVolume], network: FeatureNetwork, folder: Path | None, console: Console
) -> list[Known]:
    known, tomograms = [], by_tomogram(volumes)
    with console.progress("features", len(tomograms)) as progress:
        for name, views in tomograms.items():
            features = keep_features(network, next(iter(views.values())), folder)
            known += [Known(volume, features) for volume in views.values()]
            progress.step(f"{name}, {features.codes.nbytes / 2**20:.0f} MiB")
    return known
