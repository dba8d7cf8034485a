"""The tomograms of a folder, a list or a URL that ``milopyp prepare`` is given, and what each is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from milopyp_shared import stores
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.names import from_folders
from milopyp_shared.urls import is_url

if TYPE_CHECKING:
    from milopyp_shared.lists import ImageEntry


def folder_tomograms(folder: str, ext: str, name_from: str, console: Console) -> tuple[list[ImageEntry], Path]:
    """The tomograms that ``--dir`` means, and where their lists go that are given by a name.

    Parameters
    ----------
    folder
        A folder, an image list or a URL.

    Raises
    ------
    InputError
        There are none, or two would have one name.
    UsageError
        `ext` is empty.
    """
    from milopyp_inference.batch.inputs import LIST_SUFFIXES, gather

    if is_url(folder) or (folder.endswith(LIST_SUFFIXES) and not Path(folder).is_dir()):
        found = gather([folder], say=console.warn, name_from="parent" if name_from == "parent" else None)
        return found, Path() if is_url(folder) else Path(folder).parent
    return _named(_find(Path(folder), ext, name_from), ext, name_from), Path(folder)


def _find(folder: Path, ext: str, name_from: str) -> list[Path]:
    """Tomograms of a folder, or, if they are named after folders, of those below it; by name."""
    if not ext:
        raise UsageError("is empty", where="--ext", expected="an ending such as .rec or .mrc")
    if not folder.is_dir():
        raise InputError("is no folder", where=folder, expected="a folder with tomograms")
    here, below = ("*/*", "*") if name_from == "parent" else ("*", "*/*")
    if tomograms := _ending(folder, here, ext):
        return tomograms
    remedy = "Give --ext."
    if elsewhere := len(_ending(folder, below, ext)):
        word = "file" if name_from == "parent" else "parent"
        where = "the folder itself" if name_from == "parent" else "folders below it"
        remedy = f"Give --name-from {word} for those in {where} ({elsewhere})."
    place = " in the folders below it" if name_from == "parent" else ""
    raise InputError(f"no file{place} ends in {ext}", where=folder, expected="tomograms", remedy=remedy)


def _ending(folder: Path, pattern: str, ext: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.name.endswith(ext) and stores.is_there(path))


def _named(tomograms: Sequence[Path], ext: str, name_from: str) -> list[ImageEntry]:
    """Tomograms under their names, without the ``.ome`` of ``TS_01.ome.zarr``."""
    from milopyp_shared.lists import ImageEntry, refuse_namesakes

    names = [path.name.removesuffix(ext).rstrip(".").removesuffix(".ome") for path in tomograms]
    if name_from == "parent":
        names = from_folders(tomograms, names)
    entries = list(map(ImageEntry, names, tomograms))
    refuse_namesakes(entries, "Give one of them another name.")
    return entries
