"""Which places two classes of particles claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame

from .select import Selection, select_picks

NEAR = 0.5  # of the smaller diameter: centres that are nearer to each other are at one place


def with_rivals(
    candidates: Sequence[Picks], selections: Sequence[Selection], diameters: Sequence[float], frame: Frame
) -> list[Picks]:
    """The candidates of each class, with the best score that a pick of another class has at their place.

    Scores are compared as they are. Calibrated expectations were tried with one training, and were right less often
    (docs/decisions.md, 160).

    Parameters
    ----------
    candidates, selections, diameters
        Of each class; voxels of the tomogram of `frame`.
    """
    from scipy.spatial import cKDTree

    picks = [
        select_picks(own, replace(selection, exclusive=False, limit=None), frame)
        for own, selection in zip(candidates, selections, strict=True)
    ]
    made = []
    for kind, own in enumerate(candidates):
        rival, places = np.full(len(own), np.nan), cKDTree(own.xyz, compact_nodes=False, balanced_tree=False)
        for other, theirs in enumerate(picks):
            if other == kind or not len(theirs):
                continue
            near: Any = places.query_ball_point(theirs.xyz, NEAR * min(diameters[kind], diameters[other]))
            each = np.concatenate(near).astype(np.int64)  # as whole numbers where there are none, too
            np.fmax.at(rival, each, np.repeat(theirs.score, [len(found) for found in near]))
        made.append(replace(own, rival=rival))
    return made
