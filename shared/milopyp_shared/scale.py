"""At which size a network sees tomograms, so that particles it would not know have a size that it does.

A network that was trained before knows particles of some voxels across. For others a tomogram is resampled while it is
read (`milopyp_shared.resample`): one factor, which the recipe keeps, for training, picking and export alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from .errors import UsageError

Factors: TypeAlias = tuple[float, float, float]
"""Voxels z, y, x of the tomogram per voxel of what is made of it."""

LARGEST = 2.0  # every voxel becomes eight; more would invent most of what the network sees
HALVES = (0.5, 0.25, 0.125)
SMALLEST = HALVES[-1]
MARGIN = 1.25  # from the low end of what is known, where particles hardly show
_WORDS = {0.5: "half their", 0.25: "a quarter of their", 0.125: "an eighth of their", 2.0: "twice their"}


def scale_for(diameter: float, known: tuple[float, float]) -> float:
    """Voxels that the network is to see per voxel of the tomogram: 1.0 for a particle of a size that it knows.

    Large particles are halved until they are inside the range, as people bin tomograms. Small ones are enlarged no
    more than it takes, because the time grows with the cube.

    Parameters
    ----------
    diameter
        Of the particle, voxels.
    known
        Smallest and largest diameter of those that the network has learned from, voxels.

    Raises
    ------
    UsageError
        No factor from `SMALLEST` to `LARGEST` makes it one that is known.
    """
    low, high = known
    if low <= diameter <= high:
        return 1.0
    if diameter > high:
        scale = next((half for half in HALVES if diameter * half <= high), SMALLEST)
    else:
        scale = min(low * MARGIN / diameter, LARGEST)
    if not low <= diameter * scale <= high:
        wide = diameter > high
        raise UsageError(
            f"{diameter:.4g} voxels",
            where="--bbox",
            expected=f"{low / LARGEST:g} to {high / SMALLEST:g}: the pre-trained network knows {low:g} to {high:g}, "
            f"and sees tomograms at {SMALLEST:g} to {LARGEST:g} times their size",
            remedy=f"Take tomograms of {'larger' if wide else 'smaller'} voxels, or give --preset scratch of "
            "milopyp-train.",
        )
    return scale


def scale_for_all(diameters: Sequence[float], known: tuple[float, float]) -> float:
    """As `scale_for`, of particles that one network is to see: the first one's factor that suits all of them.

    Raises
    ------
    UsageError
        There is none; or as `scale_for`.
    """
    low, high = known
    factors = [scale_for(diameter, known) for diameter in diameters]
    for factor in sorted(factors, key=lambda factor: abs(math.log(factor))):
        if all(low <= diameter * factor <= high for diameter in diameters):
            return factor
    raise UsageError(
        f"diameters of {min(diameters):g} to {max(diameters):g} voxels",
        where="--bbox",
        expected=f"sizes that a network sees at once: the largest at most {high / low:.2g} times the smallest",
        remedy="Train a model for the small ones and one for the large ones.",
    )


def describe_scale(scale: float) -> str:
    """``half their size``, ``1.43 times their size``: at which size tomograms are seen."""
    return f"{_WORDS.get(scale, f'{scale:.3g} times their')} size"


def say_scale(diameters: Sequence[float], scale: float, say: Callable[[str], None]) -> None:
    """Say at which size tomograms with particles of these voxels are seen, where that is another than theirs."""
    if scale != 1.0:
        across = ", ".join(f"{diameter:.4g}" for diameter in diameters)
        say(f"{across} voxels across: tomograms are seen at {describe_scale(scale)}")
