"""Networks in the layout in which they run fastest; the arithmetic stays that of the trained ones.

``conv3d``
    The network as it is. What GPUs like, and what every network has.
``conv2d_sum``
    For CPUs, where onnxruntime's 3D convolutions run at about half the rate of its 2D ones and its 3D up-sampling is
    slow: the sections become the batch of 2D operators, and a kernel that reaches over three sections becomes three
    convolutions, one per section of the kernel, and the sum of their shifted results. The fastest in fp32; what comes
    from a coarser level is convolved before its sections are doubled.
``conv2d_stack``
    The same with one convolution over three sections stacked as channels: one accumulation and one rounding of the
    result, which is what integers need.
``volume``
    For OpenVINO: 3D convolutions with the weights of ``conv2d_sum``, by the same names; of volumes of whole pooling
    windows with fewer products (`milopyp_export.volume_convolutions`).

All but the first are written down per network, as a row of `LOWERINGS`; those in 2D can stream
(`milopyp_export.streaming`). It is a matter of speed and memory: a network without a row is exported as ``conv3d`` for
CPUs, too. The table lies here and not beside the networks because training has no use for it.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d

from .section_convolutions import StackedConvolution, SummedConvolution, in_plane, relu
from .streaming import Activation, FullVolume
from .volume_convolutions import PointConvolution, StridedVolumeConvolution, VolumeConvolution

Layout = Literal["conv3d", "conv2d_sum", "conv2d_stack", "volume"]
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


class LoweredNetwork(nn.Module, ABC):
    """A network for export: logits ``(1, z, h, w)`` of grey levels ``(1, z, y, x)`` in 0..1.

    Of several classes ``(1, classes, z, h, w)``.

    Attributes
    ----------
    multiple
        Chunks of sections hold a multiple of this many.
    pools
        Whether a volume of whole pooling windows takes fewer products in the layout ``volume``.
    """

    multiple: int
    pools = False

    @abstractmethod
    def forward(self, grey: Tensor, stream: FullVolume) -> Tensor:
        """Logits of the sections that `stream` has complete."""


class LoweredSectionUNet(LoweredNetwork):
    """The published network without its projection head: features of single sections, and a head over sections."""

    multiple = 1  # chunks may have any number of sections

    def __init__(self, network: SectionUNet, layout: Layout) -> None:
        super().__init__()
        self.first, self.unet = network.conv1, network.unet
        layers = (network.feature_head[0], network.feature_head[2], network.hm)
        *hidden, self.output = (_over_sections(cast(nn.Conv3d, layer), layout) for layer in layers)
        self.hidden = nn.ModuleList(hidden)

    def forward(self, grey: Tensor, stream: FullVolume) -> Tensor:
        """Logits of the sections that `stream` has complete."""
        features = self.unet(functional.relu(self.first(grey.transpose(0, 1))))
        activation = stream.enter(features)
        for layer in self.hidden:
            activation = stream.mask_outside(relu(layer(activation, stream)))
        return stream.leave(cast(Activation, self.output(activation, stream)).x)


class LoweredUNet3d(LoweredNetwork):
    """The default network."""

    pools = True

    def __init__(self, network: UNet3d, layout: Layout) -> None:
        super().__init__()
        self.multiple = 2 ** (network.levels - 1)  # chunks hold whole pooling windows
        self.grey_limits = network.grey_limits
        self.first = (StridedVolumeConvolution if layout == "volume" else StackedConvolution)(network.stem, more=1)
        down, up = ([_convolutions(block) for block in blocks] for blocks in (network.down, network.up))
        self.down = nn.ModuleList(nn.ModuleList(_over_sections(layer, layout) for layer in block) for block in down)
        self.up = nn.ModuleList()
        for (joining, *rest), (*_, skip) in zip(up, reversed(down[:-1]), strict=True):
            joined = _over_sections(joining, layout, skip.out_channels)
            self.up.append(nn.ModuleList([joined, *(_over_sections(layer, layout) for layer in rest)]))
        self.projections, self.to_features = (
            nn.ModuleList(_of_single_sections(layer, layout) for layer in _convolutions(block))
            for block in (network.projections, network.to_features)
        )
        self.output = _of_single_sections(network.head, layout)

    def forward(self, grey: Tensor, stream: FullVolume) -> Tensor:
        """Logits of the sections that `stream` has complete."""
        logits = self.output(self.features(grey, stream))
        return stream.leave(logits) if self.output.out_channels == 1 else stream.gather(logits)

    def features(self, grey: Tensor, stream: FullVolume) -> Tensor:
        """What the logits are linear functions of, ``(z, features, h, w)``; ``(1, features, z, h, w)`` of a volume."""
        low, high = self.grey_limits
        activation = stream.enter((grey * (high - low) + low).transpose(0, 1))
        activation = stream.mask_outside(relu(self.first(activation, stream)))
        skips: list[Activation] = []
        for level, block in enumerate(self.down):
            if level:
                activation = stream.pool(activation)
            for layer in cast(nn.ModuleList, block):
                activation = stream.mask_outside(relu(layer(activation, stream)))
            skips.append(activation)
        skips.pop()
        for number, block in enumerate(self.up):
            joining, *rest = cast(nn.ModuleList, block)
            if self.projections:
                projected = functional.relu(self.projections[number](activation.x))
                activation = stream.mask_outside(activation.of(projected))
            skip = stream.delay_to(skips.pop(), 2 * activation.delay)
            activation = stream.mask_outside(relu(joining(skip, stream, activation.x)))
            for layer in rest:
                activation = stream.mask_outside(relu(layer(activation, stream)))
        for layer in self.to_features:
            activation = activation.of(functional.relu(layer(activation.x)))
        return activation.x


class _Conv3dNetwork(LoweredNetwork):
    """A network as it is; it does not stream."""

    multiple = 1

    def __init__(self, network: PickingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor, stream: FullVolume) -> Tensor:
        """Logits of the whole volume."""
        return self.network.picking_logits(grey)


#: Networks that have 2D layouts. Each batch normalisation of such a network follows the convolution of the same number.
LOWERINGS: dict[type[PickingNetwork], Callable[[Any, Layout], LoweredNetwork]] = {
    UNet3d: LoweredUNet3d,
    SectionUNet: LoweredSectionUNet,
}


def lower(network: PickingNetwork, layout: Layout) -> LoweredNetwork:
    """A copy of `network` in evaluation mode and in `layout`; others than ``conv3d`` only of what `LOWERINGS` has.

    Batch normalisation is folded into the convolutions where there is such a row; elsewhere it is left to the exporter.
    """
    lowering = LOWERINGS.get(type(network))
    network = copy.deepcopy(network).eval()
    if lowering is not None:
        _fold_normalisation(network)
        if layout != "conv3d":
            return lowering(network, layout).eval()
    assert layout == "conv3d", f"{type(network).__name__} has no other layout than conv3d"
    return _Conv3dNetwork(network).eval()


def _over_sections(layer: nn.Conv3d, layout: Layout, skip: int | None = None) -> nn.Module:
    """`layer` in a layout; `skip` as for `SummedConvolution`."""
    if layout == "conv2d_stack":
        return StackedConvolution(layer)
    return (VolumeConvolution if layout == "volume" else SummedConvolution)(layer, skip)


def _of_single_sections(layer: nn.Conv3d, layout: Layout) -> nn.Conv2d:
    """`layer`, whose kernel does not reach over sections, in a layout."""
    kind = PointConvolution if layout == "volume" else nn.Conv2d
    return in_plane(layer, layer.weight[:, :, 0], bias=True, kind=kind)


def _convolutions(block: nn.Module) -> list[nn.Conv3d]:
    return [layer for layer in block.modules() if isinstance(layer, nn.Conv3d)]


def _fold_normalisation(network: nn.Module) -> None:
    """Fold the batch normalisations into the convolutions of the same number, in place; their `scale` says how.

    The exporter folds neighbours, but not a normalisation behind the crop of odd sizes, nor exactly in half precision.
    """
    layers = dict(network.named_modules())
    convolutions = [name for name, layer in layers.items() if isinstance(layer, _CONVOLUTIONS)]
    norms = [name for name, layer in layers.items() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d)]
    for convolution, norm in zip(convolutions, norms, strict=False):  # the last convolutions have none
        layer = layers[convolution]
        folded = fuse_conv_bn_eval(layer, layers[norm], transpose=isinstance(layer, nn.ConvTranspose2d))
        folded.scale = layers[norm].weight * torch.rsqrt(layers[norm].running_var + layers[norm].eps)
        network.set_submodule(convolution, folded)
        network.set_submodule(norm, nn.Identity())
