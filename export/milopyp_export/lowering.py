"""The networks in the form in which they run fastest; the arithmetic stays that of the trained ones.

GPUs like 3D convolutions. onnxruntime's 3D convolutions on the CPU run at about half the rate of its 2D ones, and its
3D up-sampling is slow, so for CPUs the sections become the batch of 2D operators, and a kernel that reaches over three
sections becomes 2D convolutions whose inputs or results are shifted by one section:

``summed``
    Three convolutions, one per section of the kernel, and the sum of their shifted results. The fastest in fp32;
    what comes from a coarser level is convolved before its sections are doubled.
``stacked``
    One convolution over three sections stacked as channels. One accumulation and one rounding of the result: what
    integers need.
``volume``
    3D convolutions, for GPUs.

Batch normalisation is folded into the convolutions in all of them.
"""

from __future__ import annotations

import copy
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d

from .streaming import Activation, FullVolume

Layout = Literal["volume", "summed", "stacked"]


def lower(network: nn.Module, form: Layout) -> LoweredSectionUNet | LoweredUNet3d:
    """`network` in evaluation mode, rebuilt; gives logits ``(1, z, h, w)`` of grey levels ``(1, z, y, x)`` in 0..1.

    All but the form ``volume`` also run on chunks of sections that pass by: see `milopyp_export.streaming`.
    """
    if isinstance(network, SectionUNet):
        return LoweredSectionUNet(network, form).eval()
    assert isinstance(network, UNet3d)
    return LoweredUNet3d(network, form).eval()


class LoweredSectionUNet(nn.Module):
    """The published network without its projection head: features of single sections, and a head over sections."""

    multiple = 1  # chunks may have any number of sections

    def __init__(self, network: SectionUNet, form: Layout) -> None:
        super().__init__()
        network = copy.deepcopy(network)
        _fold(network, conv1="bn1")
        for down in network.unet.down_convs:
            _fold(down, conv1="norm0", conv2="norm1")
        for up in network.unet.up_convs:
            _fold(up, upconv="norm0", conv1="norm1", conv2="norm2")
        self.first, self.unet = network.conv1, network.unet
        layers = [cast(nn.Conv3d, layer) for layer in (network.feature_head[0], network.feature_head[2], network.hm)]
        self.volume = form == "volume"
        *hidden, output = layers if self.volume else [_over_sections(layer, form) for layer in layers]
        self.hidden, self.output = nn.ModuleList(hidden), output

    def forward(self, grey: Tensor, along: FullVolume | None = None) -> Tensor:
        """Logits; of the sections that `along` has complete when it is given."""
        features: Tensor = self.unet(functional.relu(self.first(grey.transpose(0, 1))))
        if self.volume:
            x = features.transpose(0, 1).unsqueeze(0)
            for layer in self.hidden:
                x = functional.relu(layer(x))
            logits: Tensor = self.output(x).squeeze(1)
            return logits
        along = along or FullVolume()
        flow = along.inside(Activation(features))
        for layer in self.hidden:
            flow = along.inside(_relu(layer(flow, along)))
        flow = self.output(flow, along)
        return flow.x.transpose(0, 1)


class LoweredUNet3d(nn.Module):
    """The default network."""

    def __init__(self, network: UNet3d, form: Layout) -> None:
        super().__init__()
        self.multiple = 2 ** (network.levels - 1)  # chunks hold whole pooling windows
        self.volume = copy.deepcopy(network) if form == "volume" else None
        if self.volume is not None:
            _fold(self.volume, stem="stem_norm")
            for block in self.volume.modules():
                if isinstance(block, nn.Sequential) and isinstance(block[0], nn.Conv3d):
                    _fold(block, **{"0": "1"})
            return
        self.grey_limits = network.grey_limits
        self.first = _Stacked(fuse_conv_bn_eval(network.stem, network.stem_norm), more=1)
        down = [_folded(block) for block in network.down]
        self.down = nn.ModuleList(nn.ModuleList(_over_sections(layer, form) for layer in block) for block in down)
        widths = [block[-1].out_channels for block in down]
        self.up = nn.ModuleList()
        for block, width in zip(network.up, reversed(widths[:-1]), strict=True):
            joining, *rest = _folded(block)
            joined = _Summed(joining, skip=width) if form == "summed" else _Stacked(joining)
            self.up.append(nn.ModuleList([joined, *(_over_sections(layer, form) for layer in rest)]))
        self.output = _flat(network.head, network.head.weight[:, :, 0], bias=True)

    def forward(self, grey: Tensor, along: FullVolume | None = None) -> Tensor:
        """Logits; of the sections that `along` has complete when it is given."""
        if self.volume is not None:
            logits: Tensor = self.volume(grey)
            return logits
        along = along or FullVolume()
        low, high = self.grey_limits
        flow = along.inside(Activation((grey * (high - low) + low).transpose(0, 1)))
        flow = along.inside(_relu(self.first(flow, along)))
        skips: list[Activation] = []
        for level, block in enumerate(self.down):
            if level:
                flow = along.halve(flow.of(functional.max_pool2d(flow.x, 2, ceil_mode=True)))
            for layer in cast(nn.ModuleList, block):
                flow = along.inside(_relu(layer(flow, along)))
            skips.append(flow)
        skips.pop()
        for block in self.up:
            joining, *rest = cast(nn.ModuleList, block)
            skip = along.until(skips.pop(), 2 * flow.delay)
            x = functional.interpolate(flow.x, scale_factor=2.0, mode="nearest")
            flow = along.inside(_relu(joining(skip, along, x[:, :, : skip.x.shape[2], : skip.x.shape[3]])))
            for layer in rest:
                flow = along.inside(_relu(layer(flow, along)))
        return self.output(flow.x).transpose(0, 1)


class _Stacked(nn.Module):
    """A 3D convolution as one 2D convolution over three sections stacked as channels.

    `more` lines of zeros are put behind the last ones, for strides over odd sizes.
    """

    def __init__(self, layer: nn.Conv3d, more: int = 0) -> None:
        super().__init__()
        self.flat = _flat(layer, layer.weight.transpose(1, 2).flatten(1, 2), bias=True)
        self.more = (0, more, 0, more)

    def forward(self, flow: Activation, along: FullVolume, coarse: Tensor | None = None) -> Activation:
        if coarse is not None:
            doubled = along.inside(flow.of(_double_sections(coarse, flow.x)))
            flow = flow.of(torch.cat((flow.x, doubled.x), dim=1))
        # Stacked with the channels as the last axis: integer convolutions of onnxruntime want them there, so that these
        # permutations meet its own and both vanish.
        framed = along.frame(flow.x).permute(0, 2, 3, 1)
        stacked = torch.cat((framed[:-2], framed[1:-1], framed[2:]), dim=3).permute(0, 3, 1, 2)
        return along.later(flow, self.flat(functional.pad(stacked, self.more) if any(self.more) else stacked))


class _Summed(nn.Module):
    """A 3D convolution as the sum of three 2D convolutions over all sections, shifted by one section to either side.

    `skip` is the number of channels of the first of two inputs; the second one has half the sections.
    """

    def __init__(self, layer: nn.Conv3d, skip: int | None = None) -> None:
        super().__init__()
        kernel = layer.weight
        self.fine = nn.ModuleList(_flat(layer, kernel[:, :skip, k], bias=k == 1) for k in range(3))
        self.coarse = nn.ModuleList(
            _flat(layer, kernel[:, skip:, k], bias=False) for k in range(3 if skip is not None else 0)
        )

    def forward(self, flow: Activation, along: FullVolume, coarse: Tensor | None = None) -> Activation:
        parts = [layer(flow.x) for layer in self.fine]
        if coarse is not None:
            doubled = [_double_sections(layer(coarse), flow.x) for layer in self.coarse]
            doubled[2] = along.inside(flow.of(doubled[2])).x  # of an odd number of sections, one more comes back
            parts = [part + more for part, more in zip(parts, doubled, strict=True)]
        return along.later(flow, along.shifted_sum(*parts))


def _over_sections(layer: nn.Conv3d, form: Layout) -> nn.Module:
    return _Summed(layer) if form == "summed" else _Stacked(layer)


def _flat(layer: nn.Conv3d, kernel: Tensor, bias: bool) -> nn.Conv2d:
    """A 2D convolution with `kernel` (out, in, y, x) and what `layer` does in the plane."""
    outputs, inputs, *size = kernel.shape
    stride, padding, dilation = (values[1:] for values in (layer.stride, layer.padding, layer.dilation))
    bias = bias and layer.bias is not None
    flat = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=bias)  # type: ignore[arg-type]
    flat.weight = nn.Parameter(kernel.detach().clone())
    if bias:
        flat.bias = nn.Parameter(layer.bias.detach().clone())  # type: ignore[union-attr]
    return flat


def _fold(module: nn.Module, **pairs: str) -> None:
    """Fold normalisations of `module` into its convolutions, in place: pairs of attribute names.

    The exporter folds neighbours, but not a normalisation behind the crop of odd sizes, nor exactly in half precision.
    """
    for convolution, norm in pairs.items():
        layer = getattr(module, convolution)
        folded = fuse_conv_bn_eval(layer, getattr(module, norm), transpose=isinstance(layer, nn.ConvTranspose2d))
        setattr(module, convolution, folded)
        setattr(module, norm, nn.Identity())


def _folded(block: nn.Module) -> list[nn.Conv3d]:
    """The convolutions of a block, each with the batch normalisation that follows it."""
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv3d)]
    norms = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm3d)]
    return [fuse_conv_bn_eval(layer, norm) for layer, norm in zip(convolutions, norms, strict=True)]


def _relu(flow: Activation) -> Activation:
    return flow.of(functional.relu(flow.x))


def _double_sections(x: Tensor, like: Tensor) -> Tensor:
    """Every section twice, cut to the number of sections of `like`."""
    half = torch.arange(like.shape[0]) / 2  # whole-number division would become many operators
    return x.index_select(0, half.long())
