"""Labels that a person has already: read, and taken where there are none yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import UsageError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.positions import list_classes, read_positions
from milopyp_shared.labels import check_labels
from milopyp_shared.names import listed
from milopyp_shared.particles import Particle, particles_of, refuse_unknown
from milopyp_shared.tomogram import Tomogram
from milopyp_shared.wording import counted

from .journal import Journal
from .labels import Label, Step

OPTION = "milopyp convert --from"  # that says a format which no file here says itself


@dataclass(frozen=True)
class Brought:
    """The labels of one class in a file.

    Attributes
    ----------
    particle
        The class; empty: the file does not say it.
    xyz
        ``(n, 3)`` by tomogram, voxels, inside frame.
    """

    path: Path
    particle: str
    xyz: Mapping[str, NDArray[np.float64]]


def read_brought(
    text: str, particles: Sequence[Particle], opened: Mapping[str, Tomogram], say: Callable[[str], None]
) -> list[Brought]:
    """What ``--labels`` names: a file, or that of a class, ``NAME=FILE``.

    Parameters
    ----------
    particles
        The classes of ``--bbox``; one without a name where it names none.

    Raises
    ------
    MilopypError
        A file that cannot be read, labels outside their tomogram, or a class that ``--bbox`` does not name.
    """
    name, equals, rest = ("", "", text) if Path(text).exists() else text.rpartition("=")
    path = Path(rest)
    if equals:
        refuse_unknown([name], [one.name for one in particles], "--labels")
    contexts = {
        own: FormatContext.of(volume.frame, own, coords="model2point", as_labels=True) for own, volume in opened.items()
    }
    kinds, found = [name] if equals else _classes_of(path, particles) or [""], {}
    for kind in kinds:
        known, asked = (kind, None) if equals else (None, kind or None)  # what names its classes is asked for them
        of_kind = {own: replace(context, known_class=known, class_=asked) for own, context in contexts.items()}
        found[kind] = read_positions(path, None, of_kind, anonymous=len(kinds) == 1, option=OPTION)
    if others := dict.fromkeys(other for own in found.values() for other in own.others):
        say(f"{path}: labels of other tomograms are left out: {listed(others)}")
    made = [
        Brought(path, called, {own: picks.xyz for own, picks in one.picks.items()}) for called, one in found.items()
    ]
    for own, xyz in (pair for one in made for pair in one.xyz.items()):
        check_labels(xyz, opened[own], path)
    return made


def _classes_of(path: Path, particles: Sequence[Particle]) -> list[str]:
    """The classes that a coordinate list or a table names, each of which has a diameter; none of other files."""
    if classes := list_classes(path, None, OPTION):
        diameters = {one.name: one.diameter for one in particles}
        particles_of({name: size for name, size in diameters.items() if name in classes} or diameters, classes)
    return classes


def take_brought(journal: Journal, brought: Brought, say: Callable[[str], None]) -> None:
    """Take labels of the tomograms that have none of their class yet.

    Raises
    ------
    UsageError
        The file says no class, and there are several.
    """
    species = _number_of(brought, journal.labels.particles)
    whose = journal.labels.particles[species].name
    for name, xyz in brought.xyz.items():
        if any(label.species == species for _, label in journal.labels.of(name)):
            say(f"{name} has labels{whose and f' of {whose}'} already: those of {brought.path} are left out")
            continue
        first = journal.labels.next_number
        labels = {first + step: Label(name, (x, y, z), species=species) for step, (x, y, z) in enumerate(xyz.tolist())}
        if labels:
            what = f"take {counted(len(labels), 'label')} of {brought.path.name}"
            journal.take(Step(f"{what} as {whose}" if whose else what, labels))


def refuse_nobodys(brought: Brought, particles: Sequence[Particle]) -> None:
    """Refuse labels that may be of any of several classes; raises as `take_brought`."""
    if not brought.particle and len(particles) > 1:
        names = [one.name for one in particles]
        raise UsageError(
            "does not say of which class its labels are", where=brought.path,
            expected=f"a column 'class' with {', '.join(names)}",
            remedy=f"Or name the class: --labels {names[0]}={brought.path}.",
        )  # fmt: skip


def _number_of(brought: Brought, particles: Sequence[Particle]) -> int:
    refuse_nobodys(brought, particles)
    names = [one.name for one in particles]
    if not brought.particle or names == [""]:
        return 0
    refuse_unknown([brought.particle], names, brought.path)
    return names.index(brought.particle)
