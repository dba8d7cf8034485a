"""What may stand behind an option: numbers, lengths, and one for each class of particles."""

from __future__ import annotations

import math
from typing import Any

import click

from .lengths import LARGEST, SMALLEST, Length

ANGSTROM = ("A", "a", "\u00c5", "\u00e5", "\u212b")  # what a length in Angstrom may end with


class Number(click.FloatRange):
    """A range of finite numbers; ``click.FloatRange`` lets NaN through, which compares false with every limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`value` as a number within the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Angstrom(Number):
    """A number of Angstrom, with or without the A that lengths have which may be voxels: ``150``, ``150A``."""

    name = "ANGSTROM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """``"150A"`` -> ``150.0``."""
        text = value.strip() if isinstance(value, str) else ""
        return super().convert(text[:-1].rstrip() if len(text) > 1 and text.endswith(ANGSTROM) else value, param, ctx)


class LengthRange(click.ParamType[Length]):
    """A length in voxels, or in Angstrom with an A: ``21`` or ``210A``; the range is that of the voxels."""

    name = "LENGTH"

    def __init__(self, **voxels: Any) -> None:
        self._voxels, self._angstrom = Number(**voxels), Number(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Length:
        """``"210A"`` -> ``Length(210.0, angstrom=True)``."""
        if isinstance(value, Length):
            return value
        text = str(value).strip()
        angstrom = text.endswith(ANGSTROM)
        number = text[:-1].rstrip() if angstrom else text
        try:
            finite = math.isfinite(float(number))
        except ValueError:
            finite = False
        if not finite:
            self.fail(f"{value!r} is no length: voxels, such as 21, or Angstrom, such as 210A.", param, ctx)
        kind = self._angstrom if angstrom else self._voxels
        return Length(kind.convert(number, param, ctx), angstrom)


class ByClass(dict[str, Any]):
    """Values by class of particles, or one that is called ""."""

    def __str__(self) -> str:
        """As it is written: ``150``, ``ribosome=150,proteasome=80``."""
        return ",".join(f"{name}={value}" if name else f"{value}" for name, value in self.items())


class OfEach(click.ParamType[ByClass]):
    """A value, called ""; or one for each of some classes of a model: ``ribosome=150,proteasome=80``."""

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self._kind, self.name = kind, kind.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ByClass:
        """``"a=150,b=80"`` -> the values of a and b."""
        if isinstance(value, ByClass):
            return value
        found = ByClass()
        for part in str(value).split(","):
            name, _, text = part.rpartition("=")
            if name.strip() in found:
                self.fail(f"{value!r} says two things of one; for classes: ribosome=A,proteasome=B", param, ctx)
            found[name.strip()] = self._kind.convert(text.strip(), param, ctx)
        return found


class DiameterOfEach(OfEach):
    """A diameter, ``21`` or ``210A``, called ""; or one for each class: ``ribosome=21,proteasome=200A``."""

    def __init__(self, kind: LengthRange | None = None) -> None:
        super().__init__(kind or LengthRange(min=SMALLEST, max=LARGEST))
        self.name = "DIAMETER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ByClass:
        """``"a=21,b=200A"`` -> the lengths of a and b, in this order."""
        found = super().convert(value, param, ctx)
        if "" in found and len(found) > 1:
            self.fail(f"{value!r} has a diameter without a class; for each one: ribosome=21,proteasome=20", param, ctx)
        return found
