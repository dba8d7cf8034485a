"""Known positions by tomogram, from whatever file a person has them in."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..lists import list_places
from ..names import assign, listed, reduced
from ..picks import Picks, as_picks
from .candidates import tomogram_of
from .context import FormatContext
from .dynamo import docs_of
from .mod import class_names
from .registry import DYNAMO, FORMATS, LIST, MODEL, check_needs, format_of

LISTS = (".txt", ".tsv")
CLASS_TABLE = "classes.tsv"  # of milopyp collect, beside files of picks: the names of classes by number
NOTHING = as_picks(np.empty((0, 3)))


@dataclass(frozen=True)
class Positions:
    """What was found of tomograms.

    Attributes
    ----------
    picks
        In the inside frame, by tomogram; of a tomogram that holds none, empty.
    unnamed
        Tomograms that a file with names of others does not name.
    others
        Names in the file that are none of the tomograms'.
    """

    picks: dict[str, Picks]
    unnamed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def with_empty(self) -> dict[str, Picks]:
        """Picks where a tomogram that is not named has none."""
        return self.picks | dict.fromkeys(self.unnamed, NOTHING)


def read_positions(
    path: Path,
    word: str | None,
    contexts: Mapping[str, FormatContext],
    name_map: Mapping[str, str] | None = None,
    *,
    anonymous: bool = False,
    option: str = "--from",
) -> Positions:
    """Positions of tomograms; each file is read once.

    Parameters
    ----------
    path
        A coordinate list (``.txt``, ``.tsv``, unless `word` names another format); a file of any format of ``milopyp
        convert`` for one tomogram, or one that names several (STAR, a Dynamo table with its ``.doc``); a folder with
        one such file per tomogram, ``NAME.suffix``; or a pattern such as ``folder/*_ribosome.mod``, in which ``*``
        stands for the name.
    word
        Format; None: by the suffix.
    contexts
        What is known of each tomogram of interest.
    name_map
        See `milopyp_shared.names.assign`, which says whose positions are whose.
    anonymous
        The only tomogram has no name: it is that of a file with one name.
    option
        That `word` is given by, for messages.

    Raises
    ------
    InputError
        No such file, none for any of the tomograms, or one that cannot be read.
    UsageError
        The suffix says no format, or several; or something must be known of a tomogram to read it.
    """
    if _is_of_several_files(path):
        return _from_files(path, word, contexts, name_map, option)
    path = _in_data(path)
    _refuse_missing(path)
    word = _format_of(path, word, option)
    many = FORMATS[word].names
    if many is None:
        own = _only(path, contexts)
        return Positions({own: _read(path, word, contexts[own])})
    for context in contexts.values():
        check_needs(word, context, path)
    inside = many.read(path, _any_of(contexts))
    if None in inside:
        if len(contexts) > 1 and not len(many.place(inside[None], next(iter(contexts.values())), path)):
            return Positions({}, tuple(contexts))
        own = _only(path, contexts)
        return Positions({own: many.place(inside[None], contexts[own], path)})
    named = [str(name) for name in inside]
    pairs = assign(list(contexts), named, path, _anyone(named, contexts) if anonymous else name_map)
    picks = {own: many.place(inside[name], contexts[own], path) for own, name in pairs.items()}
    return _sorted_out(picks, contexts, named, pairs)


def read_all_positions(path: Path, word: str | None, context: FormatContext, option: str = "--from") -> Positions:
    """As `read_positions`, of all tomograms that are there, by the names that the file has, or its own name.

    Parameters
    ----------
    context
        What is known of every one of them.
    """
    names = [tomogram_of(path)]
    if _is_of_several_files(path):
        names = list(_files_by_name(path, word, "NAME"))
    else:
        _refuse_missing(path)
        word = _format_of(path, word, option)
        if (many := FORMATS[word].names) is not None:
            check_needs(word, context, path)
            inside = many.read(path, context)
            return Positions(
                {name or tomogram_of(path): many.place(own, context, path) for name, own in inside.items()}
            )
    return read_positions(path, word, {name: replace(context, label=name) for name in names}, option=option)


def list_classes(path: Path, word: str | None, option: str = "--from") -> list[str]:
    """The classes that a file, or the models of a folder, have by name; none of other files.

    Parameters and errors as `read_positions`.
    """
    path = _in_data(path)
    if _is_of_several_files(path):
        models = [file for _, file in _files(path, word) if word in (None, MODEL) and file.suffix.lower() == ".mod"]
        return list(dict.fromkeys(name for file in models for name in class_names(file)))
    _refuse_missing(path)
    named = FORMATS[_format_of(path, word, option)].class_names
    return [] if named is None else [name for name in named(path) if name]


def by_names(
    path: Path, found: Mapping[str, Picks], tomograms: Iterable[str], name_map: Mapping[str, str] | None = None
) -> Positions:
    """What a file has by the names in it, by the tomograms that they mean."""
    pairs = assign(list(tomograms), list(found), path, name_map)
    return _sorted_out({own: found[name] for own, name in pairs.items()}, tomograms, found, pairs)


def position_files(path: Path, names: Iterable[str]) -> list[Path]:
    """The files that `read_positions` may read of `path` for tomograms of these names."""
    files = [path]
    if path.is_dir() or "*" in path.name:
        wanted = {reduced(name) for name in names}
        files += [file for name, file in _files(path, None) if reduced(name) in wanted]
    tables = [file for file in files if file.suffix.lower() in FORMATS[DYNAMO].suffixes]
    return [*files, *docs_of(tables)]


def _sorted_out(
    picks: dict[str, Picks], tomograms: Iterable[str], found: Iterable[str], pairs: Mapping[str, str]
) -> Positions:
    others = set(found) - set(pairs.values())
    return Positions(picks, tuple(name for name in tomograms if name not in picks), tuple(sorted(others)))


def _files(path: Path, word: str | None) -> list[tuple[str, Path]]:
    """Files of a folder or a pattern that can hold picks, with the name that each is called by."""
    suffixes = FORMATS[word].suffixes if word else tuple({s for row in FORMATS.values() for s in row.suffixes})
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in suffixes and file.is_file()]
        files = [file for file in files if file.name != CLASS_TABLE]
        return [(file.name[: -len(file.suffix)], file) for file in files]
    before, _, after = path.name.partition("*")
    files = sorted(path.parent.glob(f"{glob.escape(before)}*{glob.escape(after)}"))
    return [(file.name[len(before) : len(file.name) - len(after)], file) for file in files if file.is_file()]


def _is_of_several_files(path: Path) -> bool:
    """Whether it is a folder, or a pattern, with one file per tomogram."""
    return path.is_dir() or (not path.exists() and "*" in path.name)


def _in_data(path: Path) -> Path:
    """A list that is given by a bare name and lies in ``data/``, as in the published program's layout."""
    if path.suffix.lower() not in LISTS:
        return path
    there = next((place for place in list_places(path) if place.exists()), path)
    if there != path:
        logging.getLogger("milopyp").info("%s is %s", path, there)
    return there


def _format_of(path: Path, word: str | None, option: str) -> str:
    """As `format_of`, but that a text is a list."""
    return LIST if word is None and path.suffix.lower() in LISTS else format_of(path, word, option)


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        raise InputError("no such file or folder", where=path, expected="positions of particles")


def _files_by_name(path: Path, word: str | None, example: str) -> dict[str, list[Path]]:
    """As `_files`, by name, of which there must be one, such as `example`."""
    called: dict[str, list[Path]] = {}
    for name, file in _files(path, word):
        called.setdefault(name, []).append(file)
    if not called:
        raise InputError(
            "holds no file of picks" if path.is_dir() else "no file is called so",
            where=path,
            expected=f"files such as {example}.star",
        )
    return called


def _from_files(
    path: Path,
    word: str | None,
    contexts: Mapping[str, FormatContext],
    name_map: Mapping[str, str] | None,
    option: str,
) -> Positions:
    """The positions in one file per tomogram; a tomogram without a file is not named."""
    called = _files_by_name(path, word, next(iter(contexts), "NAME"))
    found = {}
    pairs = assign(list(contexts), list(called), path, name_map)
    for own, name in pairs.items():
        if len(called[name]) > 1:
            raise InputError(
                f"several files of {own}: {listed(file.name for file in called[name])}", where=path,
                expected="one per tomogram", remedy=f"Give {option}.",
            )  # fmt: skip
        [file] = called[name]
        found[own] = read_of(file, format_of(file, word, option), contexts[own], own, name_map)
    return Positions(found)


def read_of(
    path: Path, word: str, context: FormatContext, name: str, name_map: Mapping[str, str] | None = None
) -> Picks:
    """The positions in a file that is one tomogram's by its own name; what is inside must not say otherwise.

    Raises
    ------
    InputError
        It names other tomograms only, or cannot be read.
    UsageError
        Something must be known to read it.
    """
    if FORMATS[word].names is None:
        return _read(path, word, context)
    return read_positions(path, word, {name: context}, _of(name, name_map)).with_empty[name]


def _read(path: Path, word: str, context: FormatContext) -> Picks:
    check_needs(word, context, path)
    return FORMATS[word].read(path, context)


def _any_of(contexts: Mapping[str, FormatContext]) -> FormatContext:
    """What is said of all tomograms alike."""
    return next(iter(contexts.values()), FormatContext())


def _anyone(found: Iterable[str], contexts: Iterable[str]) -> dict[str, str]:
    """The only name in a file as that of the only tomogram."""
    names, own = list(found), list(contexts)
    return {own[0]: names[0]} if len(names) == len(own) == 1 else {}


def _of(name: str, name_map: Mapping[str, str] | None) -> dict[str, str]:
    return {name: name_map[name]} if name_map and name in name_map else {}


def _only(path: Path, contexts: Mapping[str, FormatContext]) -> str:
    """The tomogram that a file without names belongs to."""
    called = (path.stem, path.name.split(".")[0])
    fitting = [own for own in contexts if own in called] or [
        own for own in contexts if reduced(own) in map(reduced, called)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if len(contexts) == 1:
        return next(iter(contexts))
    raise InputError(
        "does not say which tomogram it belongs to",
        where=path,
        expected=f"a file called like one of {', '.join(list(contexts)[:3])}",
        remedy="Rename it, or give a folder with one file per tomogram.",
    )
