"""Which class was taken for which: counts that can be seen on paper, and sums that must come out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp.confusion import Confusion, confuse
from milopyp_shared.errors import UsageError
from milopyp_shared.matching import evaluate, match_greedy
from milopyp_shared.picks import Picks

RADIUS = {"big": 5.0, "small": 2.0}


def picks(*rows: tuple[float, float, float, float]) -> Picks:
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Picks(table[:, :3], table[:, 3])


def test_a_table_on_paper() -> None:
    particles = {"big": [[0, 0, 0], [50, 0, 0], [100, 0, 0]], "small": [[0, 50, 0], [50, 50, 0]]}
    found = confuse(
        {
            # right; twice on the same one; on a small one; 3 voxels from a small one, which is too far; nowhere
            "big": picks((1, 0, 0, 0.9), (2, 0, 0, 0.8), (0, 51, 0, 0.7), (50, 53, 0, 0.6), (200, 0, 0, 0.5)),
            # right, and the small one that a big pick claims, too; on a big one, 4 voxels off, which is near enough
            "small": picks((0, 50, 0, 0.9), (50, 4, 0, 0.8)),
        },
        particles,
        RADIUS,
    )
    assert (found.picks, found.particles) == (("big", "small"), ("big", "small"))
    assert found.on.tolist() == [[1, 1], [1, 1]]
    assert found.on_none.tolist() == [3, 0]
    assert found.not_picked.tolist() == [1, 1]
    assert found.picked_again.tolist() == [0, 1]
    assert found.to_dict()["picks"]["big"] == {"on": {"big": 1, "small": 1}, "on_none": 3, "all": 5}
    assert found.to_dict()["particles"]["small"] == {
        "picked_as": {"big": 1, "small": 1}, "not_picked": 1, "picked_again": 1, "all": 2,
    }  # fmt: skip


def test_its_own_class_goes_before_a_nearer_one() -> None:
    found = confuse({"big": picks((0, 0, 0, 0.9))}, {"small": [[1, 0, 0]], "big": [[3, 0, 0]]}, RADIUS)
    assert found.on.tolist() == [[0, 1]]  # it is right


def test_a_better_pick_takes_another_class_first() -> None:
    found = confuse({"big": picks((0, 0, 0, 0.1), (1, 0, 0, 0.9))}, {"small": [[0, 0, 0]], "big": []}, RADIUS)
    assert (found.on.tolist(), found.on_none.tolist()) == ([[1, 0]], [1])


def test_classes_that_only_one_side_has() -> None:
    found = confuse({"big": picks((0, 0, 0, 1.0))}, {"gold": [[4, 0, 0], [6, 0, 0]]}, RADIUS)
    assert found.on.tolist() == [[1]]  # within the radius of big: none is known of gold
    assert found.not_picked.tolist() == [1]
    assert confuse({"big": picks()}, {}, RADIUS).on.shape == (1, 0)
    assert confuse({}, {"big": [[0, 0, 0]]}, RADIUS).not_picked.tolist() == [1]


def test_a_radius_for_each_particle() -> None:
    truth = [[0, 0, 0], [3, 0, 0]]
    assert match_greedy([[2, 0, 0]], [1.0], truth, np.array([3.0, 0.5])).truth_of_pick.tolist() == [0]
    assert match_greedy([[2, 0, 0]], [1.0], truth, 3.0).truth_of_pick.tolist() == [1]
    with pytest.raises(UsageError):
        match_greedy([[2, 0, 0]], [1.0], truth, np.array([3.0, 0.0]))


places = st.lists(st.tuples(*[st.integers(0, 12)] * 3), max_size=8)
names = st.lists(st.sampled_from("abcd"), max_size=3, unique=True)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[dict[str, Picks], dict[str, np.ndarray], dict[str, float]]:
    """Picks and particles of some classes, in so small a box that many claim the same."""
    found = {}
    for name in draw(names):
        xyz = np.array(draw(places), dtype=float).reshape(-1, 3)
        scores = draw(st.lists(st.sampled_from([0.2, 0.5, 0.5001, 0.9]), min_size=len(xyz), max_size=len(xyz)))
        found[name] = Picks(xyz, np.array(scores, dtype=float))
    particles = {name: np.array(draw(places), dtype=float).reshape(-1, 3) for name in draw(names)}
    radius = {name: draw(st.sampled_from([1.0, 2.5, 6.0])) for name in "abcd"}
    return found, particles, radius


def brute_force(
    found: dict[str, Picks], particles: dict[str, np.ndarray], radius: dict[str, float]
) -> tuple[list[list[int]], list[int]]:
    """The counts, and the particles that are not picked, pick by pick without any array."""
    on = {(a, b): 0 for a in found for b in particles}
    claimed: set[tuple[str, int]] = set()
    for name, own in found.items():
        taken: set[tuple[str, int]] = set()
        waiting = sorted(range(len(own)), key=lambda i: -own.score[i])
        for mine in (True, False):
            for i in list(waiting):
                near = [
                    (math.dist(own.xyz[i], xyz), kind, j)
                    for kind, all_of in particles.items() if (kind == name) is mine
                    for j, xyz in enumerate(all_of)
                    if math.dist(own.xyz[i], xyz) <= radius[kind] and (kind, j) not in taken
                ]  # fmt: skip
                if near:
                    _, kind, j = min(near, key=lambda row: (row[0], list(particles).index(row[1]), row[2]))
                    taken.add((kind, j))
                    on[name, kind] += 1
                    waiting.remove(i)
        claimed |= taken
    left = [len(xyz) - sum(kind == own for own, _ in claimed) for kind, xyz in particles.items()]
    return [[on[a, b] for b in particles] for a in found], left


@given(crowds())
def test_as_by_hand_and_the_sums_come_out(
    crowd: tuple[dict[str, Picks], dict[str, np.ndarray], dict[str, float]],
) -> None:
    found, particles, radius = crowd
    counts = confuse(found, particles, radius)
    on, left = brute_force(found, particles, radius)
    assert counts.on.tolist() == (on if found else [])
    assert counts.not_picked.tolist() == left
    assert (counts.on.sum(axis=1) + counts.on_none).tolist() == [len(own) for own in found.values()]
    assert (counts.on.sum(axis=0) + counts.not_picked - counts.picked_again).tolist() == list(
        map(len, particles.values())
    )
    assert (counts.on_none >= 0).all() and (counts.picked_again >= 0).all()
    for name in found.keys() & particles.keys():  # the right ones are those of the figures
        at = list(found).index(name), list(particles).index(name)
        assert counts.on[at] == evaluate(found[name], particles[name], radius[name]).n_hits
    as_written = counts.to_dict()
    for row in as_written["picks"].values():
        assert sum(row["on"].values()) + row["on_none"] == row["all"]
    for row in as_written["particles"].values():
        assert sum(row["picked_as"].values()) + row["not_picked"] - row["picked_again"] == row["all"]


@given(crowds(), crowds())
def test_tomograms_are_added(first, second) -> None:
    found = {name: (first[0].get(name, picks()), second[0].get(name, picks())) for name in "abcd"}
    particles = {name: (first[1].get(name, []), second[1].get(name, [])) for name in "abcd"}
    one, other = (
        confuse({name: own[i] for name, own in found.items()}, {name: own[i] for name, own in particles.items()},
                first[2])
        for i in range(2)
    )  # fmt: skip
    both: Confusion = one + other
    assert both.n_picks.tolist() == [sum(map(len, own)) for own in found.values()]
    assert both.n_particles.tolist() == [sum(map(len, own)) for own in particles.values()]
    assert (both.on == one.on + other.on).all() and (both.not_picked == one.not_picked + other.not_picked).all()
