"""Picks as of the turned tomogram: what IMOD's ``clip rotx`` and ``trimvol -yz`` do to voxels, done to coordinates.

``clip rotx`` (``trimvol -rx``) rotates by -90 degrees about the file's x axis: y' = z, z' = -y, counted from the last
voxel; handedness stays. ``trimvol -yz`` (``clip flipyz``) swaps y and z, which mirrors.

Sources: eTomo's help on trimming (-90 degrees about x by clip rotx; slices look as with -yz, handedness is preserved),
and rotatevol's manual page for the sign (positive angles are counterclockwise, looking down an axis towards the
origin). Clip itself was not run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .axes import NO_TURN
from .picks import Picks
from .tomogram import Frame

if TYPE_CHECKING:
    from .formats.conventions import FormatContext


def turned_frame(frame: Frame, turn: str) -> Frame:
    """Where the voxels of the turned tomogram are; its header is not known, so models are drawn as on any volume."""
    if turn == NO_TURN:
        return frame
    z, y, x = frame.stored_shape
    size = frame.voxel_size
    return Frame(_swapped(frame.order), (y, z, x), None if size is None else (size[0], size[2], size[1]))


def turned_picks(picks: Picks, order: str, rows: int, turn: str) -> Picks:
    """Picks in the inside frame of the turned tomogram.

    Parameters
    ----------
    picks
        In the inside frame of the tomogram, whose file has the axes `order` and `rows` voxels along the second.
    """
    xyz = picks.xyz.copy()
    if turn == "rotx":
        axis = "xyz".index(order[1])
        xyz[:, axis] = rows - 1 - xyz[:, axis]
    return Picks(xyz, picks.score)


def turned(picks: Picks, context: FormatContext, turn: str, where: Path) -> tuple[Picks, FormatContext]:
    """Picks, and what is known beside them, as of the turned tomogram.

    Raises
    ------
    UsageError
        ``rotx`` without a known size.
    """
    if turn == NO_TURN:
        return picks, context
    order, size, voxel = context.order or "xyz", context.size, context.voxel_size
    rows = context.require("size", where)[1] if turn == "rotx" else 0
    known = replace(
        context,
        order=_swapped(order),
        size=None if size is None else (size[0], size[2], size[1]),
        voxel_size=(voxel[0], voxel[2], voxel[1]) if isinstance(voxel, tuple) else voxel,
        frame=None if context.frame is None else turned_frame(context.frame, turn),
    )
    return turned_picks(picks, order, rows, turn), known


def _swapped(order: str) -> str:
    return order[0] + order[2] + order[1]
