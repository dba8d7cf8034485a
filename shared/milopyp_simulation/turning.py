"""Rotations: at random, around an axis that points somewhere, and by a quarter turn of the whole volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .specimen import Poses

Float = NDArray[np.float64]
Volume = NDArray[np.float32]

# From the specimen's frame (tilt axis x) to one with tilt axis y: x' = y, y' = -x. A turn, not a transposition, which
# would mirror every particle.
QUARTER = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def random_rotations(count: int, rng: np.random.Generator) -> Float:
    """Rotations ``(count, 3, 3)``, uniformly distributed."""
    return np.asarray(Rotation.from_quat(rng.normal(size=(count, 4))).as_matrix()) if count else np.empty((0, 3, 3))


def rotation_onto(normal: Float, rng: np.random.Generator) -> Float:
    """A rotation that takes +z to the unit vector `normal`, with a random spin."""
    across = np.cross(normal, rng.normal(size=3))
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(normal, across), normal], axis=1)


def quarter_turned(volume: Volume) -> Volume:
    """A volume ``(z, y, x)`` whose x becomes y reversed and whose y becomes x."""
    return np.ascontiguousarray(volume.transpose(0, 2, 1)[:, ::-1])


def quarter_turned_poses(poses: Poses, width: int) -> Poses:
    """Poses in the volume that `quarter_turned` makes of one of `width` voxels along x."""
    return Poses(quarter_turned_points(poses.xyz, width), QUARTER @ poses.rotations)


def quarter_turned_points(xyz: Float, width: int) -> Float:
    """Points (n, 3) in the volume that `quarter_turned` makes of one of `width` voxels along x."""
    return np.stack([xyz[:, 1], width - 1 - xyz[:, 0], xyz[:, 2]], axis=1)
