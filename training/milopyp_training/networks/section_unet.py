"""The published network: a 2D U-Net per section, then a 3D head across sections.

`SectionUNet(4)` is `unet_4`, `SectionUNet(5)` is `unet_5`; names, shapes and types of the
parameters are those of the published checkpoints. Input and output are cut into two halves that
can be called on their own: `features` sees one section at a time, `head` mixes sections. An
engine may therefore compute the expensive first half once per section and run the second half
over a rolling buffer.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.recipe import Geometry

from .base import PickingNetwork, cut_to
from .receptive_field import unet_halo

WIDTH = 32
"""Channels of the first level, of the features and of the embedding."""
STEM = 16
"""Channels of the stem convolution, which halves y and x."""
HEAD_STD = 0.001
"""Standard deviation of the head's initial weights in the published program."""
DILATION = 4
"""Of the feature head's convolutions, in the plane."""


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


class _Down(nn.Module):
    """Two convolutions at one resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs)
        self.conv2 = _conv(outputs, outputs)
        self.norm0 = nn.BatchNorm2d(outputs)
        self.norm1 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm0(self.conv1(x)))
        return functional.relu(self.norm1(self.conv2(x)))


class _Up(nn.Module):
    """Up-sampling by two, joined with the skip connection of the same resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.upconv = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.conv1 = _conv(2 * outputs, outputs)
        self.conv2 = _conv(outputs, outputs)
        self.norm0 = nn.BatchNorm2d(outputs)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = cut_to(self.upconv(x), skip, (-2, -1))
        x = torch.cat([functional.relu(self.norm0(x)), skip], dim=1)
        x = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(x)))


class _UNet(nn.Module):
    """U-Net with `levels` resolutions, (S, 16, h, w) -> (S, 32, h, w)."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        widths = [WIDTH * 2**level for level in range(levels)]
        self.down_convs = nn.ModuleList(
            _Down(inputs, outputs) for inputs, outputs in zip([STEM, *widths], widths, strict=False)
        )
        self.up_convs = nn.ModuleList(_Up(width, width // 2) for width in reversed(widths[1:]))
        self.conv_final = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, down in enumerate(self.down_convs):
            if level:
                x = functional.max_pool2d(x, 2, ceil_mode=True)
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.up_convs:
            x = up(x, skips.pop())
        return cast(Tensor, self.conv_final(x))


class SectionUNet(PickingNetwork):
    """The published network `unet_4` or `unet_5`, with a heat-map and an embedding head.

    Parameters
    ----------
    levels
        Number of resolutions: 4 (2.0 M parameters) or 5 (7.8 M). Other depths >= 2 work but have
        no published counterpart.
    last_k
        Odd edge, in the plane, of the last 3D convolution of the feature head (3 across sections,
        dilation 4 in the plane). 3 is the published network.

    Raises
    ------
    UsageError
        `levels` below 2, or an even or non-positive `last_k`.

    Notes
    -----
    Architecture and initial weights follow the published method: Xavier-normal U-Net with zero
    biases, normal head with standard deviation 0.001, the framework's default for the stem.

    Two deviations: the published program accepts `last_k` and ignores it, here it sets the kernel; and
    the published network drops a leading axis of length 1, so it trains with one pair of patches
    only, here the batch axis is what it says.
    """

    def __init__(self, levels: int, last_k: int = 3) -> None:
        super().__init__()
        if levels < 2:
            raise UsageError(f"{levels} levels", where="--arch", expected="unet_4 or unet_5")
        if last_k < 1 or last_k % 2 == 0:
            raise UsageError(f"{last_k}", where="--last-k", expected="an odd number from 1 on, 3 for published weights")
        self.levels, self.last_k = levels, last_k
        self.architecture_options = {"last_k": last_k}
        self.conv1 = nn.Conv2d(1, STEM, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.unet = _UNet(levels)
        self.feature_head = nn.Sequential(
            _head_conv(3), nn.ReLU(inplace=True), _head_conv(last_k), nn.ReLU(inplace=True)
        )
        self.hm = nn.Conv3d(WIDTH, 1, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.proj = nn.Conv3d(WIDTH, WIDTH, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the published initial weights from PyTorch's global generator."""
        for module in self.unet.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in (self.feature_head[0], self.feature_head[2], self.hm, self.proj):
            nn.init.normal_(cast(nn.Conv3d, module).weight, std=HEAD_STD)

    def sections(self, x: Tensor) -> Tensor:
        """2D half for a stack of independent sections: (S, 1, H, W) -> (S, 32, ceil(H/2), ceil(W/2))."""
        return cast(Tensor, self.unet(functional.relu(self.bn1(self.conv1(x)))))

    def features(self, x: Tensor) -> Tensor:
        """2D half of the network, each section on its own.

        Parameters
        ----------
        x
            Preprocessed grey levels (B, D, H, W), axes (batch, z, y, x).

        Returns
        -------
        Tensor
            (B, 32, D, ceil(H/2), ceil(W/2)). Section d depends on section d of `x` only.

        Raises
        ------
        InputError
            `x` does not have four axes.
        """
        if x.ndim != 4:
            raise InputError(f"a network input with {x.ndim} axes", expected="four: batch, z, y, x")
        flat = self.sections(x.flatten(0, 1).unsqueeze(1))
        return flat.unflatten(0, (x.shape[0], x.shape[1])).transpose(1, 2)

    def head(self, features: Tensor, embed: bool = True) -> tuple[Tensor, Tensor | None]:
        """3D half of the network; reads three sections to either side.

        Parameters
        ----------
        features
            (B, 32, D, h, w) as `features` returns it.
        embed
            Also compute the embedding.

        Returns
        -------
        tuple
            Logits (B, 1, D, h, w), and the embedding (B, 32, D, h, w) of Euclidean norm 1 over
            axis 1, or None.
        """
        shared = self.feature_head(features)
        embedding = functional.normalize(self.proj(shared), dim=1, eps=1e-12) if embed else None
        return self.hm(shared), embedding

    def forward(self, x: Tensor, embed: bool = True) -> tuple[Tensor, Tensor | None]:
        """Heat-map logits and embedding of grey levels.

        Parameters
        ----------
        x
            Preprocessed grey levels (B, D, H, W), axes (batch, z, y, x).
        embed
            Also compute the embedding, which only training needs.

        Returns
        -------
        tuple
            Logits (B, 1, D, ceil(H/2), ceil(W/2)) and the unit embedding (B, 32, D, ...) or None.
            Map voxel (k, j, i) covers the input voxels (k, 2j..2j+1, 2i..2i+1).

        Raises
        ------
        InputError
            `x` does not have four axes.
        """
        return self.head(self.features(x), embed)

    def picking_logits(self, sections: Tensor) -> Tensor:
        """Logits without the embedding; volume by volume, which keeps reshaping out of the exported graph."""
        features = [self.sections(volume.unsqueeze(1)).transpose(0, 1) for volume in sections]
        logits, _ = self.head(torch.stack(features), embed=False)
        return logits.squeeze(1)

    def geometry(self) -> Geometry:
        """Halo, alignment and stride for tiles: three sections to either side, a wide field in the plane."""
        poolings = self.levels - 1
        head = DILATION * (1 + self.last_k // 2)
        in_plane = 2 * unet_halo(poolings, head) + 3  # the stem reads 3 pixels to either side
        alignment = 2 * 2**poolings
        return Geometry((3, in_plane, in_plane), (1, alignment, alignment), (1, 2, 2))


def _head_conv(kernel: int) -> nn.Conv3d:
    """Convolution of the feature head that keeps the size; dilation 4 in the plane as published."""
    return nn.Conv3d(
        WIDTH,
        WIDTH,
        (3, kernel, kernel),
        dilation=(1, DILATION, DILATION),
        padding=(1, DILATION * (kernel // 2), DILATION * (kernel // 2)),
        bias=False,
    )
