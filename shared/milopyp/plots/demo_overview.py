"""A picture of one tomogram: a slice, its heat map, and picks beside the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.tomogram import Tomogram

AVERAGED = 5  # sections; a single one is too noisy for the eye


def draw_overview(
    path: Path,
    tomogram: Tomogram,
    heat: Tomogram,
    *,
    picks_xyz: NDArray[np.float64],
    truth_xyz: NDArray[np.float64],
    radius: float,
) -> None:
    """Write a PNG of the section with most particles.

    Parameters
    ----------
    heat
        The heat map of the same volume, coarser by whole factors.
    picks_xyz, truth_xyz
        ``(n, 3)``, full-resolution voxels.
    radius
        Of the particles, voxels: circles show where their spheres cut the section.
    """
    from milopyp_shared.plotting import LABEL, PICK, circles, new_figure, save, show_grey

    depth, rows, columns = tomogram.shape
    z = _fullest_section(truth_xyz if len(truth_xyz) else picks_xyz, depth, radius)
    low, high = max(z - AVERAGED // 2, 0), min(z + AVERAGED // 2 + 1, depth)
    grey = tomogram.sections(low, high).astype(np.float32).mean(axis=0)
    factor = depth / heat.shape[0]
    hot = heat.sections(int(low // factor), max(int(-(-high // factor)), 1)).max(axis=0)
    figure = new_figure(15, 5.4)
    panels: Any = figure.subplots(1, 3)
    extent = (-0.5, columns - 0.5, -0.5, rows - 0.5)
    for panel, title in zip(panels, (f"tomogram, z = {z}", "heat map", "picks and truth"), strict=True):
        panel.set(title=title, xticks=[], yticks=[], aspect="equal")
    show_grey(panels[0], grey)
    panels[1].imshow(hot, cmap="magma", origin="lower", extent=extent, vmin=0, vmax=float(hot.max()))
    show_grey(panels[2], grey)
    circles(panels[2], truth_xyz, z, radius, LABEL, width=3.2)
    circles(panels[2], picks_xyz, z, radius, PICK)
    for colour, name in ((LABEL, "truth"), (PICK, "pick")):
        panels[2].plot([], [], "o", markerfacecolor="none", markeredgecolor=colour, label=name)
    panels[2].legend(loc="upper right", fontsize=9)
    save(figure, path)


def _fullest_section(xyz: NDArray[np.float64], depth: int, radius: float) -> int:
    """The section that cuts most spheres near their middle."""
    if len(xyz) == 0:
        return depth // 2
    return int(np.argmax([(np.abs(xyz[:, 2] - z) < radius / 2).sum() for z in range(depth)]))
