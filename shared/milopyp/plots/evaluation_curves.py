"""Precision-recall curves of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from milopyp_shared.matching import Evaluation, f_beta
from milopyp_shared.plotting import new_figure, save

MOST_NAMED = 8  # tomograms in the legend


def draw_curves(path: Path, result: Evaluation, each: Mapping[str, Evaluation]) -> None:
    """Precision over recall, and precision, recall and F1 over the score."""
    figure = new_figure(11, 4.6)
    panels: Any = figure.subplots(1, 2)
    if len(each) > 1:
        for number, (name, own) in enumerate(each.items()):
            label = name if number < MOST_NAMED else None
            panels[0].plot(own.curve.recall, own.curve.precision, linewidth=0.8, alpha=0.6, label=label)
    curve = result.curve
    panels[0].plot(curve.recall, curve.precision, "k", linewidth=2, label=f"all: AUPRC {result.auprc:.3f}")
    panels[0].plot(
        [result.best.recall], [result.best.precision], "o", color="#ff8c1a", label=f"best F1 {result.best.f1:.3f}"
    )
    panels[0].set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    panels[0].legend(loc="lower left", fontsize=8)
    for values, name in (
        (curve.precision, "precision"),
        (curve.recall, "recall"),
        (f_beta(curve.precision, curve.recall), "F1"),
    ):
        panels[1].plot(curve.threshold, values, label=name)
    panels[1].axvline(result.best.threshold, color="#ff8c1a", linewidth=0.8)
    panels[1].set(xlabel="score threshold", xlim=(0, 1), ylim=(0, 1.02))
    panels[1].legend(loc="lower left", fontsize=8)
    save(figure, path)
