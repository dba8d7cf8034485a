"""Orientations: one rotation that takes a particle's axes to the tomogram's, and the Euler angles that programs write.

R is a matrix whose third column is where the particle's z axis points; turns are about right-handed axes.

RELION (and Warp): R = Rz(-psi) Ry(-tilt) Rz(-rot), the inverse of the intrinsic turns Z, Y', Z'' by rot, tilt, psi; so
z points to (-cos psi sin tilt, sin psi sin tilt, cos tilt), and rot turns the particle about it. Source: RELION's
``vec2euler`` in tomography_python_programs/get_particle_poses/surfaces.py, which makes psi = atan2(y, -x), tilt =
acos(z) and a random rot of a surface's normal, and ``Euler::anglesToMatrix3`` in src/jaz/math/Euler_angles_relion.h.

Dynamo: R = Rz(-tdrot) Rx(-tilt) Rz(-narot), clockwise turns of the particle about its z, its new x and its new z axis;
z points to (sin tdrot sin tilt, cos tdrot sin tilt, cos tilt), and narot turns the particle about it. Source: Dynamo's
wiki, "Euler angles convention", whose ``dynamo_euler2matrix`` gives the inverse of R.

Angles are degrees, ``(n, 3)``, NaN where a particle has no orientation.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Convention: TypeAlias = Literal["ZYZ", "zxz"]  # of the inverse of R; capitals are turns about the turned axes
RELION: Convention = "ZYZ"
DYNAMO: Convention = "zxz"


def matrices(angles: Floats) -> Floats:
    """RELION's angles as matrices R, ``(n, 3, 3)``."""
    from scipy.spatial.transform import Rotation

    result = np.full((len(angles), 3, 3), np.nan)
    known = np.isfinite(angles).all(axis=1)
    if known.any():
        result[known] = Rotation.from_euler(RELION, angles[known], degrees=True).inv().as_matrix()
    return result


def angles_of(rotations: Floats, convention: Convention) -> Floats:
    """Matrices R, ``(n, 3, 3)``, as angles ``(n, 3)`` of `RELION` or `DYNAMO`; tilt is 0..180."""
    from scipy.spatial.transform import Rotation

    result = np.full((len(rotations), 3), np.nan)
    known = np.isfinite(rotations).all(axis=(1, 2))
    if known.any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where z stays z, only the sum of two angles means anything
            result[known] = Rotation.from_matrix(rotations[known]).inv().as_euler(convention, degrees=True)
    return result


def of_normals(normals: Floats, rng: np.random.Generator) -> Floats:
    """RELION's angles of particles whose z axes are `normals`, ``(n, 3)`` unit vectors x, y, z; rot is random."""
    x, y, z = normals.T
    turned = rng.uniform(-180.0, 180.0, len(normals))
    tilt, psi = np.degrees(np.arccos(np.clip(z, -1.0, 1.0))), np.degrees(np.arctan2(y, -x))
    return np.column_stack([np.where(np.isnan(z), np.nan, turned), tilt, psi])


def in_axes(angles: Floats, places: Sequence[int], signs: Sequence[float] = (1.0, 1.0, 1.0)) -> Floats:
    """Matrices R along other axes: of the old ones at `places`, times `signs`.

    Axes that mirror make no rotation of one: then the particle's z axis is as mirrored, and its x axis the other way.
    """
    turned: Floats = matrices(angles)[:, list(places)] * np.array(signs)[:, None]
    if np.linalg.det(np.eye(3)[list(places)] * np.array(signs)[:, None]) < 0:
        turned[..., 0] *= -1
    return turned


def filled(rotations: Floats) -> Floats:
    """Matrices with no turn where there is no orientation, for files that have no other way to say so."""
    return np.where(np.isnan(rotations).any(axis=(1, 2), keepdims=True), np.eye(3), rotations)
