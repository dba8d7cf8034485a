"""What the pictures of all commands have in common: figures, grey levels, heat maps, circles, how they are saved.

The only room of this package that loads matplotlib, and only when a picture is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .atomic import atomic_write

PICK, LABEL = "#ff8c1a", "#22c1e6"
DPI = 100


def show_grey(panel: Any, section: NDArray[Any]) -> None:
    """Grey levels between their first and last hundredth."""
    low, high = np.percentile(section, (1, 99))
    panel.imshow(section, cmap="gray", origin="lower", vmin=low, vmax=high)
    panel.set(xticks=[], yticks=[])


def show_heat(panel: Any, heat: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    """A heat map (0..1) over a section of size `shape`, of which it has half the pixels."""
    extent = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    panel.imshow(heat, cmap="magma", origin="lower", extent=extent, vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])


def circles(panel: Any, xyz: NDArray[np.float64], z: float, radius: float, colour: str, *, width: float = 1.3) -> None:
    """Where spheres of `radius` around `xyz` cut the section at height `z`."""
    cut = xyz[np.abs(xyz[:, 2] - z) < radius]
    across = 2 * np.sqrt(radius**2 - (cut[:, 2] - z) ** 2)
    panel.add_collection(
        EllipseCollection(
            across, across, np.zeros(len(cut)), units="xy", offsets=cut[:, :2], transOffset=panel.transData,
            facecolors="none", edgecolors=colour, linewidths=width,
        )
    )  # fmt: skip


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG; equal figures give equal bytes."""
    with atomic_write(path) as part:
        figure.savefig(part, dpi=DPI, format="png", metadata={"Software": None})
