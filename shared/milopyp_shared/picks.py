"""The pick table: where particles are, and how sure the network is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    """

    xyz: NDArray[np.float64]
    score: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.xyz.shape != (len(self.score), 3):
            raise ValueError(f"xyz {self.xyz.shape} does not fit score {self.score.shape}")

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, index: slice | NDArray[np.generic]) -> Picks:
        return Picks(self.xyz[index], self.score[index])
