"""What picking leaves on disk for one frame."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
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
            {word: folder / f"{name}{FORMATS[word].suffixes[0]}" for word in formats},
        )  # fmt: skip

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.text, self.model, self.heat, self.candidates, *self.more.values())

    @property
    def picks(self) -> tuple[Path, ...]:
        """The files that hold picks above the threshold, which people look at and change."""
        return (self.text, self.model, *self.more.values())

    def all_exist(self) -> bool:
        """True when every file is there."""
        return all(path.is_file() for path in self.all)


def digests(files: OutputFiles) -> dict[str, str]:
    """SHA-256 of each file of picks, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.picks}


def keep_changed(files: OutputFiles, written: Mapping[str, str] | None, warn: Callable[[str], None]) -> None:
    """Rename files of picks that are about to be written anew and are not as they were written: a person's work.

    Parameters
    ----------
    written
        `digests` of what was written; empty where an older version did not keep them, None where nothing was.
    warn
        Called with one sentence for each.
    """
    there = [path for path in files.picks if path.is_file()]
    if not written:
        if there and written is not None:
            warn(f"{files.text.stem}: an older version did not say how it wrote the picks; changed or not, they go")
        return
    for path in there:
        if written.get(path.name) != hashlib.sha256(path.read_bytes()).hexdigest():
            kept = _free(path)
            path.rename(kept)
            warn(f"{path.name} is not as it was written: kept as {kept.name}")


def _free(path: Path) -> Path:
    """``NAME_changed.suffix``, or with a number where that is taken."""
    tries = (path.with_name(f"{path.stem}_changed{number or ''}{path.suffix}") for number in itertools.count())
    return next(name for name in tries if not name.exists())


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
