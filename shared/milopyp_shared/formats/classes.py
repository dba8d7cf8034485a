"""Which particles of a file with several classes are meant: those of a number, or of a name where classes have one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..particles import case_hint, choose
from .context import FormatContext
from .relion import CLASS

_SOME = 8  # classes that a message lists


@dataclass(frozen=True, eq=False)
class Classes:
    """The class of each particle.

    Attributes
    ----------
    numbers
        ``(n,)``; NaN where it is not known.
    names
        Of classes by number, of which there may be no particle.
    """

    numbers: NDArray[np.float64]
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether particles of more than one class are there."""
        return len(self._counts()) > 1

    def __bool__(self) -> bool:
        """Whether the class of any particle is known."""
        return bool(np.isfinite(self.numbers).any())

    def numbers_of(self, word: str, where: object) -> list[float]:
        """The numbers of a class; none where nothing is known of classes.

        Parameters
        ----------
        word
            Its number, or else its name.
        where
            The file, for the message.

        Raises
        ------
        InputError
            There is no such class; the message lists those that there are.
        """
        known = {*self.names, *self._counts()}
        wanted = [number for number in known if str(number) == word] or [
            number for number, name in self.names.items() if name == word
        ]
        if known and not wanted:
            hint = case_hint([word], self.names.values())
            raise InputError(f"no class {word}", where=where, expected=f"one of {self}", remedy=hint)
        return [float(number) for number in wanted]

    def __str__(self) -> str:
        """All classes with their names and how many particles they have: ``0 ribosome (12), 1 (3)``."""
        counts = self._counts()
        known = sorted({*self.names, *counts})
        words = [f"{number} {self.names.get(number, '')}".rstrip() + f" ({counts.get(number, 0)})" for number in known]
        return ", ".join(words[:_SOME]) + (", ..." if len(words) > _SOME else "")

    def _counts(self) -> dict[int, int]:
        numbers, counts = np.unique(self.numbers[np.isfinite(self.numbers)], return_counts=True)
        return {int(number): count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)}


class Numbered(Protocol):
    """Particles of one tomogram: their places ``(n, 3)`` and the numbers of their classes ``(n,)``, NaN for none."""

    @property
    def xyz(self) -> NDArray[np.float64]:
        """Where they are."""

    @property
    def class_number(self) -> NDArray[np.float64] | None:
        """None where the file says nothing of classes."""

    def __getitem__(self, chosen: NDArray[np.bool_], /) -> Self:
        """Some of them."""


Of = TypeVar("Of", bound=Numbered)


def of_class(
    particles: Mapping[str | None, Of],
    context: FormatContext,
    path: Path,
    warn: Callable[[str], None],
    column: str = CLASS,
) -> Mapping[str | None, Of]:
    """Particles of a file that are of one class; a tomogram that has none of it stays, without particles.

    Parameters
    ----------
    particles
        All of the file, by tomogram.
    context
        With the number of the class, if one is asked for; else all particles are meant, whatever their class.
    path
        The file, for messages.
    warn
        Called with one sentence when particles of several classes are taken.
    column
        What the file calls the number, for the message.

    Raises
    ------
    InputError
        No such class, or particles without one.
    """
    word = context.class_
    numbers = {name: own.class_number for name, own in particles.items() if own.class_number is not None}
    classes = Classes(np.concatenate(list(numbers.values())) if numbers else np.empty(0))
    if word is None:
        if classes.several:
            chosen = choose(context.class_option)
            warn(f"{path.name} has several classes, of which all are taken: {classes}; {chosen} takes one")
        return particles
    if not classes and any(len(own.xyz) for own in particles.values()):
        raise InputError(f"has no {column}", where=path, expected="the class of each particle, to take those of one")
    wanted = classes.numbers_of(word, path)
    return {name: own[np.isin(numbers[name], wanted)] if numbers else own for name, own in particles.items()}
