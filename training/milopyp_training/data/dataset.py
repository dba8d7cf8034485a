"""Training tomograms with their labels, as a method sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.calibration import Threshold
from milopyp_shared.grey_statistics import Levels
from milopyp_shared.masks import Mask
from milopyp_shared.particles import Particle
from milopyp_shared.preprocessing import Contrast, PreprocessedVolume
from milopyp_shared.recipe import OtherParticle
from milopyp_shared.scale import Factors

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class LabelledVolume:
    """One tomogram with the labels of one class of particles, as a method sees it.

    A tomogram in which several classes were labelled is there once for each, next to each other, with the same grey
    levels.

    Attributes
    ----------
    name
        Image name of the lists.
    grey
        Grey levels, on disk; nothing of the volume stays in memory.
    xyz
        ``(n, 3)`` labels, full-resolution voxels in the inside frame; n = 0: it is known to hold no particle of the
        class.
    voxel_size
        Angstrom or None.
    ignored
        ``(m, 3)`` places that look like particles without a label: what is there counts neither as particle nor as
        background.
    rejected
        ``(k, 3)`` places of which a person has said that they hold no particle of the class, however much they look
        like one: labels of the other classes among them.
    mask
        Where particles may be: outside, nothing is a label, background or a pick. None: everywhere.
    scale
        Voxels that the network sees, in `grey`, per voxel of the tomogram; all else is in voxels of the tomogram.
    kind
        The number of the class.
    """

    name: str
    grey: PreprocessedVolume
    xyz: NDArray[np.float64]
    voxel_size: float | None
    ignored: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    rejected: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    mask: Mask | None = None
    scale: float = 1.0
    kind: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether it is known to hold no particle of its class: all of it is background."""
        return not len(self.xyz)

    @property
    def told(self) -> NDArray[np.float64]:
        """``(n, 3)`` places of which a person has said what they are: labels, and rejected ones."""
        return np.concatenate([self.xyz, self.rejected])

    @property
    def voxel_per_grey(self) -> Factors:
        """Voxels (z, y, x) of the tomogram per voxel of `grey`."""
        return self.voxel_per_output((1, 1, 1))

    def voxel_per_output(self, stride: Triple) -> Factors:
        """Voxels (z, y, x) of the tomogram per heat-map voxel of a network with this stride."""
        z, y, x = stride
        return (z * self.grey.sections_per_pair / self.scale, y / self.scale, x / self.scale)

    def grid_shape(self, stride: Triple) -> Triple:
        """Size (z, y, x) of the heat map of a network with this stride; odd sizes are rounded up."""
        z, y, x = (-(-size // step) for size, step in zip(self.grey.shape, stride, strict=True))
        return (z, y, x)

    def grid_zyx(self, stride: Triple) -> NDArray[np.float64]:
        """``(n, 3)`` labels z, y, x in heat-map voxels, sub-voxel; the centre of the first one is 0.0."""
        return on_grid(self.xyz, self.voxel_per_output(stride))

    def unmasked(self, stride: Triple, start: Triple, shape: Triple) -> NDArray[np.bool_] | None:
        """What the mask keeps of a box of the heat map; None without a mask."""
        return None if self.mask is None else self.mask.on_grid(start, shape, self.voxel_per_output(stride))


@dataclass(frozen=True)
class TrainingSet:
    """What a model is trained on and judged by.

    Attributes
    ----------
    volumes
        Trained on, all of them seen at one scale.
    validation
        What every epoch is judged by; may be none. Seen at the same scale.
    diameter
        Of the particles, voxels; of those of the first class.
    contrast
        Of the particles.
    particle
        What those of the first class are called; may be nothing where there is no other.
    others
        Further classes.
    simulated
        What they were simulated with; empty: they are a user's. Of simulated ones all particles are labelled.
    like
        The user's tomogram that simulated ones are like; nobody has looked at what it holds.
    """

    volumes: Sequence[LabelledVolume]
    validation: Sequence[LabelledVolume]
    diameter: float
    contrast: Contrast
    simulated: str = ""
    like: LabelledVolume | None = None
    particle: str = ""
    others: tuple[Particle, ...] = ()

    @classmethod
    def of(
        cls,
        volumes: Sequence[LabelledVolume],
        validation: Sequence[LabelledVolume],
        particles: Sequence[Particle],
        contrast: Contrast,
    ) -> TrainingSet:
        """That of several classes, or of one."""
        first, *others = particles
        return cls(volumes, validation, first.diameter, contrast, particle=first.name, others=tuple(others))

    @property
    def particles(self) -> tuple[Particle, ...]:
        """All classes, in the order of their numbers."""
        return (Particle(self.particle, self.diameter), *self.others)

    def labels(self, kind: int = 0) -> dict[str, int]:
        """How many labels of a class each tomogram has in which it was looked for."""
        return {volume.name: len(volume.xyz) for volume in of_kind(self.volumes, kind)}

    def described_others(self, threshold: Threshold) -> tuple[OtherParticle, ...]:
        """The further classes as a recipe has them, of which no other threshold is known yet."""
        return tuple(
            OtherParticle(particle.name, particle.diameter, threshold, self.labels(kind))
            for kind, particle in enumerate(self.others, start=1)
        )

    @property
    def scale(self) -> float:
        """At which all of its tomograms are seen, see `LabelledVolume.scale`."""
        return self.volumes[0].scale if self.volumes else 1.0

    @property
    def levels(self) -> Levels | None:
        """The mean of its tomograms' grey levels; None of simulated ones, which are not a user's."""
        known = [volume.grey.levels for volume in self.volumes if volume.grey.levels]
        return None if self.simulated or not known else Levels(*np.mean(known, axis=0).tolist())


def of_kind(volumes: Iterable[LabelledVolume], kind: int) -> list[LabelledVolume]:
    """Those of one class."""
    return [volume for volume in volumes if volume.kind == kind]


def by_tomogram(volumes: Iterable[LabelledVolume]) -> dict[str, dict[int, LabelledVolume]]:
    """For each tomogram what is known of it by class."""
    found: dict[str, dict[int, LabelledVolume]] = {}
    for volume in volumes:
        found.setdefault(volume.name, {})[volume.kind] = volume
    return found


def with_particles(volumes: Iterable[LabelledVolume]) -> list[LabelledVolume]:
    """Those that are not empty."""
    return [volume for volume in volumes if not volume.is_empty]


def on_grid(xyz: NDArray[np.float64], voxel_per_output: Factors) -> NDArray[np.float64]:
    """``(n, 3)`` positions x, y, z in voxels -> z, y, x in heat-map voxels; the centre of the first one is 0.0."""
    factor = np.array(voxel_per_output, dtype=float)
    zyx: NDArray[np.float64] = (xyz[:, ::-1] - (factor - 1) / 2) / factor
    return zyx
