"""``milopyp report``, ``apply`` and ``show`` of the folder that holds a run of each class."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_toys import NAMES, pick, write_three
from milopyp_shared.coordinate_lists import read_pick_list, write_classes
from milopyp_shared.formats.candidates import read_candidates
from running import outputs, run_line
from shared.test_report import Scripts
from toys import TOY_OF_TWO

FIRST, SECOND = CLASSES = ("ribosome", "proteasome")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two classes over three tomograms; each place is a pick of both."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(place)
        write_three()
        shutil.copy(TOY_OF_TWO, "toy.onnx")
        pick("--no-exclusive")
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it, in the working directory."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def report(words: str = "", run: str = "picks") -> Scripts:
    outcome = run_line(f"milopyp report {run} {words}")
    assert outcome.code == 0, outcome.err
    return Scripts(Path(f"{run}/report.html").read_text())


def records(kind: str) -> dict[str, Any]:
    return {name: json.loads(Path(f"picks/{kind}/records/{name}.json").read_text()) for name in NAMES}


def picked(kind: str, name: str) -> np.ndarray:
    found = read_candidates(Path(f"picks/{kind}/{name}.candidates.csv"))
    return found.xyz[found.score > records(kind)[name]["options"]["selection"]["threshold"]]


def applied(words: str) -> str:
    outcome = run_line(f"milopyp apply picks {words}")
    assert outcome.code == 0, outcome.err
    return outcome.out


def listed(picks: dict[str, dict[str, np.ndarray]], *head: str) -> str:
    """A list of picks of classes, with these lines before it; its name."""
    write_classes("e.tsv", picks)
    Path("e.tsv").write_text("".join(f"{line}\n" for line in head) + Path("e.tsv").read_text())
    return "e.tsv"


def test_a_page_holds_the_runs_of_all_classes_and_each_tomogram_once() -> None:
    data = report().data
    assert [own["name"] for own in data["runs"]] == list(CLASSES)
    assert len({own["colour"] for own in data["runs"]}) == len({own["identity"] for own in data["runs"]}) == 2
    assert sum(key.startswith("pictures-") for key in data) == len(NAMES)
    for kind, own in zip(CLASSES, data["runs"], strict=True):
        [alone] = report(run=f"picks/{kind}").data["runs"]
        assert own["identity"] == alone["identity"]  # edits are those of both pages
        for ours, theirs in zip(own["tomograms"], alone["tomograms"], strict=True):
            assert {**ours, "thickness": 0} == {**theirs, "thickness": 0}
            assert ours["thickness"] <= theirs["thickness"]  # of the smallest particle
    assert {len(data[f"pictures-{index}"]["heats"]) for index in range(3)} == {2}


def test_all_heat_maps_lie_within_the_size() -> None:
    """Each has a share of the page, which the slices of the tomogram give up."""
    report("--size 1")
    assert Path("picks/report.html").stat().st_size <= 1.05e6


def test_each_class_has_its_own_of_the_truth() -> None:
    """Of a tomogram without a row nothing is there; of a class that the truth does not name nothing is known."""
    first, other, _ = NAMES
    write_classes("truth.txt", {FIRST: {first: picked(FIRST, first)[:2]}, "gold": {other: np.array([[3.0, 3, 3]])}})
    ribosome, proteasome = report("--truth truth.txt").data["runs"]
    assert [len(own["truth"]) for own in ribosome["tomograms"]] == [2, 0, 0]
    assert sum(ribosome["tomograms"][0]["found"]) == 2
    assert (ribosome["judged"], proteasome["judged"]) == (True, False)
    assert all("truth" not in own for own in proteasome["tomograms"])
    said = run_line("milopyp report picks --truth truth.txt").err
    assert f"truth.txt has no class {SECOND}: no true positions of it are shown" in said
    assert "no class gold in the run: its true positions are not shown" in said


def test_a_tomogram_that_not_all_classes_have_finished_is_left_out() -> None:
    Path(f"picks/{SECOND}/records/{NAMES[1]}.json").unlink()
    outcome = run_line("milopyp report picks")
    assert outcome.code == 0 and f"left out, because not all classes have finished them: {NAMES[1]}" in outcome.err
    for own in Scripts(Path("picks/report.html").read_text()).data["runs"]:
        assert [each["name"] for each in own["tomograms"]] == [NAMES[0], NAMES[2]]


def test_a_list_of_all_classes_is_applied_to_each_and_taken_back() -> None:
    before = {kind: outputs(Path("picks", kind)) for kind in CLASSES}
    left = {kind: {name: picked(kind, name) for name in NAMES} for kind in CLASSES}
    left[FIRST][NAMES[0]] = np.vstack([left[FIRST][NAMES[0]][1:], [[5.0, 6, 7]]])
    left[SECOND][NAMES[1]] = left[SECOND][NAMES[1]][:-1]
    said = applied(listed(left))
    assert f"{NAMES[0]}, {FIRST}: " in said and "1 tomogram of 3 changed" in said
    for kind in CLASSES:
        assert {name: own["picks"] for name, own in records(kind).items()} == {
            name: len(own) for name, own in left[kind].items()
        }
    assert applied("--undo").count("1 tomogram of 3 changed") == 2
    after = {kind: outputs(Path("picks", kind)) for kind in CLASSES}
    for kind, name in ((kind, name) for kind in CLASSES for name in NAMES):
        assert after[kind][f"{name}.txt"] == before[kind][f"{name}.txt"]


def test_undo_takes_back_the_last_list_only_in_whatever_class_it_was() -> None:
    left = {kind: {name: picked(kind, name) for name in NAMES} for kind in CLASSES}
    applied(listed({kind: own | {NAMES[0]: own[NAMES[0]][1:]} for kind, own in left.items()}))
    applied(listed({SECOND: {NAMES[0]: left[SECOND][NAMES[0]]}}))
    counts = [len(left[kind][NAMES[0]]) for kind in CLASSES]
    assert [records(kind)[NAMES[0]]["picks"] for kind in CLASSES] == [counts[0] - 1, counts[1]]
    applied("--undo")
    assert [records(kind)[NAMES[0]]["picks"] for kind in CLASSES] == [counts[0] - 1, counts[1] - 1]
    applied("--undo")
    assert [records(kind)[NAMES[0]]["picks"] for kind in CLASSES] == counts


def test_the_head_says_the_threshold_of_each_class_and_which_have_no_picks() -> None:
    """A class that the head does not name, and that has no row, stays as it is."""
    head = (f"# {FIRST}: picks above 0.125 and by hand", f"# {SECOND}: picks above 0.99 and by hand",
            "\t".join(["# tomograms:", *NAMES]))  # fmt: skip
    left = {FIRST: {name: picked(FIRST, name) for name in NAMES}}
    path = listed(left, *head)
    assert f"{FIRST}: picks above 0.125, as on the page" in applied(path)
    thresholds = {
        kind: {own["options"]["selection"]["threshold"] for own in records(kind).values()} for kind in CLASSES
    }
    assert thresholds[FIRST] == {0.125} and thresholds[SECOND] != {0.99}
    path = listed(left, *head, f"# classes:\t{FIRST}\t{SECOND}")
    assert read_pick_list(path, SECOND).keys() == set(NAMES)
    applied(path)
    assert {own["picks"] for own in records(SECOND).values()} == {0}
    assert {own["options"]["selection"]["threshold"] for own in records(SECOND).values()} == {0.99}


def test_a_tomogram_that_one_class_names_is_named_for_all_that_the_list_has() -> None:
    left = {kind: {name: picked(kind, name) for name in NAMES} for kind in CLASSES}
    del left[SECOND][NAMES[1]], left[FIRST][NAMES[2]], left[SECOND][NAMES[2]]
    applied(listed(left))
    counts = {kind: [own["picks"] for own in records(kind).values()] for kind in CLASSES}
    assert counts[FIRST] == [len(picked(FIRST, name)) for name in NAMES]
    assert counts[SECOND] == [len(picked(SECOND, NAMES[0])), 0, len(picked(SECOND, NAMES[2]))]


def test_nothing_is_written_where_one_class_is_refused() -> None:
    before = {kind: outputs(Path("picks", kind)) for kind in CLASSES}
    path = listed({FIRST: {NAMES[0]: picked(FIRST, NAMES[0])[1:]}, SECOND: {NAMES[0]: np.array([[999.0, 9, 9]])}})
    assert run_line(f"milopyp apply picks {path}").code == 2
    assert {kind: outputs(Path("picks", kind)) for kind in CLASSES} == before


def test_a_list_of_all_classes_is_one_of_each_class() -> None:
    left = {kind: {NAMES[0]: picked(kind, NAMES[0])[1:]} for kind in CLASSES}
    outcome = run_line(f"milopyp apply picks/{SECOND} {listed(left)}")
    assert outcome.code == 0, outcome.err
    counts = [len(picked(kind, NAMES[0])) for kind in CLASSES]
    assert [records(kind)[NAMES[0]]["picks"] for kind in CLASSES] == [counts[0], counts[1] - 1]


def test_show_says_what_each_class_is() -> None:
    said = run_line("milopyp show picks").out
    assert [said.count(f"picks/{kind}: ") for kind in CLASSES] == [1, 1]
    assert said == "\n".join(run_line(f"milopyp show picks/{kind}").out for kind in CLASSES)
    stored = json.loads(run_line("milopyp show picks --json").out)
    assert stored == {kind: json.loads(Path(f"picks/{kind}/run.json").read_text()) for kind in CLASSES}
