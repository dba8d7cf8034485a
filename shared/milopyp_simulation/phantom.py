"""Simple synthetic tomograms with exactly known particles, for the demo, the tests and the benchmarks.

Particles, look-alikes and a crowd of small proteins are sums of Gaussians, so they are rendered exactly at any
sub-voxel place and orientation; noise and a missing wedge come on top. Protein is dark (low values). It is a toy:
it has no contrast transfer function, no ice and no membranes, but it is made in a moment and needs no compiling.
`tomogram` is the real thing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from milopyp_shared.errors import UsageError

Float = NDArray[np.float64]
Volume = NDArray[np.float32]
Gaussians = tuple[Float, Float, Float]  # masses (n,), sigmas (n,), places or offsets (n, 3) as x, y, z; voxels

# Densities are in units of a particle's mean density within the sphere of its diameter.
CROWDING = 0.05  # part of the volume that small proteins fill at background 1
WAVES = 0.3  # standard deviation of the smooth background at background 1
GREY_SD = 1000.0  # one standard deviation of a tomogram in grey values
TRIES = 2000  # random places tried per object before the volume counts as full

# Mass, sigma and x, y, z of each Gaussian, in arbitrary units: a body with a head, two arms and a tail; and a ring.
PARTICLE = (
    (3.0, 1.00, 0.0, 0.0, 0.0),
    (2.0, 0.80, 2.2, 0.4, 0.0),
    (1.3, 0.65, -1.1, 1.7, 0.3),
    (1.3, 0.65, -1.0, -1.4, 0.9),
    (0.9, 0.55, 0.4, 0.3, -1.9),
)
RING = tuple((1.0, 0.70, 1.7 * math.cos(k * math.pi / 3), 1.7 * math.sin(k * math.pi / 3), 0.0) for k in range(6))


@dataclass(frozen=True)
class PhantomSettings:
    """What is in a phantom. The same settings give the same phantom (same library versions assumed).

    Attributes
    ----------
    shape_zyx
        Size in voxels.
    voxel_size
        Angstrom, written to the file's header.
    n_particles, n_distractors
        Number of particles, and of rings with the same mass and radius of gyration. All lie wholly inside.
    diameter
        Voxels: the sphere with the particle's radius of gyration R, ``2 sqrt(5/3) R``.
    noise
        Standard deviation of a voxel's noise before the missing wedge, in units of the particle's mean density
        within that sphere. 0 = noise-free.
    missing_wedge_degrees
        Highest tilt of the series: 60 means that -60..+60 degrees about the axis y were recorded. None = no wedge.
    background
        Strength of the density that is in no list: smooth waves and small proteins. 0 = none.
    seed
        Not negative. Places and orientations do not depend on noise, wedge and background.
    """

    shape_zyx: tuple[int, int, int] = (64, 192, 192)
    voxel_size: float = 10.0
    n_particles: int = 40
    n_distractors: int = 25
    diameter: float = 18.0
    noise: float = 1.5
    missing_wedge_degrees: float | None = 60.0
    background: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class Phantom:
    """A synthetic tomogram and its truth.

    Attributes
    ----------
    volume
        int16 ``(z, y, x)``; mean 0 and a standard deviation of 1000, less if the highest value would not fit.
    particles_xyz, distractors_xyz
        ``(n, 3)`` centres of mass, voxels in the inside frame (the centre of the first voxel is 0.0).
    """

    volume: NDArray[np.int16]
    particles_xyz: Float
    distractors_xyz: Float


def make_phantom(settings: PhantomSettings) -> Phantom:
    """Make one synthetic tomogram.

    Raises
    ------
    UsageError
        A setting is out of range, or the objects do not fit without overlap.
    """
    _check(settings)
    place_rng, crowd_rng, noise_rng = map(np.random.default_rng, np.random.SeedSequence(settings.seed).spawn(3))
    particle, ring = _molecule(PARTICLE, settings.diameter), _molecule(RING, settings.diameter)
    reaches = [_reach(particle)] * settings.n_particles + [_reach(ring)] * settings.n_distractors
    centres = _place(settings, reaches, place_rng)
    particles, distractors = np.split(centres, [settings.n_particles])

    # A rim around the field: neither background nor noise nor the wedge's streaks come in again on the other side.
    rim = math.ceil(_reach(particle))
    depth, height, width = (fft.next_fast_len(size + 2 * rim, real=True) for size in settings.shape_zyx)
    density = np.zeros((depth, height, width), np.float32)
    _add_gaussians(density, _copies(particle, particles + rim, place_rng))
    _add_gaussians(density, _copies(ring, distractors + rim, place_rng))
    _add_gaussians(density, _crowd(settings, density.shape, centres + rim, crowd_rng))
    density = _degraded(density, settings, noise_rng)
    field = density[tuple(slice(rim, rim + size) for size in settings.shape_zyx)]
    return Phantom(_to_grey(-field), particles, distractors)


def missing_wedge(shape_zyx: tuple[int, int, int], highest_tilt: float) -> Volume:
    """Weights 0..1 of the Fourier components that a tilt series about y, -highest_tilt..highest_tilt degrees, measures.

    The edge is a ramp of two degrees. The weights are even in every frequency, so they move nothing.

    Returns
    -------
    ``(z, 1, x // 2 + 1)`` float32, to be multiplied with ``scipy.fft.rfftn`` of a volume of `shape_zyx`.
    """
    kz, _, kx = _frequencies(shape_zyx)
    # the projection at tilt t measures the plane that holds the y axis and is t away from the x axis
    angle = np.degrees(np.arctan2(np.abs(kz), np.abs(kx)))
    return np.clip((highest_tilt - angle) / 2 + 0.5, 0, 1).astype(np.float32)


def draw_labels(xyz: Float, fraction: float, rng: np.random.Generator) -> Float:
    """A random part of the centres `xyz` ``(n, 3)``, at least one of them, in their order.

    Raises
    ------
    UsageError
        `fraction` is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"fraction of labels is {fraction}", expected="a number above 0, at most 1")
    count = min(len(xyz), max(1, round(fraction * len(xyz))))
    return xyz[np.sort(rng.choice(len(xyz), count, replace=False))]


def numbered(settings: PhantomSettings, number: int) -> PhantomSettings:
    """Settings of phantom `number` of a set: its own seed, so that sets of different seeds share no phantom."""
    _check(settings)
    return replace(settings, seed=int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0]))


def _check(settings: PhantomSettings) -> None:
    tilt = settings.missing_wedge_degrees
    rules = (
        ("shape_zyx", len(settings.shape_zyx) == 3 and min(settings.shape_zyx) >= 1, "three positive sizes"),
        ("voxel_size", 0 < settings.voxel_size < math.inf, "a positive number of Angstrom"),
        ("n_particles", settings.n_particles >= 0, "0 or more"),
        ("n_distractors", settings.n_distractors >= 0, "0 or more"),
        # below, the narrowest Gaussian is too thin for its samples to keep its centre
        ("diameter", 8 <= settings.diameter < math.inf, "8 voxels or more"),
        ("noise", 0 <= settings.noise < math.inf, "0 or more"),
        ("missing_wedge_degrees", tilt is None or 0 < tilt <= 90, "a highest tilt above 0, at most 90 degrees"),
        ("background", 0 <= settings.background < math.inf, "0 or more"),
        ("seed", settings.seed >= 0, "0 or more"),
    )
    for name, fine, expected in rules:
        if not fine:
            raise UsageError(f"phantom setting {name} is {getattr(settings, name)}", expected=expected)


def _molecule(rows: Sequence[tuple[float, ...]], diameter: float) -> Gaussians:
    """Gaussians of a molecule around its centre of mass, scaled to `diameter` and a mean density of 1."""
    table = np.array(rows)
    mass, sigma = table[:, 0] / table[:, 0].sum(), table[:, 1]
    offset = table[:, 2:] - mass @ table[:, 2:]
    gyration = math.sqrt(mass @ ((offset**2).sum(axis=1) + 3 * sigma**2))
    scale = diameter / (2 * math.sqrt(5 / 3) * gyration)
    return mass * (math.pi / 6 * diameter**3), sigma * scale, offset * scale


def _reach(molecule: Gaussians) -> float:
    """Radius in voxels that holds every Gaussian up to two sigma."""
    _, sigma, offset = molecule
    return float(np.max(np.linalg.norm(offset, axis=1) + 2 * sigma))


def _copies(molecule: Gaussians, centres: Float, rng: np.random.Generator) -> Gaussians:
    """Copies of a molecule at `centres` ``(n, 3)``, turned uniformly at random."""
    mass, sigma, offset = molecule
    n = len(centres)
    quaternions = rng.normal(size=(n, 4))  # uniform once normalised
    turns = Rotation.from_quat(quaternions).as_matrix() if n else np.empty((0, 3, 3))
    places = centres[:, None] + np.einsum("nij,kj->nki", turns, offset)
    return np.tile(mass, n), np.tile(sigma, n), places.reshape(-1, 3)


def _place(settings: PhantomSettings, reaches: Sequence[float], rng: np.random.Generator) -> Float:
    """Centres ``(n, 3)`` at which spheres of radius `reaches` lie inside the volume and do not overlap."""
    high = np.array(settings.shape_zyx[::-1]) - 1.0
    centres, radii = np.empty((len(reaches), 3)), np.array(reaches)
    for i, radius in enumerate(reaches):
        for _ in range(TRIES if np.all(high >= 2 * radius) else 0):
            centres[i] = rng.uniform(radius, high - radius)
            if np.all(((centres[:i] - centres[i]) ** 2).sum(axis=1) >= (radii[:i] + radius) ** 2):
                break
        else:
            raise UsageError(
                f"only {i} of {len(reaches)} particles and distractors of diameter {settings.diameter:g} found a place "
                f"in {' x '.join(map(str, settings.shape_zyx))} (z, y, x) voxels",
                where="phantom",
                expected="room for all without overlap",
                remedy="Ask for fewer or smaller particles, or for a larger volume.",
            )
    return centres


def _crowd(settings: PhantomSettings, shape: tuple[int, ...], taken: Float, rng: np.random.Generator) -> Gaussians:
    """Small proteins (1-6 % of a particle's mass) all over a grid of `shape`, clear of the objects at `taken`."""
    particle = math.pi / 6 * settings.diameter**3
    count = round(CROWDING * settings.background * math.prod(shape) / (0.035 * particle))
    mass = rng.uniform(0.01, 0.06, count) * particle
    places = rng.uniform(-0.5, np.array(shape[::-1]) - 0.5, (count, 3))
    if count and len(taken):
        clear = KDTree(taken).query(places)[0] > 0.8 * settings.diameter
        mass, places = mass[clear], places[clear]
    # a Gaussian as wide as a ball of density 1 and this mass: equal radii of gyration when sigma = radius / sqrt(5)
    return mass, np.cbrt(mass * 3 / (4 * math.pi)) / math.sqrt(5), places


def _add_gaussians(volume: Volume, gaussians: Gaussians) -> None:
    """Add Gaussians to `volume` (z, y, x), sampled at the voxel centres up to four sigma."""
    for mass, sigma, centre in zip(*gaussians):
        half, middle = math.ceil(4 * sigma), np.rint(centre).astype(int)
        low, high = np.maximum(middle - half, 0), np.minimum(middle + half + 1, volume.shape[::-1])
        x, y, z = (np.exp(-0.5 * ((np.arange(a, b) - c) / sigma) ** 2) for a, b, c in zip(low, high, centre))
        z *= mass / (math.sqrt(2 * math.pi) * sigma) ** 3
        volume[low[2] : high[2], low[1] : high[1], low[0] : high[0]] += z[:, None, None] * (y[:, None] * x)


def _degraded(density: Volume, settings: PhantomSettings, rng: np.random.Generator) -> Volume:
    """Add waves and noise, then cut out the missing wedge: from the noise, too, as in a reconstruction."""
    shape = (density.shape[0], density.shape[1], density.shape[2])
    kz, ky, kx = _frequencies(shape)
    k2 = kz**2 + ky**2 + kx**2
    waves = np.exp(-0.5 * (math.pi * settings.diameter) ** 2 * k2)  # white noise smoothed by a Gaussian of a radius
    colour = np.sqrt(0.25 + np.exp(-0.5 * k2 / 0.15**2))  # mostly below 0.2 cycles per voxel, upon white noise
    spectrum = fft.rfftn(density)
    for strength, weight in ((WAVES * settings.background, waves), (settings.noise, colour)):
        if strength > 0:
            white = fft.rfftn(rng.standard_normal(shape, np.float32))
            spectrum += white * (weight * np.float32(strength / np.sqrt(np.mean(weight**2))))
    if settings.missing_wedge_degrees is not None:
        spectrum *= missing_wedge(shape, settings.missing_wedge_degrees)
    return np.asarray(fft.irfftn(spectrum, shape), np.float32)


def _frequencies(shape_zyx: tuple[int, int, int]) -> tuple[Volume, Volume, Volume]:
    """Frequencies of ``rfftn`` in cycles per voxel along z, y, x, shaped to broadcast."""
    z, y, x = shape_zyx
    kz, ky, kx = (k.astype(np.float32) for k in (fft.fftfreq(z), fft.fftfreq(y), fft.rfftfreq(x)))
    return kz[:, None, None], ky[None, :, None], kx[None, None, :]


def _to_grey(volume: Volume) -> NDArray[np.int16]:
    """Scale to mean 0 and standard deviation `GREY_SD`; the highest value always fits, so nothing is clipped."""
    volume = volume - np.float32(volume.mean(dtype=np.float64))
    spread, highest = float(volume.std(dtype=np.float64)), float(np.abs(volume).max())
    scale = min(GREY_SD / spread, 32767 / highest) if spread > 0 else 0.0
    grey: NDArray[np.int16] = np.rint(volume * np.float32(scale)).astype(np.int16)
    return grey
