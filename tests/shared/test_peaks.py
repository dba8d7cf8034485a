"""Peaks: where drawn Gaussians are, what a local maximum is, which neighbours are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import maximum_filter
from scipy.spatial import KDTree

from milopyp_shared.peaks import above_threshold, find_candidates, nms
from milopyp_shared.picks import Picks

HEAT_SHAPE = (30, 50, 50)
GAUSSIAN_CASES = [
    ((0.7, 0.7, 0.7), (2, 2, 2)),
    ((1.0, 1.0, 1.0), (1, 2, 2)),
    ((1.4, 1.4, 1.4), (2, 2, 2)),
    ((2.0, 1.0, 1.0), (1, 2, 2)),  # a ball of full-resolution voxels
    ((2.2, 2.2, 2.2), (1, 2, 2)),
]


def scattered(rng: np.random.Generator, distance: float, low: float) -> np.ndarray:
    """``(n, 3)`` z, y, x heat-map positions with at least `distance` between any two, `low` or more from the ends."""
    kept: list[np.ndarray] = []
    for place in rng.uniform(low, np.array(HEAT_SHAPE) - 1 - low, (1500, 3)):
        if len(kept) < 100 and all(np.sum((place - other) ** 2) > distance**2 for other in kept):
            kept.append(place)
    return np.array(kept)


def drawn(places: np.ndarray, sigma: tuple[float, float, float], height: float = 0.9) -> np.ndarray:
    """Heat map of Gaussians at heat-map positions z, y, x, joined by maximum as training targets are."""
    heat = np.zeros(HEAT_SHAPE, dtype=np.float32)
    for place in places:
        z, y, x = (np.exp(-0.5 * ((np.arange(n) - c) / s) ** 2) for n, c, s in zip(HEAT_SHAPE, place, sigma))
        heat = np.maximum(heat, (height * z[:, None, None] * y[:, None] * x).astype(np.float32))
    return heat


def in_full_resolution(places: np.ndarray, factor: tuple[int, int, int]) -> np.ndarray:
    """x, y, z of heat-map positions z, y, x: output voxel k covers the input voxels fk .. fk + f - 1."""
    f = np.array(factor)
    return (f * places + (f - 1) / 2)[:, ::-1]


def errors_of(found: Picks, places: np.ndarray, factor: tuple[int, int, int]) -> np.ndarray:
    """``(n, 3)`` z, y, x errors in output voxels, in the order of `places`; each was found once, and nothing else."""
    truth = in_full_resolution(places, factor)
    distance, nearest = KDTree(truth).query(found.xyz)
    assert sorted(nearest) == list(range(len(truth)))
    assert distance.max() < 2 * max(factor)
    errors = (found.xyz - truth[nearest])[:, ::-1] / np.array(factor)
    return errors[np.argsort(nearest)]


@pytest.mark.parametrize(("sigma", "factor"), GAUSSIAN_CASES)
def test_drawn_gaussians_are_found_where_they_are(
    sigma: tuple[float, float, float], factor: tuple[int, int, int]
) -> None:
    places = scattered(np.random.default_rng(0), distance=8 * max(sigma), low=0.51)  # the peak voxel has neighbours
    assert len(places) >= 12
    found = find_candidates(drawn(places, sigma), factor, floor=0.1)
    errors = errors_of(found, places, factor)
    assert np.abs(errors).max() < 0.01  # the smoothing before the parabola is cut at three voxels
    assert found.score == pytest.approx(np.sort(found.score)[::-1]) and found.score.max() <= 0.9


@pytest.mark.parametrize(("sigma", "factor"), GAUSSIAN_CASES)
def test_noisy_gaussians_have_no_bias(sigma: tuple[float, float, float], factor: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(3):
        places = scattered(rng, distance=8 * max(sigma), low=2 * max(sigma))
        heat = drawn(places, sigma) + rng.normal(0, 0.004, HEAT_SHAPE).astype(np.float32)
        errors.append(errors_of(nms(find_candidates(heat, factor, floor=0.4), 4.0 * max(sigma)), places, factor))
    pooled = np.concatenate(errors)
    assert np.abs(pooled).mean(axis=0).max() < 0.05
    assert np.abs(pooled.mean(axis=0)).max() < 4 * 0.05 / np.sqrt(len(pooled))


@pytest.mark.parametrize("factor", [(1, 2, 2), (2, 2, 2)])
def test_a_peak_on_the_outermost_voxels_stays_there_along_that_axis(factor: tuple[int, int, int]) -> None:
    ends = np.array(HEAT_SHAPE) - 1.0
    places = np.array([[0.2, 20.3, 30.4], [ends[0] - 0.4, 40.3, 10.4], [20.3, 0.4, 44.7], [9.6, 33.3, ends[2] + 0.3]])
    errors = errors_of(find_candidates(drawn(places, (1.0, 1.0, 1.0)), factor, 0.1), places, factor)
    at_end = (np.round(places) <= 0) | (np.round(places) >= ends)
    assert at_end.sum() == 4
    assert np.abs(errors[~at_end]).max() < 1e-3
    assert errors[at_end] == pytest.approx([-0.2, 0.4, -0.4, -0.3], abs=1e-6)


def scipy_maxima(heat: np.ndarray, floor: float) -> set[tuple[int, ...]]:
    """Above `floor`, not below any neighbour, and above those neighbours that come earlier in the array."""
    earlier = (np.arange(27) < 13).reshape(3, 3, 3)
    later = earlier[::-1, ::-1, ::-1]
    above_earlier = heat > maximum_filter(heat, footprint=earlier, mode="constant", cval=-np.inf)
    not_below_later = heat >= maximum_filter(heat, footprint=later, mode="constant", cval=-np.inf)
    return set(map(tuple, np.argwhere(above_earlier & not_below_later & (heat > floor)).tolist()))


@settings(max_examples=150)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 8)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0]))
    ),
    st.sampled_from([0.0, 0.125, 0.3, 1.0]),
)
def test_local_maxima_by_another_definition(heat: np.ndarray, floor: float) -> None:
    found = find_candidates(heat, (1, 1, 1), floor)
    expected = scipy_maxima(heat, floor)
    assert len(found) == len(expected)
    # a position may move by up to one voxel, so compare what the peaks are worth, best first
    scores = sorted((float(heat[voxel]) for voxel in expected), reverse=True)
    assert found.score.tolist() == scores
    # and that there is a peak within a voxel of every expected one
    if expected:
        offsets = np.array(sorted(expected))[:, None] - found.xyz[None, :, ::-1]
        assert np.abs(offsets).max(axis=2).min(axis=1).max() <= 1.0


def test_local_maxima_of_noise_without_equal_values() -> None:
    heat = (np.random.default_rng(2).permutation(60_000).reshape(30, 40, 50) / 60_000).astype(np.float32)
    found = find_candidates(heat, (1, 1, 1), floor=0.2)
    expected = scipy_maxima(heat, 0.2)
    assert len(expected) > 1000
    assert set(map(tuple, np.argwhere(np.isin(heat, found.score.astype(np.float32))).tolist())) == expected
    assert found.score.tolist() == sorted(found.score.tolist(), reverse=True)


def test_layouts_and_types_of_the_heat_map() -> None:
    heat = drawn(np.array([[10.3, 20.4, 30.2], [25.0, 40.0, 20.0]]), (1.0, 1.0, 1.0))
    expected = find_candidates(heat, (1, 2, 2))
    for same in (np.asfortranarray(heat), heat.astype(np.float64), np.repeat(heat, 2, axis=2)[:, :, ::2]):
        found = find_candidates(same, (1, 2, 2))
        assert np.allclose(found.xyz, expected.xyz) and np.allclose(found.score, expected.score)


def test_flat_heat_maps() -> None:
    assert len(find_candidates(np.zeros((5, 6, 7), np.float32), (1, 2, 2))) == 0
    assert len(find_candidates(np.full((5, 6, 7), 0.01, np.float32), (1, 2, 2), floor=0.01)) == 0
    (whole,) = find_candidates(np.full((5, 6, 7), 0.8, np.float32), (1, 2, 2)).xyz.tolist()
    assert whole == [0.5, 0.5, 0.0]
    one = np.zeros((5, 6, 7), np.float32)
    one[2, 3, 4] = 1.0
    found = find_candidates(one, (2, 2, 2))
    assert (found.xyz.tolist(), found.score.tolist()) == ([[8.5, 6.5, 4.5]], [1.0])


def test_two_equal_neighbours_are_one_peak_between_them() -> None:
    heat = np.zeros((5, 6, 9), np.float32)
    heat[2, 3, 4:6] = 0.9999  # as where a probability is clamped
    found = find_candidates(heat, (1, 1, 1))
    assert found.xyz.tolist() == [[pytest.approx(4.5), 3.0, 2.0]]


def greedy(points: np.ndarray, distance: float) -> list[int]:
    """Suppression as its description says it, without a grid."""
    kept: list[int] = []
    for i, point in enumerate(points.tolist()):
        if all(sum((a - b) ** 2 for a, b in zip(point, points[j].tolist())) >= distance**2 for j in kept):
            kept.append(i)
    return kept


whole_numbers = st.integers(-6, 6).map(float)
coordinates = st.one_of(whole_numbers, st.floats(-50, 50), st.sampled_from([0.0, 1e5, -1e5]))


def tables(elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, st.tuples(st.integers(0, 60), st.just(3)), elements=elements)


@settings(max_examples=150)
@given(
    tables(whole_numbers) | tables(coordinates),
    st.sampled_from([1.0, 2.0, 3.0, 5.0]) | st.floats(1e-6, 200),
)
def test_suppression_is_greedy(points: np.ndarray, distance: float) -> None:
    """Whole numbers give many pairs at exactly the distance, which is far enough."""
    score = np.linspace(1, 0.5, len(points))
    found = nms(Picks(points, score), distance)
    expected = greedy(points, distance)
    assert np.array_equal(found.xyz, points[expected])
    assert np.array_equal(found.score, score[expected])


def test_suppression_of_many() -> None:
    points = np.random.default_rng(3).uniform(0, (200, 180, 60), (6000, 3))
    found = nms(Picks(points, np.linspace(1, 0, 6000)), 12.0)
    assert 300 < len(found) < 3000
    assert not KDTree(found.xyz).query_pairs(12.0 - 1e-9)
    assert KDTree(found.xyz).query(points)[0].max() < 12.0  # every dropped one has a kept one near
    assert np.array_equal(found.xyz[0], points[0])


def test_a_tiny_distance_in_a_large_volume_takes_no_more_memory() -> None:
    points = np.array([[0.0, 0, 0], [1e-7, 0, 0], [4000.0, 4000.0, 2000.0], [4000.0, 4000.0, 2000.0]])
    assert nms(Picks(points, np.array([0.9, 0.8, 0.7, 0.6])), 1e-3).score.tolist() == [0.9, 0.7]


def test_no_distance_keeps_all() -> None:
    same = Picks(np.zeros((4, 3)), np.array([0.9, 0.8, 0.8, 0.1]))
    assert len(nms(same, 0.0)) == 4
    assert len(nms(Picks(np.empty((0, 3)), np.empty(0)), 5.0)) == 0


def test_select_the_best_above_a_threshold() -> None:
    picks = Picks(np.arange(15.0).reshape(5, 3), np.array([0.9, 0.7, 0.5, 0.5, 0.2]))
    assert above_threshold(picks, 0.5).score.tolist() == [0.9, 0.7]  # above, not at
    assert above_threshold(picks, 0.0, limit=3).xyz.tolist() == picks.xyz[:3].tolist()
    assert len(above_threshold(picks, 0.0)) == 5
    assert len(above_threshold(picks, 0.9)) == 0
