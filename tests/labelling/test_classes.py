"""Several classes, with the real command: what clicks label, what is suggested, what is left for other programs."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest

from labelling.asking import Page, labelling
from labelling.test_suggestions import BIG, SMALL, mixed
from milopyp_shared.coordinate_lists import read_classes, write_classes, write_coordinate_list
from milopyp_shared.formats.mod import read_mod
from milopyp_shared.lists import read_image_list
from running import run_line, wait_for

BBOX = f"--bbox big={BIG:g},small={SMALL * 10:g}A"
TWO = f"a.mrc {BBOX}"


@pytest.fixture
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The working directory with two tomograms of two kinds of balls; places of either kind in the first one."""
    monkeypatch.chdir(tmp_path)
    mixed(Path("b.mrc"), 2)
    return mixed(Path("a.mrc"))


def add(page: Page, places: Any, species: int, **more: Any) -> None:
    for place in places:
        page.edit("add", tomogram=0, xyz=place.tolist(), snap=False, species=species, **more)


def near(found: Any, places: Any, score: float) -> Any:
    """Which of `places` are suggested above a score."""
    xyz = np.array([row[:3] for row in found if row[3] > score]).reshape(-1, 3)
    return (np.linalg.norm(places[:, None] - xyz[None], axis=2) < SMALL / 3).any(axis=1)


def suggested(page: Page) -> Any:
    """Of both classes, once they are those of all labels."""
    wait_for(lambda: page.tomogram()["current"])
    return page.ask("suggestions?tomogram=0").json["classes"]


def test_from_clicks_to_picks_of_both(kinds: Any, tmp_path: Path) -> None:
    big, small = kinds
    with labelling(TWO.replace("a.mrc", "a.mrc b.mrc"), tmp_path) as page:
        page.settle()
        assert [(one["name"], one["diameter"]) for one in page.state()["classes"]] == [("big", BIG), ("small", SMALL)]
        assert len({one["colour"] for one in page.state()["classes"]}) == 2
        add(page, big[:5], 0)
        of_big, of_small = suggested(page)
        assert not of_small
        alone = near(of_big, small, page.tomogram()["scores"][0]).mean()
        assert page.tomogram()["scores"][1] is None
        add(page, small[:5], 1)
        of_big, of_small = suggested(page)
        scores = page.tomogram()["scores"]
        assert near(of_big, big[5:], scores[0]).mean() > 0.8
        assert near(of_small, small[5:], scores[1]).mean() > 0.6
        assert near(of_big, small, scores[0]).mean() <= alone  # a label of one is none of the other
        for found, labels in ((of_big, big[:5]), (of_big, small[:5]), (of_small, big[:5]), (of_small, small[:5])):
            assert not near(found, labels, 0.0).any()
        page.edit("reject", tomogram=0, places=[[50, 40, 3]], species=1)
        page.ask("view", {"tomogram": 0, "species": 1})
        learned = page.ask("train", {"method": "learn"}).json["number"]
        wait_for(lambda: page.state()["jobs"][learned - 1]["state"] != "running")
        job = page.state()["jobs"][learned - 1]
        assert job["state"] == "done", job
        assert "--bbox big=12,small=9" in job["line"]
        assert "--rejected rejected.txt" in job["line"]
        picking = page.state()["picking"]
        assert [name for name, _ in picking["scores"]] == ["big", "small"]
        assert page.tomogram()["scores"] == [score for _, score in picking["scores"]]
        assert all(page.ask("suggestions?tomogram=1").json["classes"])
        number = page.ask("pick", {"tomograms": [1], "scores": [None, 0.2]}).json["number"]
        wait_for(lambda: page.state()["jobs"][number - 1]["state"] != "running")
        job = page.state()["jobs"][number - 1]
        assert job["state"] == "done", job
        assert "--out-thresh small=0.2" in job["line"]
        assert "big picks" in job["text"]
        assert page.state()["sources"] == ["label-1", "picks-1"]
        page.end()
    classes = read_classes("labels/coords.txt")
    np.testing.assert_allclose(classes["big"]["a"], big[:5], atol=0.006)
    np.testing.assert_allclose(classes["small"]["a"], small[:5], atol=0.006)
    assert read_classes("labels/rejected.txt")["small"]["a"].tolist() == [[50, 40, 3]]
    assert [image.name for image in read_image_list("labels/imgs.txt")] == ["a"]
    model = imodmodel.read("labels/models/a.mod")
    for number, xyz in enumerate((big[:5], small[:5])):
        own = model[model.object_id == number][["x", "y", "z"]].to_numpy(np.float64) - [0.5, 0.5, 0.0]
        np.testing.assert_allclose(own, xyz, atol=0.006)
    assert [one.name for one in read_mod("labels/models/a.mod").objects] == ["big", "small"]
    # and by hand
    lists = "labels/imgs.txt labels/coords.txt --rejected labels/rejected.txt --keep-features labels/features/1"
    outcome = run_line(f"milopyp learn {lists} {BBOX} -o m.onnx --threads 1")
    assert outcome.code == 0, outcome.err
    outcome = run_line("milopyp-infer b.mrc --model m.onnx --out found --threads 1")
    assert outcome.code == 0, outcome.err
    assert Path("found/small/b.mod").exists()


def test_steps_are_of_a_class(kinds: Any, tmp_path: Path) -> None:
    """Sizes, rejections and replaced labels; undone and done again; and all of it the next time."""
    with labelling(TWO, tmp_path) as page:
        page.edit("add", tomogram=0, xyz=[20, 20, 16], snap=False)
        page.edit("add", tomogram=0, xyz=[20, 21, 16], snap=False, kind=0, species=1)  # none of this, one of that
        assert [row[4:] for row in page.tomogram()["labels"]] == [[1, 0], [0, 1]]
        page.edit("add", tomogram=0, xyz=[20, 20, 17], snap=False, species=1)  # one of this: none of that
        assert page.state()["undo"] == "add label 3 of small"
        assert page.tomogram()["labels"] == [[3, 20, 20, 17, 1, 1]]
        page.edit("undo")
        assert [row[0] for row in page.tomogram()["labels"]] == [1, 2]
        page.edit("redo")
        page.edit("kind", id=3, kind=1, species=0)
        assert page.tomogram()["labels"] == [[3, 20, 20, 17, 1, 0]]
        page.edit("diameter", diameter=10, species=1)
        assert page.state()["undo"] == "change the size of small"
        assert page.ask("edit", {"do": "diameter", "diameter": 70, "species": 1}).status == 400  # not beside the other
        page.edit("add", tomogram=0, xyz=[60, 20, 17], snap=False, kind=0, species=1)
        kept = page.kept()[0]
        page.end()
    # of a class without particles nothing can be learned: what is rejected of it waits for them
    assert list(read_classes("labels/coords.txt")) == ["big"]
    assert "small" not in Path("labels/rejected.txt").read_text()
    for words in ("a.mrc", "a.mrc --bbox small=10,big=12", "a.mrc --bbox 20"):
        with labelling(words, tmp_path) as page:  # keys and sizes are as they were
            assert page.kept()[0] == kept
            page.end()
    with labelling("a.mrc --bbox third=11", tmp_path) as page:
        assert [(one["name"], one["diameter"]) for one in page.state()["classes"]] == [
            ("big", BIG), ("small", 10), ("third", 11),
        ]  # fmt: skip


def test_labels_from_before_there_were_classes(kinds: Any, tmp_path: Path) -> None:
    """Nobody guesses whose they are; one name says it, and all that was undone before can be done again."""
    with labelling(f"a.mrc --bbox {BIG:g}", tmp_path) as page:
        page.edit("add", tomogram=0, xyz=[20, 20, 16], snap=False)
        page.edit("add", tomogram=0, xyz=[60, 20, 16], snap=False)
        page.edit("undo")
        page.end()
    before = Path("labels/journal.jsonl").read_bytes()
    refused = run_line(f"milopyp label {TWO} -o labels --no-browser")
    assert refused.code == 2
    assert "Say once which they are, e.g. --bbox big=12; then several classes are known" in refused.err
    assert Path("labels/journal.jsonl").read_bytes() == before
    with labelling("a.mrc --bbox big=12", tmp_path) as page:
        page.end()
    with labelling(TWO, tmp_path) as page:
        page.edit("redo")
        assert page.tomogram()["labels"] == [[1, 20, 20, 16, 1, 0], [2, 60, 20, 16, 1, 0]]
        page.end()
    assert {name: len(own["a"]) for name, own in read_classes("labels/coords.txt").items()} == {"big": 2}


def test_labels_to_begin_with(kinds: Any, tmp_path: Path) -> None:
    """A list with classes, or a file for each; of each class where it has none yet."""
    big, small = kinds
    write_classes("both.txt", {"small": {"a": small[:2]}, "big": {"a": big[:3]}})
    write_coordinate_list("more.txt", {"a": small[:4], "b": small[:1]})
    with labelling(f"{TWO} --labels both.txt", tmp_path) as page:
        assert [row[5] for row in page.tomogram()["labels"]] == [1, 1, 0, 0, 0]
        assert page.state()["undo"] == "take 3 labels of both.txt as big"
        page.edit("undo")
        page.end()
    with labelling(f"{TWO} --labels small=more.txt --labels both.txt", tmp_path) as page:
        assert sorted(row[5] for row in page.tomogram()["labels"]) == [0, 0, 0, 1, 1]
        page.end()
    rows = [f"a,{x},{y},{z},{kind}" for kind, own in (("small", small[:2]), ("big", big[:3])) for x, y, z in own]
    Path("both.csv").write_text("\n".join(["tomogram,x,y,z,class", *rows]))  # as of milopyp collect
    for words, found in (("both.csv", [0, 0, 0, 1, 1]), ("small=both.csv", [1, 1])):
        shutil.rmtree("labels")
        with labelling(f"{TWO} --labels {words}", tmp_path) as page:
            assert sorted(row[5] for row in page.tomogram()["labels"]) == found
            page.end()
    outcome = run_line(f"milopyp label {TWO} --labels more.txt -o other --no-browser")
    assert outcome.code == 2
    assert "Or name the class: --labels big=more.txt" in outcome.err
    assert not Path("other").exists()


def test_the_training_of_a_network_of_both(kinds: Any, tmp_path: Path) -> None:
    """The button begins it; its commands, typed by hand for one epoch, leave what the page shows then.

    Of one class there is a single label, of the third none: it is left out.
    """
    big, small = kinds
    with labelling(f"{TWO},third=10", tmp_path) as page:
        add(page, big[:5], 0)
        add(page, small[:1], 1)
        page.edit("reject", tomogram=0, places=[[50, 40, 3]], species=2)
        number = page.ask("train", {"method": "train"}).json["number"]
        page.ask("stop", {"number": number})
        wait_for(lambda: page.state()["jobs"][0]["state"] == "stopped")
        trained, *others = page.state()["jobs"][0]["line"].replace("label-1", "label-2").split(" && ")
        assert "--bbox big=12,small=9 " in trained
        with contextlib.chdir(page.out):
            for line in (f"{trained} --num-epochs 1 --quick", *others):
                outcome = run_line(line)
                assert outcome.code == 0, outcome.err
        page.ask("source", {"model": "label-2"})
        scores = page.tomogram()["scores"]
        assert scores[:2] == [score for _, score in page.state()["picking"]["scores"]]
        of_big, of_small, of_third = page.ask("suggestions?tomogram=0").json["classes"]
        assert near(of_big, big[5:], scores[0]).mean() > 0.5
        assert of_small
        assert scores[2] is None
        assert not of_third
        page.end()


def test_one_class_with_a_name(kinds: Any, tmp_path: Path) -> None:
    big, _ = kinds
    with labelling("a.mrc --bbox big=12", tmp_path) as page:
        page.settle()
        add(page, big[:4], 0)
        number = page.ask("train", {"method": "learn"}).json["number"]
        wait_for(lambda: page.state()["jobs"][number - 1]["state"] != "running")
        job = page.state()["jobs"][number - 1]
        assert job["state"] == "done", job
        assert [name for name, _ in page.state()["picking"]["scores"]] == ["big"]
        assert page.tomogram()["count"] > 0
        number = page.ask("pick", {"tomograms": [0], "scores": [0.3]}).json["number"]
        wait_for(lambda: page.state()["jobs"][number - 1]["state"] != "running")
        assert "--out-thresh big=0.3" in page.state()["jobs"][number - 1]["line"]
        assert page.state()["jobs"][number - 1]["state"] == "done"
        page.end()
    assert list(read_classes("labels/coords.txt")) == ["big"]
