"""The head that fine-tuning begins with: fitted to whole tomograms, however they are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from milopyp_shared.errors import InputError
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_training.data import head_examples
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.validation import predict
from milopyp_training.methods import pretrained_start
from milopyp_training.methods.pretrained_start import fit_to_labels
from milopyp_training.networks.pretrained import set_head
from milopyp_training.networks.unet3d import UNet3d
from toys import tomogram_of

SHAPE = (41, 96, 101)
PLACES = np.array([(20, 20, 12), (70, 30, 20), (30, 75, 28), (80, 80, 14), (50, 50, 22)], float)
TARGET_MAP = TargetMap(12.0, (1, 2, 2))


@pytest.fixture(scope="module")
def network() -> UNet3d:
    """Even weights drawn at random tell a dark ball from noise."""
    torch.manual_seed(0)
    return UNet3d(8, 2, features=8, projected=1)


@pytest.fixture(scope="module")
def volume() -> LabelledVolume:
    """Dark balls in noise, all of them labelled; the sizes are odd."""
    z, y, x = np.indices(SHAPE)
    density = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    for a, b, c in PLACES:
        density[(x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < 36] -= 6
    return LabelledVolume("a", grey_levels(tomogram_of(density), Preprocessing()), PLACES, 10.0)


def test_the_head_finds_the_labels(network: UNet3d, volume: LabelledVolume) -> None:
    set_head(network.head, fit_to_labels(network, [volume], [TARGET_MAP]))
    heat = predict(network, volume)
    z, y, x = np.rint(volume.grid_zyx((1, 2, 2))).astype(int).T
    assert heat[z, y, x].min() > np.quantile(heat, 0.99)
    assert network.training


def test_how_tomograms_are_cut_does_not_matter(
    network: UNet3d, volume: LabelledVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_examples, "BACKGROUND", 10**9)  # all of it, so that nothing is drawn
    monkeypatch.setattr(pretrained_start, "bfloat16_pays", lambda device: False)
    [whole] = fit_to_labels(network, [volume], [TARGET_MAP])
    monkeypatch.setattr(pretrained_start, "AT_ONCE", 60_000)
    [cut] = fit_to_labels(network, [volume], [TARGET_MAP])
    np.testing.assert_allclose(cut.weights, whole.weights, rtol=1e-3, atol=1e-3)
    assert cut.bias == pytest.approx(whole.bias, rel=1e-3)


def test_tiles_with_labels_are_looked_at_first(
    network: UNet3d, volume: LabelledVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no time for all: of an empty tomogram and one with labels, the latter."""
    empty = replace(volume, name="empty", xyz=np.empty((0, 3)))
    monkeypatch.setattr(pretrained_start, "LOOKED_AT", 1)
    [with_one] = fit_to_labels(network, [empty, volume], [TARGET_MAP])
    monkeypatch.undo()
    assert np.array_equal(with_one.weights, fit_to_labels(network, [volume], [TARGET_MAP])[0].weights)
    with pytest.raises(InputError, match="no label lies in"):
        fit_to_labels(network, [empty], [TARGET_MAP])


def test_background_far_from_labels_counts(network: UNet3d, volume: LabelledVolume) -> None:
    """A tomogram that holds no particle teaches the head about what looks like one there."""
    labelled = replace(volume, xyz=PLACES[:3])
    known_empty = replace(volume, name="empty", xyz=np.empty((0, 3)))
    answers = []
    for volumes in ([labelled], [labelled, known_empty]):
        set_head(network.head, fit_to_labels(network, volumes, [TARGET_MAP]))
        z, y, x = np.rint(volume.grid_zyx((1, 2, 2))[3:]).astype(int).T
        answers.append(predict(network, volume)[z, y, x].mean())
    assert answers[1] < answers[0]
