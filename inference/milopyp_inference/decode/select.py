"""From candidates to picks: which local maxima of a heat map count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.errors import InputError
from milopyp_shared.peaks import above_threshold, nms
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame


@dataclass(frozen=True)
class Selection:
    """What makes a candidate a pick.

    Attributes
    ----------
    threshold
        Picks score above this.
    distance
        Full-resolution voxels; the weaker of two candidates closer than this is dropped.
    limit
        The best so many; None for all.
    margin
        Angstrom from the faces of the tomogram within which nothing is picked.
    exclusive
        Nothing is picked where a pick of another class has a higher score.
    """

    threshold: float
    distance: float
    limit: int | None = None
    margin: float = 0.0
    exclusive: bool = True


def select_picks(candidates: Picks, selection: Selection, frame: Frame) -> Picks:
    """Picks, best first.

    Parameters
    ----------
    candidates
        Best first, in voxels of the tomogram of `frame`.

    Raises
    ------
    InputError
        A margin is wanted and the voxel size is unknown.
    """
    if selection.exclusive and candidates.rival is not None:
        candidates = candidates[~(candidates.rival > candidates.score)]
    if selection.margin > 0:
        margin = margin_in_voxels(selection, frame)
        z, y, x = np.array(frame.stored_shape)[list(axes.to_zyx(frame.order))]
        apart = np.minimum(candidates.xyz, np.array([x, y, z]) - 1 - candidates.xyz)
        candidates = candidates[np.asarray((apart >= margin).all(axis=1))]
    above = above_threshold(candidates, selection.threshold)  # no weaker one suppresses them
    return nms(above, selection.distance)[: selection.limit]


def margin_in_voxels(selection: Selection, frame: Frame) -> NDArray[np.float64]:
    """The margin on this tomogram along x, y and z, ``(3,)``.

    Raises
    ------
    InputError
        A margin is wanted and the voxel size is unknown.
    """
    if selection.margin > 0 and frame.voxel_size is None:
        raise InputError(
            "the voxel size is unknown",
            where="--margin",
            expected="a voxel size in the tomogram's header",
            remedy="Give --voxel-size.",
        )
    size = np.array([frame.voxel_size or (1.0, 1.0, 1.0)])
    margin: NDArray[np.float64] = selection.margin / axes.columns_to_xyz(size, frame.order)[0]
    return margin
