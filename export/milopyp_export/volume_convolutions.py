"""3D convolutions as they are, with the weights of those of single sections; for OpenVINO.

In a volume of whole pooling windows, what comes from a coarser level is convolved before its voxels are doubled: a
kernel of 3 that runs over doubled voxels meets two different ones along each axis, so that it is a transposed
convolution of stride 2 with a kernel of 4, and makes 8 products per voxel instead of 27. Where a volume ends within a
coarse voxel that would count its missing half.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from milopyp_training.networks.base import cut_to

from .section_convolutions import StackedConvolution, SummedConvolution
from .streaming import Activation, FullVolume


class VolumeOfSections(FullVolume):
    """Activations are ``(1, c, z, h, w)``.

    Parameters
    ----------
    aligned
        The volume has whole pooling windows.
    """

    def __init__(self, aligned: bool = False) -> None:
        self.aligned = aligned

    def enter(self, sections: Tensor) -> Activation:
        """Sections ``(z, c, h, w)``, at the beginning of what looks at neighbours."""
        return Activation(sections.transpose(0, 1).unsqueeze(0))

    def leave(self, x: Tensor) -> Tensor:
        """One channel as ``(1, z, h, w)``."""
        return x.squeeze(1)

    def gather(self, x: Tensor) -> Tensor:
        """All channels as they are."""
        return x

    def pool(self, activation: Activation) -> Activation:
        """Maximum of 2 x 2 x 2; odd last ones are alone."""
        return Activation(functional.max_pool3d(activation.x, 2, ceil_mode=not self.aligned), activation.level + 1)


class VolumeConvolution(SummedConvolution):
    """A 3D convolution."""

    def forward(self, activation: Activation, stream: FullVolume, coarse: Tensor | None = None) -> Activation:
        """The convolution of `activation`, beside which `coarse` has half the sections, rows and columns."""
        assert isinstance(stream, VolumeOfSections)
        x, kernel, middle = activation.x, _kernel(self.fine), cast(nn.Conv2d, self.fine[1])
        later = None if coarse is None or not stream.aligned else _convolve_doubled(coarse, _kernel(self.coarse))
        if coarse is not None and later is None:
            doubled = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
            x = torch.cat((x, cut_to(doubled, x, (2, 3, 4))), dim=1)
            kernel = torch.cat((kernel, _kernel(self.coarse)), dim=1)
        paddings, dilations = (1, *middle.padding), (1, *middle.dilation)
        x = functional.conv3d(x, kernel, middle.bias, padding=paddings, dilation=dilations)
        return activation.of(x if later is None else x + later)


class StridedVolumeConvolution(StackedConvolution):
    """A 3D convolution with strides in the plane."""

    def forward(self, activation: Activation, stream: FullVolume, coarse: Tensor | None = None) -> Activation:
        """The convolution of `activation`."""
        assert isinstance(stream, VolumeOfSections)
        x, flat = activation.x if stream.aligned else functional.pad(activation.x, self.more), self.flat
        kernel = flat.weight.unflatten(1, (3, -1)).transpose(1, 2)
        strides, paddings = (1, *flat.stride), (1, *flat.padding)
        return activation.of(functional.conv3d(x, kernel, flat.bias, strides, paddings))


class PointConvolution(nn.Conv2d):
    """A convolution of single voxels."""

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of ``(1, c, z, h, w)``."""
        return functional.conv3d(x, self.weight.unsqueeze(2), self.bias)


def _kernel(sections: nn.ModuleList) -> Tensor:
    """The 3D kernel of three that are one section each."""
    return torch.stack([cast(nn.Conv2d, layer).weight for layer in sections], dim=2)


def _convolve_doubled(x: Tensor, kernel: Tensor) -> Tensor:
    """The convolution of `x` after every voxel is doubled along each axis, with a `kernel` ``(out, in, 3, 3, 3)``."""
    for axis in (2, 3, 4):
        before, here, after = kernel.unbind(axis)
        kernel = torch.stack((after, here + after, before + here, before), dim=axis)
    return functional.conv_transpose3d(x, kernel.transpose(0, 1), stride=2, padding=1)
