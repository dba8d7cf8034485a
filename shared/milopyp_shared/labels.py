"""Coordinate files that belong to a tomogram -> x, y, z in the inside frame, checked against the volume."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import axes, stores
from .errors import ContradictionError
from .formats import mod, text
from .grey_statistics import ONE_SIGMA
from .scale import Factors
from .tomogram import TomogramHeader
from .wording import counted

Coords = Literal["model2point", "voxel"]

CLEAR = 0.5  # standard deviations of random places that count as a difference
ENOUGH_LABELS = 5
RANDOM_PLACES = 400

_warn = logging.getLogger("milopyp").warning


def read_points_of(
    path: Path,
    tomogram: TomogramHeader,
    coords: Coords = "model2point",
    *,
    extra: Literal["score", "contour", "object"] | None = None,
    object: str | None = None,
    order: str | None = None,
) -> NDArray[np.float64]:
    """Points of an IMOD model or a coordinate text that was made on a tomogram.

    Parameters
    ----------
    path
        ``.mod``, or text with three columns.
    coords
        What the text counts: ``model2point`` (IMOD's model coordinates) or ``voxel`` (plain indices).
    extra
        What a text has beside the coordinates: a ``score`` behind them, the number of the ``contour`` in front, or
        those of ``object`` and contour; it is left out. None: nothing, or numbers in front that tell themselves.
    object
        Of the model, by number from 1 or name; None: all, which is said where they have several names.
    order
        Order word of the columns of a text; None: they follow the file's axes.

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
    frame, is_model = tomogram.frame, path.suffix.lower() == ".mod"
    own = order or tomogram.order
    if is_model:
        model = mod.read_mod(path)
        if object is not None:
            model = mod.of_object(model, object, path)
        elif doubt := mod.objects_warning(model, path.name):
            _warn(doubt)
        columns = mod.to_voxel_index(mod.model_points(model), model, frame.placement, frame.size)
    else:
        columns = text.read_points(path, extra="ignore" if extra == "score" else extra)
        columns = axes.xyz_to_columns(axes.columns_to_xyz(columns, own), tomogram.order)
        if coords == "model2point":  # half voxels and origin are those of the file's axes
            columns = mod.from_model(columns, frame.placement, frame.size)
    xyz = axes.columns_to_xyz(columns, tomogram.order)
    if not axes.inside(xyz, tomogram.shape).all():
        columns = axes.xyz_to_columns(xyz, own)
        words = [word for word in axes.column_orders_that_fit(columns, tomogram.shape) if word != own]
        remedy = ""
        if words and is_model:
            names = " or ".join(" x ".join(word) for word in words)
            remedy = f"All of them fit a volume of the axes {names}: draw them on this one."
        elif words:
            remedy = f"All of them fit with --columns {' or '.join(words)}."
        raise _outside(xyz, tomogram, path, remedy)
    return xyz


def doubles(xyz: NDArray[np.float64], distance: float) -> int:
    """Number of labels that lie within `distance` voxels of an earlier one."""
    from scipy.spatial import KDTree

    return len(np.unique(KDTree(xyz).query_pairs(distance, output_type="ndarray")[:, 1]))


def check_labels(xyz: NDArray[np.float64], tomogram: TomogramHeader, where: object) -> None:
    """Refuse x, y, z labels outside the volume, and say how they would fit: in another order of the file's axes, where
    that leaves the thickness to the thinnest one, else with their columns exchanged.

    Raises
    ------
    ContradictionError
        At least one label lies outside.
    """
    if axes.inside(xyz, tomogram.shape).all():
        return
    stored = tomogram.mrc.stored_shape
    words = [word for word in axes.file_orders_that_fit(xyz, stored) if not axes.order_warning(word, stored)]
    if words := [word for word in words if word != tomogram.order]:
        raise _outside(xyz, tomogram, where, f"All of them fit with --order {' or '.join(words)}.")
    names = " or ".join(" ".join(word) for word in axes.column_orders_that_fit(xyz, tomogram.shape))
    remedy = f"All of them fit when their columns are taken as {names}: exchange these there." if names else ""
    raise _outside(xyz, tomogram, where, remedy)


def density_warning(
    volume: NDArray[Any], xyz: NDArray[np.float64], diameter: float, factors: Factors = (1, 1, 1)
) -> str | None:
    """One sentence when labels do not lie on density of the expected sign, else None.

    The mean within a quarter diameter around each label is compared with random places: particles are dark, so the
    labels' median should lie clearly below. Wrong orders, wrong binnings and inverted contrast show here.

    Parameters
    ----------
    volume
        ``(z, y, x)``, may be on disk; particles are dark in it.
    xyz
        ``(n, 3)`` labels inside it, n > 0, voxels of the tomogram.
    diameter
        Voxels of the tomogram.
    factors
        Of `volume`.
    """
    contrast = density_contrast(volume, xyz, diameter, factors)
    error = 1.25 / np.sqrt(len(xyz))  # standard error of a median, in standard deviations
    if contrast > max(CLEAR, 2 * error):
        found = f"W01 labels lie on bright density ({contrast:+.1f} sd)"
        return (
            f"{found}: inverted contrast, or hollow particles? Of the first, train with milopyp-train --contrast bright"
        )
    if contrast > -CLEAR and len(xyz) >= ENOUGH_LABELS:
        return f"W03 labels lie on empty density ({contrast:+.1f} sd): check order, binning and origin of the labels"
    return None


def column_orders_on_density(volume: NDArray[Any], xyz: NDArray[np.float64], diameter: float, order: str) -> list[str]:
    """Other orders of the labels' columns in which all of them lie inside, clearly on dark density.

    Parameters
    ----------
    xyz
        Labels as read in the order `order`.
    """
    columns = axes.xyz_to_columns(xyz, order)
    found = []
    for word in axes.column_orders_that_fit(columns, volume.shape):
        if word != order:
            contrast = density_contrast(volume, axes.columns_to_xyz(columns, word), diameter)
            if contrast < -max(2 * CLEAR, 4 * 1.25 / np.sqrt(len(xyz))):
                found.append(word)
    return found


def density_contrast(
    volume: NDArray[Any], xyz: NDArray[np.float64], diameter: float, factors: Factors = (1, 1, 1)
) -> float:
    """Median of the density at labels minus that at random places, in standard deviations of the latter.

    These are taken from quantiles: gold and hot voxels among the random places would make every label look empty.

    Parameters as `density_warning`.
    """
    rng = np.random.default_rng(0)
    size = np.array(volume.shape[::-1]) * factors[::-1]
    at_labels = _density(volume, xyz, diameter, factors)
    anywhere = _density(volume, rng.uniform(0, size - 1, (RANDOM_PLACES, 3)), diameter, factors)
    low, high = np.quantile(anywhere, (ONE_SIGMA, 1 - ONE_SIGMA))
    one_sigma = (high - low) / 2 or np.std(anywhere) + 1e-9
    return float((np.median(at_labels) - np.median(anywhere)) / one_sigma)


def _density(volume: NDArray[Any], xyz: NDArray[np.float64], diameter: float, factors: Factors) -> NDArray[np.float64]:
    """Mean in a box of half a diameter around each point."""
    centre = np.rint((xyz[:, ::-1] - (np.array(factors) - 1) / 2) / factors).astype(np.int64)
    half = np.maximum(np.rint(diameter / 4 / np.array(factors)), 1).astype(np.int64)
    limit = np.array(volume.shape)
    start, end = np.clip(centre - half, 0, limit - 1), np.clip(centre + half + 1, 1, limit)
    if isinstance(volume, np.memmap):
        volume = volume.view(np.ndarray)  # still on disk; slices of a memmap are slow to make
    boxes = (volume[tuple(slice(a, b) for a, b in zip(s, e, strict=True))] for s, e in zip(start, end, strict=True))
    # what box.mean does, without what it looks up each time: boxes are small and there are thousands
    return np.array([np.add.reduce(box, axis=None, dtype=np.float64) / box.size for box in boxes])


def _outside(xyz: NDArray[np.float64], tomogram: TomogramHeader, where: object, remedy: str) -> ContradictionError:
    outside = ~axes.inside(xyz, tomogram.shape)
    z, y, x = tomogram.shape
    first = ", ".join(f"{value:g}" for value in xyz[outside][0])
    name = stores.outer(tomogram.path).name
    return ContradictionError(
        f"{outside.sum()} of {counted(len(xyz), 'label')} outside {name}, the first at x, y, z = {first}",
        where=where,
        expected=f"coordinates inside {x} x {y} x {z} voxels (order {tomogram.order})",
        remedy=remedy or "Check the labels' binning and order.",
    )
