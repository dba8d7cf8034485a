"""EMAN2's ``info/*_info.json``: boxes of the tomogram tools. Read only, and experimental.

Since 2018-09 (files with ``apix_unbin``) boxes count from the tomogram's centre voxel ``size // 2``, in unbinned
voxels; before, in voxels of the tomogram from its first one (EMAN2's e2spt_boxer.py). Not compared with the program
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..particles import choose
from ._json import number, read_json
from .classes import Classes


@dataclass(frozen=True, eq=False)
class EmanBoxes:
    """Boxes of one class, numbers as in the file.

    Attributes
    ----------
    xyz
        ``(n, 3)`` box centres.
    score
        ``(n,)``; NaN for boxes that a person has clicked.
    unbinned
        Voxel size that the boxes count in, Angstrom; None: voxels of the tomogram.
    """

    xyz: NDArray[np.float64]
    score: NDArray[np.float64]
    unbinned: float | None


def read_boxes(path: str | Path, class_: str | None = None, option: str = "--class") -> EmanBoxes:
    """Read ``boxes_3d``: x, y, z, method, score, class.

    Parameters
    ----------
    class_
        Number or name (in ``class_list``) of the class to read. None: there is only one.
    option
        That says it, for messages.

    Raises
    ------
    InputError
        No JSON, no boxes, a coordinate that is no number; several classes and none is asked for, or no such class.
    """
    content = read_json(path)
    boxes = content.get("boxes_3d")
    if not isinstance(boxes, list):
        raise InputError(
            "has no 'boxes_3d'", where=path, expected="EMAN2's info file of a tomogram", remedy="Check --from."
        )
    rows, scores, numbers = [], [], []
    for index, box in enumerate(boxes):
        where = f"{path}, box {index}"
        if not isinstance(box, list) or len(box) < 3:
            raise InputError("is no box", where=where, expected="x, y, z, method, score, class")
        rows.append([number(value, where) for value in box[:3]])
        clicked = len(box) < 5 or box[3] == "manual"  # EMAN2 gives these the score 0
        scores.append(np.nan if clicked else number(box[4], f"{where}, score"))
        numbers.append(number(box[5], f"{where}, class") if len(box) > 5 else 0.0)
    classes = Classes(np.array(numbers, dtype=np.float64), _names(content.get("class_list")))
    if class_ is None and classes.several:
        raise InputError(
            f"boxes of several classes: {classes}", where=path, expected="those of one",
            remedy=f"Choose with {choose(option)}.",
        )  # fmt: skip
    chosen = slice(None) if class_ is None else np.isin(numbers, classes.numbers_of(class_, path))
    unbinned = content.get("apix_unbin")
    if unbinned is not None and number(unbinned, f"{path}, apix_unbin") <= 0:
        raise InputError(f"apix_unbin {unbinned}", where=path, expected="a voxel size above 0")
    return EmanBoxes(
        np.array(rows, dtype=np.float64).reshape(-1, 3)[chosen],
        np.array(scores, dtype=np.float64)[chosen],
        None if unbinned is None else float(unbinned),
    )


def _names(classes: Any) -> Mapping[int, str]:
    """Names of classes by number, as far as ``class_list`` has them."""
    items = classes.items() if isinstance(classes, dict) else ()
    return {
        int(key): own["name"]
        for key, own in items
        if key.isdecimal() and len(key) < 10 and isinstance(own, dict) and isinstance(own.get("name"), str)
    }
