"""Lengths as people give them, in voxels or in Angstrom, and whether they can be what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ContradictionError, UsageError
from .names import listed

if TYPE_CHECKING:
    from .tomogram import TomogramHeader

SMALLEST, LARGEST = 2.0, 1000.0  # diameters of particles, voxels
ROUNDING = 1e-3  # sizes that differ by less, relatively, are one


@dataclass(frozen=True)
class Length:
    """A length as it stands on a command line.

    Attributes
    ----------
    value
        Voxels, or Angstrom.
    angstrom
        Which of them.
    """

    value: float
    angstrom: bool = False

    def __str__(self) -> str:
        """As it is written: ``21``, ``210A``."""
        return f"{self.value:.10g}{'A' if self.angstrom else ''}"

    def voxels(self, voxel_size: float | None, where: str, expected: str) -> float:
        """The length in voxels of `voxel_size` Angstrom.

        Raises
        ------
        UsageError
            It is in Angstrom, and the voxel size is not known; `where` is the option, `expected` what would say it.
        """
        if not self.angstrom:
            return self.value
        if voxel_size is None:
            raise UsageError(
                f"{self} is in Angstrom, and the voxel size is not known",
                where=where,
                expected=expected,
                remedy="Or give it in voxels.",
            )
        return self.value / voxel_size


def diameter_in_voxels(bbox: Length, voxel_size: float | None, expected: str) -> float:
    """What ``--bbox`` is in voxels.

    Raises
    ------
    UsageError
        As `Length.voxels`, or no particle is so small or so large.
    """
    voxels = bbox.voxels(voxel_size, "--bbox", expected)
    if not SMALLEST <= voxels <= LARGEST:
        found = f"{bbox}, which is {voxels:g} voxels" if bbox.angstrom else f"{voxels:g}"
        raise UsageError(found, where="--bbox", expected=f"a diameter of {SMALLEST:g} to {LARGEST:g} voxels")
    return voxels


def common(sizes: Iterable[float | None]) -> float | None:
    """The one size that all are, but for rounding; None where one is not known or they differ."""
    known = list(sizes)
    first = known[0] if known else None
    if first is None or any(size is None or abs(size - first) > ROUNDING * first for size in known):
        return None
    return first


def refuse_larger(
    voxels: float, most: float, where: str, *, than: str, voxel_size: float | None, smallest: float = 1.0
) -> None:
    """Refuse a length that cannot be larger than something, and ask whether it was meant in Angstrom.

    Parameters
    ----------
    voxels, most
        The length, and what it can be at most.
    where, than
        The option, and what is not so large.
    voxel_size
        Angstrom, to tell what the number would be in voxels; None: not known, or it was given in Angstrom.
    smallest
        Voxels below which it makes no sense either.

    Raises
    ------
    ContradictionError
        It is larger.
    """
    if voxels <= most:
        return
    meant = round(2 * voxels / voxel_size) / 2 if voxel_size else 0.0
    asked = f"Did you mean {meant:g}? Or give it in Angstrom: {voxels:g}A." if smallest <= meant <= most else ""
    raise ContradictionError(f"{voxels:g} voxels", where=where, expected=f"at most {most:g}, {than}", remedy=asked)


def refuse_wide(diameter: float, tomogram: TomogramHeader, *, guess: bool = True) -> None:
    """Refuse a particle that is larger than the thinnest axis of its tomogram; as `refuse_larger`.

    `guess` is whether the diameter, voxels, may have been meant in Angstrom.
    """
    refuse_larger(
        diameter,
        min(tomogram.shape),
        "--bbox",
        than=f"the thinnest axis of {tomogram.path.name}",
        voxel_size=tomogram.voxel_size if guess else None,
        smallest=SMALLEST,
    )


def wide_warning(diameters: Mapping[str, tuple[float, int]]) -> str | None:
    """One sentence where a particle fills more than half of the thinnest axis; None where it does not.

    Parameters
    ----------
    diameters
        By name of the tomogram that of the particle and the size along the thinnest axis, voxels.
    """
    wide = {name: thin for name, (diameter, thin) in diameters.items() if diameter > thin / 2}
    if not wide:
        return None
    return (
        f"W12 --bbox is more than half of the thinnest axis of {listed(wide)} ({min(wide.values())} voxels): it counts "
        "voxels, or Angstrom with an A (210A)"
    )
