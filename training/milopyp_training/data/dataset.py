"""Training tomograms with their labels: opened, checked against each other, grey levels on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.errors import InputError
from milopyp_shared.labels import check_labels, density_warning
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import Mask, find_masks, open_mask
from milopyp_shared.preprocessing import Contrast, PreprocessedVolume, Preprocessing, grey_levels
from milopyp_shared.tomogram import open_tomogram


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
        ``(n, 3)`` labels, full-resolution voxels in the inside frame.
    voxel_size
        Angstrom or None.
    ignored
        ``(m, 3)`` places that look like particles without a label: what is there counts neither as particle nor as
        background.
    mask
        Where particles may be: outside, nothing is a label, background or a pick. None: everywhere.
    """

    name: str
    grey: PreprocessedVolume
    xyz: NDArray[np.float64]
    voxel_size: float | None
    ignored: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    mask: Mask | None = None

    def grid_zyx(self, voxel_per_output: tuple[int, int, int]) -> NDArray[np.float64]:
        """``(n, 3)`` labels z, y, x in heat-map voxels, sub-voxel; the centre of the first one is 0.0."""
        return on_grid(self.xyz, voxel_per_output)


@dataclass(frozen=True)
class CrossValidated:
    """What networks that each missed a part of the labels have told.

    Attributes
    ----------
    lookalikes
        Per tomogram name, ``(m, 3)`` places that look like particles; see `LabelledVolume.ignored`.
    unlabelled
        Estimated number of particles without a label, in all training tomograms.
    label_scores
        Of all labels, by the networks that had not seen them; 0 where they have no pick.
    """

    ignored_candidates: dict[str, NDArray[np.float64]]
    unlabelled: float
    label_scores: NDArray[np.float64]

    def apply(self, volumes: Sequence[LabelledVolume]) -> list[LabelledVolume]:
        """The tomograms with the lookalikes ignored."""
        return [replace(volume, ignored=self.ignored_candidates.get(volume.name, volume.ignored)) for volume in volumes]


def on_grid(xyz: NDArray[np.float64], voxel_per_output: tuple[int, int, int]) -> NDArray[np.float64]:
    """``(n, 3)`` positions x, y, z in voxels -> z, y, x in heat-map voxels; the centre of the first one is 0.0."""
    factor = np.array(voxel_per_output, dtype=float)
    zyx: NDArray[np.float64] = (xyz[:, ::-1] - (factor - 1) / 2) / factor
    return zyx


def load_volumes(
    images: Sequence[ImageEntry],
    coordinates: Mapping[str, NDArray[np.float64]],
    parameters: Preprocessing,
    *,
    diameter: float,
    order: str = axes.AUTO,
    contrast: Contrast = "dark",
    masks: Path | None = None,
    spool_folder: Path | None = None,
    where: object = "coordinate list",
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = lambda text: None,
) -> list[LabelledVolume]:
    """Open the labelled tomograms of a list and prepare their grey levels.

    Tomograms without labels are left out: to a method that counts unlabelled voxels as background they would say
    that they hold no particle. So are labels where a mask is not set.

    Parameters
    ----------
    masks
        See `milopyp_shared.masks.find_masks`; None: none.

    Raises
    ------
    InputError
        Labels of unknown tomograms, no labelled tomogram, or a tomogram or mask that cannot be read.
    ContradictionError
        Labels outside their tomogram.
    """
    names = {image.name for image in images}
    unknown = [name for name in coordinates if name not in names]
    if unknown:
        some = ", ".join(unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        raise InputError(
            f"labels of {some}, which the image list does not name",
            where=where,
            expected=f"image names such as {', '.join(sorted(names)[:3])}",
            remedy="Use the same names in both lists.",
        )
    labelled = [image for image in images if image.name in coordinates]
    mask_files = {} if masks is None or not labelled else find_masks(masks, labelled, say)
    volumes = []
    for image in images:
        if image.name not in coordinates:
            warn(f"{image.name}: W05 has no labels and is left out")
            continue
        tomogram = open_tomogram(image.path, order)
        if doubt := axes.order_warning(tomogram.order, tomogram.mrc.stored_shape):
            warn(f"{image.name}: {doubt}")
        xyz = coordinates[image.name]
        check_labels(xyz, tomogram, where)
        mask = open_mask(mask_files[image.name], tomogram) if image.name in mask_files else None
        if mask is not None and not (kept := mask.keeps(xyz)).all():
            warn(f"{image.name}: W08 {np.sum(~kept)} of {len(xyz)} labels lie outside the mask and are left out")
            xyz = xyz[kept]
            if not len(xyz):
                continue
        grey = grey_levels(tomogram, parameters, contrast, spool_folder)
        z, y, x = tomogram.shape
        say(f"{image.name}: {x} x {y} x {z} voxels, order {tomogram.order}, {len(xyz)} labels")
        volume = LabelledVolume(image.name, grey, xyz, tomogram.voxel_size, mask=mask)
        if doubt := density_warning(grey.filtered, xyz, diameter, grey.sections_per_pair):
            warn(f"{image.name}: {doubt}")
        volumes.append(volume)
    sizes = [volume.voxel_size for volume in volumes if volume.voxel_size]
    if sizes and max(sizes) > 1.05 * min(sizes):
        warn(f"W02 voxel sizes from {min(sizes):.3g} to {max(sizes):.3g} A in one list: --bbox fits only one of them")
    if not volumes:
        raise InputError("no tomogram has labels", where=where, expected="at least one labelled tomogram")
    return volumes
