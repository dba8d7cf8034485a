"""Tiles through the real networks: the joined heat map is that of the whole volume, and the halo is just enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from milopyp_shared.recipe import Geometry
from milopyp_shared.tiles import Tiling, box_of, cut, iter_heat_map
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d

TOLERANCE = 1e-5


def trained_looking(network: PickingNetwork, seed: int = 0) -> PickingNetwork:
    """Random weights, and statistics as training leaves them, so that the heat map has peaks and background."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d):
            fan = module.weight.shape[0] if isinstance(module, nn.ConvTranspose2d) else module.weight[0].numel()
            nn.init.normal_(module.weight, std=(2 / fan) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for values, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 1.5),
                (module.weight, 0.7, 1.3),
                (module.bias, -0.2, 0.4),
            ):
                nn.init.uniform_(values, low, high, generator=generator)
    network.eval()
    last = network.hm if isinstance(network, SectionUNet) else network.head
    with torch.inference_mode():
        spread = network.picking_logits(torch.rand(1, 16, 32, 32, generator=generator)).std()
    with torch.no_grad():
        last.weight /= spread  # type: ignore[operator]
    return network


def probabilities(network: PickingNetwork, sections: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        levels = torch.from_numpy(sections.astype(np.float32) / 255).unsqueeze(0)
        return network.picking_logits(levels)[0].sigmoid().numpy()


def in_tiles(network: PickingNetwork, volume: np.ndarray, geometry: Geometry, counts: list[int]) -> np.ndarray:
    """Heat map of a volume cut into so many parts along each axis."""
    axes = [cut(*axis) for axis in zip(volume.shape, counts, geometry.halo, geometry.alignment, strict=True)]
    tiles = Tiling(*axes)
    heat = np.full([-(-size // stride) for size, stride in zip(volume.shape, geometry.stride, strict=True)], np.nan)

    for place, piece in iter_heat_map(tiles, box_of(volume), lambda block: probabilities(network, block), geometry):
        heat[place] = piece
    return heat


@pytest.fixture(scope="module", params=["unet3d", "unet3d of four levels", "unet_4", "unet_4 last_k 5"])
def case(request: pytest.FixtureRequest) -> tuple[PickingNetwork, Geometry]:
    torch.manual_seed(0)
    network: UNet3d | SectionUNet
    if request.param.startswith("unet3d"):
        network = UNet3d() if request.param == "unet3d" else UNet3d(channels=4, levels=4)
        nn.init.zeros_(network.head.bias)  # type: ignore[arg-type]
    else:
        network = SectionUNet(4, last_k=5 if "5" in request.param else 3)
    return trained_looking(network), network.geometry()


@settings(max_examples=12)
@given(st.integers(1, 50), st.integers(9, 50), st.integers(9, 50), st.data())
def test_any_tiles_give_the_heat_map_of_the_whole(
    case: tuple[PickingNetwork, Geometry], depth: int, rows: int, columns: int, data: st.DataObject
) -> None:
    network, geometry = case
    counts = [data.draw(st.integers(1, 4)) for _ in range(3)]
    volume = np.random.default_rng(depth).integers(0, 256, (depth, rows, columns), np.uint8)
    joined = in_tiles(network, volume, geometry, counts)
    whole = probabilities(network, volume)
    assert joined.shape == (depth, -(-rows // 2), -(-columns // 2))
    np.testing.assert_allclose(joined, whole, rtol=0, atol=TOLERANCE)


def test_one_tile_is_the_whole(case: tuple[PickingNetwork, Geometry]) -> None:
    network, geometry = case
    volume = np.random.default_rng(1).integers(0, 256, (23, 21, 18), np.uint8)
    whole = probabilities(network, volume)
    assert whole.std() > 0.05  # the comparisons above have something to compare
    joined = in_tiles(network, volume, geometry, [1, 1, 1])
    assert np.array_equal(joined, whole)


@pytest.mark.parametrize(
    "network",
    [UNet3d(1, levels=2), UNet3d(1, levels=3), SectionUNet(2), SectionUNet(3, last_k=5)],
    ids=["unet3d of two levels", "unet3d of three levels", "unet_2", "unet_3 last_k 5"],
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_halo_is_the_receptive_field(network: UNet3d | SectionUNet, axis: int) -> None:
    """In a network that only adds, whatever reaches an output raises it: the reach is what the geometry says."""
    network = network.double().eval()
    for name, parameter in network.named_parameters():
        nn.init.constant_(parameter, 0.1 if "weight" in name else 0.0)
    geometry = network.geometry()
    halo, stride, alignment = geometry.halo[axis], geometry.stride[axis], geometry.alignment[axis]
    middle = (halo // alignment + 2) * alignment
    shape = [4, 16, 16]
    shape[axis] = 2 * middle + alignment  # so that the volume's ends cut nothing off
    flat = torch.full((1, *shape), 0.5, dtype=torch.float64)
    reaches = []
    with torch.inference_mode():
        unchanged = network.picking_logits(flat)
        for position in range(middle, middle + alignment):
            changed = flat.clone()
            changed[(0, *(position if a == axis else slice(None) for a in range(3)))] = 1e6
            raised = (network.picking_logits(changed) > unchanged)[0]
            outputs = raised.amax(dim=[a for a in range(3) if a != axis]).nonzero().flatten().numpy()
            reaches += [(outputs * stride - position).max(), (position - (outputs * stride + stride - 1)).max()]
    assert max(reaches) == halo


def test_less_would_show(case: tuple[PickingNetwork, Geometry]) -> None:
    network, geometry = case
    halo, alignment = geometry.halo[0], geometry.alignment[0]
    volume = np.random.default_rng(1).integers(0, 256, (2 * halo + 10, 16, 16), np.uint8)
    whole = probabilities(network, volume)
    changes: list[dict[str, tuple[int, int, int]]] = [{"halo": (halo // 3, 0, 0)}]
    changes += [{"alignment": (1, 1, 1)}] if alignment > 1 else []
    for change in changes:
        less = replace(geometry, **change)
        joined = in_tiles(network, volume, less, [4, 1, 1])
        assert np.abs(joined - whole).max() > 10 * TOLERANCE, change
