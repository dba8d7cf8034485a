"""Cross-validation: networks that miss a part of the labels, and what is made of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from milopyp_shared.matching import exclude_near, max_score_within
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import grey_levels
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.data.cross_validated import ignoring
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.evaluation.crossvalidation import CrossValidation
from milopyp_training.evaluation.held_out import OutOfFold, folds, ignored_candidates
from milopyp_training.loop.machine import Machine
from milopyp_training.methods.base import MakeMethod, Method
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.presets import DefaultPreset
from milopyp_training.methods.recipe import recipe_of
from toys import noise, write_tomogram

PRESET = DefaultPreset(steps=2, batch=2, patch=(4, 16, 16), epochs=1, folds=3, flips=1, ignored_per_label=2)
DIAMETER = 8.0
MACHINE = Machine(torch.device("cpu"))
XYZ = np.array([[8.2, 9.1, 3.3], [15.0, 14.6, 4.9], [5.0, 20.0, 9.0], [18.0, 5.0, 11.0]])


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledVolume]:
    """Two volumes of noise with four labels and one."""
    made = []
    for seed, xyz in ((1, XYZ), (2, XYZ[:1])):
        path = write_tomogram(tmp_path_factory.mktemp("folds") / f"noise{seed}.mrc", noise((14, 24, 24), seed))
        made.append(LabelledVolume(path.stem, grey_levels(open_tomogram(path, "xyz"), PRESET.grey), xyz, 10.0))
    return made


OF_NETWORKS = [np.array([0.9, 0.6, 0.51, 0.5]), np.array([0.4])]  # two networks, in one tomogram


def make(volumes: Sequence[LabelledVolume]) -> Method:
    return DefaultMethod(PRESET, volumes, [DIAMETER], torch.device("cpu"))


def crossvalidation(volumes: Sequence[LabelledVolume], seed: int = 3) -> CrossValidation:
    return crossvalidation_by(make, volumes, seed)


def crossvalidation_by(make: MakeMethod, volumes: Sequence[LabelledVolume], seed: int) -> CrossValidation:
    recipe = recipe_of(make(volumes), TrainingSet(volumes, [], DIAMETER, "dark"))
    return CrossValidation(make, PRESET, recipe, seed, MACHINE)


def picks(*rows: tuple[float, float, float, float]) -> Picks:
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Picks(table[:, :3], table[:, 3])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_label_is_left_out_once(volumes: list[LabelledVolume], count: int) -> None:
    parts = folds(volumes, count, seed=1)
    assert len(parts) == count
    for index, volume in enumerate(volumes):
        assert np.array_equal(sum(part.held_out[index].astype(int) for part in parts), np.ones(len(volume.xyz)))
    for part in parts:
        sizes = {volume.name: len(volume.xyz) for volume in part.volumes}
        left = {v.name: int((~out).sum()) for v, out in zip(volumes, part.held_out, strict=True)}
        assert sizes == {name: number for name, number in left.items() if number}
        assert sum(out.sum() for out in part.held_out) in (5 // count, -(-5 // count))


def test_a_network_is_never_asked_about_labels_it_has_seen(volumes: list[LabelledVolume]) -> None:
    trained_on: list[dict[str, set[tuple[float, ...]]]] = []

    def watched(given: Sequence[LabelledVolume]) -> Method:
        trained_on.append({volume.name: {tuple(point) for point in volume.xyz} for volume in given})
        return make(given)

    asked = crossvalidation_by(watched, volumes, 3)
    trained_on.clear()
    told: list[str] = []
    answers = asked.predict_out_of_fold(volumes, told.append)
    assert len(trained_on) == len(told) == 3
    for part, labels in zip(folds(volumes, 3, 3), trained_on, strict=True):
        for volume, out in zip(volumes, part.held_out, strict=True):
            assert labels.get(volume.name, set()) == {tuple(point) for point in volume.xyz[~out]}
    assert [len(own.labels) for own in answers] == [4, 1]
    for own, volume in zip(answers, volumes, strict=True):
        assert len(exclude_near(own.places, volume.xyz, DIAMETER / 2)) == len(own.places)


def test_an_empty_tomogram_is_in_every_part_and_never_asked(volumes: list[LabelledVolume]) -> None:
    """What looks like a particle in it is none: it is neither left out of the background nor counted."""
    empty = replace(volumes[1], name="empty", xyz=np.empty((0, 3)))
    mixed = [volumes[0], empty, volumes[1]]
    for part, alone in zip(folds(mixed, 3, 3), folds(volumes, 3, 3), strict=True):
        assert [out.tolist() for out in part.held_out] == [out.tolist() for out in alone.held_out]
        assert [volume.name for volume in part.volumes] == [*(volume.name for volume in alone.volumes), "empty"]
        assert part.volumes[-1].is_empty
    asked = crossvalidation(mixed)
    answers = asked.predict_out_of_fold(mixed)
    assert [len(own.labels) for own in answers] == [4, 1]
    [found] = asked.summarise(volumes, answers)
    assert "empty" not in found.ignored_candidates and len(found.label_scores) == 5
    assert [len(volume.ignored) for volume in ignoring([found.ignored_candidates], mixed) if volume.is_empty] == [0]


def test_the_same_seed_gives_the_same_answers(volumes: list[LabelledVolume]) -> None:
    first, second, other = (crossvalidation(volumes, seed).predict_out_of_fold(volumes) for seed in (3, 3, 4))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.labels, b.labels) and np.array_equal(a.places.score, b.places.score)
    assert not np.array_equal(first[0].places.score, other[0].places.score)


def test_places_as_high_as_three_quarters_of_the_labels_are_ignored(volumes: list[LabelledVolume]) -> None:
    first = OutOfFold(
        np.array([0.2, 0.4, 0.6, 0.8]), picks((1, 1, 1, 0.7), (9, 9, 9, 0.38), (20, 20, 9, 0.3)), OF_NETWORKS
    )
    second = OutOfFold(np.array([0.5]), picks((4, 4, 4, 0.9), (9, 9, 9, 0.1)), OF_NETWORKS)
    [found] = crossvalidation(volumes).summarise(volumes, [first, second])
    assert {name: xyz.tolist() for name, xyz in found.ignored_candidates.items()} == {
        "noise1": [[1, 1, 1]],
        "noise2": [[4, 4, 4]],
    }
    assert found.unlabelled == 2 * (2 * 3 + 2 * 0) / 2  # above 0.5, the labels' median
    assert found.label_scores.tolist() == [0.2, 0.4, 0.6, 0.8, 0.5]
    ignored = ignoring([found.ignored_candidates], volumes)
    assert [volume.ignored.tolist() for volume in ignored] == [[[1, 1, 1]], [[4, 4, 4]]]
    assert [len(volume.xyz) for volume in ignored] == [4, 1]


@given(
    st.lists(st.lists(st.floats(0.01, 1), max_size=6, unique=True), min_size=1, max_size=3),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
    st.integers(0, 8),
)
def test_never_more_candidates_are_ignored_than_allowed(
    scores: list[list[float]], labels: list[float], limit: int
) -> None:
    places = [picks(*((0, 0, 0, s) for s in sorted(own, reverse=True))) for own in scores]
    chosen = ignored_candidates(places, np.array(labels), limit)
    taken = [s for own in chosen for s in own.score]
    assert len(taken) <= limit
    assert all(s > np.quantile(labels, 0.25) for s in taken)
    left = [s for own, took in zip(places, chosen, strict=True) for s in own.score[len(took) :]]
    assert not taken or not left or min(taken) >= max(left)


def test_labels_find_the_best_pick_within_reach() -> None:
    found = picks((0, 0, 0, 0.9), (3, 0, 0, 0.8), (3, 4, 0, 0.7))
    labels = np.array([[3.0, 0.5, 0.0], [3.0, 9.0, 0.0], [0.5, 0.0, 0.0]])
    assert max_score_within(found, labels, 4.0).tolist() == [0.9, 0.0, 0.9]
    assert max_score_within(found, labels, 2.0).tolist() == [0.8, 0.0, 0.9]
    assert max_score_within(picks(), labels, 2.0).tolist() == [0.0, 0.0, 0.0]
    assert exclude_near(found, labels[:1], 2.0).score.tolist() == [0.9, 0.7]
    assert len(exclude_near(found, np.empty((0, 3)), 2.0)) == 3
