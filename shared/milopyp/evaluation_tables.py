"""What ``milopyp evaluate`` says: lines and tables for a terminal, ``evaluation.md``, and JSON.

In: figures. Out: text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.matching import Evaluation
from milopyp_shared.wording import counted

from .comparison import BETA, Comparison, Tally

TABLE_SCORES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
PICKED = ("particles", "picks", "precision", "recall", "F1")  # of what was decided for
RANKED = ("AUPRC", "best F1", "at score", "RMSE")  # of all that has a score
NO_CURVE = "no scores, or all the same: no order, and no curve"
F4 = (
    f"F{BETA:g} weighs recall {BETA:g} times as much as precision: the figure of the CryoET object identification "
    "challenge"
)
TITLE = "<!-- milopyp evaluate -->\n# Evaluation"
NOT_RANKED_BY = "Precision, recall and F1 are those of the picks."
LISTS_END = "AUPRC and best F1 are of all candidates of a run; those of a file end where its list ends."

Table = Sequence[Sequence[str]]


def shortest(paths: Sequence[Path]) -> list[str]:
    """The fewest last parts of each path that tell all apart, ``a/picks`` and ``b/picks``; one path as it is."""
    for count in range(1, max(len(path.parts) for path in paths) if len(paths) > 1 else 1):
        names = [str(Path(*path.parts[-count:])) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def describe(compared: Comparison) -> str:
    """One source, for people: what was decided for first."""
    result = compared.total
    offset, rms = " ".join(_numbers(result.mean_offset, "+")), " ".join(_numbers(result.rms_error))
    lines = [
        f"picks       {_picks_words(compared.picks)}",
        f"particles   {result.n_truth}; a pick is right within {result.radius:g} voxels of one that no better pick has",
        f"tomograms   {', '.join(compared.each)}",
        *(["", f"candidates  {result.n_picks}, of which {result.n_hits} are right"] if compared.candidates else []),
        *_ranked_lines(compared),
        f"RMSE        {_number(result.rmse, 2)} voxels; {rms} along x, y, z",
        f"mean offset {offset} voxels (x y z, pick minus truth)",
        *(_scores(result) if compared.ranked else []),
    ]
    if len(compared.each) > 1:
        lines += ["", *aligned(by_tomogram(compared))]
    return "\n".join(lines)


def describe_several(named: Mapping[str, Comparison]) -> str:
    """Several sources, for people."""
    first = next(iter(named.values())).total
    lines = [
        *aligned(by_source(named)),
        "",
        f"particles   {first.n_truth}; a pick is right within {first.radius:g} voxels of one that no better pick has",
        f"tomograms   {', '.join(next(iter(named.values())).each)}",
        *notes(named),
    ]
    return "\n".join(lines)


def notes(named: Mapping[str, Comparison]) -> list[str]:
    """What there is to say below a table of several sources."""
    unranked = [name for name, own in named.items() if not own.ranked]
    unknown = [name for name, own in named.items() if own.picks is None]
    files = any(own.ranked and not own.candidates for own in named.values())
    return [
        *([LISTS_END] if files else []),
        *([f"AUPRC of {', '.join(unranked)} is not known: {NO_CURVE}."] if unranked else []),
        *(
            [f"Which candidates of {', '.join(unknown)} became picks is not known: no record says so."]
            if unknown
            else []
        ),
    ]


def markdown(compared: Comparison, name: str, truth: str) -> str:
    """``evaluation.md`` of one source."""
    result = compared.total
    offset, rms = ", ".join(_numbers(result.mean_offset, "+")), ", ".join(_numbers(result.rms_error))
    lines = [
        TITLE,
        "",
        f"Picks of `{name}` against `{truth}`; matched one to one, best score first, within {result.radius:g} voxels.",
        "",
        f"Its picks: {_picks_words(compared.picks)}.",
        "",
        "![precision and recall](evaluation.png)",
        "",
        *in_markdown(by_tomogram(compared)),
        "",
        f"Precision, recall and F1 are those of the picks; AUPRC and best F1 those of all {_ranked_ones(compared)}.",
        *(_sentences(compared)),
        "",
        f"Pick minus truth, voxels along x, y, z: mean {offset}; root mean square {rms}. A mean that is far from 0 is",
        "a shift of all picks: an origin or a binning that is not what was thought.",
    ]
    return "\n".join(lines) + "\n"


def markdown_of_several(named: Mapping[str, Comparison], truth: str) -> str:
    """``evaluation.md`` of several sources."""
    first = next(iter(named.values()))
    lines = [
        TITLE,
        "",
        f"Picks against `{truth}`; matched one to one, best score first, within {first.total.radius:g} voxels, in the",
        f"tomograms {', '.join(first.each)}.",
        "",
        "![precision and recall](evaluation.png)",
        "",
        *in_markdown(by_source(named)),
        "",
        NOT_RANKED_BY,
        *notes(named),
    ]
    return "\n".join(lines) + "\n"


def figures_of_several(named: Mapping[str, Comparison], truth: str) -> dict[str, Any]:
    """For JSON: the figures of each source as they are alone."""
    first = next(iter(named.values()))
    common = {"truth": truth, "radius": first.total.radius, "tomograms": list(first.each)}
    return common | {"compared": {name: own.to_dict() for name, own in named.items()}}


def by_tomogram(compared: Comparison) -> Table:
    """A row for each tomogram, and one for all."""
    rows = [_row(name, own, compared.picks_of_each.get(name), compared) for name, own in compared.each.items()]
    return [("tomogram", *PICKED, *RANKED), *rows, _row("all", compared.total, compared.picks, compared)]


def by_source(named: Mapping[str, Comparison], title: str = "") -> Table:
    """A row for each source, all tomograms together."""
    rows = [(*_row(name, own.total, own.picks, own), own.picks.cut if own.picks else "") for name, own in named.items()]
    said = any(row[-1] for row in rows)
    return (
        [(title, *PICKED, *RANKED, "picks are"), *rows]
        if said
        else [(title, *PICKED, *RANKED), *(row[:-1] for row in rows)]
    )


def aligned(table: Table) -> list[str]:
    """Rows for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in table]


def in_markdown(table: Table) -> list[str]:
    """Rows of a Markdown table; their names stand as they are."""
    table = [table[0], *((f"`{row[0]}`", *row[1:]) for row in table[1:])]
    lines = [f"| {' | '.join(row)} |" for row in table]
    return [lines[0], "|" + "---|" * len(table[0]), *lines[1:]]


def _row(name: str, own: Evaluation, picks: Tally | None, compared: Comparison) -> tuple[str, ...]:
    tally = (
        ("-",) * 4 if picks is None else (str(picks.n_picks), *map(_number, (picks.precision, picks.recall, picks.f1)))
    )
    best = (own.best.f1, own.best.threshold) if compared.ranked else (math.nan, math.nan)
    return (name, str(own.n_truth), *tally, *map(_number, (own.auprc, *best)), _number(own.rmse, 2))


def _picks_words(picks: Tally | None) -> str:
    if picks is None:
        return "not known: no record says which candidates became picks"
    rates = f"precision {_number(picks.precision)}, recall {_number(picks.recall)}, F1 {_number(picks.f1)}"
    return f"{' '.join(filter(None, (str(picks.n_picks), picks.cut)))}: {rates}"


def _ranked_lines(compared: Comparison) -> list[str]:
    if not compared.ranked:
        return [f"AUPRC       -  ({NO_CURVE})"]
    best, second = compared.total.best, compared.best_f4
    at_best = f"at score {_number(best.threshold)} (precision {_number(best.precision)}, recall {_number(best.recall)})"
    return [
        f"AUPRC       {_number(compared.total.auprc)}",
        f"best F1     {_number(best.f1)} {at_best}",
        f"best F{BETA:g}     {_number(second.f1)} at score {_number(second.threshold)} ({F4})",
    ]


def _sentences(compared: Comparison) -> list[str]:
    second = compared.best_f4
    if not compared.ranked:
        return [f"AUPRC is not known: {NO_CURVE}."]
    return [f"The best F{BETA:g} is {_number(second.f1)}, at score {_number(second.threshold)}; {F4}."]


def _ranked_ones(compared: Comparison) -> str:
    return counted(compared.total.n_picks, "candidate") if compared.candidates else "picks"


def _scores(result: Evaluation) -> list[str]:
    """Precision and recall at some scores, down to the lowest that there is."""
    curve = result.curve
    last = [int(np.searchsorted(-curve.threshold, -score, side="right")) - 1 for score in TABLE_SCORES]
    rows = {at: score for score, at in reversed(list(zip(TABLE_SCORES, last, strict=True))) if at >= 0}
    lines = [f"{rows[at]:5.2f}   {curve.precision[at]:.3f}      {curve.recall[at]:.3f}" for at in sorted(rows)]
    return ["", "score   precision  recall", *lines] if lines else []


def _numbers(xyz: NDArray[np.float64], sign: str = "") -> list[str]:
    return ["-" if math.isnan(value) else f"{value:{sign}.2f}" for value in xyz.tolist()]


def _number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
