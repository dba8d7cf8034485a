"""IMOD models (``.mod``): points with radii and scores that 3dmod shows, reads and thresholds.

Layout and coordinate convention are those of IMOD's own description of the binary format
(bio3d.colorado.edu/imod/doc/binspec.html); everything is big-endian. Two frames occur here:

- *model coordinates*: what the file holds. x and y count from the image's corner, z from the centre of the
  first section, so the centre of voxel (i, j, k) is the point (i + 0.5, j + 0.5, k);
- *voxel index*: (i, j, k) in the volume file's own axis order, the centre of the first voxel being 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ._mod_layout import CENTRE
from ._mod_read import ImodContour, ImodModel, ImodObject, Minx, read_mod
from ._mod_write import write_mod

__all__ = [
    "CENTRE",
    "ImodContour",
    "ImodModel",
    "ImodObject",
    "Minx",
    "model_points",
    "model_scores",
    "read_mod",
    "to_voxel_index",
    "write_mod",
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


def to_voxel_index(
    points: Floats,
    model: ImodModel,
    *,
    pixel_size: float | Sequence[float] | None = None,
    origin: Sequence[float] | None = None,
) -> Floats:
    """Voxel indices of `points` in a volume, the way 3dmod places a model that it loads on that volume.

    3dmod (imodTransFromRefImage in IMOD's libimod) takes a point's distance e from the volume's corner, in voxels, to
    ``e' = (e * scale - translation + volume translation) / volume voxel size``, with the translation minus the origin
    and the scale of `model.minx`. A volume rotated since then (header tilt angles) is not accounted for.

    Parameters
    ----------
    points
        ``(n, 3)`` of `model_points`.
    pixel_size, origin
        Voxel size and origin of the volume, Angstrom, of its *header* (3dmod knows no other), in the file's axis order,
        the origin in the sense of MRC2014: position of the first voxel. None: the same as when the model was saved.

    Returns
    -------
    ``(n, 3)`` float64, file-axis order, the centre of the first voxel at 0.0. Without a MINX chunk, or one that says
    the volume's own values, this is points - (0.5, 0.5, 0).
    """
    index: Floats = np.asarray(points, dtype=np.float64).reshape(-1, 3) - CENTRE
    if model.minx is None:
        return index
    scale, translation = np.array(model.minx.scale), np.array(model.minx.translation)
    new_scale = scale if pixel_size is None else np.broadcast_to(np.asarray(pixel_size, np.float64), 3)
    if origin is None:
        # a model saved on a loaded sub-volume says where the whole volume begins
        new_translation = np.array(model.minx.file_translation or model.minx.translation)
    else:
        new_translation = -np.asarray(origin, dtype=np.float64)
    old, new = np.array([scale, translation], np.float32), np.array([new_scale, new_translation], np.float32)
    if np.array_equal(old, new):  # in the precision of both files: rounding must not move a point
        return index
    moved: Floats = ((index + 0.5) * scale - translation + new_translation) / new_scale - 0.5
    return moved


def _objects(model: ImodModel, number: int | None) -> tuple[ImodObject, ...]:
    if number is None:
        return model.objects
    if not 0 <= number < len(model.objects):
        raise InputError(f"the model has no object {number}", expected=f"0 to {len(model.objects) - 1}")
    return (model.objects[number],)
