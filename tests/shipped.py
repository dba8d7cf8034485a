"""Small weights in place of those that are shipped."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.unet3d import UNet3d
from milopyp_training.pretraining.settings import PretrainingSettings
from milopyp_training.pretraining.ship import ship


def unsettled(network: PickingNetwork) -> PickingNetwork:
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


def ship_small(folder: Path) -> Path:
    """Arrays and description of a network of two channels and four features."""
    network = UNet3d(2, 3, features=4, projected=1)
    unsettled(network)
    ship(network, PretrainingSettings(channels=2, coarse=0, features=4), folder)
    return folder
