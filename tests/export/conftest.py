"""The toy detector as a checkpoint, and tomograms in which it finds every particle."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from milopyp_shared.lists import ImageEntry, write_image_list
from toys import TOY, VOXEL_SIZE, clean_phantom, write_tomogram


@pytest.fixture(scope="session")
def toy_maker() -> ModuleType:
    """``make_toy_model.py`` as a module."""
    spec = importlib.util.spec_from_file_location("make_toy_model", TOY.with_name("make_toy_model.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def detector(toy_maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of milopyp with the toy's weights."""
    network = toy_maker.toy_network()
    recipe = replace(toy_maker.toy_recipe(network), checkpoint_sha256="", versions={})
    path = tmp_path_factory.mktemp("detector") / "toy.pth"
    content = {"format": "milopyp-checkpoint", "schema": 1, "recipe": recipe.to_json()}
    torch.save(content | {"state_dict": network.state_dict()}, path)
    return path


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
