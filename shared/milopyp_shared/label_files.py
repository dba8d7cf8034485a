"""Labels of tomograms, in whatever files a person has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .console import Console
from .errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .lists import ImageEntry
    from .tomogram import TomogramHeader

# What may follow the tomogram's name in the name of its picks; the first that exists counts.
PICK_ENDINGS = ("_coord.txt", ".txt", ".mod", ".star", ".tbl", ".ndjson", ".json", ".csv")
LIST_ENDINGS = ("_train_imgs.txt", "_train_coords.txt", "_test_imgs.txt")
NAMED = ("relion4", "relion5", "warp")  # their files may hold several tomograms
DIAMETER = 20.0  # of the particle, voxels, where nothing is said


@dataclass(frozen=True)
class How:
    """How picks are read; see the options of the same names."""

    coords: Literal["model2point", "voxel"] = "model2point"
    fourth_column: Literal["score", "contour"] | None = None
    object_: int | None = None
    from_: str | None = None
    binning: float = 1.0
    bbox: float | None = None
    picks: Path | None = None
    double_z: bool = False


HOW = tuple(How.__dataclass_fields__)


def read_labels(
    entries: Sequence[ImageEntry], order: str, how: How, console: Console
) -> dict[str, NDArray[np.float64]]:
    """Labels x, y, z by tomogram name, each inside its volume.

    Raises
    ------
    InputError
        No tomogram has picks, or a file cannot be read.
    ContradictionError
        Labels outside their volume.
    """
    if how.picks is not None:
        return _from_one_file(entries, order, how.picks, how, console)
    if how.double_z:
        raise UsageError(
            "given without --picks", where="--double-z",
            expected="--picks FILE.parquet beside it: only those files count sections",
        )  # fmt: skip
    labels = {}
    for entry in entries:
        candidates = [entry.path.with_name(entry.name + ending) for ending in PICK_ENDINGS]
        picks = next((path for path in candidates if path.is_file() and not path.name.endswith(LIST_ENDINGS)), None)
        if picks is None:
            some = ", ".join(path.name for path in candidates[:4])
            console.warn(f"{entry.path.name} has no picks ({some}, ...)")
            continue
        header = _header(entry, order, console)
        xyz = _read(picks, header, entry.name, how)
        if _tell(entry, header, xyz, picks, how, console):
            labels[entry.name] = xyz
    if not labels:
        raise InputError(
            "no tomogram has picks",
            where=entries[0].path.parent,
            expected="for tomo.rec one of tomo_coord.txt, tomo.txt, tomo.mod, tomo.star and so on",
            remedy="Give --inference to list tomograms without picks.",
        )
    return labels


def _header(entry: ImageEntry, order: str, console: Console) -> TomogramHeader:
    from . import axes
    from .tomogram import read_header

    header = read_header(entry.path, order)
    if doubt := axes.order_warning(header.order, header.mrc.stored_shape):
        console.warn(f"{entry.path.name}: {doubt}")
    return header


def _tell(
    entry: ImageEntry, header: TomogramHeader, xyz: NDArray[np.float64], picks: Path, how: How, console: Console
) -> bool:
    """Say what labels a tomogram has and what looks wrong with them; False when there are none."""
    from .labels import column_orders_on_density, density_warning, doubles
    from .tomogram import open_tomogram

    name, diameter = entry.path.name, how.bbox or DIAMETER
    if not len(xyz):
        console.warn(f"{name}: {picks.name} holds no picks of it")
        return False
    zyx = open_tomogram(entry.path, header.order).zyx
    if doubt := density_warning(zyx, xyz, diameter):
        # what follows the file's axes in some formats is x, y, z in the others
        columns = header.order if picks.suffix in (".txt", ".mod") and how.picks is None else "xyz"
        words = column_orders_on_density(zyx, xyz, diameter, columns)
        if words:
            doubt += (
                f"; with their columns taken as {' or '.join(' '.join(word) for word in words)} they lie on particles"
            )
        elif how.bbox is None:
            doubt += f" (seen with a diameter of {DIAMETER:g} voxels: give --bbox)"
        console.warn(f"{name}: {doubt}")
    if double := doubles(xyz, diameter / 4):
        console.warn(f"{name}: {double} labels lie within a quarter of a particle of another one")
    console.say(f"{name} (order {header.order}): {len(xyz)} labels from {picks.name}")
    return True


def _from_one_file(
    entries: Sequence[ImageEntry], order: str, path: Path, how: How, console: Console
) -> dict[str, NDArray[np.float64]]:
    """Labels of all tomograms that a file names.

    Raises
    ------
    InputError
        It cannot be read, or names none of the tomograms.
    ContradictionError
        Labels outside their volume.
    """
    import numpy as np

    from .formats.parquet import is_parquet, read_parquet
    from .labels import check_labels

    idle = [name for name, value in (("--object", how.object_), ("--fourth-column", how.fourth_column)) if value]
    if idle:
        raise UsageError(
            "given beside --picks", where=" and ".join(idle), expected="one of them: it is for files of one tomogram"
        )
    headers = {entry.name: _header(entry, order, console) for entry in entries}
    tables = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if path.suffix.lower() == ".parquet" or (tables and all(map(is_parquet, tables))):
        found: dict[str, NDArray[np.float64]] = {}
        for table in tables:
            for name, xyz in read_parquet(table, how.double_z).items():
                found[name] = np.concatenate([found[name], xyz]) if name in found else xyz
    elif how.double_z:
        raise UsageError(f"given for {path}", where="--double-z", expected="a .parquet file: only those count sections")
    else:
        found = _positions(path, headers, how)
    if others := sorted(set(found) - set(headers)):
        some = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
        console.warn(f"{path.name}: {len(others)} of its tomograms are not in the folder: {some}")
    labels = {}
    for entry in entries:
        if entry.name not in found:
            console.warn(f"{entry.path.name} has no picks in {path.name}")
            continue
        xyz, header = found[entry.name], headers[entry.name]
        check_labels(xyz, header, path)
        if _tell(entry, header, xyz, path, how, console):
            labels[entry.name] = xyz
    if not labels:
        raise InputError(
            "names no tomogram of the folder", where=path,
            expected=f"names such as {', '.join(entry.name for entry in entries[:3])}",
        )  # fmt: skip
    return labels


def _positions(path: Path, headers: Mapping[str, TomogramHeader], how: How) -> dict[str, NDArray[np.float64]]:
    from .formats.conventions import FormatContext
    from .formats.positions import read_positions

    contexts = {
        name: FormatContext.of(own.frame, name, coords=how.coords, binning=how.binning) for name, own in headers.items()
    }
    return {name: picks.xyz for name, picks in read_positions(path, how.from_, contexts).items()}


def _read(path: Path, header: TomogramHeader, name: str, how: How) -> NDArray[np.float64]:
    """Labels of one tomogram, ``(n, 3)`` x, y, z in the inside frame.

    Raises
    ------
    InputError, UsageError
        The file cannot be read, or something must be known for that.
    ContradictionError
        Labels outside the volume.
    """
    from .formats.conventions import FormatContext
    from .formats.registry import FORMATS, check_needs, format_of
    from .labels import check_labels, read_points_of

    if path.suffix in (".txt", ".mod") and how.from_ in (None, "txt", "mod"):
        number = None if how.object_ is None else how.object_ - 1
        return read_points_of(path, header, how.coords, extra=how.fourth_column, object=number)
    word = format_of(path, how.from_, "--from")
    context = FormatContext.of(
        header.frame, name, coords=how.coords, binning=how.binning, name=name if word in NAMED else None
    )
    check_needs(word, context, path)
    xyz = FORMATS[word].read(path, context).xyz
    check_labels(xyz, header, path)
    return xyz
