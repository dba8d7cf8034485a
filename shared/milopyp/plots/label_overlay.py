"""Labels on their tomogram, so that a wrong order, origin or binning is seen before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import SubFigure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from milopyp_shared.plotting import LABEL, circles, new_figure, save, show_window
from milopyp_shared.tomogram import Tomogram
from milopyp_shared.wording import counted

THICKNESS, SMOOTH = 7, 0.8  # sections averaged in a slice, and voxels in it: a single section is too noisy
SHOWN, COLUMNS = 24, 8  # labels in the montage
WINDOW = 3.0  # of a montage picture, particle diameters

Floats = NDArray[np.float64]


def draw_overlay(path: Path, tomogram: Tomogram, xyz: Floats, diameter: float) -> None:
    """Three slices through the label with most others around it, and the surroundings of labels from above and aside.

    Without labels, three slices through the middle.

    Parameters
    ----------
    xyz
        ``(n, 3)`` labels, voxels of the inside frame.
    diameter
        Of the circles, voxels.
    """
    volume = tomogram.zyx
    through = xyz[_most_central(xyz, diameter)] if len(xyz) else (np.array(volume.shape[::-1]) - 1.0) / 2
    rows = -(-min(len(xyz), SHOWN) // COLUMNS)
    figure = new_figure(2.0 * COLUMNS, 6.0 + 4.2 * rows)
    parts: Any = figure.subfigures(2, 1, height_ratios=(6.0, 4.2 * rows)) if rows else (figure, None)
    above, below = parts
    panels: Any = above.subplots(1, 3)
    for panel, (across, down, depth) in zip(panels, ((0, 1, 2), (0, 2, 1), (1, 2, 0)), strict=True):
        _show(panel, _slice(volume, through, depth, None), (0.0, 0.0))
        circles(panel, xyz[:, [across, down, depth]], through[depth], diameter / 2, LABEL)
        panel.set(xlabel="xyz"[across], ylabel="xyz"[down], title=f"{'xyz'[depth]} = {through[depth]:.0f}")
    if below is not None:
        _montage(below, volume, xyz, diameter, rows)
    figure.suptitle(f"{path.stem.removesuffix('_labels')}: {counted(len(xyz), 'label')}, order {tomogram.order}")
    save(figure, path)


def _montage(below: SubFigure, volume: NDArray[Any], xyz: Floats, diameter: float, rows: int) -> None:
    """The surroundings of labels spread over all of them, n > 0."""
    chosen = np.linspace(0, len(xyz) - 1, min(len(xyz), SHOWN)).round().astype(int)
    small: Any = below.subplots(2 * rows, COLUMNS, squeeze=False)
    for panel in small.flat:
        panel.set_axis_off()
    for number, index in enumerate(chosen):
        row, column = divmod(number, COLUMNS)
        for offset, (across, down, depth) in enumerate(((0, 1, 2), (0, 2, 1))):
            panel = small[2 * row + offset][column]
            point, reach = xyz[index], WINDOW / 2 * diameter
            _show(panel, _slice(volume, point, depth, reach), (point[across] - reach, point[down] - reach))
            circles(panel, point[None, [across, down, depth]], point[depth], diameter / 2, LABEL)
            show_window(panel, (point[across], point[down]), reach)
        small[2 * row][column].set_title(" ".join(f"{value:.0f}" for value in xyz[index]), fontsize=8)
    below.suptitle("labels (x y z): from above, and below each from the side", fontsize=10)


def _most_central(xyz: Floats, diameter: float) -> int:
    """The label whose three slices cut most of the others."""
    near = np.abs(xyz[:, None] - xyz[None]) < diameter / 2
    return int(near.sum(axis=(1, 2)).argmax())


def _slice(volume: NDArray[Any], point: Floats, axis: int, reach: float | None) -> NDArray[np.float32]:
    """Mean of some sections across `axis` (0 is x) at a point, cut to `reach` around it."""
    cut = []
    for own, size in enumerate(volume.shape):
        centre, half = point[2 - own], THICKNESS // 2 if 2 - own == axis else reach
        if half is None:
            cut.append(slice(None))
        else:
            low = int(np.clip(np.floor(centre - half + 0.5), 0, size - 1))
            cut.append(slice(low, int(np.clip(np.floor(centre + half + 0.5), low, size - 1)) + 1))
    section = np.asarray(volume[tuple(cut)], dtype=np.float32).mean(axis=2 - axis)
    smoothed: NDArray[np.float32] = gaussian_filter(section, SMOOTH)
    return smoothed


def _show(panel: Any, section: NDArray[np.float32], corner: tuple[float, float]) -> None:
    """Grey values where they are in the tomogram: `corner` is where the cut begins, if that is inside."""
    left, low = (max(np.floor(value + 0.5), 0.0) - 0.5 for value in corner)
    extent = (left, left + section.shape[1], low, low + section.shape[0])
    limits = np.percentile(section, (1, 99))
    panel.imshow(section, cmap="gray", origin="lower", extent=extent, vmin=limits[0], vmax=limits[1])
