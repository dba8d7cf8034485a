"""Whose picks are these? Names of tomograms, held against the names that other programs give to the same ones.

Programs add to the name of a tilt series: RELION 5 reconstructs ``TS_01`` as ``rec_TS_01.mrc``, Warp as
``TS_01_10.00Apx.mrc``. Names are compared as they are; those that are left over without folder and ending; then
without what programs add, and whatever the case of their letters.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from . import stores
from .errors import InputError, UsageError
from .textfile import read_lines

# Of files, in any case of letters: tomograms, tilt series and their packed forms.
PACKED = (".gz", ".bz2")
ENDINGS = (*stores.ENDINGS, ".tomostar", ".mrcs", ".mrc", ".rec", ".map", ".preali", ".ali", ".st", ".hdf", *PACKED)


@dataclass(frozen=True)
class Decoration:
    """What a program adds to the name of a tilt series; docs/formats.md has the sources.

    Attributes
    ----------
    pattern
        Of what is added, anchored at the end (or the beginning) of the name.
    """

    pattern: str
    program: str


DECORATIONS = (
    Decoration(r"^rec_(?=.)", "RELION 5: tomograms/rec_TS_01.mrc"),
    Decoration(r"_\d+(\.\d+)?Apx$", "Warp and M: TS_01_10.00Apx.mrc"),
    Decoration(r"_Vol$", "AreTomo 2 and 3: TS_01_Vol.mrc"),
    Decoration(r"_full_rec$", "IMOD's etomo: TS_01_full_rec.mrc"),
    Decoration(r"_full$", "IMOD's etomo, before 4.10: TS_01_full.rec"),
    Decoration(r"_rec$", "IMOD's etomo: TS_01_rec.mrc"),
    Decoration(r"_(pre)?ali$", "IMOD's etomo: TS_01_ali.mrc"),
    Decoration(r"__?bin\d+(\.\d+)?$", "EMAN2: TS_01__bin4.hdf; newstack and binvol by custom: TS_01_bin4.mrc"),
    Decoration(r"_info$", "EMAN2: info/TS_01_info.json"),
)
_ADDED = re.compile("|".join(f"(?:{own.pattern})" for own in DECORATIONS), re.IGNORECASE)
NAME_FROM = ("file", "parent")  # what a tomogram's own name is taken from
NAMES = ("file", "series")  # how a tomogram can be called; see `milopyp_shared.written_names`
_SOME = 3  # names that a message lists
WHOSE = "Say with --name-map of milopyp evaluate or prepare which name is whose."

Group = TypeVar("Group")


def bare(name: str) -> str:
    """A name without folder and without one ending of a file."""
    name = re.split(r"[/\\]", name)[-1]
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)] or name


def of_file(path: Path) -> str:
    """The name of a tomogram's file or store, without folder, packing and ending: ``TS_01`` of ``TS_01.mrc.gz``."""
    if stores.split(path) is not None:
        return bare(stores.outer(path).name)
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).stem


def from_folders(paths: Sequence[Path], names: Sequence[str]) -> list[str]:
    """The names of tomograms that lie in a folder each: ``TS_01`` of ``TS_01/tomogram.mrc``.

    Parameters
    ----------
    names
        Of the files; ``TS_01_even`` is that of ``TS_01/even.mrc`` where the folder holds several of the tomograms.
    """
    folders = [Path(os.path.abspath(stores.outer(path))).parent for path in paths]  # noqa: PTH100 - links keep their names
    numbers = Counter(folders)
    return [
        folder.name if numbers[folder] == 1 else f"{folder.name}_{name}"
        for folder, name in zip(folders, names, strict=True)
    ]


def series(name: str) -> str:
    """The name of the tilt series of a tomogram called `name`, which other programs know it by.

    Only what programs add is taken away: of ``TS_01.st_10.00Apx`` is left ``TS_01.st``, as Warp calls it.
    """
    while (shorter := _ADDED.sub("", name, count=1)) not in ("", name):
        name = shorter
    return name


def reduced(name: str) -> str:
    """What names of one tomogram in different programs have in common."""
    shorter = series(bare(name))
    while shorter != name:
        name, shorter = shorter, series(bare(shorter))
    return name.casefold()


def listed(names: Iterable[str]) -> str:
    """Some names and how many there are, for people."""
    names = list(names)
    some = ", ".join(names[:_SOME]) or "none"
    return some if len(names) <= _SOME else f"{some}, ... ({len(names)})"


def assign(
    tomograms: Sequence[str], found: Sequence[str], where: object, name_map: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Which name in a file of picks is that of which tomogram, by tomogram.

    A tomogram that no name fits is left out, as are names of others.

    Parameters
    ----------
    where
        The file, for the message.
    name_map
        Names in the file by tomogram, which go before the rule.

    Raises
    ------
    InputError
        No name fits, or several tomograms or several names would be one; an entry of `name_map` names none.
    """
    pairs = _fitting(tomograms, found, _mapped(tomograms, found, name_map or {}), where, WHOSE)
    if found and not pairs:
        raise InputError(
            f"has picks of {listed(found)}, which fit none of the tomograms {listed(tomograms)}",
            where=where,
            expected="the same names in both, but for what programs add",
            remedy="Say whose they are: --name-map of milopyp evaluate or prepare, --name of milopyp convert.",
        )
    return {name: pairs[name] for name in tomograms if name in pairs}


def only(groups: Mapping[str | None, Group], name: str | None, where: object) -> Group:
    """What a file has of one tomogram.

    Parameters
    ----------
    groups
        By the name that the file has for it; under None that of a file without names, which is of one tomogram.
    name
        Of the tomogram, as `assign` compares names. None: there is only one.
    where
        The file, for the message.

    Raises
    ------
    InputError
        No such tomogram.
    UsageError
        Several tomograms and no `name`.
    """
    if None in groups:
        return groups[None]
    named = [str(own) for own in groups]
    if name is not None:
        return groups[assign([name], named, where)[name]]
    if len(groups) > 1:
        some = ", ".join(named[:6]) + (", ..." if len(named) > 6 else "")
        raise UsageError(
            f"particles of {len(groups)} tomograms", where=where, expected="those of one",
            remedy=f"It has {some}: choose with --name of milopyp convert, or let OUT be a folder.",
        )  # fmt: skip
    return groups[named[0]]


def assign_all(tomograms: Sequence[str], found: Sequence[str], where: object, remedy: str) -> dict[str, str]:
    """As `assign`, of a file that must know every tomogram.

    Raises
    ------
    InputError
        A tomogram that no name fits, or several that would be one; `remedy` is what to do then.
    """
    pairs = _fitting(tomograms, found, {}, where, remedy)
    if left := [name for name in tomograms if name not in pairs]:
        raise InputError(
            f"has the tomograms {listed(found)}, and none that is {listed(left)}",
            where=where,
            expected="all tomograms, under the same names but for what programs add",
            remedy=remedy,
        )
    return pairs


def assign_some(tomograms: Sequence[str], found: Sequence[str], where: object, remedy: str) -> dict[str, str]:
    """As `assign`, of a file that may know none of the tomograms.

    Raises
    ------
    InputError
        Several tomograms or several names would be one; `remedy` is what to do then.
    """
    return _fitting(tomograms, found, {}, where, remedy)


def read_name_map(path: Path) -> dict[str, str]:
    """The second column by the first: names of tomograms, and how a file of picks calls them.

    Columns are separated by a tab, a comma, or spaces; ``#`` comments and blank lines are accepted.

    Raises
    ------
    InputError
        Unreadable, empty, a line without two names, or a name that is there twice.
    """
    pairs: dict[str, str] = {}
    for number, line in read_lines(path):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path}, line {number}"
        separator = next((each for each in "\t," if each in line), None)
        words = [word.strip() for word in line.split(separator)]
        if len(words) != 2 or not all(words):
            raise InputError(
                f"{line.strip()[:60]!r}", where=where, expected="the name of a tomogram, and that in the file"
            )
        if words[0] in pairs or words[1] in pairs.values():
            twice = words[0] if words[0] in pairs else words[1]
            raise InputError(f"{twice} a second time", where=where, expected="each name once in its column")
        pairs[words[0]] = words[1]
    if not pairs:
        raise InputError("holds no names", where=path, expected="two columns: tomogram, name in the file")
    return pairs


def _by_key(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _fitting(
    tomograms: Sequence[str], found: Sequence[str], pairs: Mapping[str, str], where: object, remedy: str
) -> dict[str, str]:
    """`pairs`, and those of the names that are left over which fit; the closest name decides."""
    result = dict(pairs)
    for key in (str, bare, reduced):
        left = _by_key([name for name in tomograms if name not in result], key)
        free = _by_key([name for name in found if name not in result.values()], key)
        for word in left.keys() & free.keys():
            if len(left[word]) > 1 or len(free[word]) > 1:
                raise _ambiguous(left[word], free[word], where, remedy)
            result[left[word][0]] = free[word][0]
    return result


def _mapped(tomograms: Sequence[str], found: Sequence[str], name_map: Mapping[str, str]) -> dict[str, str]:
    for what, names, known in (("tomogram", name_map, tomograms), ("name in the file", name_map.values(), found)):
        if unknown := [name for name in names if name not in known]:
            raise InputError(
                f"{listed(unknown)} is no {what}", where="--name-map",
                expected=f"a {what}, such as {listed(known)}",
            )  # fmt: skip
    return dict(name_map)


def _ambiguous(tomograms: Sequence[str], found: Sequence[str], where: object, remedy: str) -> InputError:
    if len(tomograms) > 1:
        what = f"{listed(found)} can be the tomograms {listed(tomograms)}"
    else:
        what = f"{listed(found)} can all be the tomogram {tomograms[0]}"
    return InputError(what, where=where, expected="one name for one tomogram", remedy=remedy)
