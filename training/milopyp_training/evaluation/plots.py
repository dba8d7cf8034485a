"""Pictures by which a person judges a model: sections with heat maps and picks, contact sheets, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from milopyp_shared.atomic import make_folder
from milopyp_shared.formats.text import write_points
from milopyp_shared.peaks import above_threshold
from milopyp_shared.picks import Picks
from milopyp_shared.plotting import LABEL, PICK, circles, new_figure, save, show_grey, show_heat
from milopyp_shared.recipe import Recipe
from milopyp_shared.wording import counted

from ..data.dataset import LabelledVolume
from .validation import Prediction

SHEET_SECTIONS = 8


def epoch_pictures(
    folder: Path, epoch: int, predictions: Sequence[Prediction], recipe: Recipe, *, limit: int | None, sections: bool
) -> None:
    """Contact sheet and picks of one epoch, per tomogram.

    Parameters
    ----------
    folder
        Is made where it does not exist.
    recipe
        Of the model; its threshold and diameter are drawn.
    limit
        Picks per tomogram at most.
    sections
        Also a picture per section.
    """
    make_folder(folder)
    radius = recipe.diameter / 2
    for prediction in predictions:
        name = prediction.volume.name
        picks = above_threshold(prediction.picks, recipe.threshold.score, limit)
        title = f"{name}, epoch {epoch}, score above {recipe.threshold.score:.2f}"
        contact_sheet(folder / f"{epoch}_{name}.png", prediction, picks, radius, title)
        write_points(folder / f"{epoch}_{name}.txt", picks.xyz, scores=picks.score)
        if sections:
            section_pictures(folder, epoch, prediction, picks, radius)


def contact_sheet(path: Path, prediction: Prediction, picks: Picks, radius: float, title: str) -> None:
    """Evenly spread sections of one tomogram: tomogram with labels, target, predicted heat map, picks.

    Parameters
    ----------
    picks
        Those to circle.
    radius
        Of the particles, full-resolution voxels.
    """
    volume, depth = prediction.volume, prediction.heat.shape[0]
    sections = np.unique(np.linspace(0.1 * depth, 0.9 * depth - 1, SHEET_SECTIONS).round().astype(int))
    figure = new_figure(2.6 * len(sections), 10.8)
    panels: Any = figure.subplots(4, len(sections), squeeze=False)
    for column, section in enumerate(sections):
        grey, size, z = _section(volume, section)
        show_grey(panels[0][column], grey, size)
        circles(panels[0][column], volume.xyz, z, radius, LABEL)
        show_heat(panels[1][column], prediction.target[section], size)
        show_heat(panels[2][column], prediction.heat[section], size)
        show_grey(panels[3][column], grey, size)
        circles(panels[3][column], picks.xyz, z, radius, PICK)
        panels[0][column].set_title(f"z = {z:g}", fontsize=9)
    for row, name in zip(panels, ("tomogram, labels", "target", "predicted", counted(len(picks), "pick")), strict=True):
        row[0].set_ylabel(name)
    figure.suptitle(title)
    save(figure, path)


def section_pictures(folder: Path, epoch: int, prediction: Prediction, picks: Picks, radius: float) -> None:
    """``{epoch}_{name}_pred_hm{section}.png`` and ``..._pred_out{section}.png`` for every section.

    The first shows tomogram, target and predicted heat map side by side; the second the picks, circled where their
    spheres cut the section, beside the labels.
    """
    volume = prediction.volume
    stem = f"{epoch}_{volume.name}_pred"
    for section in range(prediction.heat.shape[0]):
        grey, size, z = _section(volume, section)
        figure = new_figure(12, 4.2)
        panels: Any = figure.subplots(1, 3)
        show_grey(panels[0], grey, size)
        show_heat(panels[1], prediction.target[section], size)
        show_heat(panels[2], prediction.heat[section], size)
        for panel, name in zip(panels, (f"tomogram, z = {z:g}", "target", "predicted"), strict=True):
            panel.set_title(name)
        save(figure, folder / f"{stem}_hm{section}.png")
        figure = new_figure(5.6, 5.6)
        panel = figure.subplots()
        show_grey(panel, grey, size)
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
    panels[0].set(title="training", yscale="log")
    _epoch_axis(panels[0])
    panels[0].legend()
    if figures:
        _validation_curves(panels[1], validation, figures[1:])
    save(figure, path)


def _validation_curves(panel: Any, validation: Sequence[Mapping[str, float]], figures: Sequence[str]) -> None:
    """The figures from 0 to 1, and the loss on an axis of its own."""
    epochs = [row["epoch"] for row in validation]
    for name in figures:
        panel.plot(epochs, [row[name] for row in validation], marker="o", label=name)
    loss = panel.twinx()
    loss.plot(epochs, [row["loss"] for row in validation], "k:", marker=".", label="loss (right)")
    loss.set_yscale("log")
    panel.set(title="validation", ylim=(0, 1.02))
    _epoch_axis(panel)
    panel.plot([], [], "k:", label="loss (right)")
    panel.legend(loc="lower right")


def _epoch_axis(panel: Any) -> None:
    """Epochs along x are whole numbers."""
    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _section(volume: LabelledVolume, section: int) -> tuple[NDArray[np.uint8], tuple[float, float], float]:
    """Grey levels of a section, its size (y, x) and the height of its middle in full-resolution voxels."""
    thick, tall, wide = volume.voxel_per_grey
    grey = volume.grey.sections(section, section + 1)[0]
    return grey, (grey.shape[0] * tall, grey.shape[1] * wide), (section + 0.5) * thick - 0.5
