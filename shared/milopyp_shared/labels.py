"""Coordinate files that belong to a tomogram -> x, y, z in the inside frame, checked against the volume."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import axes
from .errors import ContradictionError, InputError
from .formats import mod, text
from .tomogram import Tomogram

Coords = Literal["model2point", "voxel"]


def read_points_of(
    path: Path,
    tomogram: Tomogram,
    coords: Coords = "model2point",
    extra: str | None = None,
    object: int | None = None,
) -> NDArray[np.float64]:
    """Points of an IMOD model or a coordinate text that was made on a tomogram.

    Parameters
    ----------
    path
        ``.mod``, or text with three columns in the file's axis order.
    coords
        What the text counts: ``model2point`` (IMOD's model coordinates) or ``voxel`` (plain indices).
    extra
        What a fourth column of a text is, ``score`` or ``contour``; it is left out. None refuses it.
    object
        Of the model, from 0; None: all.

    Returns
    -------
    ``(n, 3)`` x, y, z in voxels of the inside frame.

    Raises
    ------
    InputError
        The file cannot be read as what its suffix says.
    ContradictionError
        Points outside the volume; the order in which all would fit is named.
    """
    if path.suffix == ".mod":
        model = mod.read_mod(path)
        if object is not None and object >= len(model.objects):
            number = "1 object" if len(model.objects) == 1 else f"{len(model.objects)} objects"
            raise InputError(
                f"the model has {number}, number {object + 1} is wanted",
                where=path,
                expected=f"--object 1 to {len(model.objects)}",
            )
        columns = mod.to_voxel_index(
            mod.model_points(model, object), model, pixel_size=tomogram.header_voxel_size, origin=tomogram.origin
        )
    else:
        columns = text.read_points(path, extra=None if extra is None else "ignore")
        if coords == "model2point":
            columns = columns - mod.CENTRE
    xyz = axes.columns_to_xyz(columns, tomogram.order)
    if not axes.inside(xyz, tomogram.shape).all():
        words = [word for word in axes.column_orders_that_fit(columns, tomogram.shape) if word != tomogram.order]
        names = " or ".join(" ".join(word) for word in words)
        remedy = f"All of them fit when the columns are read as {names}." if words else ""
        raise _outside(xyz, tomogram, path, remedy)
    return xyz


def doubles(xyz: NDArray[np.float64], distance: float) -> int:
    """Number of labels that lie within `distance` voxels of an earlier one."""
    from scipy.spatial import KDTree

    return len({later for _, later in KDTree(xyz).query_pairs(distance)})


def check_labels(xyz: NDArray[np.float64], tomogram: Tomogram, where: object) -> None:
    """Refuse x, y, z labels outside the volume, and name the file order in which they would fit.

    Raises
    ------
    ContradictionError
        At least one label lies outside.
    """
    if axes.inside(xyz, tomogram.shape).all():
        return
    words = [word for word in axes.file_orders_that_fit(xyz, tomogram.stored.shape) if word != tomogram.order]
    raise _outside(xyz, tomogram, where, f"All of them fit with --order {' or '.join(words)}." if words else "")


def _outside(xyz: NDArray[np.float64], tomogram: Tomogram, where: object, remedy: str) -> ContradictionError:
    outside = ~axes.inside(xyz, tomogram.shape)
    z, y, x = tomogram.shape
    first = ", ".join(f"{value:g}" for value in xyz[outside][0])
    return ContradictionError(
        f"{outside.sum()} of {len(xyz)} labels of {tomogram.path.name} lie outside, the first at x, y, z = {first}",
        where=where,
        expected=f"coordinates inside {x} x {y} x {z} voxels (order {tomogram.order})",
        remedy=remedy or "Check the labels' binning and order.",
    )
