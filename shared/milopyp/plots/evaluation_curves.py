"""Precision-recall curves of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from milopyp_shared.matching import Evaluation, f_beta
from milopyp_shared.plotting import new_figure, save
from milopyp_shared.wording import counted

from ..comparison import Comparison, Tally

MOST_NAMED = 8  # tomograms in the legend
ORANGE, BLUE = "#ff8c1a", "#1668b8"  # the best F1, and the picks
WIDEST = 3.0  # numbers of picks that are shown, of those of particles


def draw_curves(path: Path, compared: Comparison) -> None:
    """Precision over recall with the picks as a point, and precision, recall and F1 over the score."""
    figure = new_figure(11, 4.6)
    panels: Any = figure.subplots(1, 2)
    result, curve, own = compared.total, compared.total.curve, compared.picks
    if compared.ranked:
        if len(compared.each) > 1:
            for number, (name, each) in enumerate(compared.each.items()):
                label = name if number < MOST_NAMED else None
                panels[0].plot(each.curve.recall, each.curve.precision, linewidth=0.8, alpha=0.6, label=label)
        label = f"{'all candidates' if compared.candidates else 'all picks'}: AUPRC {result.auprc:.3f}"
        panels[0].plot(curve.recall, curve.precision, "k", linewidth=2, label=label)
        label = f"best F1 {result.best.f1:.3f}"
        panels[0].plot([result.best.recall], [result.best.precision], "o", color=ORANGE, label=label)
    if own is not None:
        _draw_picks(panels[0], own, BLUE, f"its {counted(own.n_picks, 'pick')}: F1 {own.f1:.3f}")
    _finish(panels[0])
    _draw_over_scores(panels[1], compared)
    save(figure, path)


def draw_comparison(path: Path, named: Mapping[str, Comparison]) -> None:
    """Of several sources or classes precision over recall, and F1 over the number of picks; their picks are points."""
    figure = new_figure(11, 4.6)
    panels: Any = figure.subplots(1, 2)
    for number, (name, compared) in enumerate(named.items()):
        color, own = f"C{number % 10}", compared.picks
        if compared.ranked:
            curve, counts = compared.total.curve, _counts(compared.total)
            curve_label = f"{name}: AUPRC {compared.total.auprc:.3f}"
            panels[0].plot(curve.recall, curve.precision, color=color, linewidth=1.2, label=curve_label)
            panels[1].plot(counts, f_beta(curve.precision, curve.recall), color=color, linewidth=1.2)
        if own is not None:
            _draw_picks(panels[0], own, color, None)
            label = f"{name}: {counted(own.n_picks, 'pick')}, F1 {own.f1:.3f}"
            panels[1].plot([own.n_picks], [own.f1], "D", color=color, markeredgecolor="k", label=label)
    _finish(panels[0])
    particles = {name: own.total.n_truth for name, own in named.items()}
    one = len(set(particles.values())) == 1
    for number, (name, count) in enumerate(list(particles.items())[: 1 if one else None]):
        color, label = ("0.6", "") if one else (f"C{number % 10}", f"{name}: ")
        label += counted(count, "particle")
        panels[1].axvline(count, color=color, linewidth=0.8, linestyle="--", label=label)
    most = max(particles.values())
    widest = max([WIDEST * most, *(1.05 * own.picks.n_picks for own in named.values() if own.picks)])
    panels[1].set(xlabel="number of picks, best first", ylabel="F1", xlim=(0, max(widest, 1)), ylim=(0, 1.02))
    panels[1].legend(loc="lower right", fontsize=8)
    save(figure, path)


def _draw_over_scores(panel: Any, compared: Comparison) -> None:
    result, curve = compared.total, compared.total.curve
    if not compared.ranked:
        panel.text(0.5, 0.5, "no scores, or all the same: no curve", ha="center", va="center")
        panel.set_axis_off()
        return
    f1 = f_beta(curve.precision, curve.recall)
    for values, name in ((curve.precision, "precision"), (curve.recall, "recall"), (f1, "F1")):
        panel.plot(curve.threshold, values, label=name)
    panel.axvline(result.best.threshold, color=ORANGE, linewidth=0.8, label="best F1")
    if compared.picks is not None and compared.picks.threshold is not None:
        panel.axvline(compared.picks.threshold, color="k", linewidth=0.8, linestyle="--", label="its picks")
    scores = curve.threshold
    limits = (0, 1) if not len(scores) or 0 <= scores.min() <= scores.max() <= 1 else (scores.min(), scores.max())
    panel.set(xlabel="score threshold", xlim=limits, ylim=(0, 1.02))
    panel.legend(loc="lower left", fontsize=8)


def _draw_picks(panel: Any, own: Tally, color: str, label: str | None) -> None:
    panel.plot([own.recall], [own.precision], "D", color=color, markeredgecolor="k", label=label)


def _finish(panel: Any) -> None:
    panel.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    panel.legend(loc="lower left", fontsize=8)


def _counts(result: Evaluation) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How many picks score as high as each threshold of the curve or higher; NaN where none of them is right."""
    curve = result.curve
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(curve.precision > 0, curve.recall * result.n_truth / curve.precision, np.nan)
