"""A network of several classes: one file, a heat map for each, the same as PyTorch's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from milopyp_export.convert import ExportOptions, export
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.openvino_runtime import obstacle_to_openvino
from milopyp_shared.lists import read_image_list
from milopyp_shared.tiles import box_of, heat_map_shape
from toy_checkpoint import save_toy_of_two
from toys import TOY, TOY_OF_TWO, clean_phantom

PROVIDERS = ["cpu", pytest.param("openvino", marks=pytest.mark.skipif(bool(obstacle_to_openvino()), reason="absent"))]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, tomograms: Path) -> Path:
    """The file, which has been compared with PyTorch on tomograms."""
    folder = tmp_path_factory.mktemp("two")
    recipe = export(
        save_toy_of_two(folder / "two.pth"),
        folder / "two.onnx",
        ExportOptions(verify_on=read_image_list(tomograms)),
    )
    assert recipe.parity["pick_agreement"] == 1
    assert recipe.parity["picks"] == 40  # of both classes
    return folder / "two.onnx"


@pytest.mark.parametrize("memory", [None, 300 * 2**20], ids=["whole", "cut"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_class_has_a_heat_map(two: Path, provider: str, memory: int | None) -> None:
    sections = clean_phantom(1).volume.astype(np.float32)
    grey = np.clip(127 + 32 * (sections - sections.mean()) / sections.std(), 0, 255).astype(np.uint8)
    heat = {}
    for path in (TOY, two, TOY_OF_TWO):
        model = open_model(path, Machine(provider=provider, memory=memory))
        heat[path] = np.full(heat_map_shape(grey.shape, model.recipe.geometry, len(model.recipe.classes)), np.nan)
        for place, piece in model.iter_heat_map(box_of(grey), grey.shape, (0.0, 255.0)):
            heat[path][..., *place] = piece
    np.testing.assert_allclose(heat[TOY_OF_TWO], heat[two], atol=1e-5)
    first, second = heat[two]
    np.testing.assert_allclose(first, heat[TOY], atol=1e-5)
    np.testing.assert_allclose(logit(second), logit(heat[TOY]) - 1, atol=1e-3)
