"""IMOD models (``.mod``): points with radii and scores that 3dmod shows, reads and thresholds.

Layout and coordinate convention are those of IMOD's own description of the binary format
(bio3d.colorado.edu/imod/doc/binspec.html); everything is big-endian. Two frames occur here:

- *model coordinates*: what the file holds. x and y count from the image's corner, z from the centre of the
  first section, so the centre of voxel (i, j, k) is the point (i + 0.5, j + 0.5, k);
- *voxel index*: (i, j, k) in the volume file's own axis order, the centre of the first voxel being 0.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ._mod_frame import CENTRE, from_model, to_model, to_voxel_index
from ._mod_read import ImodContour, ImodModel, ImodObject, Minx, read_mod
from ._mod_write import PointObject, write_mod, write_objects

__all__ = [
    "CENTRE",
    "ImodContour",
    "ImodModel",
    "ImodObject",
    "Minx",
    "PointObject",
    "from_model",
    "model_points",
    "model_scores",
    "read_mod",
    "to_model",
    "to_voxel_index",
    "write_mod",
    "write_objects",
]

Floats = NDArray[np.float64]


def model_points(model: ImodModel, object: int | None = None) -> Floats:
    """All points of `model`, or those of its object number `object` (from 0), in model coordinates of the volume.

    Returns
    -------
    ``(n, 3)`` float64 in the volume's axis order: a flipped model's y and z are exchanged back. n can be 0.

    Raises
    ------
    InputError
        There is no such object.
    """
    parts = [contour.points for item in _objects(model, object) for contour in item.contours]
    points = np.concatenate([np.empty((0, 3)), *parts])
    return points[:, [0, 2, 1]] if model.flipped else points


def model_scores(model: ImodModel, object: int | None = None) -> Floats | None:
    """Score of each point of `model_points`: that of its contour, NaN without one; None when nothing has scores."""
    objects = _objects(model, object)
    if all(item.scores is None for item in objects):
        return None
    parts = [np.empty(0)]
    for item in objects:
        scores = np.full(len(item.contours), np.nan) if item.scores is None else item.scores
        parts.append(np.repeat(scores, [len(contour.points) for contour in item.contours]))
    return np.concatenate(parts)


def _objects(model: ImodModel, number: int | None) -> tuple[ImodObject, ...]:
    if number is None:
        return model.objects
    if not 0 <= number < len(model.objects):
        raise InputError(f"the model has no object {number}", expected=f"0 to {len(model.objects) - 1}")
    return (model.objects[number],)
