"""What a network sees at the labels and around them, for the question whether they look like each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.dataset import LabelledVolume, Triple
from ..networks.base import PickingNetwork
from ..networks.pretrained import features_of
from ..networks.unet3d import UNet3d
from .label_agreement import PER_LABEL, Agreement, Features, compare, labels_to_compare

AROUND: Triple = (16, 64, 64)  # voxels around a label that the network sees


def label_agreement(network: PickingNetwork, volumes: Sequence[LabelledVolume]) -> Agreement | None:
    """Compare every label with the others; None where there is only one.

    Parameters
    ----------
    network
        With features that tell particles apart; its head is not asked.
    """
    assert isinstance(network, UNet3d)
    rng = np.random.default_rng(0)
    places = labels_to_compare(volumes, rng)
    if not places:
        return None
    shown = [_features(network, volume, index, rng) for volume, index in places]
    at_labels, background = np.stack([label for label, _ in shown]), np.concatenate([around for _, around in shown])
    return compare(places, at_labels, background)


def _features(
    network: UNet3d, volume: LabelledVolume, index: int, rng: np.random.Generator
) -> tuple[Features, Features]:
    """Features at a label ``(d,)``, and at voxels around it that are not its particle ``(m, d)``."""
    stride = network.geometry().stride
    centre = volume.grid_zyx(stride)[index]
    shape = np.minimum(AROUND, volume.grey.shape) // np.array(stride) * stride
    start = np.clip(np.rint(centre * stride - shape / 2), 0, np.array(volume.grey.shape) - shape).astype(int)
    start = start // stride * stride
    grey = volume.grey.box(start.tolist(), (start + shape).tolist())
    features = np.moveaxis(features_of(network, grey, volume.grey.input_range), 0, -1)
    own = np.clip(np.rint(centre - start / np.array(stride)).astype(int), 0, np.array(features.shape[:3]) - 1)
    flat = features.reshape(-1, features.shape[-1])
    return features[tuple(own)], flat[rng.integers(0, len(flat), PER_LABEL)]
