"""Matching and precision-recall: the published figures, a brute-force matcher, ties and empty input."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_shared import matching
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.text import read_points
from milopyp_shared.picks import Picks

RADIUS = 12.5


@pytest.fixture(scope="module")
def dev04(golden: Path, reference: Path) -> tuple[Picks, np.ndarray]:
    """The published program's picks, taken as written (columns x z y), and the true ribosomes."""
    table = read_points(golden / "published_dev04_picks.txt", extra="score")
    rows = (reference / "data" / "dev" / "truth" / "dev04.tsv").read_text().splitlines()[1:]
    truth = np.array([row.split("\t")[1:4] for row in rows if row.startswith("ribosome70S")], dtype=float)
    return Picks(table[:, [0, 2, 1]], table[:, 3]), truth


def thinned(picks: Picks, distance: float) -> Picks:
    """Without picks closer than `distance` to a kept one of higher score."""
    kept: list[int] = []
    for i in np.argsort(-picks.score, kind="stable"):
        if all(np.linalg.norm(picks.xyz[i] - picks.xyz[j]) >= distance for j in kept):
            kept.append(int(i))
    return picks[np.array(kept)]


def inside_published_margins(xyz: np.ndarray) -> np.ndarray:
    x, y, z = xyz.T
    return (x > 20) & (x < 236) & (y > 20) & (y < 236) & (z / 2 >= 10) & (z / 2 <= 38)


@pytest.mark.parametrize(
    ("nms", "inside", "n_truth", "n_picks", "auprc", "f1", "threshold"),
    [
        (False, False, 52, 79, 0.244, 0.510, 0.318),
        (True, False, 52, 46, 0.367, 0.639, 0.204),
        (True, True, 31, 46, 0.615, 0.816, 0.204),
    ],
)
def test_table_of_the_published_run(dev04, nms, inside, n_truth, n_picks, auprc, f1, threshold) -> None:
    """Reference: golden/README.md section 9, "Quality on dev04"."""
    picks, truth = dev04
    if nms:
        picks = thinned(picks, RADIUS)
    result = matching.evaluate(picks, truth, RADIUS, counted=inside_published_margins(truth) if inside else None)
    assert (result.n_truth, result.n_picks, result.n_hits) == (n_truth, n_picks, 31)
    assert [round(value, 3) for value in (result.auprc, result.best.f1, result.best.threshold)] == [
        auprc,
        f1,
        threshold,
    ]
    assert round(result.rmse, 2) == 3.63
    assert result.mean_offset.round(2).tolist() == [-1.10, -0.58, 0.26]
    assert (result.mean_absolute_error >= np.abs(result.mean_offset)).all()


def brute_force(xyz: np.ndarray, scores: np.ndarray, truth: np.ndarray, radius: float) -> list[int]:
    partner, taken = [-1] * len(xyz), set()
    for i in sorted(range(len(xyz)), key=lambda i: -scores[i]):
        best = min(
            (j for j in range(len(truth)) if j not in taken),
            key=lambda j: (np.linalg.norm(xyz[i] - truth[j]), j),
            default=None,
        )
        if best is not None and np.linalg.norm(xyz[i] - truth[best]) <= radius:
            partner[i] = best
            taken.add(best)
    return partner


# whole numbers: equal distances, equal scores and pairs exactly at the limit are common
points = st.lists(st.tuples(*[st.integers(0, 6)] * 3), max_size=12).map(
    lambda rows: np.array(rows, float).reshape(-1, 3)
)


@settings(max_examples=150)
@given(points, points, st.sampled_from([1.0, 2.0, 3.0, math.sqrt(2)]), st.integers(0, 2**32 - 1))
def test_matching_equals_brute_force(xyz, truth, radius, seed) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, len(xyz)) / 4
    found = matching.match_greedy(xyz, scores, truth, radius)
    assert found.truth_of_pick.tolist() == brute_force(xyz, scores, truth, radius)
    result = matching.evaluate(Picks(xyz, scores), truth, radius)
    assert result.n_hits == found.hit.sum()
    # by definition, from the curve alone: the last point is all picks
    if len(xyz) and len(truth):
        assert result.curve.precision[-1] == pytest.approx(found.hit.mean())
        assert result.curve.recall[-1] == pytest.approx(found.hit.sum() / len(truth))
        for threshold, precision in zip(result.curve.threshold, result.curve.precision, strict=True):
            assert precision == pytest.approx(found.hit[scores >= threshold].mean())
        f1 = matching.f_beta(result.curve.precision, result.curve.recall)
        assert result.best.f1 == pytest.approx(f1.max())


def test_a_better_pick_takes_the_particle_and_the_second_goes_elsewhere() -> None:
    truth = np.array([[0.0, 0, 0], [4.0, 0, 0]])
    xyz = np.array([[1.0, 0, 0], [1.5, 0, 0], [1.0, 0, 0]])
    found = matching.match_greedy(xyz, [0.5, 0.9, 0.1], truth, 3.0)
    assert found.truth_of_pick.tolist() == [1, 0, -1]


def test_average_precision_by_hand() -> None:
    # ranks: hit, miss, hit, miss; four particles of which two are never found
    assert matching.average_precision([True, False, True, False], [4, 3, 2, 1], 4) == pytest.approx((1 + 2 / 3) / 4)


def test_picks_of_equal_score_pass_a_threshold_together() -> None:
    curve = matching.precision_recall([True, False, True], [0.5, 0.5, 0.9], 2)
    assert curve.threshold.tolist() == [0.9, 0.5]
    assert curve.precision.tolist() == [1.0, pytest.approx(2 / 3)]
    assert curve.recall.tolist() == [0.5, 1.0]
    assert matching.best_f1(curve) == pytest.approx((0.8, 0.5, 2 / 3, 1.0))


def test_f_beta_weights_recall() -> None:
    assert matching.f_beta(0.5, 1.0, beta=4) == pytest.approx(17 * 0.5 / (16 * 0.5 + 1))
    assert matching.f_beta([0.0, 1.0], [0.0, 1.0]).tolist() == [0.0, 1.0]


def test_several_tomograms_are_matched_apart_and_ranked_together() -> None:
    origin = np.zeros((1, 3))
    first, second = Picks(origin, np.array([0.9])), Picks(np.vstack([origin + 50, origin + 2]), np.array([0.8, 0.7]))
    result = matching.evaluate_many([(first, origin), (second, origin)], 4.0)
    # a pick of the second tomogram is no double of one at the same place in the first
    assert (result.n_hits, result.n_truth, result.n_picks) == (2, 2, 3)
    assert result.auprc == pytest.approx((1 + 2 / 3) / 2)
    assert result.rmse == pytest.approx(math.sqrt((0 + 12) / 2))
    assert result.mean_offset.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("n_picks", "n_truth", "auprc", "f1"), [(0, 2, 0.0, 0.0), (2, 0, math.nan, math.nan), (0, 0, math.nan, math.nan)]
)
def test_nothing_picked_or_nothing_there(n_picks: int, n_truth: int, auprc: float, f1: float) -> None:
    picks = Picks(np.zeros((n_picks, 3)), np.arange(n_picks, dtype=float))
    result = matching.evaluate(picks, np.zeros((n_truth, 3)), 1.0)
    assert (result.auprc, result.best.f1) == pytest.approx((auprc, f1), nan_ok=True)
    text = json.dumps(result.to_dict(), allow_nan=False)  # strict JSON, so no NaN in it
    assert json.loads(text)["rmse"] is None


def test_dictionary_holds_figures_and_curve() -> None:
    result = matching.evaluate(Picks(np.zeros((1, 3)), np.ones(1)), [[0.0, 3.0, 4.0]], 5.0)
    figures = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert figures["best"] == {"f1": 1.0, "threshold": 1.0, "precision": 1.0, "recall": 1.0}
    assert figures["curve"] == {"threshold": [1.0], "precision": [1.0], "recall": [1.0]}
    assert (figures["rmse"], figures["mean_offset"], figures["mean_absolute_error"]) == (5.0, [0, -3, -4], [0, 3, 4])


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_radius_out_of_range(radius: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        matching.match_greedy(np.zeros((1, 3)), [1.0], np.zeros((1, 3)), radius)


@pytest.mark.parametrize(
    ("xyz", "scores", "truth"),
    [
        ([[0, 0, math.nan]], [1.0], [[0, 0, 0]]),
        ([[0, 0, 0]], [math.nan], [[0, 0, 0]]),
        ([[0, 0, 0]], [1.0, 2.0], [[0, 0, 0]]),
        ([[0, 0, 0]], [1.0], [[0, 0]]),
    ],
)
def test_values_that_cannot_be_matched(xyz, scores, truth) -> None:
    with pytest.raises(InputError, match="finite"):
        matching.match_greedy(xyz, scores, truth, 1.0)
