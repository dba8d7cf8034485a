"""What picking leaves on disk for one frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.atomic import write_text
from milopyp_shared.errors import InputError
from milopyp_shared.formats.candidates import CANDIDATES
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.mod import to_model, write_mod
from milopyp_shared.formats.registry import FORMATS, check_needs
from milopyp_shared.formats.text import write_points
from milopyp_shared.picks import Picks
from milopyp_shared.status import NAME as STATUS
from milopyp_shared.tomogram import Frame
from milopyp_shared.turns import turned_frame, turned_picks

from .record_files import SUMMARY
from .records import TomogramRecord

HEAT_MAPS = {"mrc": "_hm.mrc", "zarr": "_hm.zarr"}  # what follows a tomogram's name, by kind


@dataclass(frozen=True)
class OutputFiles:
    """Names of one tomogram's files in a run folder; the heat map may be a folder, an OME-Zarr store."""

    text: Path
    model: Path
    heat: Path
    candidates: Path
    more: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, name: str, formats: Sequence[str] = (), heat: str | None = None) -> OutputFiles:
        """The files of the tomogram called `name`, with its picks in other `formats`, too.

        Parameters
        ----------
        heat
            Kind of its heat map; None: that which is there, or else the first.
        """
        maps = {kind: folder / f"{name}{ending}" for kind, ending in HEAT_MAPS.items()}
        kind = heat or next((kind for kind, path in maps.items() if path.exists()), next(iter(maps)))
        return cls(
            folder / f"{name}.txt", folder / f"{name}.mod", maps[kind], folder / f"{name}{CANDIDATES}",
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
    def other_heat_maps(self) -> tuple[Path, ...]:
        """Where heat maps of other kinds would be."""
        [stem] = {self.heat.name.removesuffix(end) for end in HEAT_MAPS.values() if self.heat.name.endswith(end)}
        return tuple(path for end in HEAT_MAPS.values() if (path := self.heat.with_name(stem + end)) != self.heat)

    @property
    def picks(self) -> tuple[Path, ...]:
        """The files that hold picks above the threshold, which people look at and change."""
        return (self.text, self.model, *self.more.values())


def refuse_own_names(files: OutputFiles, name: str) -> None:
    """Refuse picks of the tomogram called `name` that would lie where the run says what it is.

    Raises
    ------
    InputError
        They would.
    """
    if taken := {SUMMARY, STATUS} & {path.name for path in files.all}:
        raise InputError(
            f"the picks of {name} would be {', '.join(taken)}, which is the run's own", where="--format",
            expected="tomograms of other names", remedy="Call it otherwise in an image list (image_name).",
        )  # fmt: skip


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
