"""Density maps from MRC files, checked for what people confuse."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.header_checks import refuse_unequal_voxels
from milopyp_shared.tomogram import Tomogram, open_tomogram

from .densities import NM3_PER_KDA, SOLVENT, Density, density_of_map

Volume = NDArray[np.float32]

BLUR = 10 / math.sqrt(12)  # Angstrom: sigma of a voxel of 10, at which the highest density is that of full protein
INVERTED = 1.5  # times as far below solvent as above it: then the particle is what lies below
FULL_ENDS = 0.7  # of what an average section holds: first and last section of a particle in solvent hold less


def read_map(path: Path, voxel_size: float | None = None, mass_kda: float | None = None) -> Density:
    """A density from an MRC file (x, y, z); protein is positive.

    It is low-passed to about 10 Angstrom. Solvent is what its faces are. Without a mass, its highest density is taken
    for a voxel full of protein.

    Parameters
    ----------
    voxel_size
        Angstrom; overrides the header.
    mass_kda
        Of the particle.

    Raises
    ------
    InputError
        Missing, no MRC file, without a voxel size, constant or not finite; inverted, or a stack of images.
    ContradictionError
        Its voxels are longer along one axis.
    """
    tomogram = open_tomogram(path, "xyz", voxel_size)
    refuse_unequal_voxels(tomogram, "--map-voxel-size")
    if tomogram.voxel_size is None:
        raise InputError(
            "the header says no voxel size (0 and exactly 1.0 are what programs write that know none)",
            where=path,
            expected="a map with one voxel size",
            remedy="Give --map-voxel-size.",
        )
    array = _protein(tomogram)
    size = tomogram.voxel_size
    sigma = math.sqrt(max(BLUR**2 - size**2 / 12, 0)) / size
    array = ndimage.gaussian_filter(array, sigma, mode="constant") if sigma > 0 else array
    _refuse_stack(array, path)
    if mass_kda is None:
        mass_kda = float(array.clip(0).sum(dtype=np.float64) / array.max()) * size**3 / (1000 * NM3_PER_KDA)
    try:
        return density_of_map(array, size, mass_kda)
    except UsageError as error:
        raise InputError(error.found, where=path, expected=error.expected) from error


def _protein(tomogram: Tomogram) -> Volume:
    """The map above its solvent."""
    array, path = np.asarray(tomogram.zyx, np.float32), tomogram.path
    lowest, highest = float(array.min()), float(array.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise InputError(
            "NaN or infinite voxels", where=path, expected="finite numbers", remedy="Replace them, e.g. by 0."
        )
    if lowest == highest:
        raise InputError(f"all voxels are {lowest:g}", where=path, expected="the density of a particle in solvent")
    solvent = float(
        np.median(np.concatenate([array[[0, -1]].ravel(), array[:, [0, -1]].ravel(), array[:, :, [0, -1]].ravel()]))
    )
    above, below = highest - solvent, solvent - lowest
    if below > INVERTED * above:
        raise InputError(
            f"the particle is negative: {below:.3g} below what is around it, and at most {above:.3g} above",
            where=path,
            expected="a map with protein positive",
            remedy="Multiply it by -1, e.g. with IMOD: newstack -multadd -1,0 IN OUT.",
        )
    return array - np.float32(solvent)


def _refuse_stack(array: Volume, path: Path) -> None:
    """Sections of a stack all hold as much; those of a particle in solvent do not."""
    held = np.count_nonzero(array > SOLVENT * array.max(), axis=(1, 2))
    if min(held[0], held[-1]) > FULL_ENDS * held.mean():
        raise InputError(
            f"its first and last section hold as much density as the other {len(array) - 2}",
            where=path,
            expected="a volume with solvent around the particle, and no stack of images",
            remedy="Give a 3D map; pad it with solvent if it was cut to the particle.",
        )
