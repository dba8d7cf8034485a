"""What every row of the table of networks has to keep to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from milopyp_shared.calibration import Threshold
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import Geometry, Recipe
from milopyp_training.networks.registry import NETWORKS, build_network, trained_by
from running import run_line

RECIPE = Recipe("", "default", Preprocessing(), Geometry((0, 0, 0), (1, 1, 1), (1, 1, 1)), 10.0, Threshold(0.5, "none"))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_builds_the_network_that_its_recipe_builds_again(name: str) -> None:
    spec = NETWORKS[name]
    assert spec.name == name
    network = spec.build(RECIPE.grey, {}).eval()
    again = build_network(replace(RECIPE, architecture=name, architecture_options=network.architecture_options))
    again.load_state_dict(network.state_dict())
    grey = torch.rand(2, 5, 35, 38, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits = network.picking_logits(grey)
        assert torch.equal(again.eval().picking_logits(grey), logits)
    stride = network.geometry().stride
    assert logits.shape == (2, *(-(-size // step) for size, step in zip(grey.shape[1:], stride, strict=True)))


def test_presets_of_the_networks() -> None:
    assert trained_by("default") == ["unet3d"]
    assert trained_by("published") == ["unet_4", "unet_5"]


def test_memory_grows_with_the_width_of_the_network() -> None:
    by_width = {channels: NETWORKS["unet3d"].working_bytes({"channels": channels}) for channels in (2, 16, 32, 64)}
    assert by_width == {2: 240, 16: 240, 32: 480, 64: 960}
    assert NETWORKS["unet3d"].working_bytes({"channels": 16, "coarse": 80}) == 320
    in_tiles = NETWORKS["unet3d"].tile_bytes
    assert in_tiles is not None
    assert [in_tiles({"channels": channels}) for channels in (2, 32)] == [132, 256]
    assert (NETWORKS["unet3d"].working_bytes({}), in_tiles({})) == (240, 132)


def test_the_command_line_names_them_without_pytorch() -> None:
    code = "import sys; import milopyp_training.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    words = " ".join(run_line("milopyp-train --help").out.split())
    assert "--arch [unet3d|unet_4|unet_5] Network; unet_4 and unet_5 select the published preset." in words
    refused = run_line("milopyp-train --train-img-txt a --train-coord-txt b --bbox 9 --arch unet_6")
    assert (refused.code, refused.errors[-1]) == (
        2,
        "Error: Invalid value for '--arch': 'unet_6' is not one of 'unet3d', 'unet_4', 'unet_5'.",
    )
