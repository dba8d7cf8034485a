"""Known positions by tomogram, from whatever file a person has them in."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..lists import read_coordinate_list
from ..picks import Picks, as_picks
from . import star
from .conventions import FormatContext
from .registry import FORMATS, check_needs, format_of

LISTS = (".txt", ".tsv")


def read_positions(path: Path, word: str | None, contexts: Mapping[str, FormatContext]) -> dict[str, Picks]:
    """Positions in the inside frame by tomogram name.

    Parameters
    ----------
    path
        A coordinate list (``.txt``, ``.tsv``, unless `word` names another format); a file of any format of ``milopyp
        convert`` for one tomogram, or a STAR file for several; or a folder with one such file per tomogram,
        ``NAME.suffix``.
    word
        Format; None: by the suffix.
    contexts
        What is known of each tomogram of interest.

    Raises
    ------
    InputError
        No such file, none for any of the tomograms, or one that cannot be read.
    UsageError
        The suffix says no format, or several; or something must be known of a tomogram to read it.
    """
    if path.is_dir():
        return _from_folder(path, word, contexts)
    if not path.exists():
        raise InputError("no such file or folder", where=path, expected="positions of particles")
    if word is None and path.suffix.lower() in LISTS:
        return {name: as_picks(xyz) for name, xyz in read_coordinate_list(path).items()}
    word = format_of(path, word, "--from")
    if ".star" in FORMATS[word].suffixes:
        known = [own for own in star.tomogram_names(path) if own in contexts]
        if known:
            return {own: _read(path, word, contexts[own], own) for own in known}
    own = _only(path, contexts)
    return {own: _read(path, word, contexts[own])}


def position_files(path: Path, names: Iterable[str]) -> list[Path]:
    """The files that `read_positions` may read of `path` for tomograms of these names."""
    return [path, *(file for name in names for file in path.glob(f"{glob.escape(name)}.*"))]


def _from_folder(folder: Path, word: str | None, contexts: Mapping[str, FormatContext]) -> dict[str, Picks]:
    suffixes = FORMATS[word].suffixes if word else tuple({s for row in FORMATS.values() for s in row.suffixes})
    found = {}
    for name, context in contexts.items():
        files = [folder / f"{name}{suffix}" for suffix in sorted(suffixes) if (folder / f"{name}{suffix}").is_file()]
        if len(files) > 1:
            raise InputError(
                f"several files of {name}: {', '.join(file.name for file in files)}",
                where=folder,
                expected="one per tomogram",
                remedy="Give --from.",
            )
        for file in files:
            found[name] = _read(file, format_of(file, word, "--from"), context)
    if not found:
        raise InputError(
            f"no file of {', '.join(list(contexts)[:3])}",
            where=folder,
            expected=f"files such as {next(iter(contexts), 'NAME')}.star",
        )
    return found


def _only(path: Path, contexts: Mapping[str, FormatContext]) -> str:
    """The tomogram that a file without names belongs to."""
    if path.name.split(".")[0] in contexts:
        return path.name.split(".")[0]
    if path.stem in contexts:
        return path.stem
    if len(contexts) == 1:
        return next(iter(contexts))
    raise InputError(
        "does not say which tomogram it belongs to",
        where=path,
        expected=f"a file called like one of {', '.join(list(contexts)[:3])}",
        remedy="Rename it, or give a folder with one file per tomogram.",
    )


def _read(path: Path, word: str, context: FormatContext, name: str | None = None) -> Picks:
    check_needs(word, context, path)
    return FORMATS[word].read(path, replace(context, name=name))
