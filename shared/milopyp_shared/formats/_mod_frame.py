"""Where 3dmod shows a point of a model: voxel indices <-> model coordinates, and the transform of its reference image.

Public through `milopyp_shared.formats.mod`, which says what the two frames are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..imod_header import UNSAID, Placement, Three
from ._mod_read import ImodModel, Minx

Floats = NDArray[np.float64]

CENTRE = np.array([0.5, 0.5, 0.0])  # model coordinates of the centre of the first voxel


def in_rows_of(index: Floats, placement: Placement, size: Sequence[int]) -> Floats:
    """Voxel indices in the rows that IMOD counts <-> in those of the file, ``(n, 3)``, file axes; its own inverse."""
    if not placement.rows_downwards:
        return index
    return np.where([False, True, False], size[1] - 1 - index, index)


def to_model(index: Floats, placement: Placement, size: Sequence[int]) -> Floats:
    """Model coordinates ``(n, 3)`` of voxel indices in a volume of `size` voxels, all in file axes, fastest first."""
    points: Floats = in_rows_of(index, placement, size) + CENTRE
    return points


def from_model(points: Floats, placement: Placement, size: Sequence[int]) -> Floats:
    """Voxel indices ``(n, 3)`` of model coordinates in a volume of `size` voxels; the inverse of `to_model`."""
    return in_rows_of(np.asarray(points, dtype=np.float64).reshape(-1, 3) - CENTRE, placement, size)


def to_voxel_index(
    points: Floats, model: ImodModel, placement: Placement | None = None, size: Sequence[int] | None = None
) -> Floats:
    """Voxel indices of `points` in a volume, the way 3dmod places a model that it loads on that volume.

    3dmod (imodTransFromRefImage in IMOD's libimod) takes a point's distance e from the volume's corner, in voxels, to
    ``e' = (R (e * scale - translation) + volume translation) / volume voxel size``, with the translation minus the
    origin and the scale of `model.minx`. R turns from its rotation to the volume's: back about x, y, z, then about z,
    y, x; it is left out where both are the same.

    Parameters
    ----------
    points
        ``(n, 3)`` of `model_points`.
    placement
        Of the volume, by its *header* (3dmod knows nothing else); None: the same as when the model was saved.
    size
        Of the volume, voxels, in the file's axis order; None: that of the one that the model was drawn on.

    Returns
    -------
    ``(n, 3)`` float64, file-axis order, the centre of the first voxel at 0.0. Without a MINX chunk, or one that says
    the volume's own values, this is points - (0.5, 0.5, 0). So it is for a model of this size on a volume whose header
    says neither voxel size nor origin: a copy that has lost them.
    """
    volume, size = placement or UNSAID, tuple(size or model.loaded_size)
    is_copy = placement is not None and placement.says_nothing and model.loaded_size == size
    if model.minx is None or is_copy:
        return from_model(points, volume, size)
    corner = np.asarray(points, dtype=np.float64).reshape(-1, 3) + (0.5 - CENTRE)
    return in_rows_of(_moved(corner, model.minx, volume, placement is None) - 0.5, volume, size)


def _moved(corner: Floats, minx: Minx, volume: Placement, as_saved: bool) -> Floats:
    """Distances from the corner of the volume that a model was drawn on -> from that of another one, voxels."""
    origin = None if as_saved else volume.origin
    # a model saved on a loaded sub-volume says where the whole volume begins
    target = (minx.file_translation or minx.translation) if origin is None else tuple(0.0 - x for x in origin)
    size = volume.voxel_size or minx.scale
    turn = _turn(minx.rotation, minx.rotation if as_saved else volume.rotation)
    # in the precision of both files: rounding must not move a point
    same = np.array_equal(_single(minx.scale, minx.translation), _single(size, target))
    if same and turn is None:
        return corner
    place = corner * minx.scale - minx.translation
    moved: Floats = ((place if turn is None else place @ turn.T) + target) / size
    return moved


def _turn(old: Three | None, new: Three | None) -> Floats | None:
    """The matrix from one rotation to another; None where they are the same or not known."""
    if old is None or new is None or np.array_equal(_single(old), _single(new)):
        return None
    back = _about(2, -old[2]) @ _about(1, -old[1]) @ _about(0, -old[0])
    turn: Floats = _about(0, new[0]) @ _about(1, new[1]) @ _about(2, new[2]) @ back
    return turn


def _about(axis: int, degrees: float) -> Floats:
    """Rotation about an axis, counter-clockwise seen from its end."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(3)
    second, third = (axis + 1) % 3, (axis + 2) % 3
    matrix[second, second] = matrix[third, third] = cos
    matrix[third, second], matrix[second, third] = sin, -sin
    return matrix


def _single(*values: Three | tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, np.float32)
