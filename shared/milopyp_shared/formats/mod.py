"""IMOD models (``.mod``): points with radii and scores that 3dmod shows, reads and thresholds.

Layout and coordinate convention are those of IMOD's own description of the binary format
(bio3d.colorado.edu/imod/doc/binspec.html); everything is big-endian. Two frames occur here:

- *model coordinates*: what the file holds. x and y count from the image's corner, z from the centre of the
  first section, so the centre of voxel (i, j, k) is the point (i + 0.5, j + 0.5, k);
- *voxel index*: (i, j, k) in the volume file's own axis order, the centre of the first voxel being 0.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..names import listed
from ..particles import case_hint, choose, name_fault
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
    "class_names",
    "from_model",
    "model_points",
    "model_scores",
    "objects_warning",
    "of_object",
    "read_mod",
    "to_model",
    "to_voxel_index",
    "write_mod",
    "write_objects",
]

Floats = NDArray[np.float64]


def model_points(model: ImodModel) -> Floats:
    """All points of `model` in model coordinates of the volume.

    Returns
    -------
    ``(n, 3)`` float64 in the volume's axis order: a flipped model's y and z are exchanged back. n can be 0.
    """
    parts = [contour.points for item in model.objects for contour in item.contours]
    points = np.concatenate([np.empty((0, 3)), *parts])
    return points[:, [0, 2, 1]] if model.flipped else points


def model_scores(model: ImodModel) -> Floats | None:
    """Score of each point of `model_points`: that of its contour, NaN without one; None when nothing has scores."""
    if all(item.scores is None for item in model.objects):
        return None
    parts = [np.empty(0)]
    for item in model.objects:
        scores = np.full(len(item.contours), np.nan) if item.scores is None else item.scores
        parts.append(np.repeat(scores, [len(contour.points) for contour in item.contours]))
    return np.concatenate(parts)


def of_object(model: ImodModel, word: str, where: object) -> ImodModel:
    """A model with one object only, by its number from 1; or, by a name, with all that are called so.

    Raises
    ------
    InputError
        There is no such object in the file `where`.
    """
    numbered = list(enumerate(model.objects, 1))
    wanted = [item for number, item in numbered if str(number) == word] or [
        item for _, item in numbered if item.name == word
    ]
    if not wanted:
        empty = "" if word.isdecimal() else "Where there is none of it, an empty object of this name says so."
        remedy = case_hint([word], (item.name for item in model.objects)) or empty
        raise InputError(
            f"the model has no object {word}", where=where, expected=f"one of {_described(numbered)}", remedy=remedy
        )
    return replace(model, objects=tuple(wanted))


def class_names(path: Path) -> list[str]:
    """What the objects of a model are called, where there are several names, which classes can have; else none."""
    names = dict.fromkeys(item.name for item in read_mod(path).objects if item.name or item.contours)
    return [] if len(names) < 2 or name_fault(names) else list(names)


def objects_warning(model: ImodModel, name: str, option: str = "--class") -> str | None:
    """One sentence where objects of several names are taken together, as of several classes.

    `name` is the file's, `option` that of the command which takes one.
    """
    filled = [(number, item) for number, item in enumerate(model.objects, 1) if item.contours]
    if len({item.name for _, item in filled}) < 2:
        return None
    return f"{name} has several objects, of which all are taken: {_described(filled)}; {choose(option)} takes one"


def _described(numbered: Iterable[tuple[int, ImodObject]]) -> str:
    """Numbers and names: ``1 ribosome, 2 proteasome``."""
    return listed(f"{number} {item.name}".rstrip() for number, item in numbered)
