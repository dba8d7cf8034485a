"""Stores: tomograms that are a folder, or a zip file, of chunks, and how what is in them is named.

``TS_01.zarr`` is a store, and so are ``TS_01.ome.zarr``, ``TS_01.zarr.zip`` and ``https://HOST/TS_01.zarr``. What
follows says what is meant inside it: ``TS_01.zarr/1`` is its array called 1. Nothing here opens one.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from .urls import Url

ENDINGS = (".ome.zarr.zip", ".zarr.zip", ".ome.zarr", ".zarr")  # of stores, in any case of letters; the longest first
_ZIP, _FOLDER = ".zarr.zip", ".zarr"


class StorePath(NamedTuple):
    """A store, and what is meant inside it: the path of a group or array, empty for the store's own."""

    store: Path
    inside: str

    @property
    def is_zip(self) -> bool:
        """Whether the store is one file."""
        return self.store.name.lower().endswith(_ZIP)


def split(path: Path) -> StorePath | None:
    """The store of a path, and what follows; None for a path that is in none, such as a file in such a folder."""
    names = [name.lower() for name in path.parts]
    zips = [number for number, name in enumerate(names) if name.endswith(_ZIP)]
    folders = [number for number, name in enumerate(names) if name.endswith(_FOLDER)]
    if not zips and (not folders or path.is_file()):
        return None
    end = (zips[0] if zips else folders[-1]) + 1
    return StorePath(type(path)(*path.parts[:end]), "/".join(path.parts[end:]))


def outer(path: Path) -> Path:
    """What a path is for the file system: the store of one that leads into a store, any other as it is."""
    found = split(path)
    return path if found is None else found.store


def is_there(path: Path) -> bool:
    """Whether a tomogram can be at a path: a file, or a store, whatever is in it; no host is asked."""
    if isinstance(path, Url):
        return True
    try:
        found = split(path)
        return path.is_file() if found is None else found.store.exists()
    except OSError:  # e.g. a name longer than the file system allows
        return False


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one tomogram."""
    if isinstance(path, Url) or isinstance(other, Url):
        return path == other
    one, another = split(path), split(other)
    if one is None or another is None:
        return one is another and path.samefile(other)
    return one.inside == another.inside and one.store.samefile(another.store)


def files(path: Path) -> list[tuple[str, os.stat_result]]:
    """The files that make up a tomogram on disk, by their names below it, in a fixed order: itself, but for a folder.

    Raises
    ------
    OSError
        There is nothing, or it cannot be looked at.
    """
    found = split(path)
    if found is None or found.is_zip:
        return [("", outer(path).stat())]
    below = [] if not found.inside else [Path(), *reversed(Path(found.inside).parents)][1:]
    named = [found.store / each / name for each in below for name in ("zarr.json", ".zgroup", ".zattrs")]
    listed = [place for place in named if place.is_file()]
    for folder, _, names in os.walk(path, onerror=_raise) if path.exists() else ():
        listed += [Path(folder, name) for name in names]
    if not listed:
        raise FileNotFoundError(errno.ENOENT, "holds no file", str(path))
    return sorted((place.relative_to(found.store).as_posix(), place.stat()) for place in listed)


def _raise(error: OSError) -> None:
    raise error
