"""The classes of a labelling: what the command line says of them, and what the journal knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from milopyp_shared.errors import UsageError
from milopyp_shared.particles import Particle, check_names
from milopyp_shared.wording import counted

from .journal import Journal

MOST = 9  # each has a key
_BBOX = "--bbox"


def check_classes(names: Iterable[str]) -> None:
    """Refuse names of classes that a page cannot have.

    Raises
    ------
    InputError
        One that cannot be used, or two that differ in case only.
    UsageError
        More than there are keys for.
    """
    known = list(names)
    if known != [""]:
        check_names(known, _BBOX)
    if len(known) > MOST:
        raise UsageError(f"{len(known)} classes", where=_BBOX, expected=f"at most {MOST}: each has a key")


def agree(
    journal: Journal, asked: Sequence[Particle], fits: Callable[[Sequence[float]], object], say: Callable[[str], None]
) -> None:
    """Let a journal know the classes that are asked for; those that it knows keep their keys and their sizes.

    Parameters
    ----------
    fits
        Raises where particles of these diameters cannot be seen at once. Asked where there is another class: of those
        that are known undoing may have left such sizes, which are put right on the page.

    Raises
    ------
    UsageError
        It has labels without a class, and several classes are asked for; or as `check_classes`.
    InputError
        As `check_classes`, of all of them together.
    """
    labels, named = journal.labels, [one for one in asked if one.name]
    known = list(labels.particles)
    if named and not known[0].name:
        if len(named) > 1 and labels.by_number:
            raise _unnamed(len(labels.by_number), journal, named)
        known[0] = Particle(named[0].name, known[0].diameter)
        if labels.by_number:
            say(f"{counted(len(labels.by_number), 'label')} so far without a class: {known[0].name} from now on")
    names = [one.name for one in known]
    known += [one for one in named if one.name not in names]
    check_classes(one.name for one in known)
    if len(known) > len(labels.particles):
        fits([one.diameter for one in known])
    for species, particle in enumerate(known):
        journal.know(species, particle)
    _say_sizes(known, asked, say)


def _unnamed(count: int, journal: Journal, named: Sequence[Particle]) -> UsageError:
    first = named[0]
    return UsageError(
        f"{counted(count, 'label')} without a class", where=journal.path.parent, expected="labels of classes",
        remedy=f"Say once which they are, e.g. --bbox {first.name}={first.diameter:g}; then several classes are known. "
        "Or give another --out.",
    )  # fmt: skip


def _say_sizes(known: Sequence[Particle], asked: Sequence[Particle], say: Callable[[str], None]) -> None:
    """Say where particles have another size than the command line says."""
    if [one.name for one in asked] == [""] and len(known) > 1:
        sizes = ", ".join(f"{one.name} {one.diameter:g}" for one in known)
        say(f"there are several classes: their diameters are as on the page, {sizes} voxels")
        return
    now = {one.name: one.diameter for one in known}
    for one in asked:
        size = now.get(one.name, known[0].diameter)
        if size != one.diameter:
            say(f"{one.name or 'particles'} are {size:g} voxels across, as on the page (not {one.diameter:g})")
