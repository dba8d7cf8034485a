"""What a call would do with each tomogram, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from milopyp_shared import axes
from milopyp_shared.errors import MilopypError
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.lists import ImageEntry
from milopyp_shared.wording import counted

from .picking_run import PickingRun
from .prechecks import check_formats, look
from .states import Cut, Done, State

FAILS = "fails:"
TITLES = ("name", "file", "voxels x y z", "axes", "Angstrom", "what")


def what_would_be_done(run: PickingRun, images: Sequence[ImageEntry], states: Mapping[str, State]) -> tuple[str, bool]:
    """A table for people, one line per tomogram, and one below it for each doubt; and whether some would fail.

    Parameters
    ----------
    states
        What is to be done with each, by name.
    """
    rows: list[tuple[str, ...]] = [TITLES]
    doubts: list[str] = []
    for image in images:
        row, own = _row(run, image, states[image.name])
        rows.append(row)
        doubts += own
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines + doubts), any(row[-1].startswith(FAILS) for row in rows)


def _row(run: PickingRun, image: ImageEntry, state: State) -> tuple[tuple[str, ...], list[str]]:
    """The cells of one tomogram, and what is doubtful."""
    name = image.name if image.label == image.name else f"{image.name} ({image.label})"
    try:
        header, _ = look(run, image)
        check_formats(run, image, header)
    except MilopypError as error:
        return (name, str(image.path), "-", "-", "-", f"{FAILS} {error}"), []
    z, y, x = header.shape
    how = "the thinnest is z" if run.options.order == axes.AUTO else "as given"
    size = "unknown" if header.voxel_size is None else f"{header.voxel_size:.4g}"
    of_size = ", as given" if run.options.voxel_size is not None else ""
    doubts = [axes.order_warning(header.order, header.mrc.stored_shape), *header_warnings(header)]
    row = (name, str(image.path), f"{x} x {y} x {z}", f"{header.order}, {how}", f"{size}{of_size}", _what(state))
    return row, [f"{image.name}: {doubt}" for doubt in doubts if doubt]


def _what(state: State) -> str:
    """What is to be done, in words."""
    if isinstance(state, Done):
        return f"is already done: {counted(state.record.picks, 'pick')}"
    if isinstance(state, Cut):
        return "is cut anew from its candidates"
    return f"is picked again: {state.why}" if state.why else "is picked"
