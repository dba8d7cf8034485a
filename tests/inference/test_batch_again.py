"""A second call over many tomograms: what it leaves as it is, cuts anew or picks again, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_toys import LINE, NAMES, pick, record, skipped, write_three, written
from milopyp_inference import pipeline
from milopyp_inference.batch import one_tomogram
from running import run_line, tree
from toys import clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the three tomograms are: the working directory."""
    monkeypatch.chdir(tmp_path)
    write_three()
    return tmp_path


def test_a_second_run_leaves_everything_as_it_is() -> None:
    pick()
    before, times = tree(Path("picks")), written()
    again = pick("--threads", "2")  # how fast, not what
    assert skipped(again) == list(NAMES)
    changed = {name for name, content in tree(Path("picks")).items() if before[name] != content}
    assert changed <= {"status.json"}  # which says when, and who
    assert written() == times


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--order", "xyz"), "other --order"),
        (("--voxel-size", "9"), "other --voxel-size"),
        (("--contrast", "bright"), "other --contrast"),
        (("--flips", "2"), "other --flips"),
        (("--overwrite",), ""),
    ],
)
def test_options_that_change_candidates_are_not_skipped(more: tuple[str, ...], why: str) -> None:
    pick()
    times = written()
    again = pick(*more)
    assert skipped(again) == []
    assert (f"picked again ({why}): a, b, c" in again.out) == bool(why)
    assert all(written()[name] > then for name, then in times.items())
    if more != ("--overwrite",):
        assert skipped(pick(*more)) == list(NAMES)
        assert skipped(pick()) == []  # and back


@pytest.mark.parametrize(
    "more",
    [("--out-thresh", "0.6"), ("--K", "2"), ("--with-score",), ("--coords", "voxel"), ("--margin", "20")],
    ids=lambda more: more[0],
)
def test_options_that_change_picks_need_no_network(more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    pick()
    before, kept = tree(Path("picks")), ("_hm.mrc", ".csv")
    run_line(LINE.replace("picks", "wanted"), *more)
    monkeypatch.setattr(one_tomogram, "run_network", None)
    again = pick(*more)
    assert "cut anew from the candidates: a, b, c" in again.out
    after = tree(Path("picks"))
    assert {name: own for name, own in after.items() if name.endswith(kept)} == {
        name: own for name, own in before.items() if name.endswith(kept)
    }
    for name in NAMES:  # candidates have three digits, texts two
        cut, wanted = (np.loadtxt(f"{folder}/{name}.txt", ndmin=2) for folder in ("picks", "wanted"))
        np.testing.assert_allclose(cut, wanted, atol=0.011)
    assert skipped(pick(*more)) == list(NAMES)
    assert skipped(pick()) == []


def test_a_tomogram_that_was_moved_or_copied_is_not_picked_again() -> None:
    pick()
    os.utime("tomograms/b.mrc", ns=(1, 1))
    again = pick()
    assert skipped(again) == list(NAMES)
    assert "moved or copied since, and the same: b" in again.out
    assert record("b")["input"]["mtime_ns"] == 1
    assert "moved" not in pick().out
    Path("tomograms").rename("elsewhere")
    outcome = run_line(LINE.replace("tomograms/", "elsewhere/"))
    assert skipped(outcome) == list(NAMES)
    assert record("a")["input"]["path"] == str(Path("elsewhere/a.mrc").absolute())
    whole = bytearray(Path("elsewhere/a.mrc").read_bytes())
    whole[-2] ^= 255
    Path("elsewhere/a.mrc").write_bytes(whole)
    outcome = run_line(LINE.replace("tomograms/", "elsewhere/"))
    assert skipped(outcome) == ["b", "c"]
    assert "picked again (the tomogram has changed): a" in outcome.out


def test_moved_tomograms_are_kept_up_with_by_several_processes() -> None:
    pick("--workers", "2")
    os.utime("tomograms/b.mrc", ns=(1, 1))
    assert "the same: b" in pick("--workers", "2").out
    assert "the same" not in pick("--workers", "2").out


def test_only_what_changed_is_done_again() -> None:
    pick()
    with Path("tomograms/b.mrc").open("ab") as stream:
        stream.write(b"more")
    assert skipped(pick()) == ["a", "c"]
    Path("picks/c_hm.mrc").unlink()
    assert skipped(pick()) == ["a", "b"]
    Path("picks/records/a.json").write_text('{"status": "do')
    assert skipped(pick()) == ["b", "c"]
    Path("picks/records/a.json").write_text("[]")
    assert skipped(pick()) == ["b", "c"]
    assert skipped(pick()) == list(NAMES)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored["options"].pop("rescale"),
        lambda stored: stored["options"].update(colour="red"),
        lambda stored: stored["options"]["selection"].update(limit="all"),
        lambda stored: stored.update(name="b"),
        lambda stored: (stored["input"].pop("mtime_ns"), stored["input"].pop("sample")),
    ],
    ids=["an option less", "an option more", "a wrong option", "another name", "less of the file"],
)
def test_a_record_that_does_not_say_all_that_is_asked_is_done_again(change: Callable[[dict[str, Any]], object]) -> None:
    pick()
    stored = record("a")
    change(stored)
    Path("picks/records/a.json").write_text(json.dumps(stored))
    assert skipped(pick()) == ["b", "c"]
    assert skipped(pick()) == list(NAMES)


def test_a_tomogram_that_is_replaced_while_it_is_picked_is_picked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time its record is written, the file is another one."""
    network = one_tomogram.run_network

    def slow(prepared: pipeline.Prepared, *more: Any) -> pipeline.Result:
        if prepared.tomogram.path.stem == "b":
            write_tomogram(Path("new.mrc"), clean_phantom(9, (24, 48, 64), 7).volume, voxel_size=10.0)
            Path("new.mrc").replace("tomograms/b.mrc")
        return network(prepared, *more)

    monkeypatch.setattr(one_tomogram, "run_network", slow)
    pick()
    assert record("b")["picks"] == 5
    monkeypatch.setattr(one_tomogram, "run_network", network)
    assert skipped(pick()) == ["a", "c"]
    assert record("b")["picks"] == 7


def test_another_model_is_not_skipped() -> None:
    import onnx

    pick()
    proto = onnx.load("toy.onnx")
    proto.doc_string = "another file"
    onnx.save(proto, "toy.onnx")
    assert skipped(pick()) == []


def test_a_cut_that_fails_leaves_the_picks_as_they_are() -> None:
    pick()
    stored = record("b")
    stored["frame"]["voxel_size"] = None
    Path("picks/records/b.json").write_text(json.dumps(stored))
    before = Path("picks/b.txt").read_bytes()
    for workers in ("", "--workers 2"):
        outcome = run_line(f"{LINE} --margin 20 {workers}")
        assert outcome.code == 1
        assert "failed: b: " in outcome.err and "as they were" in outcome.err
        assert (record("b")["status"], record("a")["options"]["selection"]["margin"]) == ("done", 20.0)
        assert Path("picks/b.txt").read_bytes() == before


def test_candidates_that_are_damaged_are_made_again() -> None:
    pick()
    Path("picks/b.candidates.csv").write_text("x,y\n")
    assert "b (order xyz): 2 picks in" in pick("--K", "2").out


def test_published_picks_are_no_choice_among_candidates() -> None:
    line = "milopyp-infer images.txt --model toy.onnx --out pub --threads 1 --published --cutoff-z 1 --out-thresh 0.3"
    Path("images.txt").write_text("image_name\trec_path\na\ttomograms/a.mrc\n")
    assert run_line(line).code == 0
    before = Path("pub/a.txt").read_bytes()
    Path("images.txt").write_text("image_name\trec_path\ttomo_name\na\ttomograms/a.mrc\tTS_1\n")
    assert "a is already done" in run_line(line).out
    assert Path("pub/a.txt").read_bytes() == before
    assert "other --cutoff-z" in run_line(line.replace("--cutoff-z 1", "--cutoff-z 2")).out


def test_a_mask_that_was_changed_in_place_is_another_one() -> None:
    mask = np.ones((24, 48, 64), np.int8)
    write_tomogram(Path("mask.mrc"), mask)
    pick("--mask", "mask.mrc")
    with Path("mask.mrc").open("r+b") as stream:
        stream.seek(-40_000, 2)
        stream.write(bytes(100))
    assert "picked again (another mask): a, b, c" in pick("--mask", "mask.mrc").out


@pytest.mark.parametrize("damaged", ['{"tomograms": 5}', "[]", "{"])
def test_a_damaged_summary_stops_nobody(damaged: str) -> None:
    pick()
    Path("picks/run.json").write_text(damaged)
    assert pick().out.count("is already done") == 3
