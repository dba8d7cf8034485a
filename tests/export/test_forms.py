"""The forms of a network for CPUs and GPUs do what the network does, odd sizes and single sections included."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from milopyp_export.forms import Form, deployed
from milopyp_training.networks import picking_logits
from milopyp_training.unet2d import SectionUNet
from milopyp_training.unet3d import UNet3d

FORMS: tuple[Form, ...] = ("volume", "summed", "stacked")
SHAPES = [(8, 32, 32), (7, 33, 47), (2, 18, 17), (1, 24, 31)]


def unsettled(network: nn.Module) -> nn.Module:
    """`network` with batch normalisations that are not the identity, and logits that are not all alike."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.uniform_(-0.2, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(layer.weight, 0.75, 1.25, generator=generator)
            nn.init.uniform_(layer.bias, -0.2, 0.2, generator=generator)
        elif isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.normal_(layer.weight, std=(2.0 / layer.weight[0].numel()) ** 0.5, generator=generator)
    return network.eval()


@pytest.fixture(
    scope="module",
    params=[
        lambda: UNet3d(4, 3),
        lambda: UNet3d(3, 2),
        lambda: UNet3d(2, 1),
        lambda: SectionUNet(2),
        lambda: SectionUNet(3, last_k=5),
        lambda: SectionUNet(2, last_k=1),
    ],
    ids=["unet3d", "two levels", "one level", "sections", "last_k 5", "last_k 1"],
)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(1)
    made: nn.Module = request.param()
    return unsettled(made)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_logits(network: nn.Module, form: Form, shape: tuple[int, int, int]) -> None:
    grey = torch.rand((1, *shape), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        wanted = picking_logits(network, grey)
        found = deployed(network, form)(grey)
    assert found.shape == wanted.shape == (1, shape[0], -(-shape[1] // 2), -(-shape[2] // 2))
    assert wanted.std() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_left_to_normalise_and_the_trained_network_stays_as_it_was(network: nn.Module, form: Form) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    made = deployed(network, form)
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d) for layer in made.modules())
    assert not any("proj" in name for name in made.state_dict())
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_the_published_network_comes_apart_at_its_features(form: Form) -> None:
    made = deployed(unsettled(SectionUNet(2)), form)
    grey = torch.rand(1, 9, 25, 30)
    with torch.inference_mode():
        features = made.features(grey)
        assert features.shape == (9, 32, 13, 15)
        singly = torch.cat([made.features(grey[:, z : z + 1]) for z in range(9)])
        torch.testing.assert_close(features, singly, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made.head(features), made(grey))
        # three sections to either side are all that the head needs
        torch.testing.assert_close(made.head(features[:7])[:, :4], made(grey)[:, :4], rtol=1e-5, atol=1e-5)
