"""What kinds of particles a model finds, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import InputError, UsageError
from .lengths import Length
from .names import listed
from .wording import counted

#: Names stand in lists, options and the names of files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}")
CHOOSE = "--class of milopyp convert or of this command"
Of = TypeVar("Of")
WORDS = "letters, digits, '_', '-', '+' and '.', 60 at most, the first one a letter or digit"


@dataclass(frozen=True)
class Particle:
    """A class of particles.

    Attributes
    ----------
    name
        Empty where there is one class that nobody has named.
    diameter
        Voxels of the tomogram.
    """

    name: str
    diameter: float


def name_fault(names: Iterable[str]) -> str | None:
    """What is wrong with the names of classes: one that cannot be used, or two that differ in case at most; or None."""
    seen: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name) or ".." in name or name.lower() == "none":
            return f"the class name {name!r}"
        if (other := seen.get(name.lower())) is not None:
            return f"two classes {name!r}" if name == other else f"the classes {other!r} and {name!r}"
        seen[name.lower()] = name
    return None


def check_names(names: Iterable[str], where: object) -> None:
    """Refuse names of classes that cannot be used.

    Raises
    ------
    InputError
        As `name_fault` says.
    """
    if fault := name_fault(names):
        raise InputError(
            fault, where=where, expected=f"names of {WORDS}, which differ by more than case",
            remedy="Rename the class everywhere.",
        )  # fmt: skip


def choose(option: str) -> str:
    """How one of several classes is chosen, in a command with this option for it."""
    said = "--labels NAME=PICKS#CLASS" if option == "--labels" else option
    return CHOOSE if option == "--class" else f"--class of milopyp convert or {said} of this command"


def case_hint(names: Iterable[str], others: Iterable[str]) -> str:
    """A sentence where names are among others but for the case of their letters; else empty."""
    known = {other.lower(): other for other in others}
    pairs = [f"{name!r} and {known[name.lower()]!r}" for name in names if known.get(name.lower(), name) != name]
    return f"Only the case differs: {', '.join(pairs)}." if pairs else ""


def particles_of(diameters: Mapping[str, float], names: Sequence[str]) -> tuple[Particle, ...]:
    """The classes of labels, with the diameters of ``--bbox``.

    Parameters
    ----------
    diameters
        Voxels, by class; or one that is called "".
    names
        Of the labels' classes, in their order; "" where they have none.

    Raises
    ------
    UsageError
        A class has no diameter, or there is one of a class without labels.
    """
    if list(diameters) == [""] and len(names) == 1:
        return (Particle(names[0], diameters[""]),)
    if list(names) == [""]:
        raise UsageError(
            f"diameters of {counted(len(diameters), 'class', 'classes')}", where="--bbox",
            expected="one, since the labels have no column 'class'",
            remedy="milopyp prepare writes it from several kinds of labels: --labels ribosome=FOLDER.",
        )  # fmt: skip
    missing, unknown = (
        [one for one in these if one not in those] for these, those in ((names, diameters), (diameters, names))
    )
    if missing or any(unknown):
        found = (
            f"no diameter of {', '.join(missing)}" if missing else f"{', '.join(unknown)}, of which there are no labels"
        )
        raise UsageError(
            found, where="--bbox",
            expected=f"a diameter for each class of the labels: --bbox {','.join(f'{name}=VOXELS' for name in names)}",
            remedy=case_hint(unknown, names),
        )  # fmt: skip
    return tuple(Particle(name, diameters[name]) for name in names)


def of_class(values: Mapping[str, Of] | None, name: str, otherwise: Of) -> Of:
    """What is said of a class: by its name, or, called "", of all."""
    return (values or {}).get(name, (values or {}).get("", otherwise))


def refuse_unknown(names: Iterable[str], classes: Sequence[str], where: object) -> None:
    """Refuse names that are not those of classes.

    Raises
    ------
    InputError
        There is one.
    """
    if unknown := [name for name in names if name not in classes]:
        known = ", ".join(classes) if list(classes) != [""] else "none, since they have no column 'class'"
        found = "has no column 'class'" if unknown == [""] else f"no class {', '.join(map(repr, unknown))}"
        hint = case_hint(unknown, classes)
        raise InputError(found, where=where, expected=f"those of the labels: {known}", remedy=hint)


def the_class(classes: Mapping[str, Of], where: object, name: str | None = None, *, asked: bool = False) -> Of:
    """What a file has of the only class that can be meant.

    Parameters
    ----------
    classes
        All that it has, by class; "" where it says nothing of classes.
    where
        The file, for messages.
    name
        The class that is meant, where that is known; a file that says nothing of classes is of it.
    asked
        Whether a person has asked the file for the class, so that it has to say something of classes.

    Raises
    ------
    InputError
        There are several, and it is not known which one is meant; or the file has not the one that is.
    """
    if list(classes) == [""] and not asked:
        return classes[""]
    if list(classes) == [""]:
        raise InputError(
            "has no column 'class'", where=where, expected=f"one, to take those of class {name!r}",
            remedy="Leave the class out if all are of it.",
        )  # fmt: skip
    if name is None and len(classes) == 1:
        return next(iter(classes.values()))
    if name is None:
        raise InputError(
            f"has particles of {counted(len(classes), 'class', 'classes')}: {listed(list(classes))}", where=where,
            expected="those of one", remedy=f"Choose with {CHOOSE}.",
        )  # fmt: skip
    if name not in classes:
        remedy = case_hint([name], classes) or ("" if asked else f"Another name of it: {CHOOSE}.")
        raise InputError(f"no class {name!r}", where=where, expected=f"one of {', '.join(classes)}", remedy=remedy)
    return classes[name]


def one_diameter(bbox: Mapping[str, Length] | None) -> Length | None:
    """The diameter where only one can be meant.

    Raises
    ------
    UsageError
        There are several.
    """
    if bbox is not None and list(bbox) != [""]:
        raise UsageError(
            f"diameters of {counted(len(bbox), 'class', 'classes')}", where="--bbox", expected="one diameter"
        )
    return None if bbox is None else bbox[""]
