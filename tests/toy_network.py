"""A network as somebody adds one: this file, and a row of `NETWORKS`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import Geometry
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.registry import NetworkSpec


class ToyNetwork(PickingNetwork):
    """Three convolutions on a grid of half the resolution along all axes, which no other network has."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.architecture_options = {"channels": channels}
        self.layers = nn.Sequential(
            nn.Conv3d(1, channels, 3, stride=2, padding=1),
            nn.BatchNorm3d(channels),
            nn.ReLU(),
            nn.Conv3d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv3d(channels, 1, 3, padding=1),
        )

    def forward(self, sections: Tensor) -> Tensor:
        """Logits on the grid."""
        logits: Tensor = self.layers(2 * sections.unsqueeze(1) - 1).squeeze(1)
        return logits - 2

    def geometry(self) -> Geometry:
        """One voxel per convolution to either side, of the grid after the first one."""
        return Geometry(halo=(5, 5, 5), alignment=(2, 2, 2), stride=(2, 2, 2))


def build(grey: Preprocessing, options: Mapping[str, int]) -> ToyNetwork:
    return ToyNetwork(**options)


TOY_NETWORK = NetworkSpec("toy", build)
