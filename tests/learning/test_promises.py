"""What a learned head suggests: a score that loses little, and expectations where there are labels enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from learning.conftest import DIAMETER
from milopyp_inference.engine.features import FeatureNetwork
from milopyp_learning.heads import Known, agreement_of, ask_heads, learn_head
from milopyp_learning.kept_features import keep_features
from milopyp_learning.model import recipe_of
from milopyp_learning.promises import Promises, find_promises
from milopyp_shared.errors import InputError
from milopyp_shared.matching import evaluate_many
from milopyp_shared.recipe import Recipe
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.picking import picks_of
from milopyp_training.evaluation.threshold import OF_HEADS, suggested_score


@pytest.fixture
def known(network: FeatureNetwork, volume: LabelledVolume) -> Known:
    return Known(volume, keep_features(network, volume))


def with_labels(known: Known, count: int) -> Known:
    return replace(known, volume=replace(known.volume, xyz=known.volume.xyz[:count]))


def setting(network: FeatureNetwork, known: Sequence[Known]) -> tuple[TargetMap, Recipe]:
    recipe = recipe_of(network, TrainingSet([one.volume for one in known], [], DIAMETER, "dark"))
    return TargetMap(DIAMETER, recipe.geometry.stride), recipe


def promised(network: FeatureNetwork, known: Known, count: int) -> tuple[Promises, float, float]:
    """Promises of some of the labels, F1 at the suggested score and the best one, by all labels."""
    some = with_labels(known, count)
    target_map, recipe = setting(network, [some])
    head = learn_head([some], target_map)
    found = find_promises([some], head, target_map, recipe)
    picks = picks_of(known.features.heat_map(head), known.volume, recipe)
    pairs = [(picks, known.volume.xyz)]
    best = evaluate_many(pairs, DIAMETER / 2).best.f1
    kept = evaluate_many([(picks[picks.score > found.threshold.score], known.volume.xyz)], DIAMETER / 2)
    return found, 2 * kept.n_hits / (kept.n_picks + len(known.volume.xyz)), best


@pytest.mark.parametrize("count", [1, 3, 6, 12])
def test_the_suggested_score_loses_little(count: int, network: FeatureNetwork, known: Known) -> None:
    found, f1, best = promised(network, known, count)
    assert best > 0.9
    assert f1 > best - 0.15
    assert (found.calibration is not None) <= (count >= 8)
    assert found.threshold.calibrated == (found.calibration is not None)


def test_every_label_is_asked_by_a_head_that_has_not_seen_it(network: FeatureNetwork, known: Known) -> None:
    """A label on nothing scores low, though the head that has learned it gives it more than that."""
    astray = np.add(known.volume.xyz[:1], (7.0, 7.0, 0.0))
    odd = replace(known, volume=replace(known.volume, xyz=np.concatenate([known.volume.xyz[:6], astray])))
    target_map, recipe = setting(network, [odd])
    [found] = ask_heads([odd], target_map, recipe)
    assert len(found.labels) == 7
    assert found.labels[:6].min() > 2 * found.labels[6]


def test_a_label_on_nothing_is_doubtful(network: FeatureNetwork, known: Known) -> None:
    astray = np.add(known.volume.xyz[:1], (7.0, 7.0, 0.0))
    odd = replace(known, volume=replace(known.volume, xyz=np.concatenate([known.volume.xyz[:8], astray])))
    found = agreement_of([odd], (1, 2, 2))
    assert found is not None
    doubt = found.warning()
    assert doubt and doubt.startswith("W13 labels that look like background beside the others, 1 of 9: ")
    right = agreement_of([known], (1, 2, 2))
    assert right is not None and right.warning() is None
    assert agreement_of([with_labels(known, 1)], (1, 2, 2)) is None


def test_more_certain_labels_ask_for_a_higher_score() -> None:
    scores = [suggested_score(np.full(10, score), OF_HEADS) for score in (0.2, 0.4, 0.6, 0.8)]
    assert scores == sorted(scores)
    assert 0.1 < scores[0] < scores[-1] < 0.8
    one_lost = np.append(np.full(9, 0.6), 0.0)
    all_found = suggested_score(np.full(10, 0.6), OF_HEADS)
    assert all_found - 0.05 < suggested_score(one_lost, OF_HEADS) < all_found


def test_empty_tomograms_teach_and_are_not_asked(network: FeatureNetwork, known: Known) -> None:
    empty = replace(known, volume=replace(known.volume, name="empty", xyz=np.empty((0, 3))))
    some = with_labels(known, 6)
    target_map, recipe = setting(network, [some, empty])
    answers = ask_heads([some, empty], target_map, recipe)
    assert [len(own.labels) for own in answers] == [6]
    before, after = (learn_head(each, target_map) for each in ([some], [some, empty]))
    assert some.features.heat_map(after).max() < some.features.heat_map(before).max()
    with pytest.raises(InputError, match="no label lies in"):
        learn_head([empty], target_map)
