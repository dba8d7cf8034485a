"""The specimen: a slab of ice with density in it, and which voxels are taken.

It is wider than the field by a margin, so that particles are cut by the field's edges, and it is continued
periodically across the tilt axis, so that steep rays cross material from outside the field, as in a real grid hole.
Its own frame has the tilt axis along x; `tomogram` turns the finished volume where it shall be y.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from . import kernels
from .densities import Stencil

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
Float = NDArray[np.float64]

MARGIN = 32  # voxels on each side, at least
OCCUPIED = 0.08  # part of a particle's highest density that keeps others away
DISPLACING = 0.35  # part of a membrane protein's highest density at which no lipid is left


@dataclass(frozen=True)
class Slab:
    """A layer of ice between two slightly inclined planes; voxels.

    Attributes
    ----------
    thickness
        float32 ``(y, x)``.
    low, high
        Mean z of the two surfaces.
    """

    thickness: Volume
    low: float
    high: float


@dataclass(frozen=True)
class Poses:
    """Where particles are and how they are turned.

    Attributes
    ----------
    xyz
        ``(n, 3)`` centres in voxels; the centre of the first voxel is 0.0.
    rotations
        ``(n, 3, 3)``: ``place = centre + rotation (place in the density - centre of the density)``, in x, y, z.
    """

    xyz: Float
    rotations: Float

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass
class Specimen:
    """What has been put into the ice so far.

    Attributes
    ----------
    density
        float32 ``(z, y, x)``, 1 = protein.
    occupied
        Where no particle may go: outside the ice, and where something is.
    voxel_size
        Angstrom.
    slab
        The ice.
    field_yx
        First and last voxel (exclusive) of the field along y and x.
    poses
        Of each species, in the specimen's voxels.
    beads
        ``(n, 4)`` gold: centre x, y, z and radius in voxels. They are in no density; the microscope adds them.
    """

    density: Volume
    occupied: Mask
    voxel_size: float
    slab: Slab
    field_yx: tuple[slice, slice]
    poses: dict[str, list[tuple[Float, Float]]] = field(default_factory=dict)
    beads: Float = field(default_factory=lambda: np.empty((0, 4)))

    @property
    def size_xyz(self) -> Float:
        """Size in voxels."""
        return np.array(self.density.shape[::-1], float)

    @property
    def surplus(self) -> float:
        """Area of the margin in units of that of the field."""
        height, width = (part.stop - part.start for part in self.field_yx)
        return float(self.density.shape[1] * self.density.shape[2] / (height * width) - 1)

    def in_field(self, xyz: Float) -> Mask:
        """Which of the points (n, 3) lie in a voxel of the field."""
        inside = np.ones(len(xyz), bool)
        for axis, part in ((1, self.field_yx[0]), (0, self.field_yx[1])):
            inside &= (xyz[:, axis] >= part.start - 0.5) & (xyz[:, axis] < part.stop - 0.5)
        return inside

    def add(self, name: str, stencil: Stencil, rotation: Float, centre_xyz: Float) -> None:
        """Stamp a particle of species `name`; a membrane protein displaces the lipid."""
        displacing = np.inf if stencil.membrane_offset is None else DISPLACING * stencil.peak
        pose = (rotation, centre_xyz, stencil.own_centre, stencil.reach)
        kernels.stamp(self.density, self.occupied, stencil.array, pose, (OCCUPIED * stencil.peak, displacing))
        self.poses.setdefault(name, []).append((centre_xyz, rotation))

    def poses_in_field(self, name: str) -> Poses:
        """The particles of a species whose centre is in the field, in voxels of the field."""
        placed = self.poses.get(name, [])
        xyz = np.array([centre for centre, _ in placed]).reshape(-1, 3)
        rotations = np.array([rotation for _, rotation in placed]).reshape(-1, 3, 3)
        inside = self.in_field(xyz)
        return Poses(xyz[inside] - [self.field_yx[1].start, self.field_yx[0].start, 0], rotations[inside])


def empty_specimen(
    field_zyx: tuple[int, int, int], voxel_size: float, ice_thickness: tuple[float, float], rng: np.random.Generator
) -> Specimen:
    """A slab of ice, its thickness drawn from a range in Angstrom, gently inclined, near the middle of the field."""
    depth, height, width = field_zyx
    high, wide = (fft.next_fast_len(size + 2 * MARGIN, real=True) for size in (height, width))
    rows = slice((high - height) // 2, (high - height) // 2 + height)
    columns = slice((wide - width) // 2, (wide - width) // 2 + width)
    nm = 10 / voxel_size
    slope = rng.uniform(-5, 5, 2) * nm
    thickness = rng.uniform(*ice_thickness) / voxel_size
    y, x = np.arange(high, dtype=np.float32)[:, None], np.arange(wide, dtype=np.float32)
    ice = (thickness + slope[0] * (x / wide - 0.5) + slope[1] * (y / high - 0.5)).astype(np.float32)
    ice = np.clip(ice, 1, depth - 2)
    middle = (depth - 1) / 2 + rng.uniform(-1.5, 1.5) * nm
    low, top = np.maximum(middle - ice / 2, 0), np.minimum(middle + ice / 2, depth - 1)
    z = np.arange(depth)[:, None, None]
    slab = Slab(ice, float(low.mean()), float(top.mean()))
    density = np.zeros((depth, high, wide), np.float32)
    return Specimen(density, (z < low) | (z > top), voxel_size, slab, (rows, columns))
