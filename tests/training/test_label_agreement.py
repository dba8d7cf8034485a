"""Labels beside each other: right ones look alike, wrong ones are shown, random places are not taken for labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.evaluation.label_agreement import NAMED, Agreement
from milopyp_training.evaluation.label_features import label_agreement
from milopyp_training.networks.unet3d import UNet3d
from toys import tomogram_of

SHAPE = (40, 96, 100)
PLACES = [(20, 20, 12), (70, 30, 20), (30, 75, 28), (80, 80, 14), (50, 50, 22), (85, 15, 30)]


@pytest.fixture(scope="module")
def network() -> UNet3d:
    """Even weights drawn at random tell a dark ball from noise."""
    torch.manual_seed(0)
    return UNet3d(8, 2, features=8, projected=1).eval()


def volume(xyz: list[tuple[int, int, int]]) -> LabelledVolume:
    """Dark balls at `PLACES` in noise, and labels."""
    z, y, x = np.indices(SHAPE)
    density = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    for a, b, c in PLACES:
        density[(x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < 36] -= 6
    return LabelledVolume("a", grey_levels(tomogram_of(density), Preprocessing()), np.array(xyz, dtype=float), 10.0)


def test_right_labels_are_not_doubted(network: UNet3d) -> None:
    found = label_agreement(network, [volume(PLACES)])
    assert found is not None
    assert found.more_alike.max() < 0.03
    assert found.warning() is None


def test_a_wrong_label_is_shown(network: UNet3d) -> None:
    found = label_agreement(network, [volume([*PLACES, (60, 70, 28)])])
    assert found is not None
    warning = found.warning()
    assert warning == "W13 labels that look like background beside the others, 1 of 7: a 60 70 28"


def test_places_drawn_at_random_are_no_labels(network: UNet3d) -> None:
    places = [(45, 22, 20), (20, 50, 12), (60, 70, 28), (90, 50, 10), (10, 90, 30)]
    found = label_agreement(network, [volume(places)])
    assert found is not None
    warning = found.warning()
    assert warning is not None
    assert warning.startswith("W13 the labels do not look like each other")
    assert "check order, binning, contrast" in warning


def test_one_label_cannot_be_compared(network: UNet3d) -> None:
    assert label_agreement(network, [volume(PLACES[:1])]) is None


def test_a_warning_names_the_worst_first_and_not_all() -> None:
    many = Agreement([f"t{i}" for i in range(30)], np.arange(90.0).reshape(30, 3), np.linspace(0, 0.4, 30))
    warning = many.warning()
    assert warning is not None
    assert warning.count("t2") == NAMED
    assert warning.index("t29 87 88 89") < warning.index("t28")
    assert "; ..." in warning
