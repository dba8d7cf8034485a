"""The whole way, with the real command: clicks, lists, models, picks; and what may happen to it meanwhile."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest

from labelling.asking import Page, labelling
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lists import read_image_list
from running import run_line, wait_for
from toys import TOY, VOXEL_SIZE, ball_centres, balls, write_tomogram

SHAPE = (32, 80, 100)
DIAMETER = 12.0
LABEL = f"t/a.mrc t/b.mrc --bbox {DIAMETER:g}"
LISTED = f"two.txt --bbox {DIAMETER:g}"  # one of them called otherwise than its file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with two tomograms."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab", 1):
        noise = np.random.default_rng(seed).normal(0, 0.2, SHAPE)
        volume = (balls(SHAPE, centres(seed)[:, ::-1], DIAMETER) + noise).astype(np.float32)
        write_tomogram(Path(f"t/{name}.mrc"), volume, voxel_size=VOXEL_SIZE)
    return tmp_path


def centres(seed: int = 1) -> Any:
    """``(n, 3)`` x, y, z of the particles."""
    return ball_centres(SHAPE, DIAMETER, seed)[:, ::-1]


def points(path: Path) -> np.ndarray:
    """Of an IMOD model as an independent reader has them; its x and y begin half a voxel before the first centre."""
    return imodmodel.read(path)[["x", "y", "z"]].to_numpy(np.float64) - [0.5, 0.5, 0.0]


def job(page: Page, path: str, **body: Any) -> Any:
    """A job's end."""
    answer = page.ask(path, body)
    assert answer.status == 200, answer.body
    number = answer.json["number"]
    wait_for(lambda: page.state()["jobs"][number - 1]["state"] != "running")
    return page.state()["jobs"][number - 1]


def test_from_clicks_to_picks(folder: Path) -> None:
    xyz = centres()
    (folder / "two.txt").write_text("image_name\trec_path\na\tt/a.mrc\nnight 3\tt/b.mrc\n")
    with labelling(LISTED, folder) as page:
        page.settle()
        for place in xyz[:6]:
            page.edit("add", tomogram=0, xyz=place.tolist(), snap=False)
        page.edit("reject", tomogram=1, places=[[3, 4, 5], [90.5, 70.25, 30]])  # a tomogram with nothing but these
        assert page.ask("pick", {"tomograms": [0]}).status == 400  # no model yet
        learned = job(page, "train", method="learn")
        assert learned["state"] == "done", learned
        assert learned["made"] == "labels/label-1.onnx"
        assert "--rejected rejected.txt" in learned["line"]
        state = page.state()
        assert state["model"] == "label-1"
        assert state["models"] == ["label-1"]
        for index, name in enumerate("ab"):  # what it has found is shown
            found = page.ask(f"suggestions?tomogram={index}").json["classes"][0]
            away = np.linalg.norm(centres(index + 1)[:, None] - np.array(found)[None, :, :3], axis=2).min(axis=1)
            assert (away[6 if name == "a" else 0 :] < DIAMETER / 3).mean() > 0.9
        picked = job(page, "pick", tomograms=[0, 1], scores=[0.1])
        assert picked["state"] == "done", picked
        assert picked["made"] == "labels/picks-1"
        assert "--out-thresh 0.1" in picked["line"]
        for seed, name in enumerate(("a", "night 3"), 1):
            away = np.linalg.norm(centres(seed)[:, None] - points(Path(f"labels/picks-1/{name}.mod"))[None], axis=2)
            assert (away.min(axis=1) < DIAMETER / 3).mean() > 0.8
        # that which fails says why; its name is not used again
        (folder / "t/b.mrc").rename(folder / "t/c.mrc")
        failed = job(page, "pick", tomograms=[1])
        assert failed["state"] == "failed"
        assert "b.mrc" in failed["text"]
        assert failed["log"]
        (folder / "t/c.mrc").rename(folder / "t/b.mrc")
        # one is stopped by its button, one by Ctrl-C
        number = page.ask("train", {"method": "learn"}).json["number"]
        assert page.ask("train", {"method": "learn"}).status == 400
        assert page.ask("stop", {"number": number}).status == 200
        wait_for(lambda: page.state()["jobs"][-1]["state"] == "stopped")
        page.ask("pick", {"tomograms": [0, 1]})
        names = [each["name"] for each in page.state()["jobs"]]
        assert len(set(names)) == len(names)
        said = page.end()
        stopped = f"{names[-1]} was stopped: cd labels && milopyp-infer"
        assert stopped in said or (folder / f"labels/{names[-1]}/run.json").exists()
        assert not (folder / "labels/label-2.onnx").exists()
    # what the job has run, by hand: features that are kept serve both, and what is left out is said
    lists = "labels/imgs.txt labels/coords.txt --rejected labels/rejected.txt"
    by_hand = run_line(f"milopyp learn {lists} --keep-features labels/features/1 --bbox 12 -o m.onnx --threads 1")
    assert by_hand.code == 0, by_hand.err
    assert "warning: labels/rejected.txt: tomograms without labels are left out: night 3" in by_hand.err


def test_lists_and_models_that_other_programs_read(folder: Path) -> None:
    """After every edit they are as the labels are; `prepare` and `milopyp-train` take them as they are."""
    xyz = centres().round(2)
    with labelling(LABEL, folder) as page:
        page.settle()
        numbers = [page.edit("add", tomogram=0, xyz=place.tolist(), snap=False)["id"] for place in xyz[:4]]
        page.edit("add", tomogram=1, xyz=[7.25, 8, 9], snap=False)
        page.edit("add", tomogram=0, xyz=[1, 2, 3], kind=0, snap=False)
        page.edit("move", id=numbers[1], xyz=[50.5, 40, 16], snap=False)
        page.edit("kind", id=numbers[2], kind=0)
        page.edit("remove", id=numbers[3])
        page.edit("undo")
        page.edit("diameter", diameter=14)
        page.end()  # at once: all of it is in the files all the same
    own = folder / "labels"
    expected = np.array([xyz[0], [50.5, 40, 16], xyz[3]])
    labels, rejected = read_coordinate_list(own / "coords.txt"), read_coordinate_list(own / "rejected.txt")
    np.testing.assert_allclose(labels["a"], expected, atol=0.006)
    np.testing.assert_allclose(labels["b"], [[7.25, 8, 9]])
    np.testing.assert_allclose(rejected["a"], [xyz[2], [1, 2, 3]], atol=0.006)
    assert list(rejected) == ["a"]
    for name in ("imgs.txt", "all_imgs.txt"):
        listed = read_image_list(own / name)
        assert [(entry.name, entry.path) for entry in listed] == [(one, folder / f"t/{one}.mrc") for one in "ab"]
    np.testing.assert_allclose(points(own / "models/a.mod"), expected, atol=0.006)
    np.testing.assert_allclose(points(own / "models/b.mod"), [[7.25, 8, 9]], atol=0.006)
    assert sorted(path.name for path in (own / "models").iterdir()) == ["a.mod", "b.mod"]
    prepared = run_line("milopyp prepare -d t -e .mrc --picks 'labels/models/*.mod' -o prepared")
    assert prepared.code == 0, prepared.err
    np.testing.assert_allclose(read_coordinate_list("t/prepared_train_coords.txt")["a"], expected, atol=0.006)
    lists = "--train-img-txt labels/imgs.txt --train-coord-txt labels/coords.txt"
    refused = run_line(f"milopyp-train {lists} --bbox 40 --gpus -1")
    assert "--bbox: 40 voxels" in refused.err  # which is looked at when lists and labels have been read and are right
    # fewer tomograms later: labels of the others stay; the last label of one goes, and its model with it
    with labelling("t/b.mrc", folder) as page:
        assert [one["name"] for one in page.state()["tomograms"]] == ["b"]
        assert page.ask("edit", {"do": "remove", "id": numbers[0]}).status == 400
        [[number, *_]] = page.tomogram()["labels"]
        page.edit("remove", id=number)
        page.end()
    assert {name: len(places) for name, places in read_coordinate_list(own / "coords.txt").items()} == {"a": 3}
    assert [entry.name for entry in read_image_list(own / "all_imgs.txt")] == ["b"]
    assert [path.name for path in (own / "models").iterdir()] == ["a.mod"]


def test_a_full_disk_and_kill_9(folder: Path) -> None:
    """A click that cannot be kept is none, the page says why, and more room is all that it takes. After ``kill -9`` the
    same command shows the same, lists and all.
    """
    with labelling(LABEL, folder) as page:
        page.settle()
        page.edit("add", tomogram=0, xyz=[20, 20, 16], snap=False)
        before, size = page.tomogram()["labels"], (page.out / "journal.jsonl").stat().st_size
        resource.prlimit(page.process.pid, resource.RLIMIT_FSIZE, (size + 5, resource.RLIM_INFINITY))
        for body in ({"do": "add", "tomogram": 0, "xyz": [40, 40, 16]}, {"do": "remove", "id": 1}, {"do": "undo"}):
            answer = page.ask("edit", body)
            assert 400 <= answer.status < 600
            assert "free space" in answer.json["error"]
            assert page.tomogram()["labels"] == before
            assert "free space" in page.state()["problem"]
        resource.prlimit(page.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        page.edit("add", tomogram=1, xyz=[30, 30, 16])
        wait_for(lambda: page.state()["problem"] is None)  # lists follow a moment later
        page.edit("diameter", diameter=13.5)
        page.edit("undo")
        kept = page.kept()[0]
        page.process.send_signal(signal.SIGKILL)
        page.process.wait()
    for name in ("coords.txt", "models/a.mod", "rejected.txt"):  # as if it had not come so far
        (folder / "labels" / name).unlink(missing_ok=True)
    (half := folder / "labels/models/.a.mod.0123abcd.part").write_text("half")
    os.utime(half, (1, 1))
    with labelling(LABEL, folder) as page:
        assert page.kept()[0] == kept
        wait_for(lambda: (folder / "labels/models/b.mod").exists())
        np.testing.assert_allclose(points(folder / "labels/models/a.mod"), [[20, 20, 16]], atol=0.006)
        assert page.edit("redo")["state"]["classes"][0]["diameter"] == 13.5
    assert not half.exists()


def test_labels_to_begin_with(folder: Path) -> None:
    """Of the tomograms that have none yet, taken back in one step; the second time they are there already. And what
    another one is told that comes meanwhile.
    """
    (folder / "more.txt").write_text("image_name\tx_coord\ty_coord\tz_coord\nb\t1\t2\t3\nb\t4\t5\t6\n")
    with labelling(f"{LABEL} --labels more.txt", folder) as page:
        assert [len(one["labels"]) for one in page.state()["tomograms"]] == [0, 2]
        assert page.state()["undo"] == "take 2 labels of more.txt"
        page.edit("add", tomogram=0, xyz=[20.5, 20, 16], snap=False)
        before = page.kept()
        second = run_line(f"milopyp label {LABEL} -o labels --no-browser")
        assert second.code == 2
        assert "another milopyp label is at work there" in second.err
        third = run_line(f"milopyp label {LABEL} -o other --port {page.port}")
        assert third.code == 2
        assert third.err.startswith(f"error: --port: {page.port} cannot be had")
        assert page.kept()[0] == before[0]
        assert not (folder / "other").exists()
        page.end()
    np.testing.assert_allclose(points(folder / "labels/models/b.mod"), [[1, 2, 3], [4, 5, 6]], atol=0.006)
    (folder / "labels/models/a.mod").rename(folder / "first.mod")
    (folder / "labels").rename(folder / "before")
    with labelling("t/a.mrc --labels first.mod", folder) as page:
        np.testing.assert_allclose(page.tomogram()["labels"], [[1, 20.5, 20, 16, 1, 0]], atol=0.006)
        assert page.state()["undo"] == "take 1 label of first.mod"


def test_news(page: Page) -> None:
    """A page that asks waits until there is some; of two pages each knows of the other."""
    state = page.state()
    assert state["windows"] == 1
    page.edit("add", tomogram=0, xyz=[20, 20, 16], snap=False)
    news = page.ask(f"state?since={state['number']}").json
    assert news["number"] > state["number"]
    assert news["revision"] > state["revision"]
    assert len(news["tomograms"][0]["labels"]) == 1
    page.edit("undo")
    assert page.request("/api/state", x_window="another").json["windows"] == 2
    assert page.ask("leave", {"keep": True}).status == 200
    assert page.request("/api/state", x_window="another").json["windows"] == 1


def test_two_windows_at_once(page: Page) -> None:
    """Clicks from everywhere at the same time: each is kept, under a number of its own."""
    with ThreadPoolExecutor(4) as pool:
        clicks = [pool.submit(page.edit, "add", tomogram=0, xyz=[3 * x, 20, 16], snap=False) for x in range(24)]
        numbers = [click.result()["id"] for click in clicks]
    assert len(set(numbers)) == 24
    assert sorted(row[0] for row in page.tomogram()["labels"]) == sorted(numbers)
    assert sorted(row[1] for row in page.tomogram()["labels"]) == list(range(0, 72, 3))
    for _ in numbers:
        page.edit("undo")
    assert page.tomogram()["labels"] == []
    assert page.state()["undo"] is None


def test_the_browser_is_led_there_by_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That only this user can read, because everybody on the machine can read command lines."""
    program = folder / "browser"
    script = 'echo "$1" > opened; path="${1#file://}"; stat -c %a "$path" >> opened; cat "$path" >> opened'
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    with labelling("t/a.mrc --bbox 10", folder, "--browser") as page:
        wait_for(lambda: (folder / "opened").exists() and "url=" in (folder / "opened").read_text())
        address, rights, content = (folder / "opened").read_text().split("\n", 2)
        assert page.token not in address
        assert rights == "600"
        assert f"url=http://127.0.0.1:{page.port}/#token={page.token}" in content
        said = page.end()
    assert "ssh -L" not in said
    assert not Path(address.removeprefix("file://")).exists()


def test_ctrl_c_at_once(folder: Path) -> None:
    """Before anybody has asked for the page."""
    with labelling("t/a.mrc --bbox 10", folder) as page:
        page.end()
    assert not list(folder.rglob("*.part"))


def test_a_place_has_one_label(page: Page) -> None:
    """Who says the opposite of a place, or the same again, replaces what was said; undo brings it back."""
    first = page.edit("add", tomogram=0, xyz=[20, 20, 16], snap=False)["id"]
    page.edit("add", tomogram=0, xyz=[40, 20, 16], snap=False)
    page.edit("reject", tomogram=0, places=[[21, 20, 16], [60, 20, 16]])
    assert [row[1:] for row in page.tomogram()["labels"]] == [
        [40, 20, 16, 1, 0],
        [21, 20, 16, 0, 0],
        [60, 20, 16, 0, 0],
    ]
    page.edit("undo")
    assert next(row[0] for row in page.tomogram()["labels"]) == first
    for _ in range(2):
        page.edit("undo")
    assert page.tomogram()["labels"] == []


def test_a_picking_that_was_stopped_does_not_stop_the_page(folder: Path) -> None:
    """Of a run without a finished tomogram nobody can say a score; the page goes on, and so does its next start."""
    with labelling("t/a.mrc --bbox 10", folder) as page:
        shutil.copy(TOY, page.out / "label-1.onnx")
        (page.out / "label-1-picks/records").mkdir(parents=True)
        (page.out / "label-1-picks/run.json").write_text("{}")
        assert page.state()["picking"] == {"model": "label-1", "scores": []}
        page.edit("add", tomogram=0, xyz=[20, 20, 16], snap=False)
        page.end()
    with labelling("t/a.mrc --bbox 10", folder) as page:
        assert len(page.tomogram()["labels"]) == 1
        page.end()
