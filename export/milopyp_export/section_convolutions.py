"""3D convolutions as 2D ones whose batch are the sections of a volume, whole or streaming."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from milopyp_training.networks.base import cut_to

from .streaming import Activation, FullVolume


class StackedConvolution(nn.Module):
    """A 3D convolution as one 2D convolution over three sections stacked as channels.

    `more` lines of zeros are put behind the last ones, for strides over odd sizes.
    """

    def __init__(self, layer: nn.Conv3d, more: int = 0) -> None:
        super().__init__()
        self.flat = in_plane(layer, layer.weight.transpose(1, 2).flatten(1, 2), bias=True)
        self.more = (0, more, 0, more)

    def forward(self, activation: Activation, stream: FullVolume, coarse: Tensor | None = None) -> Activation:
        """The convolution of `activation`, beside which `coarse` has half the sections, rows and columns."""
        if coarse is not None:
            coarse = _double_in_plane(coarse, activation.x)
            doubled = stream.mask_outside(activation.of(_double_sections(coarse, activation.x)))
            activation = activation.of(torch.cat((activation.x, doubled.x), dim=1))
        # Stacked with the channels as the last axis: integer convolutions of onnxruntime want them there, so that these
        # permutations meet its own and both vanish.
        framed = stream.frame(activation.x).permute(0, 2, 3, 1)
        stacked = torch.cat((framed[:-2], framed[1:-1], framed[2:]), dim=3).permute(0, 3, 1, 2)
        padded = functional.pad(stacked, self.more) if any(self.more) else stacked
        return stream.advance_delay(activation, self.flat(padded))


class SummedConvolution(nn.Module):
    """A 3D convolution as the sum of three 2D convolutions over all sections, shifted by one section to either side.

    `skip` is the number of channels of the first of two inputs; the second one has half the sections.
    """

    def __init__(self, layer: nn.Conv3d, skip: int | None = None) -> None:
        super().__init__()
        kernel = layer.weight
        self.fine = nn.ModuleList(in_plane(layer, kernel[:, :skip, k], bias=k == 1) for k in range(3))
        self.coarse = nn.ModuleList(
            in_plane(layer, kernel[:, skip:, k], bias=False) for k in range(3 if skip is not None else 0)
        )

    def forward(self, activation: Activation, stream: FullVolume, coarse: Tensor | None = None) -> Activation:
        """The convolution of `activation`, beside which `coarse` has half the sections, rows and columns."""
        parts = [layer(activation.x) for layer in self.fine]
        if coarse is not None:
            coarse = _double_in_plane(coarse, activation.x)
            doubled = [_double_sections(layer(coarse), activation.x) for layer in self.coarse]
            # of an odd number of sections, one more comes back
            doubled[2] = stream.mask_outside(activation.of(doubled[2])).x
            parts = [part + more for part, more in zip(parts, doubled, strict=True)]
        return stream.advance_delay(activation, stream.shifted_sum(*parts))


def in_plane(layer: nn.Conv3d, kernel: Tensor, bias: bool, kind: type[nn.Conv2d] = nn.Conv2d) -> nn.Conv2d:
    """A 2D convolution with `kernel` ``(out, in, y, x)`` and what `layer` does in the plane.

    Its `scale`, if it has one, is what a normalisation multiplied the kernel by, per output channel.
    """
    outputs, inputs, *size = kernel.shape
    stride, padding, dilation = (values[1:] for values in (layer.stride, layer.padding, layer.dilation))
    bias = bias and layer.bias is not None
    flat = kind(inputs, outputs, size, stride, padding, dilation, bias=bias)  # type: ignore[arg-type]
    flat.weight = nn.Parameter(kernel.detach().clone())
    if hasattr(layer, "scale"):
        flat.scale = layer.scale
    if bias:
        flat.bias = nn.Parameter(layer.bias.detach().clone())  # type: ignore[union-attr]
    return flat


def relu(activation: Activation) -> Activation:
    """ReLU at the same place."""
    return activation.of(functional.relu(activation.x))


def _double_in_plane(x: Tensor, like: Tensor) -> Tensor:
    """Every row and column twice, cut to those of `like`."""
    return cut_to(functional.interpolate(x, scale_factor=2.0, mode="nearest"), like, (2, 3))


def _double_sections(x: Tensor, like: Tensor) -> Tensor:
    """Every section twice, cut to the number of sections of `like`."""
    half = torch.arange(like.shape[0]) / 2  # whole-number division would become many operators
    return x.index_select(0, half.long())
