"""The toy detector as a checkpoint."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

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
    recipe = replace(maker.toy_recipe(network), checkpoint_sha256="", versions={})
    content = {"format": "milopyp-checkpoint", "schema": 1, "recipe": recipe.to_json()}
    torch.save(content | {"state_dict": network.state_dict()}, path)
    return path
