"""Pictures by which a person judges a model: sections with heat maps and picks, contact sheets, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.picks import Picks
from milopyp_shared.plotting import LABEL, PICK, circles, new_figure, save, show_grey, show_heat

from ..data.dataset import LabelledVolume

SHEET_SECTIONS = 8


def contact_sheet(
    path: Path,
    volume: LabelledVolume,
    heat: NDArray[np.float32],
    target: NDArray[np.float32],
    picks: Picks,
    radius: float,
    title: str,
) -> None:
    """Evenly spread sections of one tomogram: tomogram with labels, wanted heat map, predicted heat map, picks.

    Parameters
    ----------
    heat, target
        ``(z, y, x)`` predicted and wanted heat map.
    picks
        Those to circle.
    radius
        Of the particles, full-resolution voxels.
    """
    depth = heat.shape[0]
    sections = np.unique(np.linspace(0.1 * depth, 0.9 * depth - 1, SHEET_SECTIONS).round().astype(int))
    figure = new_figure(2.6 * len(sections), 10.8)
    panels: Any = figure.subplots(4, len(sections), squeeze=False)
    for column, section in enumerate(sections):
        grey = volume.grey.sections(section, section + 1)[0]
        z = (section + 0.5) * volume.grey.sections_per_pair - 0.5
        show_grey(panels[0][column], grey)
        circles(panels[0][column], volume.xyz, z, radius, LABEL)
        show_heat(panels[1][column], target[section], grey.shape)
        show_heat(panels[2][column], heat[section], grey.shape)
        show_grey(panels[3][column], grey)
        circles(panels[3][column], picks.xyz, z, radius, PICK)
        panels[0][column].set_title(f"z = {z:g}", fontsize=9)
    for row, name in zip(panels, ("tomogram, labels", "wanted", "predicted", f"{len(picks)} picks"), strict=True):
        row[0].set_ylabel(name)
    figure.suptitle(title)
    save(figure, path)


def section_pictures(
    folder: Path,
    epoch: int,
    volume: LabelledVolume,
    heat: NDArray[np.float32],
    target: NDArray[np.float32],
    picks: Picks,
    radius: float,
) -> None:
    """``{epoch}_{name}_pred_hm{section}.png`` and ``..._pred_out{section}.png`` for every section.

    The first shows tomogram, wanted and predicted heat map side by side; the second the picks, circled where their
    spheres cut the section, beside the labels.
    """
    for section in range(heat.shape[0]):
        grey = volume.grey.sections(section, section + 1)[0]
        z = (section + 0.5) * volume.grey.sections_per_pair - 0.5
        stem = f"{epoch}_{volume.name}_pred"
        figure = new_figure(12, 4.2)
        panels: Any = figure.subplots(1, 3)
        show_grey(panels[0], grey)
        show_heat(panels[1], target[section], grey.shape)
        show_heat(panels[2], heat[section], grey.shape)
        for panel, name in zip(panels, (f"tomogram, z = {z:g}", "wanted", "predicted"), strict=True):
            panel.set_title(name)
        save(figure, folder / f"{stem}_hm{section}.png")
        figure = new_figure(5.6, 5.6)
        panel = figure.subplots()
        show_grey(panel, grey)
        circles(panel, volume.xyz, z, radius, LABEL, width=2.6)
        circles(panel, picks.xyz, z, radius, PICK)
        panel.set_title(f"z = {z:g}: picks orange, labels blue")
        save(figure, folder / f"{stem}_out{section}.png")


def curves(path: Path, history: Sequence[Mapping[str, float]], validation: Sequence[Mapping[str, float]]) -> None:
    """``summary.png``: every loss term and every validation figure over the epochs."""
    terms = list(dict.fromkeys(name for row in history for name in row))
    figures = [name for name in ("loss", "labels", "auprc", "f1") if any(np.isfinite(row[name]) for row in validation)]
    figure = new_figure(10 if figures else 6, 4)
    panels: Any = figure.subplots(1, 2 if figures else 1, squeeze=False)[0]
    for name in terms:
        panels[0].plot(range(1, len(history) + 1), [row.get(name, np.nan) for row in history], marker="o", label=name)
    panels[0].set(title="training", xlabel="epoch", yscale="log")
    panels[0].legend()
    if figures:
        epochs = [row["epoch"] for row in validation]
        for name in figures[1:]:
            panels[1].plot(epochs, [row[name] for row in validation], marker="o", label=name)
        loss = panels[1].twinx()
        loss.plot(epochs, [row["loss"] for row in validation], "k:", marker=".", label="loss (right)")
        loss.set_yscale("log")
        panels[1].set(title="validation", xlabel="epoch", ylim=(0, 1.02))
        panels[1].plot([], [], "k:", label="loss (right)")
        panels[1].legend(loc="lower right")
    save(figure, path)
