"""IMOD models (``.mod``): points with radii and scores that 3dmod shows, reads and thresholds.

Layout and coordinate convention are those of IMOD's own description of the binary format
(bio3d.colorado.edu/imod/doc/binspec.html); everything is big-endian. Two frames occur here:

- *model coordinates*: what the file holds. x and y count from the image's corner, z from the centre of the
  first section, so the centre of voxel (i, j, k) is the point (i + 0.5, j + 0.5, k);
- *voxel index*: (i, j, k) in the volume file's own axis order, the centre of the first voxel being 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ._mod_layout import (
    CENTRE,
    CONTOUR,
    FILE_TRANSLATION_STORED,
    FLIPPED,
    FLOAT_VALUE,
    HEADER,
    LENGTH,
    MAGIC,
    MESH,
    MINX,
    NOT_A_CONTOUR,
    OBJECT,
    STORE,
    VALUE1,
    VALUE_TYPE,
    Cursor,
)
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


@dataclass(frozen=True, eq=False)
class ImodContour:
    """One contour: ``points`` (n, 3) in model coordinates, ``sizes`` (n,) radii (voxels, below 0: default) or None."""

    points: Floats
    sizes: Floats | None = None


@dataclass(frozen=True, eq=False)
class ImodObject:
    """One object: ``radius`` is its sphere radius in voxels, ``scores`` (n contours,) the stored values (NaN: none)."""

    name: str
    flags: int
    radius: int
    contours: tuple[ImodContour, ...]
    scores: Floats | None = None


@dataclass(frozen=True)
class Minx:
    """Which volume a model's coordinates belong to (chunk MINX), in the volume's axis order.

    Attributes
    ----------
    scale
        Voxel size, Angstrom.
    translation
        Minus the origin (Angstrom) of the part of the volume that was loaded when the model was saved.
    file_translation
        The same for the whole volume; None where the model does not say.
    """

    scale: tuple[float, float, float]
    translation: tuple[float, float, float]
    file_translation: tuple[float, float, float] | None


@dataclass(frozen=True)
class ImodModel:
    """A model as it is in the file; `model_points` and `to_voxel_index` give its points in a volume.

    Attributes
    ----------
    size_xyz
        Size of the volume it was drawn on, voxels, as stored (y and z exchanged when `flipped`).
    pixel_size, units
        Header values: the size in 10**units metres (-9 nm, -10 Angstrom), undefined for units 0.
    """

    size_xyz: tuple[int, int, int]
    pixel_size: float
    units: int
    minx: Minx | None
    flags: int
    objects: tuple[ImodObject, ...]

    @property
    def flipped(self) -> bool:
        """Whether y and z of all points are exchanged (drawn on 3dmod's Y/Z-flipped display)."""
        return bool(self.flags & FLIPPED)


def read_mod(path: str | Path) -> ImodModel:
    """Read a binary IMOD model; unknown chunks are skipped.

    Raises
    ------
    InputError
        The file is missing, no binary IMOD model, truncated or contradicts its own counts.
    """
    cursor = Cursor(_content(Path(path)), path)
    cursor.take(len(MAGIC), "the format's name")
    header = cursor.unpack(HEADER, "the model header")
    xmax, ymax, zmax, n_objects, flags = header[1:6]
    cursor.check_count(n_objects, 4 + OBJECT.size, "objects")
    drafts: list[_Draft] = []
    minx = None
    while (tag := bytes(cursor.take(4, "a chunk's name"))) != b"IEOF":
        if tag == b"OBJT":
            drafts.append(_Draft(cursor.unpack(OBJECT, "an object")))
            cursor.check_count(drafts[-1].n_contours, 4 + CONTOUR.size, "contours")
        elif tag == b"CONT" and drafts:
            n_points = cursor.check_count(cursor.unpack(CONTOUR, "a contour")[0], 12, "points")
            drafts[-1].contours.append(ImodContour(cursor.floats(3 * n_points, "points").reshape(-1, 3)))
        elif tag == b"MESH":
            n_vertices, n_indices = cursor.unpack(MESH, "a mesh")[:2]
            cursor.take(12 * cursor.check_count(n_vertices, 12, "mesh vertices"), "mesh vertices")
            cursor.take(4 * cursor.check_count(n_indices, 4, "mesh indices"), "mesh indices")
        elif not tag.isalnum():
            raise cursor.error("holds no chunk name where one must be")
        else:
            size = cursor.check_count(cursor.unpack(LENGTH, "a chunk's length")[0], 1, f"bytes of {tag.decode()}")
            chunk = cursor.part(size)
            if tag == b"SIZE" and drafts and drafts[-1].contours:
                contour = drafts[-1].contours[-1]
                drafts[-1].contours[-1] = replace(contour, sizes=chunk.floats(len(contour.points), "point sizes"))
            elif tag == b"OBST" and drafts:
                drafts[-1].store = bytes(chunk.take(size // STORE.itemsize * STORE.itemsize, "stored values"))
            elif tag == b"MINX":
                minx = _minx(chunk.unpack(MINX, "MINX"), flags)
    if len(drafts) != n_objects:
        raise cursor.error(f"announces {n_objects} objects and holds {len(drafts)}")
    objects = tuple(_finish(draft, cursor) for draft in drafts)
    return ImodModel((xmax, ymax, zmax), header[21], header[22], minx, flags, objects)


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


@dataclass
class _Draft:
    """An object while its chunks are being read."""

    header: tuple[Any, ...]
    contours: list[ImodContour] = field(default_factory=list)
    store: bytes = b""

    @property
    def n_contours(self) -> int:
        return int(self.header[2])


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))  # looked at first: a tomogram given by mistake is not read as a whole
            if start == MAGIC:
                return start + file.read()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})",
            where=path,
            expected="an IMOD model",
            remedy="Check its name.",
        ) from error
    raise InputError(
        f"begins with {start!r}",
        where=path,
        expected=f"a binary IMOD model, which begins with {MAGIC!r}",
        remedy="Save it with 3dmod, or give a coordinate text as .txt.",
    )


def _objects(model: ImodModel, number: int | None) -> tuple[ImodObject, ...]:
    if number is None:
        return model.objects
    if not 0 <= number < len(model.objects):
        raise InputError(f"the model has no object {number}", expected=f"0 to {len(model.objects) - 1}")
    return (model.objects[number],)


def _finish(draft: _Draft, cursor: Cursor) -> ImodObject:
    if len(draft.contours) != draft.n_contours:
        raise cursor.error(f"announces {draft.n_contours} contours in an object and holds {len(draft.contours)}")
    items = np.frombuffer(draft.store, STORE)
    of_contours = (items["type"] == VALUE1) & (items["flags"] & (VALUE_TYPE | NOT_A_CONTOUR) == FLOAT_VALUE)
    items = items[of_contours & (items["index"] >= 0) & (items["index"] < draft.n_contours)]
    scores = None
    if len(items):
        scores = np.full(draft.n_contours, np.nan)
        scores[items["index"]] = items["value"]
    name = draft.header[0].split(b"\0")[0].decode("latin-1")
    return ImodObject(name, draft.header[3], draft.header[9], tuple(draft.contours), scores)


def _minx(values: tuple[float, ...], flags: int) -> Minx | None:
    """The part of a MINX chunk that 3dmod uses; None when its scale makes no sense."""
    # old scale, translation, rotation (only the second is ever meaningful), then the current three
    file_translation, scale, translation = values[3:6], values[9:12], values[12:15]
    if not all(0 < value < np.inf for value in scale) or not np.isfinite(translation).all():
        return None
    known = flags & FILE_TRANSLATION_STORED and np.isfinite(file_translation).all()
    return Minx(_three(scale), _three(translation), _three(file_translation) if known else None)


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z
