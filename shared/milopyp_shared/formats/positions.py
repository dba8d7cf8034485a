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
from .registry import FORMATS, Format, format_of

LISTS = (".txt", ".tsv")


def read_positions(path: Path, word: str | None, settings: Mapping[str, FormatContext]) -> dict[str, Picks]:
    """Positions in the inside frame by tomogram name.

    Parameters
    ----------
    path
        A coordinate list (``.txt``, ``.tsv``, unless `word` names another format); a file of any format of ``milopyp
        convert`` for one tomogram, or a STAR file for several; or a folder with one such file per tomogram,
        ``NAME.suffix``.
    word
        Format; None: by the suffix.
    settings
        What is known of each tomogram of interest.

    Raises
    ------
    InputError
        No such file, none for any of the tomograms, or one that cannot be read.
    UsageError
        The suffix says no format, or several; or something must be known of a tomogram to read it.
    """
    if path.is_dir():
        return _from_folder(path, word, settings)
    if not path.exists():
        raise InputError("no such file or folder", where=path, expected="positions of particles")
    if word is None and path.suffix.lower() in LISTS:
        return {name: as_picks(xyz) for name, xyz in read_coordinate_list(path).items()}
    name = format_of(path, word, "--from")
    reader = FORMATS[name]
    if ".star" in reader.suffixes:
        known = [own for own in star.tomogram_names(path) if own in settings]
        if known:
            return {own: reader.read(path, _checked(reader, path, settings[own], own)) for own in known}
    own = _only(path, settings)
    return {own: reader.read(path, _checked(reader, path, settings[own], None))}


def position_files(path: Path, names: Iterable[str]) -> list[Path]:
    """The files that `read_positions` may read of `path` for tomograms of these names."""
    return [path, *(file for name in names for file in path.glob(f"{glob.escape(name)}.*"))]


def _from_folder(folder: Path, word: str | None, settings: Mapping[str, FormatContext]) -> dict[str, Picks]:
    suffixes = FORMATS[word].suffixes if word else tuple({s for row in FORMATS.values() for s in row.suffixes})
    found = {}
    for name, setting in settings.items():
        files = [folder / f"{name}{suffix}" for suffix in sorted(suffixes) if (folder / f"{name}{suffix}").is_file()]
        if len(files) > 1:
            raise InputError(
                f"several files of {name}: {', '.join(file.name for file in files)}",
                where=folder,
                expected="one per tomogram",
                remedy="Give --from.",
            )
        for file in files:
            reader = FORMATS[format_of(file, word, "--from")]
            found[name] = reader.read(file, _checked(reader, file, setting, None))
    if not found:
        raise InputError(
            f"no file of {', '.join(list(settings)[:3])}",
            where=folder,
            expected=f"files such as {next(iter(settings), 'NAME')}.star",
        )
    return found


def _only(path: Path, settings: Mapping[str, FormatContext]) -> str:
    """The tomogram that a file without names belongs to."""
    if path.name.split(".")[0] in settings:
        return path.name.split(".")[0]
    if path.stem in settings:
        return path.stem
    if len(settings) == 1:
        return next(iter(settings))
    raise InputError(
        "does not say which tomogram it belongs to",
        where=path,
        expected=f"a file called like one of {', '.join(list(settings)[:3])}",
        remedy="Rename it, or give a folder with one file per tomogram.",
    )


def _checked(reader: Format, path: Path, setting: FormatContext, name: str | None) -> FormatContext:
    for need in reader.needs:
        setting.require(need, path)
    return replace(setting, name=name)
