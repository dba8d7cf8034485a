"""A copick project on this machine: its tomograms, by run, and where whose picks lie.

A configuration names two folders, a static one that is only read and an overlay that is written, and the objects that
can be picked. Source: ``impl/filesystem.py`` and ``models.py`` of copick 1.31.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from .errors import InputError, UsageError
from .formats._json import read_json
from .formats.copick import PICKS, RUNS, Whose, can_name
from .lists import ImageEntry, check_image_name
from .names import listed

SPACING, VOLUME = "VoxelSpacing", ".zarr"
CONFIGURATION = "the configuration of a copick project"
LOCAL = ("local://", "file://")
PART = "a word without spaces, _ and /"
_RUN = "Rename the folder of the run in the project."


class _Object(Struct):
    name: str
    is_particle: bool = True
    radius: float | None = None


class _Configuration(Struct):
    pickable_objects: list[_Object]
    overlay_root: str
    static_root: str | None = None
    runs: list[str] | None = None


@dataclass(frozen=True)
class Volume:
    """A tomogram of a project: its run, its voxels in Angstrom as its folder says, what kind it is, its store."""

    run: str
    spacing: float
    kind: str
    path: Path


@dataclass(frozen=True)
class Volumes:
    """The tomograms of one kind and voxel spacing, by run; `without` are the runs that lack it."""

    images: list[ImageEntry]
    kind: str
    spacing: float
    without: tuple[str, ...]

    @property
    def words(self) -> str:
        """Which they are, for people."""
        return f"{self.kind} with voxels of {self.spacing:g} A"


@dataclass(frozen=True)
class Project:
    """A project, as its configuration says.

    Attributes
    ----------
    path
        The configuration.
    objects
        The particles that can be picked, with their radius in Angstrom where that is said.
    overlay, static
        Where picks are written, and what is only read.
    listed
        The runs, where the configuration lists them.
    """

    path: Path
    objects: dict[str, float | None]
    overlay: Path
    static: Path | None
    listed: tuple[str, ...] | None

    @property
    def roots(self) -> list[Path]:
        """The static one first, as copick has them."""
        if self.static is None or os.path.realpath(self.static) == os.path.realpath(self.overlay):
            return [self.overlay]
        return [self.static, self.overlay]

    @property
    def runs(self) -> list[str]:
        """Names of the runs.

        Raises
        ------
        InputError
            One cannot name files.
        """
        found = self.listed
        if found is None:
            found = tuple({own.name for root in self.roots for own in _folders(root / RUNS)})
        for name in found:
            check_image_name(name, self.path, remedy=_RUN)
        return sorted(found)

    def object_called(self, name: str | None) -> str:
        """The particle that is meant: `name`, or the only one.

        Raises
        ------
        UsageError
            No such particle can be picked, or there are several and no name.
        """
        if name is None and len(self.objects) == 1:
            return next(iter(self.objects))
        if name is None or name not in self.objects:
            raise UsageError(
                "is missing" if name is None else f"{name!r} is no particle of {self.path}", where="--object",
                expected=f"one of {', '.join(self.objects) or 'its pickable_objects, of which there are none'}",
            )  # fmt: skip
        return name

    def volumes(self, kind: str | None, spacing: float | None) -> Volumes:
        """The tomograms of one kind and voxel spacing, or of the only ones that there are.

        Raises
        ------
        UsageError
            There are several, and it is not said which.
        InputError
            There are none, or a run has two.
        """
        everything = [own for run in self.runs for root in self.roots for own in _volumes(root, run)]
        if not everything:
            raise InputError(
                f"its project holds no tomograms ({listed(str(root / RUNS) for root in self.roots)})", where=self.path,
                expected=f"{RUNS}/RUN/{SPACING}10.000/TYPE{VOLUME} in one of its roots",
                remedy="Check overlay_root and static_root.",
            )  # fmt: skip
        sizes = sorted({own.spacing for own in everything})
        size = _only(self.path, "--voxel-spacing", spacing, {f"{own:g}": own for own in sizes})
        there = [own for own in everything if own.spacing == size]
        kinds = sorted({own.kind for own in there})
        word = _only(self.path, "--tomo-type", kind, {own: own for own in kinds})
        found: dict[str, Path] = {}
        for own in there:
            if own.kind == word and found.setdefault(own.run, own.path) != own.path:
                raise InputError(
                    f"is {word} of {own.run}, as {found[own.run]} is", where=own.path,
                    expected="one tomogram of a kind and voxel spacing in each run",
                    remedy="Take one of them out, or list the runs in the configuration ('runs').",
                )  # fmt: skip
        images = [ImageEntry(name, path) for name, path in found.items()]
        return Volumes(images, word, size, tuple(run for run in self.runs if run not in found))

    def picks(self, run: str, object_: str) -> list[tuple[Whose, Path]]:
        """The files of picks of an object in a run, with whose they are."""
        found = []
        for root in self.roots:
            for path in _entries(root / RUNS / run / PICKS):
                words = path.stem.split("_")
                if path.suffix == ".json" and len(words) == 3 and words[2] == object_:
                    found.append((Whose(object_, words[0], words[1]), path))
        return found


def read_project(path: Path) -> Project:
    """Read the configuration of a project.

    Raises
    ------
    InputError
        It is none, or one of a project that is not in folders of this machine.
    """
    content = read_json(path)
    kind = content.get("config_type", "filesystem")
    if kind != "filesystem":
        raise InputError(
            f"a project of the type {str(kind)[:40]!r}", where=path, expected="'filesystem', with folders here",
            remedy="Copy it into such a project first: copick sync tomograms, copick sync picks.",
        )  # fmt: skip
    try:
        said = msgspec.convert(content, _Configuration)
    except msgspec.ValidationError as error:
        raise InputError(
            f"is none of a project in folders ({error})", where=path, expected=CONFIGURATION,
            remedy="Check pickable_objects and overlay_root.",
        ) from error  # fmt: skip
    static = None if said.static_root is None else _root(said.static_root, "static_root", path)
    objects = {own.name: _radius(own, path) for own in said.pickable_objects if own.is_particle}
    return Project(
        path, objects, _root(said.overlay_root, "overlay_root", path), static,
        None if said.runs is None else tuple(dict.fromkeys(said.runs)),
    )  # fmt: skip


def check_part(word: str, where: str) -> str:
    """A user or session that can be part of a file's name; `where` is its option.

    Raises
    ------
    UsageError
        It cannot.
    """
    if not can_name(word):
        raise UsageError(f"{word!r}", where=where, expected=PART)
    return word


def _root(said: str, name: str, path: Path) -> Path:
    local = next((said.removeprefix(own) for own in LOCAL if said.startswith(own)), said)
    if not local or "://" in local or "::" in local or "\0" in local:
        raise InputError(
            f"{name} is {said[:60]!r}", where=path, expected="a folder of this machine, or local:// before it",
            remedy="Mount it, or copy the project first: copick sync tomograms, copick sync picks.",
        )  # fmt: skip
    return Path(os.path.expanduser(local))  # noqa: PTH111 - leaves a user that there is not as it is


def _radius(own: _Object, path: Path) -> float | None:
    """Of an object that can be picked, whose name is looked at, too."""
    if not can_name(own.name):
        raise InputError(
            f"the object {own.name[:60]!r}", where=path, expected=PART, remedy="Rename it, as copick does."
        )
    if own.radius is not None and not (math.isfinite(own.radius) and own.radius > 0):
        raise InputError(
            f"the radius of {own.name} is {own.radius:g}", where=path, expected="Angstrom above 0, or null"
        )
    return own.radius


def _entries(place: Path) -> list[Path]:
    """What is in a folder and not hidden; nothing where there is no such folder."""
    try:
        return sorted(own for own in place.iterdir() if not own.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", where=place, expected="a folder of a copick project"
        ) from error


def _folders(place: Path) -> list[Path]:
    return [own for own in _entries(place) if own.is_dir()]


def _volumes(root: Path, run: str) -> Iterable[Volume]:
    for folder in _folders(root / RUNS / run):
        size = _number(folder.name.removeprefix(SPACING)) if folder.name.startswith(SPACING) else None
        for store in _folders(folder) if size else ():
            if store.name.endswith(VOLUME) and not store.name.endswith("_features.zarr"):
                yield Volume(run, size or 0.0, store.name.removesuffix(VOLUME), store)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _only(path: Path, option: str, given: Any, there: dict[str, Any]) -> Any:
    """What is asked for, or the only one that there is."""
    if given is None and len(there) == 1:
        return next(iter(there.values()))
    some = ", ".join(there)
    if given is None:
        raise UsageError("is missing", where=option, expected=f"one of {some}")
    if given not in there.values():
        word = f"{given:g}" if isinstance(given, float) else f"{str(given)[:60]!r}"
        raise InputError(f"has no tomograms of {option} {word}", where=path, expected=f"one of {some}")
    return given
