"""Training tomograms with their labels: opened, checked against each other, grey levels on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.errors import InputError
from milopyp_shared.grey import Contrast, GreyParameters, GreyVolume, grey_levels
from milopyp_shared.labels import check_labels
from milopyp_shared.lists import ImageEntry
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
    """

    name: str
    grey: GreyVolume
    xyz: NDArray[np.float64]
    voxel_size: float | None

    def grid_zyx(self, voxel_per_output: tuple[int, int, int]) -> NDArray[np.float64]:
        """``(n, 3)`` labels z, y, x in heat-map voxels, sub-voxel; the centre of the first one is 0.0."""
        factor = np.array(voxel_per_output, dtype=float)
        zyx: NDArray[np.float64] = (self.xyz[:, ::-1] - (factor - 1) / 2) / factor
        return zyx


def load_volumes(
    images: Sequence[ImageEntry],
    coordinates: Mapping[str, NDArray[np.float64]],
    parameters: GreyParameters,
    *,
    order: str = axes.AUTO,
    contrast: Contrast = "dark",
    spool_folder: Path | None = None,
    where: object = "coordinate list",
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = lambda text: None,
) -> list[LabelledVolume]:
    """Open the labelled tomograms of a list and prepare their grey levels.

    Tomograms without labels are left out: to a method that counts unlabelled voxels as background they would say
    that they hold no particle.

    Raises
    ------
    InputError
        Labels of unknown tomograms, no labelled tomogram, or a tomogram that cannot be read.
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
    volumes = []
    for image in images:
        if image.name not in coordinates:
            warn(f"{image.name} has no labels and is left out")
            continue
        tomogram = open_tomogram(image.path, order)
        if doubt := axes.doubt_about_order(tomogram.order, tomogram.stored.shape):
            warn(f"{image.name}: {doubt}")
        xyz = coordinates[image.name]
        check_labels(xyz, tomogram, where)
        grey = grey_levels(tomogram, parameters, contrast, spool_folder)
        z, y, x = tomogram.shape
        say(f"{image.name}: {x} x {y} x {z} voxels, order {tomogram.order}, {len(xyz)} labels")
        volumes.append(LabelledVolume(image.name, grey, xyz, tomogram.voxel_size))
    if not volumes:
        raise InputError("no tomogram has labels", where=where, expected="at least one labelled tomogram")
    return volumes
