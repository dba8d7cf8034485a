"""Picks as of the turned tomogram: what IMOD's ``clip rotx`` and ``trimvol -yz`` do to voxels, done to coordinates.

``clip rotx`` (``trimvol -rx``) rotates by -90 degrees about the file's x axis: y' = z, z' = -y, counted from the last
voxel; handedness stays. ``trimvol -yz`` (``clip flipyz``) swaps y and z, which mirrors. Both count y in the rows that
IMOD reads: where a header says that they go from top to bottom, it is the other of the two that mirrors the file's.

Sources: IMOD's own code, ``flipyz`` and ``rotx`` in clip's processing.cpp for the voxels and ``mrcReadSectionAny`` in
libiimod's mrcsec.c for the rows; eTomo's help on trimming says the same in words.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .axes import NO_TURN
from .imod_header import Placement
from .picks import Picks
from .tomogram import Frame

if TYPE_CHECKING:
    from .formats.context import FormatContext


def turned_frame(frame: Frame, turn: str) -> Frame:
    """Where the voxels of the turned tomogram are; its header is not known, so models are drawn as on any volume."""
    if turn == NO_TURN:
        return frame
    z, y, x = frame.stored_shape
    size = frame.voxel_size
    return Frame(_swapped(frame.order), (y, z, x), None if size is None else (size[0], size[2], size[1]))


def turned_picks(picks: Picks, frame: Frame, turn: str) -> Picks:
    """Picks in the inside frame of the turned tomogram; `picks` are in that of the tomogram with this `frame`."""
    if turn == NO_TURN:
        return picks
    return _mirrored(picks, frame.order, frame.size[1] if _mirrors(turn, frame.placement) else None)


def turned(picks: Picks, context: FormatContext, turn: str, where: Path) -> tuple[Picks, FormatContext]:
    """Picks, and what is known beside them, as of the turned tomogram.

    Raises
    ------
    UsageError
        The size is not known, and rows are counted from the last.
    """
    if turn == NO_TURN:
        return picks, context
    order, size, voxel = context.order or "xyz", context.size, context.voxel_size
    rows = context.require("size", where)[1] if _mirrors(turn, context.placement) else None
    known = replace(
        context,
        order=_swapped(order),
        size=None if size is None else (size[0], size[2], size[1]),
        voxel_size=(voxel[0], voxel[2], voxel[1]) if isinstance(voxel, tuple) else voxel,
        frame=None if context.frame is None else turned_frame(context.frame, turn),
    )
    return _mirrored(picks, order, rows), known


def _swapped(order: str) -> str:
    return order[0] + order[2] + order[1]


def _mirrors(turn: str, placement: Placement) -> bool:
    """Whether the rows of the file are counted from the last one."""
    return (turn == "rotx") != placement.rows_downwards


def _mirrored(picks: Picks, order: str, rows: int | None) -> Picks:
    """Picks with the file's second axis, of `rows` voxels, counted from its end; None: as they are."""
    if rows is None:
        return picks
    xyz, axis = picks.xyz.copy(), "xyz".index(order[1])
    xyz[:, axis] = rows - 1 - xyz[:, axis]
    angles = picks.angles
    if angles is not None:
        from .orientations import RELION, angles_of, in_axes

        angles = angles_of(in_axes(angles, range(3), [-1.0 if own == axis else 1.0 for own in range(3)]), RELION)
    return replace(picks, xyz=xyz, angles=angles)
