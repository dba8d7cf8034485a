"""EMAN2's ``info/*_info.json``: boxes of the tomogram tools. Read only, and experimental.

Since 2018-09 (files with ``apix_unbin``) boxes count from the tomogram's centre voxel ``size // 2``, in unbinned
voxels; before, in voxels of the tomogram from its first one (EMAN2's e2spt_boxer.py). Not compared with the program
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ._json import number, read_json


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


def read_boxes(path: str | Path) -> EmanBoxes:
    """Read ``boxes_3d``: x, y, z, method, score, class.

    Raises
    ------
    InputError
        No JSON, no boxes, boxes of several classes, a coordinate that is no number.
    """
    content = read_json(path)
    boxes = content.get("boxes_3d")
    if not isinstance(boxes, list):
        raise InputError(
            "has no 'boxes_3d'", where=path, expected="EMAN2's info file of a tomogram", remedy="Check --from."
        )
    rows, scores, classes = [], [], set()
    for index, box in enumerate(boxes):
        where = f"{path}, box {index}"
        if not isinstance(box, list) or len(box) < 3:
            raise InputError("is no box", where=where, expected="x, y, z, method, score, class")
        rows.append([number(value, where) for value in box[:3]])
        clicked = len(box) < 5 or box[3] == "manual"  # EMAN2 gives these the score 0
        scores.append(np.nan if clicked else number(box[4], f"{where}, score"))
        classes.add(number(box[5], f"{where}, class") if len(box) > 5 else 0.0)
    if len(classes) > 1:
        raise InputError(
            f"boxes of {len(classes)} classes",
            where=path,
            expected="one kind of particle",
            remedy="Save each class to a file of its own.",
        )
    unbinned = content.get("apix_unbin")
    if unbinned is not None and number(unbinned, f"{path}, apix_unbin") <= 0:
        raise InputError(f"apix_unbin {unbinned}", where=path, expected="a voxel size above 0")
    return EmanBoxes(
        np.array(rows, dtype=np.float64).reshape(-1, 3),
        np.array(scores, dtype=np.float64),
        None if unbinned is None else float(unbinned),
    )
