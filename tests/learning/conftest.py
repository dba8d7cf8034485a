"""Tomograms with dark balls, and the network that every installation has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from milopyp_inference.engine.features import FeatureNetwork, open_features
from milopyp_inference.engine.machine import Machine
from milopyp_shared.lists import ImageEntry
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.loading import load_volumes
from toys import ball_centres, balls, write_tomogram

SHAPE = (24, 70, 90)
DIAMETER = 12.0


@pytest.fixture(scope="session")
def network() -> FeatureNetwork:
    return open_features(machine=Machine(threads=1))


def ball_tomogram(path: Path, seed: int = 1) -> np.ndarray:
    """Writes one of dark balls in noise; their centres ``(n, 3)`` x, y, z."""
    centres = ball_centres(SHAPE, DIAMETER, seed)
    noise = np.random.default_rng(seed).normal(0, 0.5, SHAPE)
    write_tomogram(path, (balls(SHAPE, centres, DIAMETER) + noise).astype(np.float32), voxel_size=10.0)
    return np.asarray(centres[:, ::-1])


def loaded(path: Path, xyz: np.ndarray, network: FeatureNetwork, **more: object) -> LabelledVolume:
    """The tomogram as `milopyp learn` opens it."""
    entry = ImageEntry(path.stem, path)
    [volume] = load_volumes(
        [entry],
        {entry.name: xyz},
        network.description.grey,
        diameter=DIAMETER,
        **more,  # type: ignore[arg-type]
    )
    return volume


@pytest.fixture
def volume(tmp_path: Path, network: FeatureNetwork) -> LabelledVolume:
    path = tmp_path / "a.mrc"
    return loaded(path, ball_tomogram(path), network)
