"""What the file of a model says of itself, as far as it is known before the training."""

from __future__ import annotations

from importlib.metadata import version

import torch

from milopyp_shared.calibration import Threshold
from milopyp_shared.recipe import Recipe

from ..data.dataset import TrainingSet
from .base import Method


def recipe_of(method: Method, data: TrainingSet) -> Recipe:
    """The recipe of a model that is about to be trained; its threshold is not known yet."""
    threshold = Threshold(0.25, "not determined: training had not ended")
    sizes = [volume.voxel_size for volume in data.volumes if volume.voxel_size]
    return Recipe(
        architecture=method.preset.architecture,
        architecture_options=method.network.architecture_options,
        preset=method.preset.name,
        grey=method.preset.grey,
        contrast=data.contrast,
        geometry=method.network.geometry(),
        diameter=data.diameter,
        flips=method.preset.flips,
        scale=data.scale,
        voxel_size=sizes[0] if sizes else None,
        levels=data.levels,
        threshold=threshold,
        labels=data.labels(),
        particle=data.particle,
        others=data.described_others(threshold),
        versions={"milopyp": version("milopyp"), "torch": torch.__version__},
    )
