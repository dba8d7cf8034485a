"""The default network: the two ways to compute its stem, its features and its head."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from milopyp_training.networks.unet3d import UNet3d


@pytest.mark.parametrize("shape", [(4, 16, 16), (3, 17, 22), (2, 9, 31), (1, 8, 7)], ids=str)
def test_the_stem_of_blocks_is_the_stem(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = UNet3d(5, 2).double()
    x = torch.randn(2, 1, *shape, dtype=torch.float64)
    wanted = network.stem(functional.pad(x, (0, 1, 0, 1)))
    torch.testing.assert_close(network._stem_of_blocks(x), wanted)


def test_the_logit_is_a_linear_function_of_features_that_are_not_negative() -> None:
    torch.manual_seed(0)
    network = UNet3d(4, 3, features=6, projected=1, coarse=10).eval()
    grey = torch.rand(1, 5, 18, 23)
    with torch.no_grad():
        features, logits = network.features(grey), network(grey)
        linear = torch.einsum("d,bdzyx->bzyx", network.head.weight.flatten(), features) + network.head.bias
    assert features.shape == (1, 6, 5, 9, 12)
    assert (features >= 0).all() and (features > 0).any()
    torch.testing.assert_close(linear, logits)


def test_old_options_give_the_network_that_they_always_gave() -> None:
    network = UNet3d()
    assert network.architecture_options == {"channels": 16, "levels": 3}
    assert sum(value.numel() for value in network.parameters()) == 320_241
    assert not any(name.startswith(("projections", "to_features")) for name in network.state_dict())
