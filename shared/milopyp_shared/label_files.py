"""Labels of tomograms, in whatever files a person has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .console import Console
from .errors import InputError, UsageError
from .lengths import Length, diameter_in_voxels, refuse_wide, wide_warning
from .names import listed, read_name_map
from .pick_choice import choose_picks
from .wording import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .formats.context import FormatContext
    from .formats.positions import Positions
    from .lists import ImageEntry
    from .project_labels import Wanted
    from .tomogram import TomogramHeader

TEXTS = (".txt", ".coords")
OF_FILE_AXES = (*TEXTS, ".mod")  # what is in them follows the axes of the tomogram's file
DIAMETER = 20.0  # of the particle, voxels, where nothing is said


@dataclass(frozen=True)
class How:
    """How picks are read, and of which class, if that is known; see the options of the same names."""

    coords: Literal["model2point", "voxel"] = "model2point"
    columns: str | None = None
    fourth_column: Literal["score", "contour", "object"] | None = None
    from_: str | None = None
    binning: float = 1.0
    bbox: Length | None = None
    class_: str | None = None
    class_option: str = "--class"
    picks: Path | None = None
    name_map: Path | None = None
    double_z: bool = False
    project: Wanted | None = None
    kind: str | None = None

    def context_of(self, header: TomogramHeader, name: str) -> FormatContext:
        """What is known of the picks of a tomogram."""
        from .formats.context import FormatContext

        known = {"coords": self.coords, "binning": self.binning, "class_": self.class_}
        known |= {"class_option": self.class_option, "known_class": self.kind}
        return FormatContext.of(header.frame, name, as_labels=True, **known)


HOW = tuple(name for name in How.__dataclass_fields__ if name not in ("class_option", "project", "kind"))


def read_labels(
    entries: Sequence[ImageEntry], order: str, how: How, console: Console
) -> dict[str, NDArray[np.float64]]:
    """Labels x, y, z by tomogram name, each inside its volume; none of a tomogram whose file holds none.

    Raises
    ------
    InputError
        No tomogram has picks, or a file cannot be read.
    ContradictionError
        Labels outside their volume, or particles that are larger than it.
    """
    _refuse_idle(how)
    if how.project is not None:
        found = _of_project(entries, order, how.project, how, console)
    elif how.picks is None:
        found = _beside_tomograms(entries, order, how, console)
    else:
        found = _of_one_file(entries, order, how.picks, how, console)
    labels, sizes = {}, {}
    for own in found:
        _tell(own, how, console)
        labels[own.entry.name] = own.xyz
        if how.bbox is not None:
            sizes[own.entry.name] = (diameter_of(own.header, how.bbox), min(own.header.shape))
    if doubt := wide_warning(sizes):
        console.warn(doubt)
    if any(map(len, labels.values())):
        return labels
    if how.picks is None:
        raise InputError(
            "no tomogram has picks",
            where=entries[0].folder,
            expected="for tomo.rec one of tomo_coord.txt, tomo.txt, tomo.mod, tomo.star and so on",
            remedy="Give --inference to list tomograms without picks.",
        )
    of_class = f" of {how.kind}" if how.kind else ""
    raise InputError(
        f"holds no picks{of_class}",
        where=how.picks,
        expected=f"those of one tomogram at least: {listed(e.name for e in entries)}",
    )


@dataclass(frozen=True)
class _Labels:
    """What was found of one tomogram, and in which file."""

    entry: ImageEntry
    header: TomogramHeader
    xyz: NDArray[np.float64]
    source: Path


def _refuse_idle(how: How) -> None:
    """Refuse options that mean nothing beside the others."""
    if how.picks is None and how.double_z:
        raise UsageError(
            "given without --picks", where="--double-z",
            expected="--picks FILE.parquet beside it: only those files count sections",
        )  # fmt: skip
    alone = (("--fourth-column", how.fourth_column), ("--columns", how.columns))
    idle = [name for name, value in alone if value]
    if how.picks is not None and idle:
        raise UsageError(
            "given beside --picks", where=" and ".join(idle), expected="one of them: it is for files of one tomogram"
        )


def _beside_tomograms(entries: Sequence[ImageEntry], order: str, how: How, console: Console) -> Iterator[_Labels]:
    """The labels in the files that lie beside the tomograms, under their names."""
    names = read_names(how)
    about = f"{how.kind}: " if how.kind else ""
    for entry in entries:
        picks = choose_picks(entry, how.from_, lambda doubt: console.warn(f"{about}{doubt}"))
        if picks is None:
            continue
        header = _header(entry, order, console)
        yield _Labels(entry, header, _read(picks, header, entry.name, how, names), picks)


def _of_one_file(
    entries: Sequence[ImageEntry], order: str, path: Path, how: How, console: Console
) -> Iterator[_Labels]:
    """The labels of all tomograms that a file names, or the files of a folder."""
    from .labels import check_labels

    headers = {entry.name: _header(entry, order, console) for entry in entries}
    found = _by_name(path, headers, how)
    if found.others:
        console.warn(
            f"{path.name} names {counted(len(found.others), 'tomogram')} outside the folder: {listed(found.others)}"
        )
    for entry in entries:
        if entry.name not in found.picks:
            of_class = f" of {how.kind}" if how.kind else ""
            console.warn(f"{entry.file} has no picks{of_class} in {path.name}")
            continue
        xyz, header = found.picks[entry.name].xyz, headers[entry.name]
        check_labels(xyz, header, path)
        yield _Labels(entry, header, xyz, path)


def _of_project(
    entries: Sequence[ImageEntry], order: str, wanted: Wanted, how: How, console: Console
) -> Iterator[_Labels]:
    """The labels of a copick project, those of several people merged."""
    from .labels import check_labels
    from .project_labels import merge, read_sets

    saved, without, files = 0, [], wanted.files(entry.name for entry in entries)
    for entry in entries:
        header = _header(entry, order, console)
        sets = read_sets(files[entry.name], how.context_of(header, entry.name))
        if not sets:
            without.append(entry.name)
            continue
        for own in sets:
            check_labels(own.xyz, header, own.path)
        xyz, twice = merge([own.xyz for own in sets], diameter_of(header, how.bbox) / 2)
        saved += twice
        console.say(f"{entry.name}: {', '.join(map(str, sets))}")
        yield _Labels(entry, header, xyz, sets[0].path.parent)
    if len(without) == len(entries):
        raise InputError(
            f"holds no pick of {wanted.object}, in {counted(len(entries), 'run')}", where=wanted.project.path,
            expected="picks in one run at least", remedy="Pick some, or give --object, --user or --session otherwise.",
        )  # fmt: skip
    if without:
        console.warn(f"without picks of {wanted.object}, and left out: {listed(without)}")
    if saved:
        console.say(f"{counted(saved, 'pick')} within half a particle of somebody else's: merged, at the mean of both")


def diameter_of(tomogram: TomogramHeader, bbox: Length | None) -> float:
    """Of a particle in a tomogram, voxels.

    Raises
    ------
    UsageError
        `bbox` is in Angstrom, and the header says no voxel size; or no particle is so small or so large.
    ContradictionError
        It is larger than the tomogram.
    """
    if bbox is None:
        return DIAMETER
    diameter = diameter_in_voxels(bbox, tomogram.voxel_size, f"a header of {tomogram.path.name} that says it")
    refuse_wide(diameter, tomogram, guess=not bbox.angstrom)
    return diameter


def read_names(how: How) -> dict[str, str]:
    """What ``--name-map`` says; nothing without it."""
    return {} if how.name_map is None else read_name_map(how.name_map)


def _header(entry: ImageEntry, order: str, console: Console) -> TomogramHeader:
    from . import axes
    from .header_checks import header_warnings
    from .tomogram import read_header

    header = read_header(entry.path, order)
    doubt = axes.order_warning(header.order, header.mrc.stored_shape)
    for sentence in ([doubt] if doubt else []) + header_warnings(header, one_size=False):
        console.warn(f"{entry.file}: {sentence}")
    return header


def _tell(found: _Labels, how: How, console: Console) -> None:
    """Say what labels a tomogram has and what looks wrong with them."""
    from .labels import doubles

    name, xyz, source = found.entry.file, found.xyz, found.source.name
    about = f"{name}: {how.kind}" if how.kind else name
    if not len(xyz):
        console.warn(
            f"{about}: {source} holds no picks of it: it counts as a tomogram without particles, all of it background"
        )
        return
    if doubt := _density_warning(found, how):
        console.warn(f"{about}: {doubt}")
    if double := doubles(xyz, diameter_of(found.header, how.bbox) / 4):
        console.warn(f"{about}: {counted(double, 'label')} within a quarter of a particle of another one")
    number = counted(len(xyz), f"{how.kind or ''} label".strip())
    console.say(f"{name} (order {found.header.order}): {number} from {source}")


def _density_warning(found: _Labels, how: How) -> str | None:
    """What `labels.density_warning` says of a tomogram's labels, and what may be the cause."""
    from .labels import column_orders_on_density, density_warning
    from .tomogram import open_tomogram

    diameter = diameter_of(found.header, how.bbox)
    zyx = open_tomogram(found.entry.path, found.header.order).zyx
    doubt = density_warning(zyx, found.xyz, diameter)
    if doubt is None:
        return None
    # what follows the file's axes in some formats is x, y, z in the others
    suffix = found.source.suffix.lower() if how.picks is None else ""
    columns = how.columns or (found.header.order if suffix in OF_FILE_AXES else "xyz")
    words = column_orders_on_density(zyx, found.xyz, diameter, columns)
    if words and suffix in TEXTS:
        return f"{doubt}; with --columns {' or '.join(words)} they lie on particles"
    if words:
        orders = " or ".join(" ".join(word) for word in words)
        return f"{doubt}; with their columns taken as {orders} they lie on particles"
    if how.bbox is None:
        return f"{doubt} (seen with a diameter of {DIAMETER:g} voxels: give --bbox)"
    return doubt


def _by_name(path: Path, headers: Mapping[str, TomogramHeader], how: How) -> Positions:
    """The positions in a file, or in the files of a folder, by tomogram name.

    Raises
    ------
    InputError, UsageError
        It cannot be read, or something must be known for that.
    """
    from .formats.parquet import is_parquet, read_parquet
    from .formats.positions import by_names, read_positions
    from .formats.registry import refuse_class
    from .picks import as_picks

    names = read_names(how)
    tables = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if path.suffix.lower() == ".parquet" or (how.from_ is None and tables and all(map(is_parquet, tables))):
        refuse_class("parquet", how.class_, path, how.class_option)
        joined = _joined(read_parquet(table, how.double_z) for table in tables)
        return by_names(path, {name: as_picks(xyz) for name, xyz in joined.items()}, headers, names)
    if how.double_z:
        raise UsageError(f"given for {path}", where="--double-z", expected="a .parquet file: only those count sections")
    contexts = {name: how.context_of(own, name) for name, own in headers.items()}
    return read_positions(path, how.from_, contexts, names)


def _joined(tables: Iterable[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    import numpy as np

    joined: dict[str, NDArray[np.float64]] = {}
    for table in tables:
        for name, xyz in table.items():
            joined[name] = np.concatenate([joined[name], xyz]) if name in joined else xyz
    return joined


def _read(path: Path, header: TomogramHeader, name: str, how: How, names: Mapping[str, str]) -> NDArray[np.float64]:
    """Labels of one tomogram, ``(n, 3)`` x, y, z in the inside frame.

    Raises
    ------
    InputError, UsageError
        The file cannot be read, or something must be known for that.
    ContradictionError
        Labels outside the volume.
    """
    from .formats.positions import read_of
    from .formats.registry import format_of, refuse_class
    from .labels import check_labels, read_points_of

    suffix = path.suffix.lower()
    if how.columns is not None and suffix not in TEXTS:
        raise UsageError(
            f"given for {path}", where="--columns", expected="a text: only that does not say what is x, y, z"
        )
    if suffix in OF_FILE_AXES and how.from_ in (None, "txt", "mod"):
        refuse_class(suffix[1:], how.class_, path, how.class_option)
        return read_points_of(path, header, how.coords, extra=how.fourth_column, object=how.class_, order=how.columns)
    xyz = read_of(path, format_of(path, how.from_, "--from"), how.context_of(header, name), name, names).xyz
    check_labels(xyz, header, path)
    return xyz
