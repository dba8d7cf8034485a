"""Training tomograms with their labels: opened, checked against each other, grey levels on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.errors import InputError
from milopyp_shared.header_checks import header_warnings, refuse_unequal_voxels
from milopyp_shared.labels import check_labels, density_warning
from milopyp_shared.lengths import refuse_wide, wide_warning
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import Mask, find_masks, open_mask
from milopyp_shared.particles import Particle
from milopyp_shared.preprocessing import Contrast, Preprocessing, grey_levels
from milopyp_shared.resample import resampled
from milopyp_shared.tomogram import Tomogram, TomogramHeader, open_tomogram, read_header
from milopyp_shared.wording import counted

from .classes import of_each, shared_places
from .dataset import LabelledVolume, of_kind, with_particles


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
    """`load_classes` of one class; `coordinates` are as `coordinate_lists.read_coordinate_list` reads them."""
    return load_classes(
        images, [coordinates], parameters, particles=[Particle("", diameter)], order=order, contrast=contrast,
        masks=masks, voxel_size=voxel_size, scale=scale, where=where, say=say, warn=warn,
    )  # fmt: skip


def load_classes(
    images: Sequence[ImageEntry],
    labels: Sequence[Mapping[str, NDArray[np.float64]]],
    parameters: Preprocessing,
    *,
    particles: Sequence[Particle],
    may_overlap: bool = False,
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

    Tomograms that `labels` do not name are left out: to a method that counts unlabelled voxels as background they
    would say that they hold no particle. So are labels where a mask is not set.

    Parameters
    ----------
    labels
        For each class ``(n, 3)`` by name of the tomogram; n = 0: there is no particle of the class.
    particles
        The classes.
    may_overlap
        Where there is a particle of one class, there may be one of another.
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
    for own in labels:
        _refuse_unknown(own, [image.name for image in images], where)
    labelled = [image for image in images if any(image.name in own for own in labels)]
    mask_files = {} if masks is None or not labelled else find_masks(masks, labelled, say)
    volumes: list[LabelledVolume] = []
    for image in images:
        if image not in labelled:
            warn(f"{image.name}: W05 has no labels and is left out")
            continue
        tomogram = open_tomogram(image.path, order, voxel_size)
        refuse_unequal_voxels(tomogram)
        for sentence in _doubts(tomogram):
            _warn_of(warn, image.name, sentence)
        mask = open_mask(mask_files[image.name], tomogram) if image.name in mask_files else None
        given = {kind: own[image.name] for kind, own in enumerate(labels) if image.name in own}
        found = _labels_of(tomogram, given, mask, where, partial(_warn_of, warn, image.name))
        if not found:
            continue
        seen = resampled(tomogram, scale)
        grey = grey_levels(seen, parameters, contrast, None if mask is None else mask.rescaled(scale))
        whole = LabelledVolume(image.name, grey, np.empty((0, 3)), tomogram.voxel_size, mask=mask, scale=scale)
        z, y, x = tomogram.shape
        say(f"{image.name}: {x} x {y} x {z} voxels, order {tomogram.order}, {_counts(found, particles)}")
        for doubt in _doubts_of_labels(whole, found, particles, parameters):
            _warn_of(warn, image.name, doubt)
        volumes += of_each(whole, found, particles, may_overlap=may_overlap)
    _warn_of_sizes([volume.voxel_size for volume in volumes if volume.voxel_size], warn)
    _refuse_unlabelled(volumes, particles, where)
    return volumes


def _refuse_unlabelled(volumes: Sequence[LabelledVolume], particles: Sequence[Particle], where: object) -> None:
    for kind, particle in enumerate(particles):
        if not with_particles(of_kind(volumes, kind)):
            raise InputError(
                f"no tomogram has labels{particle.name and f' of {particle.name}'}",
                where=where, expected="at least one labelled tomogram",
            )  # fmt: skip


def _counts(labels: Mapping[int, NDArray[np.float64]], particles: Sequence[Particle]) -> str:
    """How many labels of which class there are."""
    words = []
    for kind, xyz in labels.items():
        name = particles[kind].name
        none = f"no {name}" if name else "no particles: all of it is background"
        words.append(counted(len(xyz), f"{name} label".strip()) if len(xyz) else none)
    return ", ".join(words)


def _doubts_of_labels(
    volume: LabelledVolume,
    labels: Mapping[int, NDArray[np.float64]],
    particles: Sequence[Particle],
    parameters: Preprocessing,
) -> Iterator[str]:
    """What looks wrong in the grey levels, and at the labels."""
    grey = volume.grey
    if grey.levels and (doubt := grey.levels.doubt(parameters.statistics, None)):
        yield doubt
    for kind, xyz in labels.items():
        one = particles[kind]
        doubt = density_warning(grey.filtered, xyz, one.diameter, volume.voxel_per_grey) if len(xyz) else None
        if doubt:
            yield f"{one.name}: {doubt}" if one.name else doubt
    if doubt := shared_places(labels, particles):
        yield doubt


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


def _warn_of(warn: Callable[[str], None], name: str, doubt: str) -> None:
    warn(f"{name}: {doubt}")


def _labels_of(
    tomogram: Tomogram,
    given: Mapping[int, NDArray[np.float64]],
    mask: Mask | None,
    where: object,
    warn: Callable[[str], None],
) -> dict[int, NDArray[np.float64]]:
    """By class, the labels that the mask keeps. Those of a class that are all outside do not make it empty."""
    found = {}
    for kind, xyz in given.items():
        check_labels(xyz, tomogram, where)
        kept = np.ones(len(xyz), np.bool_) if mask is None else mask.keeps(xyz)
        if not kept.all():
            warn(f"W08 labels outside the mask are left out: {np.sum(~kept)} of {len(xyz)}")
        if kept.any() or not len(xyz):
            found[kind] = xyz[kept]
    return found


def _warn_of_sizes(sizes: Sequence[float], warn: Callable[[str], None]) -> None:
    if _differ(sizes):
        warn(f"W02 voxel sizes from {min(sizes):.3g} to {max(sizes):.3g} A in one list: --bbox fits only one of them")


def _differ(sizes: Sequence[float]) -> bool:
    return bool(sizes) and max(sizes) > 1.05 * min(sizes)
