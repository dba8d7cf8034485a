"""How fine-tuning begins: the shipped weights, and a head that is fitted to the labels before any of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from milopyp_shared import pretrained_weights
from milopyp_shared.head import Head, fit_head

from ..data.dataset import LabelledVolume
from ..networks.base import PickingNetwork
from ..networks.pretrained import load_pretrained, set_head
from ..networks.unet3d import UNet3d
from .default_patches import PatchSampling, draw_batch

BATCHES = 6  # of patches that the head is fitted to
SEED = 0  # of their places; equal labels give equal heads

_weights = cache(pretrained_weights.read_pretrained)  # every network of a cross-validation begins with them


def begin_pretrained(network: PickingNetwork, volumes: Sequence[LabelledVolume], sampling: PatchSampling) -> None:
    """Give `network` the shipped weights, and the head that tells these labels from everything else.

    Raises
    ------
    InputError
        The weights are missing, altered or those of another network, or no patch holds a label.
    """
    assert isinstance(network, UNet3d)
    load_pretrained(network, _weights(pretrained_weights.FOLDER))
    set_head(network.head, fit_to_labels(network, volumes, sampling))


def fit_to_labels(network: UNet3d, volumes: Sequence[LabelledVolume], sampling: PatchSampling) -> Head:
    """The best head on the features that `network` has."""
    plain = replace(sampling, preset=replace(sampling.preset, noise=0.0, brightness=0.0, contrast=0.0))
    rng = np.random.default_rng(SEED)
    features, targets, positives = [], [], []
    network.eval()
    with torch.inference_mode():
        for _ in range(BATCHES):
            batch = draw_batch(volumes, plain, rng)
            found = network.features(torch.from_numpy(batch.sections)).movedim(1, -1)
            features.append(found.reshape(-1, found.shape[-1]).numpy())
            targets.append(batch.target.ravel())
            positives.append(batch.positive.ravel())
    network.train()
    return fit_head(np.concatenate(features), np.concatenate(targets), np.concatenate(positives))
