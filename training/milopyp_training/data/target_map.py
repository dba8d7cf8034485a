"""What a network should answer in a box of a heat map: Gaussians around labels, and where nothing counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataset import LabelledVolume, Triple, on_grid
from .targets import gaussian_targets, nearest_voxels


@dataclass(frozen=True)
class TargetMap:
    """How the target looks, for every tomogram of a training.

    Attributes
    ----------
    diameter
        Of the particle, full-resolution voxels.
    stride
        Of the network.
    sigma
        Of the Gaussians, particle radii.
    positive
        Voxels with a target above it are positives, and the one nearest to the label.
    """

    diameter: float
    stride: Triple
    sigma: float = 0.4
    positive: float = 0.8

    def sigma_on_grid(self, volume: LabelledVolume) -> list[float]:
        """Standard deviations of the Gaussians, z, y, x in heat-map voxels."""
        width = self.sigma * self.diameter / 2
        return [width / step for step in volume.voxel_per_output(self.stride)]

    def in_box(
        self, volume: LabelledVolume, first: NDArray[np.int64], grid: Triple
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Target and positives of a box of the heat map.

        The target is 1 within a particle radius of an ignored place and outside the mask, without being positive: the
        loss weighs such voxels with ``(1 - target)^4``, that is not at all.

        Parameters
        ----------
        first, grid
            Its first voxel and its size, z, y, x in heat-map voxels.
        """
        sigma = self.sigma_on_grid(volume)
        centres = volume.grid_zyx(self.stride) - first
        target = gaussian_targets(centres, grid, sigma)
        nearest = nearest_voxels(centres, grid)
        positive = nearest | (target > self.positive)
        if len(volume.ignored):
            ignored = on_grid(volume.ignored, volume.voxel_per_output(self.stride)) - first
            at_the_edge = math.exp(-0.5 / self.sigma**2)  # what such a Gaussian is at a particle radius
            nearness = gaussian_targets(ignored, grid, sigma)
            target[(nearness > np.maximum(target, at_the_edge)) & ~positive] = 1.0
        kept = volume.unmasked(self.stride, (int(first[0]), int(first[1]), int(first[2])), grid)
        if kept is not None:
            # a label at the edge may lie inside, and the middle of its voxel of the grid outside
            outside = ~(kept | nearest)
            target[outside], positive[outside] = 1.0, False
        return target, positive
