"""The method of a preset."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..data.dataset import LabelledVolume
from .base import Method
from .default import DefaultMethod
from .presets import DefaultPreset, Preset
from .published import PublishedMethod


def make_method(preset: Preset, volumes: Sequence[LabelledVolume], diameter: float, device: torch.device) -> Method:
    """The method with these numbers, its network with fresh weights.

    Raises
    ------
    InputError
        Volumes or labels that the method cannot be trained on.
    UsageError
        A network that it cannot train.
    """
    if isinstance(preset, DefaultPreset):
        return DefaultMethod(preset, volumes, diameter, device)
    return PublishedMethod(preset, volumes, diameter, device)
