"""Labels of tomograms, in whatever files a person has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from milopyp_shared.console import Console
from milopyp_shared.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from milopyp_shared.lists import ImageEntry
    from milopyp_shared.tomogram import Tomogram

# What may follow the tomogram's name in the name of its picks; the first that exists counts.
PICK_ENDINGS = ("_coord.txt", ".txt", ".mod", ".star", ".tbl", ".ndjson", ".json", ".csv")
LIST_ENDINGS = ("_train_imgs.txt", "_train_coords.txt", "_test_imgs.txt")
NAMED = ("relion4", "relion5", "warp")  # their files may hold several tomograms


@dataclass(frozen=True)
class How:
    """How picks are read; see the options of the same names."""

    coords: Literal["model2point", "voxel"] = "model2point"
    fourth_column: Literal["score", "contour"] | None = None
    object_: int | None = None
    from_: str | None = None
    binning: float = 1.0
    bbox: float = 20.0
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
        raise UsageError("--double-z", expected="--picks FILE.parquet beside it: only those files count sections")
    labels = {}
    for entry in entries:
        candidates = [entry.path.with_name(entry.name + ending) for ending in PICK_ENDINGS]
        picks = next((path for path in candidates if path.is_file() and not path.name.endswith(LIST_ENDINGS)), None)
        if picks is None:
            some = ", ".join(path.name for path in candidates[:4])
            console.warn(f"{entry.path.name} has no picks ({some}, ...)")
            continue
        tomogram = _opened(entry, order, console)
        labels[entry.name] = _read(picks, tomogram, entry.name, how)
        _tell(entry, tomogram, labels[entry.name], picks, how, console)
    if not labels:
        raise InputError(
            "no tomogram has picks",
            where=entries[0].path.parent,
            expected="for tomo.rec one of tomo_coord.txt, tomo.txt, tomo.mod, tomo.star and so on",
            remedy="Give --inference to list tomograms without picks.",
        )
    return labels


def _opened(entry: ImageEntry, order: str, console: Console) -> Tomogram:
    from milopyp_shared import axes
    from milopyp_shared.tomogram import open_tomogram

    tomogram = open_tomogram(entry.path, order)
    if doubt := axes.doubt_about_order(tomogram.order, tomogram.stored.shape):
        console.warn(f"{entry.path.name}: {doubt}")
    return tomogram


def _tell(
    entry: ImageEntry, tomogram: Tomogram, xyz: NDArray[np.float64], picks: Path, how: How, console: Console
) -> None:
    from milopyp_shared.labels import column_orders_on_density, doubles, doubt_about_density

    if doubt := doubt_about_density(tomogram.zyx, xyz, how.bbox):
        words = column_orders_on_density(tomogram.zyx, xyz, how.bbox, tomogram.order)
        hint = f"; read as {' or '.join(' '.join(word) for word in words)} they lie on particles" if words else ""
        console.warn(f"{entry.path.name}: {doubt}{hint}")
    if double := doubles(xyz, how.bbox / 4):
        console.warn(f"{entry.path.name}: {double} labels lie within a quarter of a particle of another one")
    console.say(f"{entry.path.name} (order {tomogram.order}): {len(xyz)} labels from {picks.name}")


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
    from milopyp_shared.formats.origins import Setting
    from milopyp_shared.labels import check_labels

    from .positions import read_positions

    tomograms = {entry.name: _opened(entry, order, console) for entry in entries}
    if path.suffix == ".parquet":
        from milopyp_shared.formats.parquet import read_parquet

        found = read_parquet(path, how.double_z)
    else:
        if how.double_z:
            raise UsageError("--double-z", expected="a .parquet file: only those count sections")
        settings = {
            name: Setting.of(own.frame, name, coords=how.coords, binning=how.binning) for name, own in tomograms.items()
        }
        found = {name: picks.xyz for name, picks in read_positions(path, how.from_, settings).items()}
    if others := sorted(set(found) - set(tomograms)):
        some = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
        console.warn(f"{path.name}: {len(others)} of its tomograms are not in the folder: {some}")
    labels = {}
    for entry in entries:
        if entry.name not in found:
            console.warn(f"{entry.path.name} has no picks in {path.name}")
            continue
        xyz, tomogram = found[entry.name], tomograms[entry.name]
        check_labels(xyz, tomogram, path)
        labels[entry.name] = xyz
        _tell(entry, tomogram, xyz, path, how, console)
    if not labels:
        raise InputError(
            "names no tomogram of the folder", where=path,
            expected=f"names such as {', '.join(entry.name for entry in entries[:3])}",
        )  # fmt: skip
    return labels


def _read(path: Path, tomogram: Tomogram, name: str, how: How) -> NDArray[np.float64]:
    """Labels of one tomogram, ``(n, 3)`` x, y, z in the inside frame.

    Raises
    ------
    InputError, UsageError
        The file cannot be read, or something must be known for that.
    ContradictionError
        Labels outside the volume.
    """
    from milopyp_shared.formats.origins import Setting
    from milopyp_shared.formats.registry import FORMATS, format_of
    from milopyp_shared.labels import check_labels, read_points_of

    if path.suffix in (".txt", ".mod") and how.from_ in (None, "txt", "mod"):
        number = None if how.object_ is None else how.object_ - 1
        return read_points_of(path, tomogram, how.coords, extra=how.fourth_column, object=number)
    word = format_of(path, how.from_, "--from")
    setting = Setting.of(
        tomogram.frame, name, coords=how.coords, binning=how.binning, name=name if word in NAMED else None
    )
    for need in FORMATS[word].needs:
        setting.known(need, path)
    xyz = FORMATS[word].read(path, setting).xyz
    check_labels(xyz, tomogram, path)
    return xyz
