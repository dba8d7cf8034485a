"""Particles of random shape, for networks that shall know particles they have never seen.

A shape is a union of Gaussian blobs, repeated under a random point group, flattened to the even density of protein.
Some are hollow, some elongated; membrane proteins have a stem that ends in the bilayer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .densities import Density, make_density
from .kernels import add_gaussians

Float = NDArray[np.float64]

# as common as they are listed: most complexes have no or little symmetry
GROUPS: list[Any] = ("C1 " * 6 + "C2 " * 4 + "C3 C4 C5 C6 C7 D2 D2 D3 D4 D5 D6 D7 T O I").split()
MEMBRANE_GROUPS: list[Any] = ("C1 " * 4 + "C2 " * 3 + "C3 C4 C5").split()  # about the membrane's normal
FEWEST, MOST = 4, 60  # blobs with all copies; a high symmetry may need more
HOLLOW = 0.35  # part of the shapes
ELONGATION = 0.35  # standard deviation of the logarithm of each half-axis
NARROWEST = 1.1  # voxels: sigma of the smallest blobs, below which samples would not keep their shape
FLAT = 0.7  # quantile of the density at which it is cut off
FAINT = 0.02  # part of the highest density below which a shape ends
EDGE = 0.25  # part of the highest density below which it falls off faster


@dataclass(frozen=True)
class _Blobs:
    """Gaussians of a shape of any scale: places (n, 3) x, y, z around the origin, sigmas (n,), heights (n,)."""

    places: Float
    sigmas: Float
    heights: Float

    def scaled_to(self, radius: float) -> _Blobs:
        """With the radius of gyration of a ball of `radius`."""
        masses = self.heights * self.sigmas**3
        middle = masses @ self.places / masses.sum()
        spread = ((self.places - middle) ** 2).sum(axis=1) + 3 * self.sigmas**2
        scale = radius / math.sqrt(5 / 3 * (masses @ spread) / masses.sum())
        return _Blobs((self.places - middle) * scale, np.maximum(self.sigmas * scale, NARROWEST), self.heights)


def random_density(
    rng: np.random.Generator, radius: tuple[float, float] = (4.0, 20.0), membrane: bool = False
) -> Density:
    """A particle of random shape in voxels of whatever tomogram it is put in.

    Parameters
    ----------
    radius
        Range in voxels, evenly in the logarithm, of the ball with the same radius of gyration; kept to about a tenth.
    membrane
        It stands on a membrane.
    """
    size = math.exp(rng.uniform(math.log(radius[0]), math.log(radius[1])))
    groups = MEMBRANE_GROUPS if membrane else GROUPS
    symmetry = np.asarray(Rotation.create_group(groups[rng.integers(len(groups))]).as_matrix())
    blobs = _random_blobs(symmetry, rng).scaled_to(size)
    below = None
    if membrane:
        below = -size * rng.uniform(0.8, 1.2) - 3
        blobs = _with_stem(blobs, below, size)
    array, middle = _drawn(blobs)
    flat, low = _trimmed(_flattened(array))
    full = float(np.count_nonzero(flat > 0.2)) * rng.uniform(0.7, 1.1)
    array = flat * np.float32(full / flat.sum(dtype=np.float64))
    return make_density(array, None, None if below is None else middle + below - low)


def _random_blobs(symmetry: Float, rng: np.random.Generator) -> _Blobs:
    """Blobs within the unit ball, each with its copies under the rotations `symmetry` (n, 3, 3)."""
    wanted = math.exp(rng.uniform(math.log(FEWEST), math.log(MOST)))
    number = max(1 + (len(symmetry) < 6), round(wanted / len(symmetry)))
    axes = np.exp(rng.normal(0, ELONGATION, 3))
    near, far = (0.55, 0.85) if rng.random() < HOLLOW else (0.0, 0.8)
    directions = rng.normal(size=(number, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    places = directions * rng.uniform(near, far, (number, 1)) * axes / axes.max()
    # as wide as leaves some gaps between neighbours
    sigmas = rng.uniform(0.2, 0.42, number) * (number * len(symmetry)) ** (-1 / 3)
    heights = rng.uniform(0.6, 1.0, number)
    copies = np.einsum("gij,nj->gni", symmetry, places).reshape(-1, 3)
    return _Blobs(copies, np.tile(sigmas, len(symmetry)), np.tile(heights, len(symmetry)))


def _with_stem(blobs: _Blobs, below: float, radius: float) -> _Blobs:
    """With blobs down the axis z, from the body to the middle of the membrane at z = `below`."""
    sigma = max(0.25 * radius, NARROWEST)
    z = np.arange(below, 0, sigma)
    stem = np.column_stack([np.zeros((len(z), 2)), z])
    places, count = np.concatenate([blobs.places, stem]), len(z)
    heights = np.concatenate([blobs.heights, np.full(count, 0.7)])
    return _Blobs(places, np.concatenate([blobs.sigmas, np.full(count, sigma)]), heights)


def _drawn(blobs: _Blobs) -> tuple[NDArray[np.float32], float]:
    """The sum of the blobs on a grid, and where the origin is on each axis of it."""
    half = math.ceil(np.max(np.abs(blobs.places) + 3.2 * blobs.sigmas[:, None])) + 1
    array = np.zeros((2 * half + 1,) * 3, np.float32)
    masses = blobs.heights * (math.sqrt(2 * math.pi) * blobs.sigmas) ** 3
    add_gaussians(array, blobs.places + half, masses, blobs.sigmas)
    return array, float(half)


def _flattened(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """A density of highest value 1, even inside, with an edge that is not far from sharp."""
    inside = array[array > 0.1 * array.max()]
    flat = np.minimum(array, np.quantile(inside, FLAT))
    flat /= flat.max()
    return np.asarray(np.where(flat > EDGE, flat, flat**2 / EDGE), np.float32)


def _trimmed(array: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """A density without faint and empty outer layers, and how many it has lost at the low end of z."""
    solid = np.argwhere(array > FAINT)
    low, high = np.maximum(solid.min(axis=0) - 1, 0), solid.max(axis=0) + 2
    cut = tuple(slice(first, last) for first, last in zip(low, high))
    return np.where(array[cut] > FAINT, array[cut], 0), int(low[0])
