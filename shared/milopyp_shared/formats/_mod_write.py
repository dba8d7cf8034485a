"""Writing picks as an IMOD model; public in `milopyp_shared.formats.mod`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_write
from ..errors import InputError
from ..imod_header import UNSAID, Placement
from ._mod_frame import CENTRE, in_rows_of
from ._mod_layout import (
    CONSTANT_COLOUR,
    CONTOURS,
    FILE_TRANSLATION_STORED,
    FLOAT_RANGE,
    FLOAT_VALUE,
    HEADER,
    IMAT,
    LENGTH,
    MAGIC,
    MINMAX1,
    MINX,
    OBJECT,
    OPEN,
    ROTATION_STORED,
    SKIP_LOW,
    STORE,
    UNIT_NM,
    USE_VALUE,
    VALUE1,
    WRITTEN,
)

GREEN = (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class PointObject:
    """An object of a model, for one class of particles.

    Attributes
    ----------
    points
        ``(n, 3)`` voxel indices in the volume file's axis order, fastest axis first; n can be 0.
    scores
        ``(n,)`` or None.
    radius
        Of its spheres, voxels; rounded, at least 1 (the format holds whole numbers).
    colour
        Red, green and blue, 0..1.
    """

    points: ArrayLike
    scores: ArrayLike | None
    radius: float
    name: str = "milopyp"
    colour: tuple[float, float, float] = GREEN


def write_mod(
    path: str | Path,
    points_ijk: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    radius: float,
    size_xyz: Sequence[int],
    placement: Placement | None = None,
    name: str = "milopyp",
) -> None:
    """`write_objects` of one object, that has the model's name."""
    one = PointObject(points_ijk, scores, radius, name)
    write_objects(path, [one], size_xyz=size_xyz, placement=placement, name=name)


def write_objects(
    path: str | Path,
    objects: Sequence[PointObject],
    *,
    size_xyz: Sequence[int],
    placement: Placement | None = None,
    name: str = "milopyp",
) -> None:
    """Write picks as an IMOD model: an object for each class, one point per contour, best score first.

    With scores 3dmod hides points of the object below its *Black level* slider, and Bead Fixer can delete them (stored
    values: IMOD's istore.h and imodfindbeads). The same arguments give the same bytes. Rows of the points are the
    file's, whatever IMOD takes as the first one.

    Parameters
    ----------
    size_xyz
        Size of the volume, voxels, file-axis order.
    placement
        Of the volume (3dmod shifts, scales and rotates a model that says otherwise). Without one, and where its header
        says no voxel size or no usable origin, the transform is left out: then 3dmod takes the model as drawn on
        whatever volume is open.
    name
        Name of the model.

    Raises
    ------
    InputError
        Points or scores are not finite or do not fit together, or the file cannot be written.
    """
    sizes = [int(size) for size in size_xyz]
    placement = placement or UNSAID
    written = b"".join(_object(one, placement, sizes, path) for one in objects)
    pixel, reference = placement.voxel_size, _reference(placement, path)
    nm, units = (1.0, 0) if pixel is None else (pixel[0] / 10, UNIT_NM)
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(MAGIC)
        # drawn, movie mode, contrast 0..255, no offset, scale 1, object 0, no current contour or point, resolution 3
        view = (1, 2, 0, 255, 0, 0, 0, 1, 1, 1, 0, -1, -1, 3, 128, nm, units, 0, 0, 0, 0)
        model_flags = WRITTEN | (FILE_TRANSLATION_STORED if reference else 0)
        model_flags |= ROTATION_STORED if reference and placement.rotation else 0
        file.write(HEADER.pack(_label(name)[:127], *sizes, len(objects), model_flags, *view))
        file.write(written)
        if reference:
            file.write(b"MINX" + LENGTH.pack(MINX.size) + MINX.pack(*reference, *reference))
        file.write(b"IEOF")


def _label(name: str) -> bytes:
    return name.encode("ascii", "replace")


def _object(one: PointObject, placement: Placement, sizes: list[int], path: str | Path) -> bytes:
    """The chunks of an object."""
    points = np.asarray(one.points, dtype=np.float64)
    points = points.reshape(-1, 3) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"points of shape {points.shape} cannot be written", where=path, expected="finite (n, 3)")
    values = None if one.scores is None else np.asarray(one.scores, dtype=np.float64)
    if values is not None:
        if values.shape != (len(points),) or not np.isfinite(values).all():
            raise InputError(f"scores of shape {values.shape} cannot be written", where=path, expected="finite (n,)")
        best_first = np.argsort(-values, kind="stable")
        points, values = points[best_first], values[best_first]
    has_scores = values is not None and len(values) > 0
    flags = OPEN | (USE_VALUE if has_scores else 0)
    # drawn, colour, radius; symbol none of size 3, lines of width 1, opaque; no mesh, no surface
    looks = (0, 1, *one.colour, max(1, round(one.radius)), 1, 3, 1, 1, 0, 0, 0, 0, 0, 0)
    head = b"OBJT" + OBJECT.pack(_label(one.name)[:63], bytes(64), len(points), flags, *looks)
    contours = np.zeros(len(points), CONTOURS)
    contours["id"], contours["psize"] = b"CONT", 1
    contours["xyz"] = in_rows_of(points, placement, sizes) + CENTRE
    # IMOD's default material, then the levels between which scores are shown
    material = (102, 255, 127, 4, 0, 0, 0, 0, 0, 0, 255, SKIP_LOW | CONSTANT_COLOUR if has_scores else 0, 0)
    chunks = head + contours.tobytes() + b"IMAT" + LENGTH.pack(IMAT.size) + IMAT.pack(*material)
    if values is None or not has_scores:
        return chunks
    store = _stored_scores(values)
    return chunks + b"OBST" + LENGTH.pack(len(store)) + store


def _reference(placement: Placement, path: str | Path) -> tuple[float, ...] | None:
    """Scale, translation and rotation of the reference image; None where the header does not say them."""
    if placement.voxel_size is None or placement.origin is None:
        return None
    translation = [0.0 - value for value in placement.origin]
    reference = (*placement.voxel_size, *translation, *(placement.rotation or (0.0, 0.0, 0.0)))
    if not np.isfinite(reference).all() or min(placement.voxel_size) <= 0:
        raise InputError(
            f"pixel size {placement.voxel_size} with origin {placement.origin} cannot be written",
            where=path,
            expected="a pixel size above 0 Angstrom (None: unknown) and a finite origin",
        )
    return reference


def _stored_scores(values: NDArray[np.float64]) -> bytes:
    """Content of the OBST chunk for scores per contour: sorted by index, the range last."""
    store = np.zeros(len(values), STORE)
    store["type"], store["flags"] = VALUE1, FLOAT_VALUE
    store["index"], store["value"] = np.arange(len(values)), values
    low, high = float(store["value"].min()), float(store["value"].max())
    # the slider divides by the range: it must not be 0
    low = low if low < high else high - 1
    return store.tobytes() + struct.pack(">hHff", MINMAX1, FLOAT_RANGE, low, high)
