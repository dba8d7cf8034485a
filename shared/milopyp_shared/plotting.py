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
PAD = 0.08  # inches around everything


def show_grey(panel: Any, section: NDArray[Any], size: tuple[float, float] | None = None) -> None:
    """Grey levels between their first and last hundredth, over `size` (y, x) voxels; None: one per pixel."""
    low, high = np.percentile(section, (1, 99))
    extent = _extent(size or (section.shape[0], section.shape[1]))
    panel.imshow(section, cmap="gray", origin="lower", extent=extent, vmin=low, vmax=high)
    panel.set(xticks=[], yticks=[])


def show_heat(panel: Any, heat: NDArray[np.float32], size: tuple[float, float]) -> None:
    """A heat map (0..1) over a section of `size` (y, x) voxels, of which it has fewer pixels."""
    panel.imshow(heat, cmap="magma", origin="lower", extent=_extent(size), vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])


def _extent(size: tuple[float, float]) -> tuple[float, float, float, float]:
    """Where a picture's edges lie when the centre of the first voxel is at 0."""
    return (-0.5, size[1] - 0.5, -0.5, size[0] - 0.5)


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


def show_window(panel: Any, centre: tuple[float, float], reach: float) -> None:
    """As far as `reach` around a point (x, y) and no farther: at a tomogram's edge, too, on one scale."""
    panel.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that says whose it is, with nothing cut off; equal figures give equal bytes."""
    with atomic_write(path) as part:
        figure.savefig(
            part, dpi=DPI, format="png", metadata={"Software": "milopyp"}, bbox_inches="tight", pad_inches=PAD
        )
