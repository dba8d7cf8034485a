"""Judging picks: one-to-one matching with the truth, precision-recall, position errors.

Matching is greedy in order of falling score: each pick takes the nearest particle within the radius that no better
pick has taken. This is what precision-recall needs: what a threshold lets through never changes what lies above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, UsageError
from .picks import Picks

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matches:
    """Who took whom.

    Attributes
    ----------
    truth_of_pick
        ``(n picks,)`` int64 index into the truth, -1 for a pick that found none; in the order the picks were given.
    n_truth
        Number of particles.
    """

    truth_of_pick: NDArray[np.int64]
    n_truth: int

    @property
    def hit(self) -> NDArray[np.bool_]:
        """``(n picks,)``: whether each pick found a particle."""
        return self.truth_of_pick >= 0


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of the picks with ``score >= threshold``: ``(m,)`` each, distinct thresholds, falling."""

    threshold: Floats
    precision: Floats
    recall: Floats


class Best(NamedTuple):
    """The point of a curve where F1 is largest; NaN where there is none."""

    f1: float
    threshold: float
    precision: float
    recall: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good picks are. NaN where a figure is undefined (no truth, no picks, no hits).

    Attributes
    ----------
    radius
        Matching radius, voxels.
    auprc
        Average precision: sum over hits of the precision at that rank, divided by `n_truth`.
    best
        Best F1 over all thresholds.
    rmse
        Root mean square 3D distance of matched pairs, voxels.
    mean_offset, mean_absolute_error, rms_error
        ``(3,)`` per axis x, y, z, pick minus truth, of matched pairs, voxels.
    curve
        Precision and recall at each threshold.
    """

    n_picks: int
    n_truth: int
    n_hits: int
    radius: float
    auprc: float
    best: Best
    rmse: float
    mean_offset: Floats
    mean_absolute_error: Floats
    rms_error: Floats
    curve: Curve

    @property
    def f1(self) -> float:
        """Best F1 over all thresholds."""
        return self.best.f1

    @property
    def threshold(self) -> float:
        """The score of the best F1: picks of this score and better are counted."""
        return self.best.threshold

    @property
    def precision(self) -> float:
        """At the best F1."""
        return self.best.precision

    @property
    def recall(self) -> float:
        """At the best F1."""
        return self.best.recall

    def to_dict(self) -> dict[str, Any]:
        """The same as numbers, lists and dictionaries for strict JSON: NaN becomes None."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


def match_greedy(picks_xyz: ArrayLike, scores: ArrayLike, truth_xyz: ArrayLike, radius: float | Floats) -> Matches:
    """Match picks one to one with particles, best score first (of equal scores the one given first).

    Parameters
    ----------
    picks_xyz, truth_xyz
        ``(n, 3)`` and ``(m, 3)``, voxels, in one frame; either can be empty.
    scores
        ``(n,)``.
    radius
        Largest distance of a pair, voxels, one number or ``(m,)``; the limit itself counts.

    Raises
    ------
    InputError
        Shapes do not fit or a value is not finite.
    UsageError
        The radius is not above 0.
    """
    picks, truth, values = _points(picks_xyz, "picks"), _points(truth_xyz, "truth"), np.asarray(scores, np.float64)
    limits = np.broadcast_to(np.asarray(radius, np.float64), (len(truth),))
    if not (np.isfinite(radius).all() and np.greater(radius, 0).all()):
        raise UsageError(f"matching radius {radius}", expected="a number of voxels above 0")
    if values.shape != (len(picks),) or not np.isfinite(values).all():
        raise InputError(f"scores of shape {values.shape} for {len(picks)} picks", expected="one finite score per pick")
    truth_of_pick = np.full(len(picks), -1, dtype=np.int64)
    if len(picks) and len(truth):
        from scipy.spatial import cKDTree  # not needed by what only imports this module for its dataclasses

        # a hair wider, because the tree's rounding must not decide on the limit
        near = cKDTree(truth).query_ball_point(picks, limits.max() * (1 + 1e-9), return_sorted=True)
        free = np.ones(len(truth), dtype=bool)
        for pick in np.argsort(-values, kind="stable"):
            candidates = np.array(near[pick], dtype=np.int64)
            candidates = candidates[free[candidates]]
            distances = np.linalg.norm(truth[candidates] - picks[pick], axis=1)
            within = distances <= limits[candidates]
            candidates, distances = candidates[within], distances[within]
            if len(candidates):
                truth_of_pick[pick] = candidates[distances.argmin()]
                free[truth_of_pick[pick]] = False
    return Matches(truth_of_pick, len(truth))


def precision_recall(hit: ArrayLike, scores: ArrayLike, n_truth: int) -> Curve:
    """Precision and recall at each distinct score.

    Parameters
    ----------
    hit, scores
        ``(n,)`` each, in any order: whether a pick found a particle, and its score.
    n_truth
        Number of particles, found or not; with 0 the recall is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    found, values = np.cumsum(np.asarray(hit, dtype=bool)[order]), values[order]
    # picks of equal score pass a threshold together: the last of each group counts
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else np.empty(0, np.int64)
    recall = found[last] / n_truth if n_truth else np.full(len(last), np.nan)
    return Curve(values[last], found[last] / (last + 1), recall)


def average_precision(hit: ArrayLike, scores: ArrayLike, n_truth: int) -> float:
    """Area under the step-wise precision-recall curve (AUPRC); parameters as `precision_recall`.

    Sum over hits of the precision at that rank, divided by the number of particles: those never found count 0. Picks
    of equal score rank in the order given. NaN without particles.
    """
    if n_truth == 0:
        return math.nan
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    hits = np.asarray(hit, dtype=bool)[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / n_truth)


def f_beta(precision: ArrayLike, recall: ArrayLike, beta: float = 1.0) -> Floats:
    """F-measure (1 + b^2) p r / (b^2 p + r), 0 where both are 0; b > 1 weights recall more."""
    p, r = np.asarray(precision, dtype=np.float64), np.asarray(recall, dtype=np.float64)
    denominator = beta**2 * p + r
    value: Floats = (1 + beta**2) * p * r / np.where(denominator == 0, 1.0, denominator)
    return value


def best_f1(curve: Curve, beta: float = 1.0) -> Best:
    """The threshold with the largest F1, the highest of several; F1 is 0 without picks and NaN without particles.

    With another `beta` it is F-beta's, and so is the value.
    """
    if len(curve.threshold) == 0:
        return Best(0.0, math.nan, math.nan, 0.0)
    f1 = f_beta(curve.precision, curve.recall, beta)
    if np.isnan(f1).all():
        return Best(math.nan, math.nan, math.nan, math.nan)
    at = int(f1.argmax())
    return Best(float(f1[at]), float(curve.threshold[at]), float(curve.precision[at]), float(curve.recall[at]))


def evaluate(picks: Picks, truth_xyz: ArrayLike, radius: float, counted: ArrayLike | None = None) -> Evaluation:
    """Judge the picks of one tomogram; see `evaluate_many`."""
    return evaluate_many([(picks, truth_xyz)], radius, None if counted is None else [counted])


def evaluate_many(
    pairs: Sequence[tuple[Picks, ArrayLike]], radius: float, counted: Sequence[ArrayLike] | None = None
) -> Evaluation:
    """Judge the picks of several tomograms together: matched in each, ranked over all.

    Parameters
    ----------
    pairs
        Picks and ``(m, 3)`` true positions (inside frame, voxels) of each tomogram.
    radius
        Matching radius, voxels; usually half the particle's diameter.
    counted
        For each tomogram ``(m,)`` booleans: which particles count, e.g. those away from the border. Picks that match
        one of the others are dropped, neither right nor wrong. None: all count.

    Raises
    ------
    InputError, UsageError
        As `match_greedy`.
    """
    hits, scores, offsets, n_truth = [], [], [np.empty((0, 3))], 0
    for number, (picks, truth_xyz) in enumerate(pairs):
        truth = _points(truth_xyz, "truth")
        counts = np.ones(len(truth), bool) if counted is None else np.asarray(counted[number], dtype=bool)
        matches = match_greedy(picks.xyz, picks.score, truth, radius)
        partner = matches.truth_of_pick
        kept = ~matches.hit
        kept[matches.hit] = counts[partner[matches.hit]]
        right = matches.hit & kept
        offsets.append(picks.xyz[right] - truth[partner[right]])
        hits.append(right[kept])
        scores.append(picks.score[kept])
        n_truth += int(counts.sum())
    hit = np.concatenate([np.empty(0, bool), *hits])
    score = np.concatenate([np.empty(0), *scores])
    offset = np.concatenate(offsets)
    curve = precision_recall(hit, score, n_truth)
    unknown = np.full(3, np.nan)
    return Evaluation(
        n_picks=len(hit),
        n_truth=n_truth,
        n_hits=len(offset),
        radius=float(radius),
        auprc=average_precision(hit, score, n_truth),
        best=best_f1(curve) if n_truth else Best(math.nan, math.nan, math.nan, math.nan),
        rmse=math.sqrt(float((offset**2).sum(axis=1).mean())) if len(offset) else math.nan,
        mean_offset=offset.mean(axis=0) if len(offset) else unknown,
        mean_absolute_error=np.abs(offset).mean(axis=0) if len(offset) else unknown,
        rms_error=np.sqrt((offset**2).mean(axis=0)) if len(offset) else unknown,
        curve=curve,
    )


def evaluate_at_best_f1(pairs: Sequence[tuple[Picks, ArrayLike]], radius: float) -> Evaluation:
    """As `evaluate_many`, but with the errors of position of the picks one would keep, those of the best F1 and above.

    Weak picks match by chance, far off.
    """
    result = evaluate_many(pairs, radius)
    kept = evaluate_many([(picks[picks.score >= result.best.threshold], truth) for picks, truth in pairs], radius)
    return replace(
        result, rmse=kept.rmse, mean_offset=kept.mean_offset, mean_absolute_error=kept.mean_absolute_error,
        rms_error=kept.rms_error,
    )  # fmt: skip


def max_score_within(picks: Picks, xyz: Floats, radius: float) -> Floats:
    """``(n,)`` highest score of a pick within `radius` of each point; 0 where there is none."""
    distance = np.linalg.norm(picks.xyz[None] - xyz[:, None], axis=2)
    best: Floats = np.where(distance <= radius, picks.score[None], 0.0).max(axis=1, initial=0.0)
    return best


def exclude_near(picks: Picks, xyz: Floats, radius: float) -> Picks:
    """Picks farther than `radius` from every point."""
    if len(picks) == 0 or len(xyz) == 0:
        return picks
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(xyz).query(picks.xyz)
    return picks[np.asarray(distance > radius)]


def _points(xyz: ArrayLike, what: str) -> Floats:
    points = np.asarray(xyz, dtype=np.float64)
    points = points.reshape(-1, 3) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"{what} of shape {points.shape}", expected="finite coordinates of shape (n, 3)")
    return points


def _plain(value: Any) -> Any:
    if isinstance(value, Curve):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Best):
        return {name: _plain(number) for name, number in value._asdict().items()}
    if isinstance(value, np.ndarray):
        return [_plain(number) for number in value.tolist()]
    return None if isinstance(value, float) and math.isnan(value) else value
