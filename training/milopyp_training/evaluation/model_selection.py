"""Which epoch to use: one table, one criterion, said in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.matching import max_score_within
from milopyp_shared.picks import Picks

Metric = Literal["auto", "auprc", "f1", "labels", "loss"]

CROWD = 10  # a label that ranks behind this many picks per label counts as not found

EXPLAINED = {
    "auprc": "AUPRC on tomograms whose particles are all known (--val-fully-labelled, or simulated); higher is better",
    "f1": "best F1 on tomograms whose particles are all known (--val-fully-labelled, or simulated); higher is better",
    "labels": "how early the validation labels come in the ranked list of picks: the mean over the labels of "
    f"1 - rank / ({CROWD} x number of labels), 0 for a label that comes later or never. It needs no full labelling: "
    "unlabelled particles among the picks push all labels back alike; higher is better",
    "loss": "validation loss; lower is better",
    "none": "there are no validation tomograms: the last epoch is taken, as the manual advises",
}


@dataclass(frozen=True)
class Validation:
    """Figures of one epoch on the validation tomograms; NaN where one has no meaning."""

    epoch: int
    loss: float
    labels: float
    auprc: float = math.nan
    f1: float = math.nan


def mean_of(rows: Sequence[Validation]) -> Validation:
    """The mean of the figures of classes, of one epoch."""
    names = ("loss", "labels", "auprc", "f1")
    return Validation(rows[0].epoch, *(float(np.mean([getattr(row, name) for row in rows])) for name in names))


def rank_of_labels(found: Sequence[Picks], labels: Sequence[NDArray[np.float64]], radius: float) -> float:
    """The criterion for sparse labels; see `EXPLAINED`.

    Parameters
    ----------
    found
        Picks per tomogram, close neighbours suppressed.
    labels
        ``(n, 3)`` x, y, z per tomogram, voxels.
    radius
        Largest distance of a label to its pick, voxels.
    """
    scores = np.sort(np.concatenate([picks.score for picks in found]))[::-1]
    total = sum(len(xyz) for xyz in labels)
    if total == 0:
        return math.nan
    limit, gain = CROWD * total, 0.0
    for picks, xyz in zip(found, labels, strict=True):
        best = max_score_within(picks, xyz, radius)
        rank = np.searchsorted(-scores, -best[best > 0.0], side="left")
        gain += float(np.clip(1.0 - rank / limit, 0.0, None).sum())
    return gain / total


def rows_of(stored: Sequence[Mapping[str, float]]) -> list[Validation]:
    """The rows that a training state holds as plain numbers."""
    return [Validation(int(row["epoch"]), *(row[name] for name in ("loss", "labels", "auprc", "f1"))) for row in stored]


def criterion(metric: Metric, fully_labelled: bool) -> str:
    """The figure that `metric` stands for."""
    if metric == "auto":
        return "auprc" if fully_labelled else "labels"
    return metric


def best(rows: Sequence[Validation], figure: str) -> Validation:
    """The best epoch by `figure`; of equal ones the later."""
    sign = -1.0 if figure == "loss" else 1.0
    return max(rows, key=lambda row: (sign * getattr(row, figure), row.epoch))


def report(rows: Sequence[Validation], figure: str, last_epoch: int) -> str:
    """``model_selection.md``: the epochs, best first."""
    lines = ["# Which model to use", ""]
    if not rows:
        lines += [f"Use `model_last_contrastive.pth` (epoch {last_epoch}).", "", f"Criterion: {EXPLAINED['none']}."]
        return "\n".join(lines) + "\n"
    sign = -1.0 if figure == "loss" else 1.0
    ranked = sorted(rows, key=lambda row: (sign * getattr(row, figure), row.epoch), reverse=True)
    lines += [
        f"Use `model_best_contrastive.pth` (epoch {ranked[0].epoch}).",
        "",
        f"Criterion: {EXPLAINED[figure]}.",
        "",
        "| rank | epoch | AUPRC | best F1 | labels | validation loss |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {rank} | {row.epoch} | {_cell(row.auprc)} | {_cell(row.f1)} | {_cell(row.labels)} | {row.loss:.4g} |"
        for rank, row in enumerate(ranked, 1)
    ]
    if figure == "labels":
        lines += ["", "AUPRC and F1 need a validation tomogram in which every particle is labelled."]
    return "\n".join(lines) + "\n"


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
