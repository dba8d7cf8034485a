"""The pick table: where particles are, and how sure the network is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

NO_SCORE = 1.0  # what points without a score get: that of a person's pick


@dataclass(frozen=True)
class Picks:
    """Particles found in one tomogram, best first.

    Attributes
    ----------
    xyz
        ``(n, 3)`` float64 centres, voxels of the full-resolution tomogram in the inside frame
        (the centre of the first voxel is 0.0).
    score
        ``(n,)`` float64 heat-map values at the peaks, 0..1.
    distance
        ``(n,)`` Angstrom from the surface of a mask, negative inside, NaN where nothing is known; None: not measured.
    rival
        ``(n,)`` best score that a pick of another class has at this place, NaN where there is none; None: not known.
    angles
        ``(n, 3)`` RELION's rot, tilt and psi in the inside frame, see `milopyp_shared.orientations`; NaN for those
        without an orientation, None: none has one.
    """

    xyz: NDArray[np.float64]
    score: NDArray[np.float64]
    distance: NDArray[np.float64] | None = None
    angles: NDArray[np.float64] | None = None
    rival: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.xyz.shape != (len(self.score), 3):
            raise ValueError(f"xyz {self.xyz.shape} does not fit score {self.score.shape}")

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, index: slice | NDArray[np.generic]) -> Picks:
        measured = (None if own is None else own[index] for own in (self.distance, self.angles, self.rival))
        return Picks(self.xyz[index], self.score[index], *measured)


def as_picks(points: Picks | ArrayLike, what: str = "picks") -> Picks:
    """Picks from a table of numbers; picks as they are.

    Parameters
    ----------
    points
        ``(n, 3)`` x, y, z or ``(n, 4)`` x, y, z, score: voxels of the inside frame, n >= 0. Points of equal score, and
        those without one, stay in their order.
    what
        What they are, for the message.

    Raises
    ------
    InputError
        It is no such table, or a number is not finite.
    """
    if isinstance(points, Picks):
        return points
    try:
        table = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise _no_picks(f"{type(points).__name__}", what) from None
    table = table.reshape(-1, 3) if table.size == 0 else table
    if table.ndim != 2 or table.shape[1] not in (3, 4):
        raise _no_picks(f"a table of shape {table.shape}", what)
    if not np.isfinite(table).all():
        raise InputError("a coordinate or score is not finite", where=what, expected="numbers")
    score = table[:, 3] if table.shape[1] == 4 else np.full(len(table), NO_SCORE)
    return Picks(table[:, :3], score)[np.argsort(-score, kind="stable")]


def _no_picks(found: str, what: str) -> InputError:
    return InputError(found, where=what, expected="Picks, or x, y, z and perhaps a score of shape (n, 3) or (n, 4)")
