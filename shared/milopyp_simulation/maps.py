"""Density maps from MRC files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.tomogram import open_tomogram

from .densities import Density, density_of_map


def read_map(path: Path, voxel_size: float | None = None) -> Density:
    """A density from an MRC file (x, y, z); protein is positive.

    Parameters
    ----------
    voxel_size
        Angstrom; overrides the header.

    Raises
    ------
    InputError
        Missing, no MRC file, without a voxel size, or without a density above zero.
    """
    tomogram = open_tomogram(path, "xyz", voxel_size)
    if tomogram.voxel_size is None:
        raise InputError(
            "the header says no voxel size (0 and exactly 1.0 are what programs write that know none)",
            where=path,
            expected="a map with one voxel size",
            remedy="Give --map-voxel-size.",
        )
    try:
        return density_of_map(np.asarray(tomogram.zyx, np.float32), tomogram.voxel_size)
    except UsageError as error:
        raise InputError(error.found, where=path, expected=error.expected) from error
