"""The default network: a compact 3D U-Net on the half-resolution grid.

A strided first convolution takes 2 x 2 pixels to one grid voxel; three levels of two 3 x 3 x 3 convolutions each,
pooled by 2 along all axes, nearest-neighbour up-sampling, concatenated skips and one convolution per level on the way
up give one logit per grid voxel. The pre-trained network has more layers of 1 x 1 x 1: what comes from a coarser level
is projected to the width of the finer one before it joins, and the logit is a linear function of a few features that
are not negative. Its width lies in the coarser levels, where it costs an eighth of the time and memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from milopyp_shared.recipe import Geometry

from .base import PickingNetwork, cut_to
from .receptive_field import unet_halo

INITIAL_LOGIT = -4.0  # the prior that a voxel is a particle centre is small; starting there saves the first steps


class UNet3d(PickingNetwork):
    """Compact 3D U-Net.

    Parameters
    ----------
    channels
        Of the finest level.
    levels
        Number of levels; ``levels - 1`` poolings.
    features
        Per grid voxel, before the logit; 0: the channels of the finest level.
    projected
        1: coarser levels are projected before they are up-sampled.
    coarse
        Channels of the second level, doubled per level below; 0: twice those of the finest level.
    classes
        Of particles, each with a logit of its own.
    grey_limits
        z-scores that inputs 0 and 1 stand for; the network works on z-scores, whose mean of 0 agrees with its zero
        padding.
    """

    def __init__(
        self,
        channels: int = 16,
        levels: int = 3,
        features: int = 0,
        projected: int = 0,
        coarse: int = 0,
        *,
        classes: int = 1,
        grey_limits: tuple[float, float] = (-4.0, 4.0),
    ) -> None:
        super().__init__()
        self.channels, self.levels, self.grey_limits = channels, levels, grey_limits
        self.architecture_options = {"channels": channels, "levels": levels}
        if features or projected or coarse:
            self.architecture_options |= {"features": features, "projected": projected, "coarse": coarse}
        if classes > 1:  # files of one class stay what they were
            self.architecture_options |= {"classes": classes}
        widths = [channels, *((coarse or 2 * channels) * 2**level for level in range(levels - 1))]
        # 6 x 6 with stride 2 is a 3 x 3 convolution over blocks of 2 x 2 pixels
        self.stem = nn.Conv3d(1, widths[0], (3, 6, 6), stride=(1, 2, 2), padding=(1, 2, 2), bias=False)
        self.stem_norm = nn.BatchNorm3d(widths[0])
        self.down = nn.ModuleList([_convolution(widths[0], widths[0])])
        self.down.extend(_double(widths[i - 1], widths[i]) for i in range(1, levels))
        finer = list(reversed(range(levels - 1)))
        self.projections = nn.ModuleList(_convolution(widths[i + 1], widths[i], 1) for i in finer if projected)
        self.up = nn.ModuleList(_convolution(widths[i] + widths[i + (not projected)], widths[i]) for i in finer)
        self.to_features = _convolution(widths[0], features, 1) if features else nn.Identity()
        self.head = nn.Conv3d(features or widths[0], classes, 1)
        nn.init.constant_(self.head.bias, INITIAL_LOGIT)  # type: ignore[arg-type]

    def forward(self, sections: Tensor) -> Tensor:
        """Logits ``(B, z, ceil(y/2), ceil(x/2))`` of grey levels ``(B, z, y, x)`` in 0..1.

        Of several classes ``(B, classes, z, ceil(y/2), ceil(x/2))``.
        """
        logits: Tensor = self.head(self.features(sections))
        return logits.squeeze(1) if self.head.out_channels == 1 else logits

    def features(self, sections: Tensor) -> Tensor:
        """What the logit is a linear function of, ``(B, features, z, ceil(y/2), ceil(x/2))``."""
        low, high = self.grey_limits
        x = (sections * (high - low) + low).unsqueeze(1)
        x = (
            self._stem_of_blocks(x) if self.training else self.stem(functional.pad(x, (0, 1, 0, 1)))
        )  # odd sizes round up
        x = functional.relu(self.stem_norm(x), inplace=True)
        skips = []
        for level, block in enumerate(self.down):
            if level:
                x = functional.max_pool3d(x, 2, ceil_mode=True)
            x = block(x)
            skips.append(x)
        skips.pop()
        for number, block in enumerate(self.up):
            skip = skips.pop()
            x = self.projections[number](x) if self.projections else x
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = cut_to(x, skip, (2, 3, 4))
            x = block(torch.cat((skip, x), dim=1))
        features: Tensor = self.to_features(x)
        return features

    def _stem_of_blocks(self, x: Tensor) -> Tensor:
        """The stem as a 3 x 3 x 3 convolution of blocks of 2 x 2 pixels, whose gradient takes a quarter of the time."""
        x = functional.pad(x, (0, x.shape[4] % 2, 0, x.shape[3] % 2))
        batch, _, depth, rows, columns = x.shape
        blocks = x.reshape(batch, depth, rows // 2, 2, columns // 2, 2).permute(0, 3, 5, 1, 2, 4).flatten(1, 2)
        kernel = self.stem.weight.reshape(-1, 3, 3, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).flatten(1, 2)
        return functional.conv3d(blocks, kernel, padding=1)

    def geometry(self) -> Geometry:
        """Halo, alignment and stride for tiles."""
        poolings = self.levels - 1
        alignment = 2**poolings
        grid_halo = unet_halo(poolings, up=1)
        in_plane = 2 * grid_halo  # the stem is one of the convolutions, over blocks of 2 x 2 pixels
        return Geometry((grid_halo, in_plane, in_plane), (alignment, 2 * alignment, 2 * alignment), (1, 2, 2))


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm3d(outputs),
        nn.ReLU(inplace=True),
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs), _convolution(outputs, outputs))
