"""A particle's density: its voxels, where its centre is, and how large it is.

Densities are in units of protein: 1 is a voxel full of protein in ice, so the sum is the volume of protein in voxels
(the contrast mass). The centre is the centre of mass above a fifth of the maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from milopyp_shared.errors import InputError, UsageError

Volume = NDArray[np.float32]
Float = NDArray[np.float64]

SOLVENT = 0.2  # part of the maximum below which voxels count as solvent
LOBES = 3  # of the Lanczos kernel
NM3_PER_KDA = 1.21  # protein of 0.73 cm^3/g


@dataclass(frozen=True)
class Density:
    """One species' density.

    Attributes
    ----------
    array
        float32 ``(z, y, x)``, 1 = protein, solvent 0.
    voxel_size
        Angstrom; None: the voxels are those of whatever tomogram it is put in.
    centre_xyz
        Centre of mass in voxels of `array`.
    radius_of_gyration, max_radius
        Voxels of `array`, around the centre.
    membrane_z
        Where the middle of the bilayer crosses, for a membrane protein, in voxels of `array`; +z points out of the
        vesicle.
    """

    array: Volume
    voxel_size: float | None
    centre_xyz: tuple[float, float, float]
    radius_of_gyration: float
    max_radius: float
    membrane_z: float | None = None

    @property
    def radius(self) -> float:
        """Radius in voxels of `array` of the ball that has the same radius of gyration."""
        return math.sqrt(5 / 3) * self.radius_of_gyration

    @property
    def mass(self) -> float:
        """Contrast mass: voxels of `array` that are full of protein."""
        return float(self.array.sum(dtype=np.float64))

    def radius_in(self, voxel_size: float) -> float:
        """`radius` in voxels of `voxel_size` Angstrom."""
        return self.radius * scale_to(self, voxel_size)


def make_density(array: NDArray[np.floating], voxel_size: float | None, membrane_z: float | None = None) -> Density:
    """Measure an array ``(z, y, x)`` of protein fractions.

    Raises
    ------
    UsageError
        It holds no density above zero, or numbers that are not finite.
    """
    array = np.maximum(array, 0, dtype=np.float32)
    peak = float(array.max(initial=0))
    if not 0 < peak < math.inf:
        raise UsageError(f"the highest density is {peak:g}", where="density", expected="a finite number above 0")
    places = np.argwhere(array > SOLVENT * peak)
    weights = array[tuple(places.T)].astype(np.float64)
    centre = weights @ places / weights.sum()
    distances2 = ((places - centre) ** 2).sum(axis=1)
    x, y, z = (float(value) for value in centre[::-1])
    gyration = math.sqrt(weights @ distances2 / weights.sum())
    return Density(array, voxel_size, (x, y, z), gyration, math.sqrt(distances2.max()), membrane_z)


def density_of_map(array: NDArray[np.floating], voxel_size: float, mass_kda: float | None = None) -> Density:
    """A density from a map ``(z, y, x)`` of any scale, protein positive.

    Without `mass_kda`, what lies above a fifth of the maximum is taken as nine tenths protein. Numbers below a
    twentieth of the maximum are solvent.

    Raises
    ------
    UsageError
        As `make_density`.
    """
    array = np.asarray(array, np.float32)
    peak = float(array.max(initial=0))
    array = np.where(array > 0.05 * peak, array, 0)
    volume = 0.9 * float(np.count_nonzero(array > SOLVENT * peak))
    if mass_kda is not None:
        volume = mass_kda * NM3_PER_KDA * 1000 / voxel_size**3
    total = float(array.sum(dtype=np.float64))
    return make_density(array * np.float32(volume / total) if total > 0 else array, voxel_size)


def read_template(path: Path) -> Density:
    """A density from an ``.npz`` with density (z, y, x), voxel_size, integral (cubic nanometres) and membrane_z.

    Raises
    ------
    InputError
        The file is not such an archive.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive["density"].astype(np.float32)
            voxel_size, integral = float(archive["voxel_size"]), float(archive["integral"])
            membrane_z = float(archive["membrane_z"]) if "membrane_z" in archive else None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(str(error), where=path, expected="an archive with density, voxel_size, integral") from error
    fraction = array * np.float32(integral * 1000 / voxel_size**3 / array.sum(dtype=np.float64))
    return make_density(fraction, voxel_size, membrane_z)


@dataclass(frozen=True)
class Stencil:
    """A density as it is stamped into tomograms of one voxel size, whose voxels the numbers are in.

    Attributes
    ----------
    array
        float32 ``(z, y, x)`` in steps of half a voxel.
    own_centre
        The centre x, y, z in steps of `array`.
    points_xyz
        ``(n, 3)`` voxels around the centre that hold density, and their neighbours.
    reach, max_radius
        Radius around the centre that holds `array`'s density; that holds what is above a fifth of the maximum.
    membrane_offset
        How far the centre lies outside the middle of the bilayer; None for a soluble particle.
    """

    array: Volume
    own_centre: tuple[float, float, float]
    points_xyz: Float
    reach: float
    max_radius: float
    membrane_offset: float | None

    @property
    def peak(self) -> float:
        """The highest density."""
        return float(self.array.max())


def mirrored(density: Density) -> Density:
    """Its other hand."""
    x, y, z = density.centre_xyz
    array = np.ascontiguousarray(density.array[:, :, ::-1])
    return replace(density, array=array, centre_xyz=(array.shape[2] - 1 - x, y, z))


def scale_to(density: Density, voxel_size: float) -> float:
    """How many voxels of `voxel_size` Angstrom one voxel of the density's array is wide."""
    return 1.0 if density.voxel_size is None else density.voxel_size / voxel_size


def make_stencil(density: Density, voxel_size: float) -> Stencil:
    """Resample a density to half voxels of `voxel_size` Angstrom, low-passed to what whole voxels can hold.

    Lanczos interpolation along each axis; the kernel widens where voxels become coarser.
    """
    scale = scale_to(density, voxel_size)
    array = density.array.astype(np.float32)
    for _ in range(3):  # each pass resamples the first axis and puts it last
        resampled = _lanczos(len(array), scale) @ array.reshape(len(array), -1)
        array = resampled.reshape(-1, *array.shape[1:]).transpose(1, 2, 0)
    array = np.ascontiguousarray(np.maximum(array, 0))
    pad = _padding(scale)
    centre = np.array([2 * (scale * value) + pad for value in density.centre_xyz])
    whole = array[::2, ::2, ::2]
    points = np.argwhere(ndimage.binary_dilation(whole > 0.1 * array.max()))[:, ::-1] - centre / 2
    faint = np.argwhere(whole > 0.005 * array.max())[:, ::-1] - centre / 2
    reach = math.sqrt((faint**2).sum(axis=1).max()) + 1
    offset = None if density.membrane_z is None else scale * (density.centre_xyz[2] - density.membrane_z)
    own = (float(centre[0]), float(centre[1]), float(centre[2]))
    return Stencil(array, own, points, reach, scale * density.max_radius, offset)


def _padding(scale: float) -> int:
    """Half voxels that a resampled axis is longer at each end, for the kernel's tails."""
    return 2 * math.ceil(LOBES * max(1.0, scale))


def _lanczos(size: int, scale: float) -> sparse.csr_array[np.float32]:
    """Weights ``(half voxels, size)`` that take voxels, `scale` whole voxels wide, to steps of half a voxel."""
    pad = _padding(scale)
    steps = np.arange(-pad, math.ceil(2 * scale * (size - 1)) + pad + 1) / (2 * scale)
    wide = max(1.0, 1 / scale)  # in voxels of the array: coarser voxels hold lower frequencies only
    beyond = math.ceil(LOBES * wide)  # of the array, so that weights add up to 1 at its ends, too
    distance = (steps[:, None] - np.arange(-beyond, size + beyond)) / wide
    weights = np.where(np.abs(distance) < LOBES, np.sinc(distance) * np.sinc(distance / LOBES), 0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 0.5)
    return sparse.csr_array(weights[:, beyond : beyond + size].astype(np.float32))
