"""What kinds of particles a model finds, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import InputError

#: Names stand in lists, options and the names of files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}")
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
