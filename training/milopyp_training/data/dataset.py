"""Training tomograms with their labels: opened, checked against each other, grey levels on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.errors import InputError
from milopyp_shared.grey_statistics import Levels
from milopyp_shared.header_checks import header_warnings, refuse_unequal_voxels
from milopyp_shared.labels import check_labels, density_warning
from milopyp_shared.lengths import refuse_wide, wide_warning
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import Mask, find_masks, open_mask
from milopyp_shared.preprocessing import Contrast, PreprocessedVolume, Preprocessing, grey_levels
from milopyp_shared.resample import resampled
from milopyp_shared.scale import Factors
from milopyp_shared.tomogram import TomogramHeader, open_tomogram, read_header
from milopyp_shared.wording import counted

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class LabelledVolume:
    """One tomogram as a method sees it.

    Attributes
    ----------
    name
        Image name of the lists.
    grey
        Grey levels, on disk; nothing of the volume stays in memory.
    xyz
        ``(n, 3)`` labels, full-resolution voxels in the inside frame; n = 0: it is known to hold no particle.
    voxel_size
        Angstrom or None.
    ignored
        ``(m, 3)`` places that look like particles without a label: what is there counts neither as particle nor as
        background.
    rejected
        ``(k, 3)`` places of which a person has said that they hold no particle, however much they look like one.
    mask
        Where particles may be: outside, nothing is a label, background or a pick. None: everywhere.
    scale
        Voxels that the network sees, in `grey`, per voxel of the tomogram; all else is in voxels of the tomogram.
    """

    name: str
    grey: PreprocessedVolume
    xyz: NDArray[np.float64]
    voxel_size: float | None
    ignored: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    rejected: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    mask: Mask | None = None
    scale: float = 1.0

    @property
    def is_empty(self) -> bool:
        """Whether it is known to hold no particle: all of it is background."""
        return not len(self.xyz)

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
        Of the particles, voxels.
    contrast
        Of the particles.
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

    @property
    def scale(self) -> float:
        """At which all of its tomograms are seen, see `LabelledVolume.scale`."""
        return self.volumes[0].scale if self.volumes else 1.0

    @property
    def levels(self) -> Levels | None:
        """The mean of its tomograms' grey levels; None of simulated ones, which are not a user's."""
        known = [volume.grey.levels for volume in self.volumes if volume.grey.levels]
        return None if self.simulated or not known else Levels(*np.mean(known, axis=0).tolist())


def with_particles(volumes: Iterable[LabelledVolume]) -> list[LabelledVolume]:
    """Those that are not empty."""
    return [volume for volume in volumes if not volume.is_empty]


def on_grid(xyz: NDArray[np.float64], voxel_per_output: Factors) -> NDArray[np.float64]:
    """``(n, 3)`` positions x, y, z in voxels -> z, y, x in heat-map voxels; the centre of the first one is 0.0."""
    factor = np.array(voxel_per_output, dtype=float)
    zyx: NDArray[np.float64] = (xyz[:, ::-1] - (factor - 1) / 2) / factor
    return zyx


def first_voxel_size(images: Sequence[ImageEntry], labelled: Collection[str], order: str) -> float | None:
    """Angstrom, of the first labelled tomogram whose header says it, which the recipe takes; None where none does.

    Raises
    ------
    InputError, ContradictionError
        As `milopyp_shared.tomogram.read_header`.
    """
    sizes = (read_header(image.path, order).voxel_size for image in images if image.name in labelled)
    return next((size for size in sizes if size), None)


def check_diameter(
    diameter: float,
    images: Iterable[ImageEntry],
    order: str,
    voxel_size: float | None,
    warn: Callable[[str], None],
    *,
    guess: bool = True,
) -> None:
    """Refuse a particle that does not fit into its tomograms, and warn once where it hardly does.

    Only headers are read, so that it is said before anything is computed.

    Parameters
    ----------
    diameter
        Voxels.
    guess
        Whether the number may have been meant in Angstrom.

    Raises
    ------
    InputError
        As `milopyp_shared.tomogram.read_header`.
    ContradictionError
        It is larger than the thinnest axis of one of them; or as `read_header`.
    """
    sizes = {}
    for image in images:
        header = read_header(image.path, order, voxel_size)
        refuse_wide(diameter, header, guess=guess)
        sizes[image.name] = (diameter, min(header.shape))
    if doubt := wide_warning(sizes):
        warn(doubt)


def check_listed(
    diameter: float,
    images: Sequence[ImageEntry],
    order: str,
    voxel_size: float | None,
    warn: Callable[[str], None],
    *,
    read: Collection[str],
    guess: bool,
) -> None:
    """Warn of what headers say of tomograms like the first of which others are simulated; as `check_diameter`.

    Parameters
    ----------
    read
        Names of those that are read later, when more is said of them.

    Raises
    ------
    InputError, ContradictionError
        As `check_diameter`.
    """
    check_diameter(diameter, images, order, voxel_size, warn, guess=guess)
    headers = {image.name: read_header(image.path, order, voxel_size) for image in images}
    for name, header in headers.items():
        for sentence in () if name in read else _doubts(header):
            warn(f"{name}: {sentence}")
    sizes = [header.voxel_size for header in headers.values() if header.voxel_size]
    if _differ(sizes):
        warn(
            f"W02 voxel sizes from {min(sizes):.3g} to {max(sizes):.3g} A in one list: only tomograms like the first, "
            f"{images[0].name}, are simulated"
        )


def load_volumes(
    images: Sequence[ImageEntry],
    coordinates: Mapping[str, NDArray[np.float64]],
    parameters: Preprocessing,
    *,
    diameter: float,
    order: str = axes.AUTO,
    contrast: Contrast = "dark",
    masks: Path | None = None,
    voxel_size: float | None = None,
    scale: float = 1.0,
    where: object = "coordinate list",
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = lambda text: None,
) -> list[LabelledVolume]:
    """Open the labelled tomograms of a list and prepare their grey levels.

    Tomograms that `coordinates` do not name are left out: to a method that counts unlabelled voxels as background they
    would say that they hold no particle. So are labels where a mask is not set.

    Parameters
    ----------
    coordinates
        ``(n, 3)`` by name, as `milopyp_shared.lists.read_coordinate_list` reads them; n = 0: there is no particle.
    masks
        See `milopyp_shared.masks.find_masks`; None: none.
    voxel_size
        Of all tomograms, Angstrom; None: what their headers say.
    scale
        Voxels that the network is to see per voxel of the tomogram, see `milopyp_shared.scale.scale_for`.

    Raises
    ------
    InputError
        Labels of unknown tomograms, no labelled tomogram, or a tomogram or mask that cannot be read.
    ContradictionError
        Labels outside their tomogram, or voxels that are longer along one axis.
    """
    _refuse_unknown(coordinates, [image.name for image in images], where)
    labelled = [image for image in images if image.name in coordinates]
    mask_files = {} if masks is None or not labelled else find_masks(masks, labelled, say)
    volumes = []
    for image in images:
        if image.name not in coordinates:
            warn(f"{image.name}: W05 has no labels and is left out")
            continue
        tomogram = open_tomogram(image.path, order, voxel_size)
        refuse_unequal_voxels(tomogram)
        for sentence in _doubts(tomogram):
            warn(f"{image.name}: {sentence}")
        check_labels(coordinates[image.name], tomogram, where)
        mask = open_mask(mask_files[image.name], tomogram) if image.name in mask_files else None
        xyz = _inside(mask, coordinates[image.name], image.name, warn)
        if not len(xyz) and len(coordinates[image.name]):  # outside the mask, which does not make it empty
            continue
        grey = grey_levels(
            resampled(tomogram, scale), parameters, contrast, None if mask is None else mask.rescaled(scale)
        )
        z, y, x = tomogram.shape
        count = counted(len(xyz), "label") if len(xyz) else "no particles: all of it is background"
        say(f"{image.name}: {x} x {y} x {z} voxels, order {tomogram.order}, {count}")
        volume = LabelledVolume(image.name, grey, xyz, tomogram.voxel_size, mask=mask, scale=scale)
        volumes.append(volume)
        if grey.levels and (doubt := grey.levels.doubt(parameters.statistics, None)):
            warn(f"{image.name}: {doubt}")
        if len(xyz) and (doubt := density_warning(grey.filtered, xyz, diameter, volume.voxel_per_grey)):
            warn(f"{image.name}: {doubt}")
    _warn_of_sizes([volume.voxel_size for volume in volumes if volume.voxel_size], warn)
    if not with_particles(volumes):
        raise InputError("no tomogram has labels", where=where, expected="at least one labelled tomogram")
    return volumes


def _doubts(tomogram: TomogramHeader) -> list[str]:
    """What looks wrong in a tomogram's header."""
    order = axes.order_warning(tomogram.order, tomogram.mrc.stored_shape)
    return ([order] if order else []) + header_warnings(tomogram)


def _refuse_unknown(labelled: Iterable[str], names: Collection[str], where: object) -> None:
    unknown = [name for name in labelled if name not in names]
    if unknown:
        some = ", ".join(unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        raise InputError(
            f"labels of {some}, which the image list does not name",
            where=where,
            expected=f"image names such as {', '.join(sorted(set(names))[:3])}",
            remedy="Use the same names in both lists.",
        )


def _inside(mask: Mask | None, xyz: NDArray[np.float64], name: str, warn: Callable[[str], None]) -> NDArray[np.float64]:
    """The labels that the mask keeps."""
    if mask is None or (kept := mask.keeps(xyz)).all():
        return xyz
    warn(f"{name}: W08 labels outside the mask are left out: {np.sum(~kept)} of {len(xyz)}")
    return xyz[kept]


def _warn_of_sizes(sizes: Sequence[float], warn: Callable[[str], None]) -> None:
    if _differ(sizes):
        warn(f"W02 voxel sizes from {min(sizes):.3g} to {max(sizes):.3g} A in one list: --bbox fits only one of them")


def _differ(sizes: Sequence[float]) -> bool:
    return bool(sizes) and max(sizes) > 1.05 * min(sizes)
