"""How many picks every threshold leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.calibration import Calibration
from milopyp_shared.plotting import LABEL, new_figure, save
from milopyp_shared.wording import counted

STEPS = 400  # thresholds of a curve


def draw_counts(
    path: Path, scores: Sequence[NDArray[np.float64]], threshold: float, expected: Calibration | None
) -> None:
    """Picks in all tomograms over the threshold, their range over the tomograms, and what is expected of them.

    Parameters
    ----------
    scores
        Per tomogram, of all that the threshold chooses from.
    threshold
        The one that is marked.
    """
    at = np.linspace(0, 1, STEPS + 1)
    counts = np.stack([len(own) - np.searchsorted(np.sort(own), at, side="right") for own in scores])
    figure = new_figure(11, 4.6)
    panels: Any = figure.subplots(1, 2)
    panels[0].plot(at, counts.sum(axis=0), "k")
    marked = int(sum((own > threshold).sum() for own in scores))
    panels[0].plot([threshold], [marked], "o", color=LABEL, label=f"{counted(marked, 'pick')} above {threshold:.4g}")
    panels[0].set(title=f"{counted(len(scores), 'tomogram')} together", ylabel="picks")
    low, quarter, middle, three_quarters, high = np.percentile(counts, (0, 25, 50, 75, 100), axis=0)
    panels[1].fill_between(at, low, high, alpha=0.15, color="C0", label="all")
    panels[1].fill_between(at, quarter, three_quarters, alpha=0.3, color="C0", label="half of them")
    panels[1].plot(at, middle, "C0", label="median")
    panels[1].set(title="per tomogram", ylabel="picks")
    for panel in panels:
        panel.set(xlabel="score threshold", xlim=(0, 1), yscale="symlog", ylim=(0, None))
        panel.axvline(threshold, color=LABEL, linewidth=0.8)
    if expected is not None:
        right = panels[0].twinx()
        right.plot(expected.score, expected.precision, "C2--")
        right.plot(expected.score, expected.recall, "C3--")
        right.set(ylim=(0, 1.02), ylabel="expected")
        for colour, name in (("C2", "expected precision"), ("C3", "expected recall")):
            panels[0].plot([], [], f"{colour}--", label=name)
    for panel in panels:
        panel.legend(loc="lower left", fontsize=8)
    save(figure, path)
