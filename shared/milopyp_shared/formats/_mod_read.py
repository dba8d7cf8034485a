"""Reading IMOD models; public as `milopyp_shared.formats.mod.read_mod`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..wording import counted
from ._mod_layout import (
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
    ROTATION_STORED,
    STORE,
    VALUE1,
    VALUE_TYPE,
    Cursor,
)

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
    rotation
        Tilt angles about x, y and z, degrees; None where the model does not say.
    """

    scale: tuple[float, float, float]
    translation: tuple[float, float, float]
    file_translation: tuple[float, float, float] | None
    rotation: tuple[float, float, float] | None = None


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

    @property
    def loaded_size(self) -> tuple[int, int, int]:
        """Size of the volume it was drawn on, voxels, in the axis order of its file."""
        x, y, z = self.size_xyz
        return (x, z, y) if self.flipped else (x, y, z)


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
    chunks = _Chunks(cursor, flags)
    while (tag := bytes(cursor.take(4, "a chunk's name"))) != b"IEOF":
        chunks.take(tag)
    if len(chunks.drafts) != n_objects:
        raise cursor.error(f"announces {counted(n_objects, 'object')} and holds {len(chunks.drafts)}")
    objects = tuple(_finish(draft, cursor) for draft in chunks.drafts)
    return ImodModel((xmax, ymax, zmax), header[21], header[22], chunks.minx, flags, objects)


@dataclass
class _Draft:
    """An object while its chunks are being read."""

    header: tuple[Any, ...]
    contours: list[ImodContour] = field(default_factory=list)
    store: bytes = b""

    @property
    def n_contours(self) -> int:
        return int(self.header[2])


class _Chunks:
    """What the chunks of a model say, read one after the other; what follows an object or contour belongs to it."""

    def __init__(self, cursor: Cursor, flags: int) -> None:
        self._cursor, self._flags = cursor, flags
        self.drafts: list[_Draft] = []
        self.minx: Minx | None = None

    def take(self, tag: bytes) -> None:
        """Read what follows a chunk's name."""
        if tag == b"OBJT":
            self._take_object()
        elif tag == b"CONT" and self.drafts:
            self._take_contour()
        elif tag == b"MESH":
            self._skip_mesh()
        elif tag.isalnum():
            self._take_sized(tag)
        else:
            raise self._cursor.error("holds no chunk name where one must be")

    def _take_object(self) -> None:
        draft = _Draft(self._cursor.unpack(OBJECT, "an object"))
        self._cursor.check_count(draft.n_contours, 4 + CONTOUR.size, "contours")
        self.drafts.append(draft)

    def _take_contour(self) -> None:
        cursor = self._cursor
        n_points = cursor.check_count(cursor.unpack(CONTOUR, "a contour")[0], 12, "points")
        self.drafts[-1].contours.append(ImodContour(cursor.floats(3 * n_points, "points").reshape(-1, 3)))

    def _skip_mesh(self) -> None:
        cursor = self._cursor
        n_vertices, n_indices = cursor.unpack(MESH, "a mesh")[:2]
        cursor.take(12 * cursor.check_count(n_vertices, 12, "mesh vertices"), "mesh vertices")
        cursor.take(4 * cursor.check_count(n_indices, 4, "mesh indices"), "mesh indices")

    def _take_sized(self, tag: bytes) -> None:
        """A chunk that begins with its length."""
        cursor, draft = self._cursor, self.drafts[-1] if self.drafts else None
        size = cursor.check_count(cursor.unpack(LENGTH, "a chunk's length")[0], 1, f"bytes of {tag.decode()}")
        chunk = cursor.part(size)
        if tag == b"SIZE" and draft and draft.contours:
            contour = draft.contours[-1]
            draft.contours[-1] = replace(contour, sizes=chunk.floats(len(contour.points), "point sizes"))
        elif tag == b"OBST" and draft:
            draft.store = bytes(chunk.take(size // STORE.itemsize * STORE.itemsize, "stored values"))
        elif tag == b"MINX":
            self.minx = _minx(chunk.unpack(MINX, "MINX"), self._flags)


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


def _finish(draft: _Draft, cursor: Cursor) -> ImodObject:
    if len(draft.contours) != draft.n_contours:
        raise cursor.error(
            f"announces {counted(draft.n_contours, 'contour')} in an object and holds {len(draft.contours)}"
        )
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
    file_translation, scale, translation, rotation = values[3:6], values[9:12], values[12:15], values[15:18]
    if not all(0 < value < np.inf for value in scale) or not np.isfinite(translation).all():
        return None
    known = flags & FILE_TRANSLATION_STORED and np.isfinite(file_translation).all()
    turned = flags & ROTATION_STORED and np.isfinite(rotation).all()
    return Minx(
        _three(scale),
        _three(translation),
        _three(file_translation) if known else None,
        _three(rotation) if turned else None,
    )


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z
