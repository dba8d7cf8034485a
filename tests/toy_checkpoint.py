"""The toy detector as a checkpoint."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

from milopyp_shared.calibration import Threshold
from milopyp_shared.recipe import OtherParticle, Recipe
from milopyp_training.networks.unet3d import UNet3d
from toys import TOY


def toy_maker() -> ModuleType:
    """``make_toy_model.py`` as a module."""
    spec = importlib.util.spec_from_file_location("make_toy_model", TOY.with_name("make_toy_model.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save_toy(path: Path) -> Path:
    """A checkpoint of milopyp with the toy's weights."""
    maker = toy_maker()
    network = maker.toy_network()
    return _save(path, network, maker.toy_recipe(network))


def save_toy_of_two(path: Path) -> Path:
    """A checkpoint of two classes: what the toy finds, and what it finds with a logit one lower."""
    maker = toy_maker()
    one = maker.toy_network()
    network = UNet3d(channels=one.channels, levels=one.levels, classes=2).eval()
    head = {"head.weight": one.head.weight.repeat(2, 1, 1, 1, 1), "head.bias": one.head.bias - torch.tensor([0.0, 1.0])}
    network.load_state_dict(one.state_dict() | head)
    recipe = replace(
        maker.toy_recipe(network),
        architecture_options=network.architecture_options,
        particle="ribosome",
        others=(OtherParticle("proteasome", 8.0, Threshold(0.4, "chosen by hand")),),
    )
    return _save(path, network, recipe)


def _save(path: Path, network: UNet3d, recipe: Recipe) -> Path:
    recipe = replace(recipe, checkpoint_sha256="", versions={})
    content = {"format": "milopyp-checkpoint", "schema": 1, "recipe": recipe.to_json()}
    torch.save(content | {"state_dict": network.state_dict()}, path)
    return path
