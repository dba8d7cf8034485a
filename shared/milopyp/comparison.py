"""Picks held against known positions: how good those are that were decided for, and all that are ranked.

In: what is to be judged, and positions, by tomogram. Out: figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from milopyp_inference.decode.select import Selection
from milopyp_shared.errors import InputError
from milopyp_shared.formats.positions import Positions
from milopyp_shared.matching import Best, Evaluation, best_f1, evaluate_at_best_f1, evaluate_many
from milopyp_shared.names import listed, reduced
from milopyp_shared.peaks import nms
from milopyp_shared.picks import Picks

from .judged import Decided, Source

BETA = 4.0  # weight of recall in the second F: that of the CryoET object identification challenge


@dataclass(frozen=True)
class Tally:
    """How good the picks are that a program has decided for, whatever their scores. NaN where a figure is undefined.

    Attributes
    ----------
    n_picks, n_truth, n_hits
        Numbers of picks, of particles, and of pairs of them.
    cut
        How the picks were chosen, in words; empty where that is not known.
    threshold
        That they score above; None: not known, or not the same in all tomograms.
    """

    n_picks: int
    n_truth: int
    n_hits: int
    cut: str = ""
    threshold: float | None = None

    @property
    def precision(self) -> float:
        """Part of the picks that are right."""
        return self.n_hits / self.n_picks if self.n_picks else math.nan

    @property
    def recall(self) -> float:
        """Part of the particles that are found."""
        return self.n_hits / self.n_truth if self.n_truth else math.nan

    @property
    def f1(self) -> float:
        """Of both."""
        return 2 * self.n_hits / (self.n_picks + self.n_truth) if self.n_truth else math.nan

    def to_dict(self) -> dict[str, Any]:
        """For strict JSON."""
        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return asdict(self) | {name: None if math.isnan(rate) else rate for name, rate in rates.items()}


@dataclass(frozen=True)
class Comparison:
    """How good the picks of several tomograms are.

    Attributes
    ----------
    total, each
        Of all that is ranked (the candidates of a run, all picks of others), of all tomograms together and by name.
    picks, picks_of_each
        Of the picks that were decided for; None, or without those tomograms, where nobody knows.
    candidates
        Those of a run are ranked.
    ranked
        There is more than one score; if not, there is no AUPRC and no threshold.
    distance
        Voxels that the ranked ones are apart at least; None: they are taken as they are.
    not_picked
        Tomograms that have known positions and no picks; they are left out.
    empty
        Tomograms that the known positions do not name: all picks in them are false.
    unjudged
        Tomograms that there is no file of known positions for; they are left out.
    """

    total: Evaluation
    each: dict[str, Evaluation]
    picks: Tally | None
    picks_of_each: dict[str, Tally]
    candidates: bool
    ranked: bool
    distance: float | None
    not_picked: tuple[str, ...]
    empty: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def best_f4(self) -> Best:
        """The threshold of the best F4, with that in place of F1."""
        return best_f1(self.total.curve, BETA)

    def to_dict(self) -> dict[str, Any]:
        """All figures for strict JSON."""
        f4 = self.best_f4.f1
        figures = {"picks": _plain(self.picks), **self._figures(self.total), "f4": None if math.isnan(f4) else f4}
        per_tomogram = {
            name: {"picks": _plain(self.picks_of_each.get(name)), **self._figures(own)}
            for name, own in self.each.items()
        }
        for own in per_tomogram.values():
            del own["curve"]
        more = {"ranked": self.ranked, "distance": self.distance, "tomograms": list(self.each)}
        return figures | more | {"per_tomogram": per_tomogram}

    def _figures(self, of: Evaluation) -> dict[str, Any]:
        figures = of.to_dict()
        return {"n_candidates": figures.pop("n_picks"), **figures} if self.candidates else figures


def doubts(compared: Sequence[Comparison], left_out: Iterable[str] = ()) -> list[str]:
    """What there is to say of tomograms that are not in all, of picks that are judged on the same ones.

    `left_out` are further tomograms that not all have picks of.
    """
    first = compared[0]
    said = []
    if first.empty:
        said.append(f"no particles are known of {listed(first.empty)}: all picks there count as false")
    if first.unjudged:
        said.append(f"no file of known positions, left out: {listed(first.unjudged)}")
    others = {reduced(name): name for name in (*first.not_picked, *left_out)}
    if others:
        by = "" if len(compared) == 1 else " by all"
        said.append(f"not picked{by}, left out: {', '.join(sorted(others.values()))}")
    return said


def compare(source: Source, known: Positions, radius: float, distance: float | None, where: Path) -> Comparison:
    """Judge picks by known positions, both by the name of the tomogram.

    A tomogram that the known positions do not name, although they name others, has no particles.

    Parameters
    ----------
    radius
        Of a match, voxels.
    distance
        Between those that are ranked at least, voxels; None: they are taken as they are. What was decided for stays.
    where
        What `known` was read from, for the message.

    Raises
    ------
    InputError
        They have no tomogram in common.
    UsageError
        The radius is not above 0.
    """
    positions, found = known.with_empty, source.ranked
    common = [name for name in found if name in positions]
    if not common:
        raise InputError(
            f"no tomogram of {source.path} ({', '.join(list(found)[:3])}) is in the list",
            where=where,
            expected="the same names in both",
        )
    kept = {name: found[name] if distance is None else nms(found[name], distance) for name in common}
    ranked = source.candidates or len({score for own in kept.values() for score in own.score.tolist()}) > 1
    pairs = {name: (own, positions[name].xyz) for name, own in kept.items()}
    chosen = {name: own for name in common if (own := source.chosen.get(name)) is not None}
    return Comparison(
        _judge(list(pairs.values()), radius, ranked),
        {name: _judge([pair], radius, ranked) for name, pair in pairs.items()},
        _tally(chosen, positions, radius) if len(chosen) == len(common) else None,
        {name: _tally({name: own}, positions, radius) for name, own in chosen.items()},
        source.candidates,
        ranked,
        distance,
        tuple(sorted({*positions, *known.others} - set(found))),
        known.unnamed,
        tuple(name for name in found if name not in positions),
    )


def _judge(pairs: Sequence[tuple[Picks, ArrayLike]], radius: float, ranked: bool) -> Evaluation:
    result = evaluate_at_best_f1(pairs, radius)
    if ranked:
        return result
    return replace(result, auprc=math.nan, best=result.best._replace(threshold=math.nan))


def _tally(chosen: Mapping[str, Decided], positions: Mapping[str, Picks], radius: float) -> Tally:
    judged = evaluate_many([(own.picks, positions[name].xyz) for name, own in chosen.items()], radius)
    cut, threshold = _how_chosen([own.selection for own in chosen.values()])
    return Tally(judged.n_picks, judged.n_truth, judged.n_hits, cut, threshold)


def _how_chosen(selections: Sequence[Selection | None]) -> tuple[str, float | None]:
    """What made candidates picks, in words, and the threshold if it is one."""
    known = [own for own in selections if own is not None]
    if len(known) < len(selections):
        return "", None
    thresholds = sorted({own.threshold for own in known})
    words = "above " + " to ".join(f"{value:.3f}" for value in dict.fromkeys((thresholds[0], thresholds[-1])))
    limits, margins = ({getattr(own, what) for own in known} - {None, 0} for what in ("limit", "margin"))
    if limits:
        words += f", the best {max(limits)} of each tomogram"
    if margins:
        words += f", {max(margins):g} A from its faces"
    return words, thresholds[0] if len(thresholds) == 1 else None


def _plain(tally: Tally | None) -> dict[str, Any] | None:
    return None if tally is None else tally.to_dict()
