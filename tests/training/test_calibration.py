"""Expected precision and recall, compared with worlds whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_training.data.cross_validated import CrossValidated
from milopyp_training.evaluation.calibration import COUNTED, FROM_SCRATCH, calibrate, unlabelled_particles
from milopyp_training.evaluation.threshold import (
    AS_GOOD,
    LOWEST_PRECISION,
    OF_NETWORKS,
    calibrated_threshold,
    threshold_of_left_out,
)


@dataclass(frozen=True)
class World:
    """Particles score normally in the logit; background falls exponentially with it."""

    particles: int
    centre: float
    background: int = 40_000
    slope: float = 1.4
    spread: float = 0.8

    def particle_scores(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return 1 / (1 + np.exp(-rng.normal(self.centre, self.spread, count)))

    def background_scores(self, rng: np.random.Generator) -> np.ndarray:
        return 1 / (1 + np.exp(-(rng.exponential(1 / self.slope, self.background) - 4.6)))


def found_in(world: World, labelled: int, rng: np.random.Generator) -> tuple[CrossValidated, np.ndarray]:
    """What cross-validation and the final network say; training has taken high background away."""
    unlabelled = world.particle_scores(world.particles - labelled, rng)
    background = world.background_scores(rng)
    kept = background[rng.random(len(background)) > background]
    places = np.concatenate([unlabelled, kept])
    labels = world.particle_scores(labelled, rng)
    return CrossValidated({}, unlabelled_particles(labels, [places, places]), labels), places


@pytest.mark.parametrize("world", [World(900, 0.5), World(900, 0.1), World(2000, 0.0), World(900, 1.5, slope=2.0)])
def test_promises_are_kept(world: World) -> None:
    rng = np.random.default_rng(1)
    found, places = found_in(world, world.particles // 3, rng)
    assert found.unlabelled == pytest.approx(world.particles * 2 / 3, rel=0.3)
    expected = calibrate(found, places, tomograms=10)
    assert expected is not None
    assert expected.particles == pytest.approx(world.particles / 10, rel=0.2)
    hits, wrong = world.particle_scores(world.particles, rng), world.background_scores(rng)
    for score in (0.3, 0.4, 0.5, 0.6, 0.7):
        precision, recall = expected.at(score)
        found_there, wrong_there = (hits > score).sum(), (wrong > score).sum()
        assert precision == pytest.approx(found_there / (found_there + wrong_there), abs=0.1)
        assert recall == pytest.approx(found_there / world.particles, abs=0.15)
    threshold = calibrated_threshold(expected, found.label_scores)
    assert threshold.calibrated
    assert expected.at(threshold.score)[0] >= LOWEST_PRECISION
    table = zip(expected.score, expected.precision, expected.recall, strict=True)
    f1 = {score: 2 * p * r / (p + r + 1e-12) for score, p, r in table if p >= LOWEST_PRECISION}
    good = [score for score, value in f1.items() if value >= max(f1.values()) - AS_GOOD]
    odds = [score / (1 - score) for score in (good[0], good[-1], threshold.score)]
    assert odds[2] == pytest.approx((odds[0] * odds[1]) ** 0.5, rel=1e-3)  # the middle in the logit

    def f1(score: float) -> float:
        return float(2 * (hits > score).sum() / ((hits > score).sum() + (wrong > score).sum() + world.particles))

    assert f1(threshold.score) > max(map(f1, np.linspace(0.02, 0.98, 97))) - 0.06


@pytest.mark.parametrize("counted", [COUNTED, FROM_SCRATCH])
def test_background_may_be_counted_among_many_or_few_places(counted: tuple[float, float]) -> None:
    """Where it falls as it is taken to fall, either gives the same."""
    rng, world = np.random.default_rng(3), World(900, 1.0, slope=1.6)
    found, places = found_in(world, 300, rng)
    expected = calibrate(found, places, 10, counted)
    assert expected is not None
    hits, wrong = world.particle_scores(900, rng), world.background_scores(rng)
    for score in (0.4, 0.5, 0.6):
        truth = (hits > score).sum() / ((hits > score).sum() + (wrong > score).sum())
        assert expected.at(score)[0] == pytest.approx(truth, abs=0.08)


def test_a_weak_network_promises_too_much_but_not_by_far() -> None:
    """Background as high as half of the particles counts as particles."""
    rng, world = np.random.default_rng(1), World(900, -0.5)
    found, places = found_in(world, 300, rng)
    expected = calibrate(found, places, tomograms=10)
    assert expected is not None
    hits, wrong = world.particle_scores(900, rng), world.background_scores(rng)
    for score in (0.3, 0.4, 0.5, 0.6):
        truth = (hits > score).sum() / ((hits > score).sum() + (wrong > score).sum())
        assert truth < expected.at(score)[0] < truth + 0.15


@given(
    labels=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    places=st.lists(st.floats(0.01, 1), max_size=300),
    tomograms=st.integers(1, 5),
)
def test_anything_goes_in_and_only_sense_comes_out(labels: list[float], places: list[float], tomograms: int) -> None:
    number = unlabelled_particles(np.array(labels), [np.array(places)])
    assert 0 <= number <= 2 * len(places)
    expected = calibrate(CrossValidated({}, number, np.array(labels)), np.array(places), tomograms)
    for threshold in (
        calibrated_threshold(expected, np.array(labels)),
        threshold_of_left_out(np.array(labels), OF_NETWORKS, expected),
    ):
        assert 0 <= threshold.score <= 1
        assert threshold.calibrated == (expected is not None)
    if expected is not None:
        assert all(0 <= value <= 1 for value in (*expected.precision, *expected.recall))
        assert (np.diff(expected.recall) <= 0).all()


def test_when_all_are_labelled_nothing_is_promised() -> None:
    rng = np.random.default_rng(2)
    world = World(40, 1.0, background=2000)
    found = CrossValidated({}, unlabelled_particles(world.particle_scores(40, rng), [np.array([])]), np.full(8, 0.6))
    assert found.unlabelled == 0
    assert calibrate(found, world.background_scores(rng), 2) is None
    assert (
        threshold_of_left_out(np.full(8, 0.6), OF_NETWORKS, None).method == "from what labels score that were left out"
    )
    threshold = calibrated_threshold(None, np.array([0.2, 0.4, 0.6, 0.8, 0.9]))
    assert (round(threshold.score, 3), threshold.calibrated) == (0.4, False)
    assert (np.array([0.4, 0.6, 0.8, 0.9]) > threshold.score).all()
