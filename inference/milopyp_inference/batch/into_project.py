"""The picks of a run where a copick project looks for them: in its overlay, beside those of other people.

A file that is as milopyp has written it is given anew. It says so itself, by the digest of its points, which copick
leaves out as soon as somebody stores the picks there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from milopyp_shared.atomic import atomic_write, write_text
from milopyp_shared.copick_project import Project, check_part
from milopyp_shared.errors import FullDiskError, InputError, MilopypError, UsageError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.conventions import copick_points
from milopyp_shared.formats.copick import Whose, Written, as_text
from milopyp_shared.names import listed
from milopyp_shared.overwrite import free_numbered

from .reader import picks_of
from .records import Picked

MARK = "made_by"
_ROUNDED = 0.05  # of a doubling


@dataclass(frozen=True)
class IntoProject:
    """Where the picks of a call go.

    Attributes
    ----------
    spacing
        Of the tomograms of the project, Angstrom.
    """

    project: Project
    whose: Whose
    spacing: float

    def place(self, run: str) -> Path:
        """The file of a run of the project."""
        return self.whose.place(self.project.overlay, run)

    @property
    def words(self) -> str:
        """All files, for people."""
        return str(self.place("*"))

    def refuse_others(self, runs: Iterable[str], *, overwrite: bool) -> None:
        """Refuse to write over picks that are not as this command has written them.

        Raises
        ------
        UsageError
            There are some; with `overwrite`, which keeps them, some that are only read, or are no files.
        """
        runs = list(runs)
        if self.project.static in self.project.roots and len(self.project.roots) > 1:
            self._refuse(
                [path for run in runs if os.path.lexists(path := self.whose.place(self.project.roots[0], run))]
            )
        places = [self.place(run) for run in runs]
        self._refuse([path for path in places if os.path.lexists(path) and not path.is_file()])
        if not overwrite:
            keep = "Give another --session; or --overwrite, which picks all again and keeps these in --out."
            self._refuse([path for path in places if path.is_file() and not _is_ours(path)], keep)

    def _refuse(self, paths: list[Path], remedy: str = "Give another --session.") -> None:
        if paths:
            raise UsageError(
                f"there are picks already that are not as milopyp-infer has written them: {listed(map(str, paths))}",
                where=self.project.path, expected="a --user and --session of whom there are none", remedy=remedy,
            )  # fmt: skip

    def write(self, folder: Path, record: Picked, warn: Callable[[str], None]) -> None:
        """Write what a run in `folder` has picked of a tomogram; what was changed there since is kept in `folder`.

        Raises
        ------
        UsageError
            The voxel size of the tomogram is not known.
        InputError, FullDiskError
            The project cannot be written.
        """
        place, context = self.place(record.name), FormatContext.of(record.read_anew, record.name)
        picks = picks_of(folder, record, context)
        if picks is None:
            raise InputError(f"lacks {record.name}.mod", where=folder, remedy="Give the command again.")
        if (doubt := _voxel_doubt(context.one_voxel_size, self.spacing)) is not None:
            warn(f"{record.name}: {doubt}")
        text = _text(copick_points(picks, context, place), self)
        if place.is_file() and not _is_ours(place):
            warn(f"{place} was not as milopyp-infer had written it: kept as {_keep(place, folder, record.name)}")
        write_text(place, text)


def whose_picks(project: Project, object_: str | None, user: str | None, session: str | None) -> Whose:
    """Whose picks of what are to be written into a project.

    Raises
    ------
    UsageError
        The object is none of it, or a name cannot be part of a file's name.
    """
    own = Whose(project.object_called(object_))
    return Whose(
        own.object,
        own.user if user is None else check_part(user, "--user"),
        own.session if session is None else check_part(session, "--session"),
    )


def hand_over(
    target: IntoProject, folder: Path, records: Iterable[Picked], warn: Callable[[str], None]
) -> dict[str, str]:
    """Write the picks of all `records`; why not, by the name of those that could not be written.

    Raises
    ------
    FullDiskError
        No space is left in the project.
    """
    problems = {}
    for record in records:
        try:
            target.write(folder, record, warn)
        except FullDiskError:
            raise
        except MilopypError as error:
            problems[record.name] = f"its picks are not in the project: {error}"
    return problems


def _voxel_doubt(voxel_size: float | None, spacing: float) -> str | None:
    """One sentence where voxels are neither those of the folder's name nor 2, 4, ... times as large, as levels are."""
    if voxel_size is None:
        return None
    levels = math.log2(voxel_size / spacing)
    if levels > -_ROUNDED and abs(levels - round(levels)) <= _ROUNDED:
        return None
    return (
        f"voxels of {voxel_size:.4g} A, and of {spacing:.4g} A by the name of its folder: positions in the project are "
        "made with the former (--voxel-size says another)"
    )


def _text(picks: Written, target: IntoProject) -> str:
    plain = as_text(picks, target.spacing, target.whose)
    return as_text(picks, target.spacing, target.whose, **{MARK: _mark(json.loads(plain)["points"])})


def _mark(points: object) -> str:
    return f"milopyp-infer {hashlib.sha256(json.dumps(points).encode()).hexdigest()}"


def _is_ours(path: Path) -> bool:
    """Whether a file of picks is as it was written here."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return bool(stored[MARK] == _mark(stored["points"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _keep(path: Path, folder: Path, run: str) -> Path:
    """Copy a file that is about to be replaced; where it is then."""
    kept = free_numbered(folder / f"{run}_{path.name}")
    with atomic_write(kept) as part:
        shutil.copyfile(path, part)
    return kept
