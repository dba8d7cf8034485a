"""Masks of vesicles whose surface is known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def radii(shape_zyx: tuple[int, int, int], centre_xyz: Floats) -> Floats:
    """Distance of each voxel from the centre."""
    z, y, x = np.indices(shape_zyx)
    return np.linalg.norm(np.stack([x, y, z], axis=-1) - centre_xyz, axis=-1)


def vesicle(shape_zyx: tuple[int, int, int], centre_xyz: Floats, radius: float, half: float) -> NDArray[np.int8]:
    """A membrane, 1 within `half` of a sphere."""
    return (np.abs(radii(shape_zyx, centre_xyz) - radius) < half).astype(np.int8)


def from_membrane(xyz: Floats, centre_xyz: Floats, radius: float, half: float) -> tuple[Floats, Floats]:
    """Signed distances ``(n,)`` of places from such a membrane, and unit vectors ``(n, 3)`` off its nearer side."""
    away = xyz - centre_xyz
    length = np.linalg.norm(away, axis=1)
    side = np.where(length < radius, -1.0, 1.0)
    return np.abs(length - radius) - half, side[:, None] * away / length[:, None]
