"""The criterion for sparse labels on picks made by hand, and the words in which the choice of an epoch is put."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_shared.picks import Picks
from milopyp_training.evaluation.model_selection import (
    CROWD,
    Validation,
    best,
    criterion,
    rank_of_labels,
    report,
)
from milopyp_training.evaluation.validation import Prediction, validate

RADIUS = 4.0
LABELS = np.array([[20.0 * i, 10.0, 10.0] for i in range(5)])
FAR = 1000.0  # nothing of the truth is there


def ranked(places: Sequence[Sequence[float]], scores: Sequence[float]) -> Picks:
    """Picks at these places, best first."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    return Picks(np.asarray(places, float).reshape(-1, 3)[order], np.asarray(scores, float)[order])


def crowd(count: int) -> np.ndarray:
    """Places of false picks."""
    return np.array([[FAR + 10 * i, 0.0, 0.0] for i in range(count)]).reshape(-1, 3)


def by_definition(ranks: Sequence[int | None], labels: int) -> float:
    return sum(max(0.0, 1 - rank / (CROWD * labels)) for rank in ranks if rank is not None) / labels


def test_perfect_ranking_is_close_to_one() -> None:
    picks = ranked(LABELS + 1.0, [0.9, 0.8, 0.7, 0.6, 0.5])
    value = rank_of_labels([picks], [LABELS], RADIUS)
    assert value == pytest.approx(by_definition(range(5), 5))
    assert value > 1 - 1 / (2 * CROWD)
    single = ranked(LABELS[:1], [0.2])
    assert rank_of_labels([single], [LABELS[:1]], RADIUS) == 1.0


def test_labels_without_a_pick_count_nothing() -> None:
    nothing = Picks(np.empty((0, 3)), np.empty(0))
    assert rank_of_labels([nothing], [LABELS], RADIUS) == 0.0
    assert rank_of_labels([ranked(crowd(3), [0.9, 0.8, 0.7])], [LABELS], RADIUS) == 0.0
    two = ranked(LABELS[[1, 3]], [0.9, 0.8])
    assert rank_of_labels([two], [LABELS], RADIUS) == pytest.approx(by_definition([0, 1, None, None, None], 5))
    # a pick belongs to its own tomogram, wherever the same coordinates are a label in another
    apart = rank_of_labels([nothing, ranked(LABELS, [0.9] * 5)], [LABELS, LABELS + 7 * RADIUS], RADIUS)
    assert apart == 0.0


def test_a_label_needs_a_pick_within_the_radius() -> None:
    for distance, value in ((RADIUS, 1.0), (RADIUS + 1e-6, 0.0)):
        picks = ranked([LABELS[0] + np.array([0.0, distance, 0.0])], [0.5])
        assert rank_of_labels([picks], [LABELS[:1]], RADIUS) == value


def test_of_several_picks_at_a_label_the_best_counts() -> None:
    picks = ranked([LABELS[0] + 1, *crowd(3), LABELS[0] - 1], [0.9, 0.8, 0.7, 0.6, 0.5])
    assert rank_of_labels([picks], [LABELS[:1]], RADIUS) == 1.0


def test_behind_the_crowd_a_label_counts_as_not_found() -> None:
    for false, value in ((CROWD - 1, 1 / CROWD), (CROWD, 0.0), (3 * CROWD, 0.0)):
        picks = ranked([*crowd(false), LABELS[0]], [*np.linspace(0.9, 0.5, false), 0.4])
        assert rank_of_labels([picks], [LABELS[:1]], RADIUS) == pytest.approx(value)


def test_one_ranking_over_all_tomograms() -> None:
    first = ranked([LABELS[0], *crowd(2)], [0.9, 0.3, 0.2])
    second = ranked([*crowd(2), LABELS[1]], [0.8, 0.7, 0.6])
    value = rank_of_labels([first, second], [LABELS[:1], LABELS[1:2]], RADIUS)
    assert value == pytest.approx(by_definition([0, 3], 2))
    assert math.isnan(rank_of_labels([first], [LABELS[:0]], RADIUS))


def test_ties_do_not_depend_on_the_order_of_the_picks() -> None:
    places, scores = [*crowd(4), *LABELS[:2]], [0.5, 0.5, 0.5, 0.2, 0.5, 0.2]
    values = set()
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(places))
        values.add(rank_of_labels([Picks(np.array(places)[order], np.array(scores)[order])], [LABELS[:2]], RADIUS))
    # ranks count what scores higher: nothing above the first label, four above the second
    [value] = values
    assert value == pytest.approx(by_definition([0, 4], 2))


unit = st.floats(0.01, 0.99)


@settings(max_examples=150)
@given(st.lists(unit, min_size=5, max_size=5), st.lists(unit, max_size=30), unit)
def test_false_picks_push_labels_back(true: list[float], false: list[float], one_more: float) -> None:
    def value(wrong: list[float]) -> float:
        return rank_of_labels([ranked([*LABELS, *crowd(len(wrong))], [*true, *wrong])], [LABELS], RADIUS)

    before, after = value(false), value([*false, one_more])
    assert 0.0 <= after <= before <= 1.0
    pushed = sum(1 for score in true if score < one_more)
    # each label behind it goes back by one place, unless it is behind the crowd already; the others stay
    assert before - after == pytest.approx(pushed / (CROWD * 5) / 5)


# ---------------------------------------------------------------- the choice


def row(epoch: int, loss: float, labels: float, auprc: float = math.nan, f1: float = math.nan) -> Validation:
    return Validation(epoch, loss, labels, auprc, f1)


SPARSE = [row(2, 3.0, 0.50), row(4, 1.0, 0.75), row(6, 2.0, 0.75), row(7, 0.5, 0.25)]
COMPLETE = [row(1, 2.0, 0.4, 0.9, 0.6), row(2, 1.0, 0.9, 0.7, 0.8), row(3, 3.0, 0.5, 0.9, 0.7)]


def test_which_figure_makes_an_epoch_the_best() -> None:
    assert criterion("auto", fully_labelled=True) == "auprc"
    assert criterion("auto", fully_labelled=False) == "labels"
    for metric in ("auprc", "f1", "labels", "loss"):
        assert criterion(metric, fully_labelled=True) == metric


def test_best_epoch() -> None:
    assert best(SPARSE, "labels").epoch == 6  # of equal ones the later
    assert best(SPARSE, "loss").epoch == 7  # lower is better
    assert [best(COMPLETE, figure).epoch for figure in ("auprc", "f1", "labels", "loss")] == [3, 2, 2, 2]
    assert best(SPARSE[::-1], "labels").epoch == 6


def cells(text: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize("figure", ["auprc", "f1", "labels", "loss"])
def test_report_names_the_best_epoch_and_ranks_the_others(figure: str) -> None:
    text = report(COMPLETE, figure, last_epoch=3)
    chosen = best(COMPLETE, figure)
    assert f"Use `model_best_contrastive.pth` (epoch {chosen.epoch})." in text
    head, *rows = cells(text)
    assert head == ["rank", "epoch", "AUPRC", "best F1", "labels", "validation loss"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    column = {"auprc": 2, "f1": 3, "labels": 4, "loss": 5}[figure]
    values = [float(row[column]) for row in rows]
    assert values == sorted(values, reverse=figure != "loss")
    assert rows[0][1] == str(chosen.epoch)
    for cell in rows:
        [original] = [row for row in COMPLETE if row.epoch == int(cell[1])]
        assert cell[2:] == [
            f"{original.auprc:.3f}",
            f"{original.f1:.3f}",
            f"{original.labels:.3f}",
            f"{original.loss:.4g}",
        ]
    assert ("lower is better" in text) == (figure == "loss")


def test_report_on_sparse_labels_says_what_is_missing_and_what_it_used() -> None:
    text = report(SPARSE, "labels", last_epoch=8)
    assert "Use `model_best_contrastive.pth` (epoch 6)." in text
    assert f"1 - rank / ({CROWD} x number of labels)" in text
    assert "AUPRC and F1 need a validation tomogram in which every particle is labelled." in text
    assert [row[1:4] for row in cells(text)[1:]] == [["6", "-", "-"], ["4", "-", "-"], ["2", "-", "-"], ["7", "-", "-"]]
    assert "nan" not in text


def test_report_without_validation_advises_the_last_epoch() -> None:
    text = report([], "labels", last_epoch=8)
    assert "Use `model_last_contrastive.pth` (epoch 8)." in text
    assert "no validation tomograms" in text
    assert not cells(text)


def test_a_row_of_the_table_has_auprc_only_where_it_means_something() -> None:
    picks = ranked([LABELS[0], *crowd(1), LABELS[1]], [0.9, 0.8, 0.7])
    volume: Any = SimpleNamespace(xyz=LABELS[:2], kind=0, is_empty=False)  # all that is asked of it
    half = np.full((1, 1, 2), 0.5, np.float32)
    prediction = Prediction(volume, half, np.array([[[1.0, 0.0]]], np.float32), picks)
    judged = validate(3, [prediction], [RADIUS], fully_labelled=True)
    assert judged.epoch == 3
    assert judged.loss == pytest.approx(2 * 0.25 * math.log(2))  # of the positive and of the background
    assert judged.labels == rank_of_labels([picks], [LABELS[:2]], RADIUS)
    assert judged.auprc == pytest.approx((1 + 2 / 3) / 2)
    assert judged.f1 == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    # all picks in an empty tomogram are false; its loss counts as if it had as many labels as the others have
    nothing: Any = SimpleNamespace(xyz=np.empty((0, 3)), kind=0, is_empty=True)
    empty = Prediction(nothing, half, np.zeros((1, 1, 2), np.float32), ranked(crowd(1), [0.85]))
    both = validate(3, [prediction, empty], [RADIUS], fully_labelled=True)
    background = 2 * 0.25 * math.log(2) / 2  # two voxels, two labels
    assert both.loss == pytest.approx((judged.loss + background) / 2)
    assert both.labels == rank_of_labels([picks, empty.picks], [LABELS[:2], np.empty((0, 3))], RADIUS) < judged.labels
    assert both.auprc == pytest.approx((1 + 2 / 4) / 2)
    sparse = validate(3, [prediction], [RADIUS], fully_labelled=False)
    assert (sparse.loss, sparse.labels) == (judged.loss, judged.labels)
    assert math.isnan(sparse.auprc) and math.isnan(sparse.f1)
