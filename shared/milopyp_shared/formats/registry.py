"""Pick formats in one table: names, suffixes, how they are read and written, and what must be known for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..coordinate_lists import read_classes
from ..errors import InputError, UsageError
from ..names import listed
from ..picks import Picks
from ..wording import counted
from . import conventions, copick, mod, relion, spreadsheet, star
from ._json import read_json
from .context import FormatContext

Reader = Callable[[Path, FormatContext], Picks]
Writer = Callable[[Path, Picks, FormatContext], None]
ManyWriter = Callable[[Path, conventions.Tomograms], None]


@dataclass(frozen=True)
class ManyTomograms:
    """Files that name their tomograms, and may hold several.

    Attributes
    ----------
    read
        What the file has of each, by its name there; under None that of a file without names. What selects in the file
        is the same in the contexts of all tomograms, any of which is given.
    place
        What `read` gives of one tomogram, as picks of it.
    write
        Several into one file; None where a file that is written is of one.
    """

    read: Callable[[Path, FormatContext], Mapping[str | None, Any]]
    place: Callable[[Any, FormatContext, Path], Picks]
    write: ManyWriter | None = None


LISTED = ManyTomograms(conventions.read_lists, conventions.place_listed, conventions.write_list)
SHEETS = ManyTomograms(conventions.read_sheets, conventions.place_sheet)
RELION4 = ManyTomograms(conventions.read_voxels, conventions.place_voxels, conventions.write_relion4)
WARP = replace(RELION4, write=conventions.write_warp)
RELION5 = ManyTomograms(conventions.read_centred, conventions.place_centred, conventions.write_relion5)
COPICK = ManyTomograms(lambda path, _: copick.read_by_run(path), conventions.place_copick)
TABLE = ManyTomograms(conventions.read_tables, conventions.place_table)


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes
    ----------
    suffixes
        Of its files.
    write
        None: read only.
    needs, write_needs
        Of ``order``, ``size``, ``voxel_size``, ``coords``: what must be known always, and what for writing.
    binned
        Whether its numbers are voxels that ``binning`` applies to.
    names
        How a file that names its tomograms is read at once; None: it is of one.
    thickness_is_z
        Whether it belongs to programs that reconstruct tomograms themselves, with z as the thickness.
    classes
        Whether a file may say of which class each particle is.
    class_names
        The classes in a file by their names; None where it has no names of classes, or names that nobody gave.
    can_name
        Whether it can hold a tomogram's name; None: it has no place for names.
    angles
        Whether an orientation is written of every particle where some have one.
    """

    suffixes: tuple[str, ...]
    read: Reader
    write: Writer | None
    needs: tuple[str, ...] = ()
    write_needs: tuple[str, ...] = ()
    binned: bool = False
    names: ManyTomograms | None = None
    thickness_is_z: bool = False
    classes: bool = False
    class_names: Callable[[Path], Iterable[str]] | None = None
    can_name: Callable[[str], bool] | None = None
    angles: bool = False


def _of_one(many: ManyTomograms) -> Writer:
    """What writes a file of one tomogram, of what writes several."""
    write = many.write
    assert write is not None
    return lambda path, picks, context: write(path, [(picks, context)])


OBJECT = "--object"  # the option for the class of a model, and of nothing else
DYNAMO = "tbl"  # its tables know tomograms by number
MODEL = "mod"  # the classes of an IMOD model are its objects
LIST = "list"  # coordinates of tomograms by their names, as training takes them

FORMATS: dict[str, Format] = {
    "txt": Format((".txt", ".coords"), conventions.read_txt, conventions.write_txt, ("order", "coords")),
    MODEL: Format(
        (".mod",),
        conventions.read_mod,
        conventions.write_mod,
        ("order",),
        ("size",),
        classes=True,
        class_names=mod.class_names,
    ),
    "csv": Format(
        (".csv",),
        conventions.read_csv,
        conventions.write_csv,
        names=SHEETS,
        classes=True,
        class_names=spreadsheet.read_classes,
    ),
    LIST: Format(
        (".tsv",),
        conventions.read_list,
        _of_one(LISTED),
        names=LISTED,
        classes=True,
        class_names=read_classes,
        can_name=bool,
    ),
    "relion4": Format(
        (".star",),
        conventions.read_star,
        _of_one(RELION4),
        binned=True,
        names=RELION4,
        thickness_is_z=True,
        classes=True,
        can_name=star.can_name,
        angles=True,
    ),
    "relion5": Format(
        (".star",),
        conventions.read_relion5,
        _of_one(RELION5),
        ("size", "voxel_size"),
        names=RELION5,
        thickness_is_z=True,
        classes=True,
        can_name=star.can_name,
        angles=True,
    ),
    "warp": Format(
        (".star",),
        conventions.read_star,
        _of_one(WARP),
        binned=True,
        names=WARP,
        thickness_is_z=True,
        classes=True,
        can_name=star.can_name,
        angles=True,
    ),
    DYNAMO: Format(
        (".tbl",), conventions.read_tbl, conventions.write_tbl, binned=True, names=TABLE, classes=True, angles=True
    ),
    "copick": Format(
        (".json",),
        conventions.read_copick,
        conventions.write_copick,
        write_needs=("voxel_size",),
        names=COPICK,
        thickness_is_z=True,
        can_name=bool,
        angles=True,
    ),
    "ndjson": Format(
        (".ndjson",), conventions.read_ndjson, conventions.write_ndjson, binned=True, thickness_is_z=True, angles=True
    ),
    "eman": Format((".json",), conventions.read_eman, None, classes=True),
}


def _kind_of_json(path: Path) -> str | None:
    """``copick`` or ``eman``, by the list that the file holds; None where it is neither."""
    content = read_json(path)
    return next((word for word, own in (("copick", "points"), ("eman", "boxes_3d")) if own in content), None)


# Suffixes that several formats share: which of them a file is, by what it holds.
KINDS: dict[str, Callable[[Path], str | None]] = {".star": relion.kind_of, ".json": _kind_of_json}


def check_needs(word: str, context: FormatContext, path: Path, *, writing: bool = False) -> None:
    """Refuse a file of the format `word` for which something is unknown, before anything is read or written.

    Raises
    ------
    UsageError
        With the option that says it.
    """
    row = FORMATS[word]
    for need in row.needs + (row.write_needs if writing else ()):
        context.require(need, path)
    if not writing:
        refuse_class(word, context.class_, path, context.class_option)


def check_names(word: str, labels: Iterable[str], where: object) -> None:
    """Refuse names of tomograms that the format `word` cannot hold, before anything is written.

    Raises
    ------
    InputError
        With these names.
    """
    can_name = FORMATS[word].can_name
    if bad := [repr(label) for label in labels if can_name is not None and not can_name(label)]:
        raise InputError(
            f"{word} cannot hold the name{'s' * (len(bad) > 1)} {listed(bad)}",
            where=where,
            expected="names without spaces, quotes and #, and not beginning as STAR's own words do",
            remedy="Say another with --name of milopyp convert, or in the column tomo_name of milopyp-infer's image "
            "list.",
        )


def refuse_class(word: str, class_: str | None, path: Path, option: str = "--class") -> None:
    """Refuse a class that is asked for with `option` of a file in the format `word`, which has none.

    Raises
    ------
    UsageError
        With the formats that have classes.
    """
    if class_ is None or word == MODEL:
        return
    if option == OBJECT:
        raise UsageError(
            f"given for {path}", where=option, expected="an IMOD model: only that has objects",
            remedy="--from mod reads models alone.",
        )  # fmt: skip
    if not (word in FORMATS and FORMATS[word].classes):
        usable = ", ".join(name for name, row in FORMATS.items() if row.classes)
        raise UsageError(f"given for {path}", where=option, expected=f"a file of {usable}: others have no classes")


def axes_warning(words: Iterable[str], order: str | None) -> str | None:
    """One sentence when programs whose tomograms have z as the thickness get coordinates of another file order."""
    turned = sorted(word for word in words if FORMATS[word].thickness_is_z)
    if order in (None, "xyz") or not turned:
        return None
    swapped = "Y and Z" if order == "xzy" else "the axes"
    return (
        f"W07 coordinates of {' and '.join(turned)} are taken along the axes of the tomogram's file (order {order}); "
        f"the tomograms of these programs have z as the thickness: {swapped} would be swapped (--turn rotx writes "
        "coordinates as of the tomogram after IMOD's trimvol -rx; yz, as of trimvol -yz, is its mirror image)"
    )


def orientations_warning(words: Iterable[str], tomograms: Iterable[Picks]) -> str | None:
    """One sentence where picks without an orientation go beside others into a file that has angles of every one."""
    angled, found = [word for word in words if FORMATS[word].angles], list(tomograms)
    if not angled or all(picks.angles is None for picks in found):
        return None
    number = sum(len(own) if own.angles is None else int(np.isnan(own.angles).any(axis=1).sum()) for own in found)
    return f"{counted(number, 'pick')} without an orientation: angles of 0 stand for none" if number else None


def format_of(path: Path, word: str | None, option: str) -> str:
    """The format of a file: `word`, or the only one that its suffix, and what it holds, can mean.

    Parameters
    ----------
    option
        That `word` is given by. ``--to``, of a file that is not there yet, leaves out formats that are only read.

    Raises
    ------
    UsageError
        No format or several have this suffix, or `word` is none or only read; the message names the choices.
    InputError
        2D boxes; or a file that cannot be read to tell its format.
    """
    usable = [name for name, row in FORMATS.items() if option != "--to" or row.write is not None]
    if word is not None:
        if word not in usable:
            found = f"{word} is only read" if word in FORMATS else f"{word} is no format"
            raise UsageError(found, where=option, expected=f"one of {', '.join(usable)}")
        return word
    suffix = path.suffix.lower()
    if suffix == ".box":
        raise InputError(
            "is a list of 2D boxes",
            where=path,
            expected="3D positions: a .box holds corners of boxes in a micrograph, without z",
            remedy="Save the picks of the tomogram in one of the other formats.",
        )
    fitting = [name for name in usable if suffix in FORMATS[name].suffixes]
    if len(fitting) == 1:
        return fitting[0]
    if fitting and option != "--to" and (kind := KINDS[suffix](path)) is not None:
        return kind
    raise UsageError(
        f"{suffix} can be {' or '.join(fitting)}" if fitting else f"the suffix {suffix!r} says no format",
        where=path,
        expected=f"{option} with one of {', '.join(fitting or usable)}",
    )
