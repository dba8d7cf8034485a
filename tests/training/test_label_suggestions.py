"""What a person is suggested to label next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.data.cross_validated import CrossValidated
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.evaluation.held_out import OutOfFold
from milopyp_training.evaluation.label_suggestions import (
    ENOUGH,
    FEW,
    MOST_CANDIDATES,
    suggest_labels,
    write_suggestions,
)
from toys import noise, write_tomogram

XYZ = np.array([[5.0, 6.0, 4.0], [20.0, 10.0, 8.0], [0.0, 31.0, 15.0]])


@pytest.fixture
def volumes(tmp_path: Path) -> list[LabelledVolume]:
    made = []
    for number, name in enumerate(("a", "b")):
        path = write_tomogram(tmp_path / f"{name}.mrc", noise((16, 32, 40), number))
        made.append(LabelledVolume(name, grey_levels(open_tomogram(path, "xyz"), Preprocessing()), XYZ, 10.0))
    return made


def places(*scores: float) -> Picks:
    """One place per score, in a corner, at a face and inside."""
    xyz = np.array([[39.0, 31.0, 15.0], [0.0, 12.4, 7.0], [30.6, 20.0, 3.0]])
    return Picks(np.resize(xyz, (len(scores), 3)), np.array(scores))


def out_of_fold(labels: np.ndarray, *scores: float) -> OutOfFold:
    return OutOfFold(labels, places(*scores), [np.array(scores)])


def found(unlabelled: float, *answers: OutOfFold) -> CrossValidated:
    return CrossValidated({}, unlabelled, np.concatenate([own.labels for own in answers]))


def test_labels_behind_many_places_are_doubtful(volumes: list[LabelledVolume]) -> None:
    many = np.linspace(0.9, 0.11, 40)
    first, second = out_of_fold(np.array([0.8, 0.05, 0.5]), *many), out_of_fold(np.array([0.0, 0.6, 0.7]))
    suggestions = suggest_labels(volumes, [first, second], found(2.0, first, second))
    # 5 x max(2, 6 labels) = 30 places score above 0.3
    assert [(spot.volume.name, spot.score) for spot in suggestions.doubtful] == [("b", 0.0), ("a", 0.05)]
    assert [spot.score for spot in suggestions.candidates] == pytest.approx(many[:MOST_CANDIDATES])
    said = suggestions.lines()
    assert said[0] == "labelled in the training tomograms: 6 of about 8 particles"
    assert said[1] == "2 labels look like background, or hard to find: b (5, 6, 4); a (20, 10, 8)"
    assert said[2].startswith(
        "more labels are likely to help most (the default preset, six simulated particles: AUPRC "
    )
    assert said[2].endswith("; 24 places to begin with")
    assert replace(suggestions, labelled=FEW).lines()[-1].startswith("more labels are likely to help a little (")
    assert not any("help" in line for line in replace(suggestions, labelled=ENOUGH).lines())


def test_what_has_no_rivals_is_not_doubtful(volumes: list[LabelledVolume]) -> None:
    answers = [out_of_fold(np.array([0.1, 0.05, 0.01]), 0.9, 0.8), out_of_fold(np.full(3, 0.02), 0.7)]
    suggestions = suggest_labels(volumes, answers, found(3.0, *answers))
    assert not suggestions.doubtful
    assert [(spot.volume.name, spot.score) for spot in suggestions.candidates] == [("a", 0.9), ("a", 0.8), ("b", 0.7)]


def test_files(volumes: list[LabelledVolume], tmp_path: Path) -> None:
    answers = [out_of_fold(np.array([0.8, 0.0, 0.5]), *np.linspace(0.9, 0.2, 40)), out_of_fold(np.ones(3), 0.6)]
    suggestions = suggest_labels(volumes, answers, found(2.0, *answers))
    write_suggestions(tmp_path / "debug", suggestions, diameter=9.0)
    text = (tmp_path / "debug" / "next_labels.md").read_text()
    assert "| A1 | a | 20 | 10 | 8 | 0.00 |" in text
    assert f"| B{MOST_CANDIDATES} |" in text and f"| B{MOST_CANDIDATES + 1} |" not in text
    assert "![pictures](next_labels.png)" in text
    table = read_coordinate_list(tmp_path / "debug" / "next_labels.tsv")
    assert sum(map(len, table.values())) == MOST_CANDIDATES
    listed = {(name, *np.round(point, 2)) for name, xyz in table.items() for point in xyz}
    assert listed == {(spot.volume.name, *np.round(spot.xyz, 2)) for spot in suggestions.candidates}
    rows = [line.split("\t") for line in (tmp_path / "debug" / "next_labels.tsv").read_text().splitlines()]
    assert rows[0] == ["image_name", "x_coord", "y_coord", "z_coord", "picture"]
    numbered = {row[4]: (row[0], float(row[1]), float(row[2]), float(row[3])) for row in rows[1:]}
    for number, spot in enumerate(suggestions.candidates, 1):  # the numbers of the picture and of the table
        assert numbered[f"B{number}"] == (spot.volume.name, *np.round(spot.xyz, 2))
    with Image.open(tmp_path / "debug" / "next_labels.png") as picture:
        assert picture.size[0] > 1000 and np.asarray(picture.convert("L")).std() > 20


def test_nothing_to_suggest(volumes: list[LabelledVolume], tmp_path: Path) -> None:
    answers = [out_of_fold(np.ones(3)), out_of_fold(np.ones(3))]
    suggestions = suggest_labels(volumes, answers, found(0.0, *answers))
    write_suggestions(tmp_path / "debug", suggestions, diameter=9.0)
    assert suggestions.lines() == ["labelled in the training tomograms: 6 of about 6 particles"]
    assert (tmp_path / "debug" / "next_labels.png").exists()
