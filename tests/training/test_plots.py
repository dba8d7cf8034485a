"""Curves of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from milopyp_training.evaluation import plots


@pytest.mark.parametrize("epochs", [1, 2, 4, 6, 15])
def test_ticks_of_epochs_are_whole_numbers(epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(figure))
    each = {"epoch": 0.0, "loss": 0.1, "labels": 0.9, "auprc": 0.8, "f1": 0.7}
    rows = [each | {"epoch": float(epoch)} for epoch in range(1, epochs + 1)]
    plots.curves(tmp_path / "summary.png", [{"loss": 0.1}] * epochs, rows)
    figure = drawn[0]
    figure.canvas.draw()
    for panel in figure.axes[:2]:
        low, high = panel.get_xlim()
        ticks = [tick for tick in panel.get_xticks() if low <= tick <= high]
        assert ticks and all(tick == round(tick) for tick in ticks)
