"""The method of a preset."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from milopyp_shared.errors import UsageError

from ..data.dataset import LabelledVolume
from .base import Method
from .default import DefaultMethod
from .presets import DefaultPreset, Preset
from .published import PublishedMethod


def make_method(
    preset: Preset, volumes: Sequence[LabelledVolume], diameters: Sequence[float], device: torch.device
) -> Method:
    """The method with these numbers, its network with fresh weights.

    Parameters
    ----------
    diameters
        Of the particles of each class, voxels.

    Raises
    ------
    InputError
        Volumes or labels that the method cannot be trained on.
    UsageError
        A network that it cannot train.
    """
    if isinstance(preset, DefaultPreset):
        return DefaultMethod(preset, volumes, diameters, device)
    if len(diameters) > 1:
        raise UsageError(
            f"the published preset has one class, and there are labels of {len(diameters)}", where="--preset",
            expected="pretrained or scratch", remedy="Or train a model for each class.",
        )  # fmt: skip
    return PublishedMethod(preset, volumes, diameters[0], device)
