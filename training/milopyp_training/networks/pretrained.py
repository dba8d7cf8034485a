"""The pre-trained network: the shipped weights in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from milopyp_shared.errors import InputError
from milopyp_shared.head import Head
from milopyp_shared.pretrained_weights import REINSTALL, PretrainedWeights

from .precision import mixed
from .registry import NETWORKS
from .unet3d import UNet3d

HEAD = "head."


def load_pretrained(network: nn.Module, weights: PretrainedWeights) -> None:
    """Put the weights into `network`; its head, of which they have none, stays.

    Raises
    ------
    InputError
        They are those of another network.
    """
    state = {name: torch.tensor(array) for name, array in weights.arrays.items()}
    own = {name: value for name, value in network.state_dict().items() if not name.startswith(HEAD)}
    wrong = [
        name for name in {*own, *state} if name not in own or name not in state or own[name].shape != state[name].shape
    ]
    if wrong:
        raise InputError(
            f"the weights do not fit the network ({min(wrong)})",
            where=weights.path, expected="those of this version", remedy=REINSTALL,
        )  # fmt: skip
    network.load_state_dict(state, strict=False)


def build_pretrained(weights: PretrainedWeights) -> UNet3d:
    """The network of the weights, in evaluation mode; its head means nothing.

    Raises
    ------
    InputError
        They are those of another network.
    """
    description = weights.description
    network = NETWORKS[description.architecture].build(description.grey, asdict(description.options))
    assert isinstance(network, UNet3d)
    load_pretrained(network, weights)
    return network.eval()


def set_head(head: nn.Conv3d, fitted: Sequence[Head]) -> None:
    """Make `head` give the logits of fitted ones, of one for each class."""
    assert head.bias is not None
    with torch.no_grad():
        weights = np.stack([one.weights for one in fitted])
        head.weight.copy_(torch.from_numpy(weights).reshape(head.weight.shape))
        head.bias.copy_(torch.tensor([one.bias for one in fitted]))


def features_of(
    network: UNet3d, sections: NDArray[np.uint8], input_range: tuple[float, float], *, mixed_precision: bool = False
) -> NDArray[np.float32]:
    """Features ``(d, z, ceil(y/2), ceil(x/2))`` of grey levels ``(z, y, x)``, in evaluation mode.

    Parameters
    ----------
    input_range
        The grey levels that mean 0 and 1.
    mixed_precision
        In bfloat16.
    """
    features: Callable[..., Any] = mixed(network.features) if mixed_precision else network.features
    low, high = input_range
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        scaled = (torch.from_numpy(sections)[None].to(device, torch.float32) - low) / (high - low)
        found: NDArray[np.float32] = features(scaled)[0].cpu().numpy()
    network.train(was_training)
    return found
