"""Writing picks as an IMOD model; public as `milopyp_shared.formats.mod.write_mod`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..atomic import atomic_write
from ..errors import InputError
from ._mod_layout import (
    CENTRE,
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
    SKIP_LOW,
    STORE,
    UNIT_NM,
    USE_VALUE,
    VALUE1,
    WRITTEN,
)


def write_mod(
    path: str | Path,
    points_ijk: ArrayLike,
    *,
    scores: ArrayLike | None = None,
    radius: float,
    size_xyz: Sequence[int],
    pixel_size: float | Sequence[float] | None = None,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    name: str = "milopyp",
) -> None:
    """Write picks as an IMOD model: one point per contour, best score first.

    With `scores` 3dmod hides points below its *Black level* slider, and Bead Fixer can delete them (stored values:
    IMOD's istore.h and imodfindbeads). The same arguments give the same bytes.

    Parameters
    ----------
    points_ijk
        ``(n, 3)`` voxel indices in the volume file's axis order, fastest axis first; n can be 0.
    scores
        ``(n,)`` or None.
    radius
        Sphere radius, voxels; rounded, at least 1 (the format holds whole numbers).
    size_xyz
        Size of the volume, voxels, file-axis order.
    pixel_size, origin
        Angstrom, exactly as in the volume's header (3dmod shifts and scales a model that says otherwise). None leaves
        the transform out: then 3dmod takes the model as drawn on whatever volume is open.
    name
        Name of the model and its object.

    Raises
    ------
    InputError
        Points or scores are not finite or do not fit together, or the file cannot be written.
    """
    points = np.asarray(points_ijk, dtype=np.float64)
    points = points.reshape(-1, 3) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"points of shape {points.shape} cannot be written", where=path, expected="finite (n, 3)")
    values = None if scores is None else np.asarray(scores, dtype=np.float64)
    if values is not None:
        if values.shape != (len(points),) or not np.isfinite(values).all():
            raise InputError(f"scores of shape {values.shape} cannot be written", where=path, expected="finite (n,)")
        best_first = np.argsort(-values, kind="stable")
        points, values = points[best_first], values[best_first]
    sizes = [int(size) for size in size_xyz]
    pixel = None if pixel_size is None else np.broadcast_to(np.asarray(pixel_size, np.float64), 3)
    translation = 0.0 - np.asarray(origin, dtype=np.float64)
    if pixel is not None and not (np.isfinite([pixel, translation]).all() and (pixel > 0).all()):
        raise InputError(
            f"pixel size {pixel_size} with origin {tuple(origin)} cannot be written",
            where=path,
            expected="a pixel size above 0 Angstrom (None: unknown) and a finite origin",
        )

    has_scores = values is not None and len(values) > 0
    nm, units = (1.0, 0) if pixel is None else (float(pixel[0]) / 10, UNIT_NM)
    label = name.encode("ascii", "replace")
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(MAGIC)
        # drawn, movie mode, contrast 0..255, no offset, scale 1, object 0, no current contour or point, resolution 3
        view = (1, 2, 0, 255, 0, 0, 0, 1, 1, 1, 0, -1, -1, 3, 128, nm, units, 0, 0, 0, 0)
        model_flags = WRITTEN | (0 if pixel is None else FILE_TRANSLATION_STORED)
        file.write(HEADER.pack(label[:127], *sizes, 1, model_flags, *view))
        flags = OPEN | (USE_VALUE if has_scores else 0)
        # drawn, green, radius; symbol none of size 3, lines of width 1, opaque; no mesh, no surface
        looks = (0, 1, 0.0, 1.0, 0.0, max(1, round(radius)), 1, 3, 1, 1, 0, 0, 0, 0, 0, 0)
        file.write(b"OBJT" + OBJECT.pack(label[:63], bytes(64), len(points), flags, *looks))
        contours = np.zeros(len(points), CONTOURS)
        contours["id"], contours["psize"] = b"CONT", 1
        contours["xyz"] = points + CENTRE
        file.write(contours.tobytes())
        # IMOD's default material, then the levels between which scores are shown
        material = (102, 255, 127, 4, 0, 0, 0, 0, 0, 0, 255, SKIP_LOW | CONSTANT_COLOUR if has_scores else 0, 0)
        file.write(b"IMAT" + LENGTH.pack(IMAT.size) + IMAT.pack(*material))
        if values is not None and has_scores:
            store = _stored_scores(values)
            file.write(b"OBST" + LENGTH.pack(len(store)) + store)
        if pixel is not None:
            reference = (*pixel.tolist(), *translation.tolist(), 0, 0, 0)
            file.write(b"MINX" + LENGTH.pack(MINX.size) + MINX.pack(*reference, *reference))
        file.write(b"IEOF")


def _stored_scores(values: NDArray[np.float64]) -> bytes:
    """Content of the OBST chunk for scores per contour: sorted by index, the range last."""
    store = np.zeros(len(values), STORE)
    store["type"], store["flags"] = VALUE1, FLOAT_VALUE
    store["index"], store["value"] = np.arange(len(values)), values
    low, high = float(store["value"].min()), float(store["value"].max())
    # the slider divides by the range: it must not be 0
    low = low if low < high else high - 1
    return store.tobytes() + struct.pack(">hHff", MINMAX1, FLOAT_RANGE, low, high)
