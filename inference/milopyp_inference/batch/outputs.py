"""What picking leaves on disk for one frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.atomic import atomic_write, write_text
from milopyp_shared.formats.candidates import CANDIDATES
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.mod import to_model, write_mod
from milopyp_shared.formats.registry import FORMATS, check_needs
from milopyp_shared.formats.text import write_points
from milopyp_shared.imod_header import Three
from milopyp_shared.mrc import write_mrc
from milopyp_shared.picks import Picks
from milopyp_shared.scale import Factors
from milopyp_shared.tomogram import Frame
from milopyp_shared.turns import turned_frame, turned_picks

from .records import TomogramRecord


@dataclass(frozen=True)
class OutputFiles:
    """Names of one tomogram's files in a run folder."""

    text: Path
    model: Path
    heat: Path
    candidates: Path
    more: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, name: str, formats: Sequence[str] = ()) -> OutputFiles:
        """The files of the tomogram called `name`, with its picks in other `formats`, too."""
        return cls(
            folder / f"{name}.txt", folder / f"{name}.mod", folder / f"{name}_hm.mrc", folder / f"{name}{CANDIDATES}",
            {word: folder / f"{name}{suffix}" for word, suffix in suffixes(formats).items()},
        )  # fmt: skip

    def moved_to(self, folder: Path) -> OutputFiles:
        """Files of the same names in another folder."""
        more = {word: folder / path.name for word, path in self.more.items()}
        text, model, heat, candidates = (folder / path.name for path in self.all[:4])
        return OutputFiles(text, model, heat, candidates, more)

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.text, self.model, self.heat, self.candidates, *self.more.values())

    @property
    def picks(self) -> tuple[Path, ...]:
        """The files that hold picks above the threshold, which people look at and change."""
        return (self.text, self.model, *self.more.values())


def suffixes(formats: Sequence[str]) -> dict[str, str]:
    """What follows a tomogram's name in its files of these formats: where two have one suffix, their words, too."""
    plain = {word: FORMATS[word].suffixes[0] for word in formats}
    shared = {suffix for suffix, number in Counter(plain.values()).items() if number > 1}
    return {word: f".{word}{suffix}" if suffix in shared else suffix for word, suffix in plain.items()}


def format_context(
    files: OutputFiles, frame: Frame, name: str, dynamo_tomogram: int | None, radius: float
) -> FormatContext:
    """What the other formats that are wanted must know of a tomogram, which is called `name` inside them.

    Raises
    ------
    UsageError
        One of them needs a voxel size, and the tomogram has none.
    """
    context = FormatContext.of(frame, name, radius=radius, dynamo_tomogram=dynamo_tomogram)
    for word, path in files.more.items():
        check_needs(word, context, path, writing=True)
    return context


def write_more(files: OutputFiles, picks: Picks, context: FormatContext) -> None:
    """Write the picks in the other formats that are wanted."""
    for word, path in files.more.items():
        write = FORMATS[word].write
        assert write is not None  # `pick_options.parse_formats`
        write(path, picks, context)


def write_all_picks(files: OutputFiles, picks: Picks, frame: Frame, asked: TomogramRecord, radius: float) -> None:
    """Write a tomogram's picks in every form that is asked for: text, IMOD model, other formats.

    Parameters
    ----------
    picks, frame
        Of the tomogram as it is; they are turned here if that is asked for.
    asked
        With options and names.
    radius
        Sphere radius in models, voxels.

    Raises
    ------
    UsageError
        One of the formats needs a voxel size, and the tomogram has none.
    InputError, FullDiskError
        A file cannot be written.
    """
    options = asked.options
    picks, frame = turned_picks(picks, frame, options.turn), turned_frame(frame, options.turn)
    plain = options.coords == "model2point"
    write_picks(files, picks, frame, radius, with_score=options.with_score, model2point=plain)
    write_more(files, picks, format_context(files, frame, asked.tomo_name, asked.dynamo_tomogram, radius))


def write_picks(
    files: OutputFiles, picks: Picks, frame: Frame, radius: float, *, with_score: bool, model2point: bool = True
) -> None:
    """Write the picks as text and as an IMOD model.

    Parameters
    ----------
    radius
        Sphere radius in the model, voxels.
    with_score
        Add the score as a fourth column of the text.
    model2point
        Text in IMOD model coordinates (what ``point2model`` expects); False: plain voxel indices.
    """
    columns = axes.xyz_to_columns(picks.xyz, frame.order)
    numbers = to_model(columns, frame.placement, frame.size) if model2point else columns
    write_points(files.text, numbers, scores=picks.score if with_score else None)
    _write_model(files.model, columns, picks.score, frame, radius)


def write_published_picks(
    files: OutputFiles,
    xyz: NDArray[np.int64],
    score: NDArray[np.float64] | None,
    frame: Frame,
    radius: float,
    *,
    with_score: bool,
) -> None:
    """Write the picks as the published program's text, and as an IMOD model.

    Parameters
    ----------
    xyz
        ``(n, 3)`` whole voxels, inside frame, in the order of the text.
    score
        ``(n,)`` or None; None leaves the text without its fourth column whatever `with_score` says.
    radius
        Sphere radius in the model, voxels.
    """
    write_published_text(files.text, xyz, score if with_score else None)
    columns = axes.xyz_to_columns(xyz.astype(np.float64), frame.order)
    _write_model(files.model, columns, score, frame, radius)


def write_published_text(path: Path, xyz: NDArray[np.int64], score: NDArray[np.float64] | None = None) -> None:
    """Write whole numbers x, z, y, separated by tabs, with all digits of the score as a last column.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    lines = [f"{x}\t{z}\t{y}" for x, y, z in xyz.tolist()]
    if score is not None:
        lines = [f"{line}\t{value!r}" for line, value in zip(lines, score.tolist(), strict=True)]
    write_text(path, "".join(line + "\n" for line in lines))


def _write_model(
    path: Path, columns: NDArray[np.float64], score: NDArray[np.float64] | None, frame: Frame, radius: float
) -> None:
    write_mod(path, columns, scores=score, radius=radius, size_xyz=frame.size, placement=frame.placement)


def write_heat_map(
    path: Path,
    heat: NDArray[np.float32],
    frame: Frame,
    voxel_per_output: Factors,
    order: str | None = None,
) -> None:
    """Write the heat map with its axes in `order`, with voxel size and origin in the tomogram's frame.

    Without `order` it has the tomogram's own, and lies on the tomogram in viewers: the sizes of its voxels are those of
    the tomogram's header where that says them.
    """
    order, placement = order or frame.order, frame.placement
    factor = axes.xyz_to_columns(np.array([voxel_per_output[::-1]], dtype=float), order)[0]
    size = _along(order, placement.voxel_size or frame.voxel_size or (0.0, 0.0, 0.0), frame)
    origin = _along(order, placement.origin or (0.0, 0.0, 0.0), frame) + (factor - 1) / 2 * size
    like = placement if order == frame.order else None
    with atomic_write(path) as part:
        write_mrc(part, heat.transpose(axes.from_zyx(order)), size * factor, origin, like=like)


def _along(order: str, values: Three, frame: Frame) -> NDArray[np.float64]:
    """What a header says along the file's axes, along those of another order."""
    xyz = axes.columns_to_xyz(np.array([values], dtype=float), frame.order)
    along: NDArray[np.float64] = axes.xyz_to_columns(xyz, order)[0]
    return along
