"""Candidates and the surface of a mask: which of them are near enough, how far each is, and which way it faces."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from milopyp_shared.errors import InputError
from milopyp_shared.masks import Mask
from milopyp_shared.orientations import of_normals
from milopyp_shared.picks import Picks
from milopyp_shared.surface import normals, signed_distances
from milopyp_shared.tomogram import Frame
from milopyp_shared.wording import counted

OPTION = "--mask-distance"


@dataclass(frozen=True)
class Surface:
    """A tomogram's mask, and what is asked of it.

    Attributes
    ----------
    nearest, farthest
        Voxels of the tomogram from its surface, negative inside; candidates are kept from one to the other.
    voxel_size
        Angstrom.
    facing
        Radius in voxels over which the surface's normal is taken; None: no orientations.
    seed
        Of the turns about the normals.
    """

    mask: Mask
    nearest: float
    farthest: float
    voxel_size: float
    facing: float | None = None
    seed: int = 0


def voxel_size_of(frame: Frame) -> float:
    """Angstrom per voxel of a tomogram.

    Raises
    ------
    InputError
        It is not known.
    """
    if frame.one_voxel_size is None:
        raise InputError(
            "the voxel size is unknown", where=OPTION, expected="a voxel size in the tomogram's header",
            remedy="Give --voxel-size.",
        )  # fmt: skip
    return frame.one_voxel_size


def seed_of(name: str) -> int:
    """The same for a tomogram of this name in every run."""
    return zlib.crc32(name.encode())


def near_surface(candidates: Picks, surface: Surface) -> Picks:
    """The candidates within the distances that are asked for, with `distance` and, where that is asked for, `angles`.

    The turn about a normal is random, and the same whenever the same candidates are found.
    """
    reach = max(abs(surface.nearest), abs(surface.farthest))
    distance = signed_distances(surface.mask, candidates.xyz, reach)
    kept = (distance >= surface.nearest) & (distance <= surface.farthest)
    near = replace(candidates[kept], distance=distance[kept] * surface.voxel_size)
    if surface.facing is None:
        return near
    facing = normals(surface.mask, near.xyz, reach, surface.facing)
    return replace(near, angles=of_normals(facing, np.random.default_rng(surface.seed)))


def doubts(picks: Picks) -> list[str]:
    """One sentence each for picks whose normal may be that of the wrong side, and for those without one."""
    if picks.angles is None or picks.distance is None:
        return []
    without = np.isnan(picks.angles).any(axis=1)
    found = []
    if inside := int(((picks.distance < 0) & ~without).sum()):
        found.append(f"{counted(inside, 'pick')} inside the mask: taken to face the nearer side")
    if number := int(without.sum()):
        found.append(f"{counted(number, 'pick')} without a normal: either side of the mask is as near")
    return found
