"""Labels of a copick project: what several people have picked of one object, as one set.

In: the files of picks of a run, by whose they are. Out: the particles, each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .copick_project import Project
from .errors import InputError
from .formats.context import FormatContext
from .formats.conventions import place_copick
from .formats.copick import Whose, read_copick
from .lengths import Length
from .matching import match_greedy
from .names import listed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """Whose picks of which object are labels; no `users` or no `session`: those of all but this program's own."""

    project: Project
    object: str
    users: tuple[str, ...] = ()
    session: str | None = None

    @property
    def bbox(self) -> Length | None:
        """The particle's diameter, where the project says its radius."""
        radius = self.project.objects[self.object]
        return None if radius is None else Length(2 * radius, angstrom=True)

    def files(self, runs: Iterable[str]) -> dict[str, list[tuple[Whose, Path]]]:
        """The files of picks that are wanted, by run.

        Raises
        ------
        InputError
            There are none; the message says whose there are.
        """
        there = {run: self.project.picks(run, self.object) for run in runs}
        found = {run: [own for own in files if self._is_wanted(own[0])] for run, files in there.items()}
        if not any(found.values()):
            whose = {f"{own.user} (session {own.session})" for files in there.values() for own, _ in files}
            asked = f" of {', '.join(self.users)}" if self.users else ""
            raise InputError(
                f"has no picks of {self.object}{asked}{f' in session {self.session}' if self.session else ''}",
                where=self.project.path, expected="those that there are, USER_SESSION_OBJECT.json in "
                f"ExperimentRuns/RUN/Picks: {listed(sorted(whose))}",
                remedy="Give --object, --user or --session otherwise, or --inference to list tomograms without labels.",
            )  # fmt: skip
        return found

    def _is_wanted(self, whose: Whose) -> bool:
        by = whose.user in self.users if self.users else whose.user != Whose().user
        return by and self.session in (None, whose.session)


@dataclass(frozen=True)
class PickSet:
    """What one person has picked in a session: ``(n, 3)`` voxels, inside frame, n > 0."""

    whose: Whose
    path: Path
    xyz: Floats

    def __str__(self) -> str:
        """Who, for people."""
        return f"{len(self.xyz)} of {self.whose.user} (session {self.whose.session})"


def merge(sets: Sequence[Floats], distance: float) -> tuple[Floats, int]:
    """What several have picked, with each particle once, at the mean of its picks; and how many that saves.

    Parameters
    ----------
    sets
        ``(n, 3)`` of each of them, in one unit. Picks of one set are different particles, however near.
    distance
        Up to which two picks of two sets are one, the nearest first.
    """
    centres, weights = sets[0], np.ones(len(sets[0]))
    for xyz in sets[1:]:
        own = match_greedy(xyz, np.zeros(len(xyz)), centres, distance).truth_of_pick
        old, new = own[own >= 0], own < 0
        weights[old] += 1
        centres = centres.copy()
        centres[old] += (xyz[~new] - centres[old]) / weights[old][:, None]
        centres, weights = np.vstack([centres, xyz[new]]), np.append(weights, np.ones(new.sum()))
    return centres, sum(map(len, sets)) - len(centres)


def read_sets(files: Iterable[tuple[Whose, Path]], context: FormatContext) -> list[PickSet]:
    """The picks of one run, set by set, in the order of the files' names; files without a pick are left out.

    Raises
    ------
    InputError
        A file is damaged, or counts in another unit.
    UsageError
        The voxel size is not known.
    """
    found = []
    for whose, path in sorted(files, key=lambda own: own[1].name):
        stored = read_copick(path)
        if len(stored.angstrom):
            found.append(PickSet(whose, path, place_copick(stored, context, path).xyz))
    return found
