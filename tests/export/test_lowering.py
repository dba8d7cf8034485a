"""The layouts of a network for CPUs and GPUs do what the network does, odd sizes and single sections included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from milopyp_export.lowering import Layout, LoweredNetwork, lower
from milopyp_export.streaming import FullVolume, Streaming
from milopyp_export.volume_convolutions import VolumeOfSections
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d
from shipped import unsettled

LAYOUTS: tuple[Layout, ...] = ("conv3d", "conv2d_sum", "conv2d_stack", "volume")
SHAPES = [(8, 32, 32), (7, 33, 47), (2, 18, 17), (1, 24, 31)]


@pytest.fixture(
    scope="module",
    params=[
        lambda: UNet3d(4, 3),
        lambda: UNet3d(3, 2),
        lambda: UNet3d(2, 1),
        lambda: UNet3d(4, 3, features=6, projected=1, coarse=10),
        lambda: UNet3d(4, 3, features=6, projected=1, coarse=10, classes=3),
        lambda: SectionUNet(2),
        lambda: SectionUNet(3, last_k=5),
        lambda: SectionUNet(2, last_k=1),
    ],
    ids=["unet3d", "two levels", "one level", "features", "classes", "sections", "last_k 5", "last_k 1"],
)
def network(request: pytest.FixtureRequest) -> PickingNetwork:
    torch.manual_seed(1)
    made: PickingNetwork = request.param()
    return unsettled(made)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_logits(
    network: PickingNetwork, layout: Layout, shape: tuple[int, int, int]
) -> None:
    grey = torch.rand((1, *shape), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        wanted = network.picking_logits(grey)
        found = _logits(lower(network, layout), grey, layout)
    classes = network.architecture_options.get("classes", 1)
    assert (
        found.shape == wanted.shape == (1, *[classes] * (classes > 1), shape[0], -(-shape[1] // 2), -(-shape[2] // 2))
    )
    assert wanted.std() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_left_to_normalise_and_the_trained_network_stays_as_it_was(
    network: PickingNetwork, layout: Layout
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    made = lower(network, layout)
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d) for layer in made.modules())
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("chunk", [4, 8, 20])
@pytest.mark.parametrize("depth", [1, 6, 19, 24])
@pytest.mark.parametrize("layout", ["conv2d_sum", "conv2d_stack"])
def test_a_stream_of_chunks_gives_the_whole(network: PickingNetwork, layout: Layout, depth: int, chunk: int) -> None:
    """What lies beyond the last section has no influence, and no result comes twice or is missing."""
    generator = torch.Generator().manual_seed(3)
    grey = torch.rand((1, depth, 21, 26), generator=generator)
    made, states, found, delay = lower(network, layout), None, [], 0
    with torch.inference_mode():
        wanted = made(grey, FullVolume())
        for position in range(0, depth + 64, chunk):
            part = torch.rand((1, chunk, 21, 26), generator=generator)
            inside = grey[:, position : position + chunk]
            part[:, : inside.shape[1]] = inside
            stream = Streaming(torch.tensor(position), torch.tensor(depth), states)
            found.append(made(part, stream))
            states, delay = stream.after, stream.delay
    torch.testing.assert_close(torch.cat(found, dim=-3)[..., delay : delay + depth, :, :], wanted, rtol=1e-5, atol=2e-5)


def _logits(made: LoweredNetwork, grey: Tensor, layout: Layout) -> Tensor:
    """Of a whole volume."""
    whole_windows = all(size % windows == 0 for size, windows in zip(grey.shape[1:], (4, 8, 8), strict=True))
    return made(grey, VolumeOfSections(whole_windows) if layout == "volume" else FullVolume())
