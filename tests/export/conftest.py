"""The toy detector as a checkpoint, and tomograms in which it finds every particle."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import toy_checkpoint
from milopyp_shared.lists import ImageEntry, write_image_list
from toys import VOXEL_SIZE, clean_phantom, write_tomogram


@pytest.fixture(scope="session")
def toy_maker() -> ModuleType:
    """``make_toy_model.py`` as a module."""
    return toy_checkpoint.toy_maker()


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of milopyp with the toy's weights."""
    return toy_checkpoint.save_toy(tmp_path_factory.mktemp("detector") / "toy.pth")


@pytest.fixture(scope="session")
def tomograms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image list of two noise-free phantoms with ten particles each."""
    folder = tmp_path_factory.mktemp("tomograms")
    entries = []
    for seed in (1, 2):
        path = write_tomogram(folder / f"p{seed}.mrc", clean_phantom(seed).volume, voxel_size=VOXEL_SIZE)
        entries.append(ImageEntry(f"p{seed}", path))
    write_image_list(folder / "images.txt", entries)
    return folder / "images.txt"
