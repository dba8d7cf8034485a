"""Runs over many tomograms: records, what a second run skips and what it does again, and runs that were cut short."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milopyp_inference import pipeline
from milopyp_inference.batch import batch, cutting
from milopyp_inference.batch.leases import Leases
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import Model
from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.providers.cpu import CpuEngine
from milopyp_shared.recipe import METADATA_KEY
from milopyp_shared.tomogram import Tomogram
from running import Outcome, run_line, tree
from toys import TOY, clean_phantom, write_tomogram

NAMES = ("a", "b", "c")
LINE = "milopyp-infer tomograms/a.mrc tomograms/b.mrc tomograms/c.mrc --model toy.onnx --out picks --threads 1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tomograms with 4, 5 and 6 particles and the toy model; the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "toy.onnx")
    for number, name in enumerate(NAMES):
        phantom = clean_phantom(seed=number + 1, shape_zyx=(24, 48, 64), particles=4 + number)
        write_tomogram(Path("tomograms") / f"{name}.mrc", phantom.volume, voxel_size=10.0)
    return tmp_path


def pick(*more: str) -> Outcome:
    outcome = run_line(LINE, *more)
    assert outcome.code == 0, outcome.err
    return outcome


def record(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(Path(f"picks/records/{name}.json").read_text())
    return stored


def skipped(outcome: Outcome) -> list[str]:
    """Names of the tomograms that a run said it left as they were."""
    return [line.split()[2] for line in outcome.out.splitlines() if "is already done" in line]


def written() -> dict[str, int]:
    """Time of writing of every output."""
    return {path.name: path.stat().st_mtime_ns for path in Path("picks").glob("*.*") if path.name != "run.json"}


def test_records_say_what_was_done(folder: Path) -> None:
    outcome = pick()
    assert "15 picks in 3 of 3 tomograms: picks" in outcome.out
    assert "threshold 0.50 (chosen by hand, uncalibrated)" in outcome.out
    facts = Path("tomograms/b.mrc").stat()
    b = record("b")
    assert b["input"] == {
        "path": str(Path("tomograms/b.mrc").absolute()),
        "size": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "sample": b["input"]["sample"],
    }
    assert (b["name"], b["status"], b["picks"], b["provider"]) == ("b", "done", 5, "CPUExecutionProvider")
    assert (b["frame"]["order"], b["frame"]["stored_shape"]) == ("xyz", [24, 48, 64])
    assert (b["frame"]["voxel_size"], b["warnings"]) == ([10.0] * 3, [])
    assert b["options"]["selection"] == {"threshold": 0.5, "distance": 6.0, "limit": None, "margin": 0.0}
    assert b["operators"] == {"CPUExecutionProvider": sum(b["operators"].values())}
    assert b["candidates"] >= b["picks"]
    assert (
        sum(b["seconds"][stage] for stage in ("preprocess", "network", "heat_map", "peaks", "write"))
        <= b["seconds"]["total"] + 1e-3  # both are rounded
    )
    assert 20 < b["peak_memory_mib"] < 4000
    run = json.loads(Path("picks/run.json").read_text())
    assert run["tomograms"] == [record(name) for name in NAMES]
    assert (run["done"], run["failed"], run["picks"], run["diameter"]) == (3, {}, 15, 10.0)
    assert run["model_sha256"] == b["model_sha256"]
    assert run["suppression_distance"] == 6.0


def test_a_second_run_leaves_everything_as_it_is() -> None:
    pick()
    before, times = tree(Path("picks")), written()
    again = pick("--threads", "2")  # how fast, not what
    assert skipped(again) == list(NAMES)
    assert tree(Path("picks")) == before
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
    monkeypatch.setattr(batch, "run_network", None)
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


def test_a_person_s_files_are_not_replaced_unasked() -> None:
    Path("picks").mkdir()
    Path("picks/b.mod").write_bytes(b"clicks")
    outcome = run_line(LINE)
    assert outcome.code == 2
    assert "picks: holds b.mod, which no record says that milopyp-infer has written" in outcome.err
    assert [path.name for path in Path("picks").iterdir()] == ["b.mod"]
    assert "b.mod was not written by milopyp-infer: kept as b_changed.mod" in pick("--overwrite").err
    assert Path("picks/b_changed.mod").read_bytes() == b"clicks"


def test_picks_of_several_models_are_said() -> None:
    import onnx

    pick()
    proto = onnx.load("toy.onnx")
    proto.doc_string = "another file"
    onnx.save(proto, "other.onnx")
    outcome = run_line(LINE.replace("tomograms/b.mrc tomograms/c.mrc --model toy", "--model other"))
    assert "picks: picks of several models, whose scores are not the same: 2 with toy.onnx, 1 with other.onnx" in (
        outcome.err
    )
    assert "picks holds 2 more, of other calls" in outcome.out
    run = json.loads(Path("picks/run.json").read_text())
    assert [own["model"] for own in run["tomograms"]] == ["other.onnx", "toy.onnx", "toy.onnx"]


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
    network = batch.run_network

    def slow(prepared: pipeline.Prepared, *more: Any) -> pipeline.Result:
        if prepared.tomogram.path.stem == "b":
            write_tomogram(Path("new.mrc"), clean_phantom(9, (24, 48, 64), 7).volume, voxel_size=10.0)
            Path("new.mrc").replace("tomograms/b.mrc")
        return network(prepared, *more)

    monkeypatch.setattr(batch, "run_network", slow)
    pick()
    assert record("b")["picks"] == 5
    monkeypatch.setattr(batch, "run_network", network)
    assert skipped(pick()) == ["a", "c"]
    assert record("b")["picks"] == 7


def test_a_tomogram_that_is_cut_short_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = batch.prepare

    def late(tomogram: Tomogram, *more: Any) -> pipeline.Prepared:
        if tomogram.path.stem == "b":
            os.truncate(tomogram.path, 30_000)
        return prepare(tomogram, *more)

    monkeypatch.setattr(batch, "prepare", late)
    outcome = run_line(LINE)
    assert outcome.code == 1
    assert "failed: b: tomograms/b.mrc: has changed while it was read" in outcome.err
    assert record("b")["status"] == "failed"
    assert [record(name)["picks"] for name in "ac"] == [4, 6]


def test_another_model_is_not_skipped() -> None:
    import onnx

    pick()
    proto = onnx.load("toy.onnx")
    proto.doc_string = "another file"
    onnx.save(proto, "toy.onnx")
    assert skipped(pick()) == []


def test_an_interrupted_run_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline.run_network
    seen: list[str] = []

    def interrupted(prepared: Any, *arguments: Any) -> Any:
        seen.append(prepared.tomogram.path.stem)
        if seen == ["a", "b"]:
            raise KeyboardInterrupt
        return whole(prepared, *arguments)

    monkeypatch.setattr(batch, "run_network", interrupted)
    outcome = run_line(LINE)
    assert outcome.code == 130
    assert outcome.err.strip() == "interrupted; the same command goes on where it stopped"
    assert {path.name.split(".")[0].split("_")[0] for path in Path("picks").glob("?[._]*")} == {"a"}
    assert [path.name for path in Path("picks/records").iterdir()] == ["a.json"]
    # what a killed process leaves
    leftovers = [Path("picks/.b.txt.x.part"), Path("picks/records/.b.json.x.part")]
    for part in leftovers:
        part.write_text("half")
    assert skipped(pick()) == ["a"]
    assert seen == ["a", "b", "b", "c"]
    assert not any(part.exists() for part in leftovers)


def test_a_failed_tomogram_is_tried_again_and_the_record_follows() -> None:
    whole = Path("tomograms/b.mrc").read_bytes()
    Path("tomograms/b.mrc").write_bytes(whole[:5000])
    outcome = run_line(LINE)
    assert outcome.code == 1
    assert "in 2 of 3 tomograms" in outcome.out
    b = record("b")
    assert b["status"] == "failed"
    assert b["error"].startswith("tomograms/b.mrc: the file has 5000 bytes")
    assert json.loads(Path("picks/run.json").read_text())["failed"] == {"b": b["error"]}
    Path("tomograms/b.mrc").write_bytes(whole)
    assert skipped(pick()) == ["a", "c"]
    assert record("b")["picks"] == 5
    assert "error" not in record("b")


class Full(CpuEngine):
    """On a device without memory; onnxruntime's errors have no common base class of their own."""

    def iter_heat_map(self, *_: Any) -> Any:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 4294967296\nand more lines")


def test_an_error_of_onnxruntime_stops_only_its_tomogram(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline.run_network

    def full_at_b(prepared: Any, model: Model, *arguments: Any) -> Any:
        full = prepared.tomogram.path.stem == "b"
        return whole(
            prepared,
            replace(model, engine=Full(read_model_file(model.path), Machine(), print)) if full else model,
            *arguments,
        )

    monkeypatch.setattr(batch, "run_network", full_at_b)
    outcome = run_line(LINE)
    assert outcome.code == 1
    assert outcome.err.startswith("failed: b: toy.onnx: onnxruntime stopped (Failed to allocate memory")
    assert [record(name)["status"] for name in NAMES] == ["done", "failed", "done"]


def test_names_of_a_list_and_globs_and_the_manual_s_words() -> None:
    Path("images.txt").write_text("image_name\trec_path\nfirst\ttomograms/a.mrc\nsecond\ttomograms/b.mrc\n")
    outcome = run_line("milopyp-infer semi images.txt --load_model toy.onnx --out one --out_thresh 0.5 --quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert {path.stem for path in Path("one").glob("*.mod")} == {"first", "second"}
    outcome = run_line("milopyp-infer 'tomograms/*.mrc' --model toy.onnx --out two")
    assert outcome.code == 0
    assert {path.stem for path in Path("two").glob("*.mod")} == set(NAMES)
    for ours, theirs in (("a", "first"), ("b", "second")):
        assert Path(f"two/{ours}.txt").read_bytes() == Path(f"one/{theirs}.txt").read_bytes()


def test_a_voxel_size_unlike_the_training_s_is_a_warning() -> None:
    outcome = pick("--voxel-size", "13")
    warnings = [line for line in outcome.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 3
    assert "a: W02 voxels of 13 A, but the model was trained at 10 A" in warnings[0]
    assert record("a")["warnings"] == [warnings[0].removeprefix("warning: ")]
    assert pick("--voxel-size", "10.4").err == ""


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    pick()
    Path("tomograms/c.mrc").write_bytes(b"short")
    Path("tomograms/b.mrc").write_bytes(Path("tomograms/b.mrc").read_bytes() + b"more")
    before = tree(Path("picks"))
    write_tomogram(Path("tomograms/d.mrc"), clean_phantom(4, (24, 48, 64), 3).volume, voxel_size=10.0)
    table = run_line(LINE + " tomograms/d.mrc --dry-run --order xzy").out.splitlines()
    [row] = [line for line in table if line.startswith("d ")]
    assert [cell.strip() for cell in row.split("  ") if cell] == [
        "d", "tomograms/d.mrc", "64 x 24 x 48", "xzy, as given", "10", "is picked",
    ]  # fmt: skip
    assert any(line.startswith("d: W04 --order xzy makes") for line in table)
    rows = [line.split("  ") for line in run_line(LINE + " --dry-run").out.splitlines()]
    facts = {row[0]: [cell.strip() for cell in row if cell] for row in rows if row[0] in NAMES}
    assert facts["a"][2:] == ["64 x 48 x 24", "xyz, the thinnest is z", "10", "is already done: 4 picks"]
    assert facts["b"][-1] == "is picked again: the tomogram has changed"
    assert facts["c"][-1].startswith("fails: tomograms/c.mrc: ")
    assert run_line(LINE + " --dry-run").code == 1
    assert tree(Path("picks")) == before
    assert "is cut anew from its candidates" in run_line(LINE + " --dry-run --K 2").out


@pytest.mark.parametrize("workers", ["", " --workers 2"])
def test_a_summary_has_a_row_for_every_tomogram(workers: str) -> None:
    Path("tomograms/b.mrc").write_bytes(b"short")
    line = f"{LINE} --summary figures.csv{workers}"
    assert run_line(line).code == 1
    with Path("figures.csv").open(newline="") as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    assert {name: row["status"] for name, row in rows.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert [rows["a"][key] for key in ("picks", "threshold", "order", "voxel_size")] == ["4", "0.5", "xyz", "10"]
    assert "tomograms/b.mrc: the file ends after 5 bytes" in rows["b"]["error"]
    assert (rows["b"]["picks"], rows["a"]["error"]) == ("", "")
    assert run_line(line).code == 1  # it is its own, and may be written anew


def test_a_summary_of_before_is_none_of_a_call_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    run_line(LINE, "--summary", "figures.csv")
    with monkeypatch.context() as patched:
        patched.setattr(batch, "run_network", dies)
        assert run_line(LINE, "--summary", "figures.csv", "--overwrite").code == 130
    with Path("figures.csv").open(newline="") as stream:
        assert {row["status"] for row in csv.DictReader(stream)} == {"pending"}
    assert json.loads(Path("picks/run.json").read_text())["done"] == 3  # what the records say


def test_one_tomogram_under_two_names_is_said() -> None:
    pick()
    Path("images.txt").write_text("image_name\trec_path\nother\ttomograms/a.mrc\n")
    outcome = run_line("milopyp-infer images.txt --model toy.onnx --out picks --threads 1")
    assert "picks: a and other are the same tomogram, " in outcome.err


def test_grey_levels_unlike_the_training_s_are_a_warning() -> None:
    import onnx

    proto = onnx.load("toy.onnx")
    [recipe] = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
    recipe.value = json.dumps(json.loads(recipe.value) | {"levels": [-9.0, -1.0, 1.0, 2.3]})
    onnx.save(proto, "toy.onnx")
    outcome = pick()
    assert outcome.err.count("W15 grey levels differ from those of the training") == 3
    assert record("a")["warnings"][0].startswith("a: W15")
    assert len(record("a")["levels"]) == 4
    assert "in training 1 % of the voxels below and above -9.0 and +2.3" in run_line("milopyp show toy.onnx").out
    assert run_line("milopyp report picks").code == 0
    page = Path("picks/report.html").read_text()
    assert '"said": ["W15 grey levels differ' in page and "grey levels: two thirds of the voxels from" in page


def test_names_from_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are told the names by their leader."""
    for name in ("TS_01", "TS_02"):
        write_tomogram(Path(f"series/{name}/tomogram.mrc"), clean_phantom().volume)
    outcome = run_line(f"milopyp-infer 'series/*/tomogram.mrc' --model {TOY} --out each --name-from parent --workers 2")
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in Path("each").glob("*.txt")) == ["TS_01.txt", "TS_02.txt"]
    monkeypatch.chdir("series/TS_01")
    Path("even.mrc").hardlink_to("tomogram.mrc")
    assert run_line(f"milopyp-infer even.mrc tomogram.mrc --model {TOY} --name-from parent --threads 1").code == 0
    assert sorted(path.name for path in Path("picks").glob("*.txt")) == ["TS_01_even.txt", "TS_01_tomogram.txt"]


def test_a_command_that_died_before_its_record_is_not_taken_for_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are known as milopyp's, and are those of the options that are asked for in the end."""

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    pick()
    whole = tree(Path("picks"))
    for module, more in ((cutting, ("--K", "1")), (batch, ("--contrast", "bright"))):
        with monkeypatch.context() as patched:
            patched.setattr(module, "write_record", dies)
            assert run_line(LINE, *more).code == 130
        assert list(Path("picks/records").glob("*.new"))
        again = pick()
        assert "a" not in skipped(again) and again.err == ""
        assert not list(Path("picks").glob("*_changed*"))
        after = tree(Path("picks"))
        assert {name: after[name] for name in whole if "json" not in name} == {
            name: own for name, own in whole.items() if "json" not in name
        }
        assert not list(Path("picks/records").glob("*.new"))


def test_what_died_twice_is_still_known_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(batch, "write_record", dies)
        assert run_line(LINE).code == 130
    with monkeypatch.context() as patched:  # and the next one before it has anything to put in place
        patched.setattr(batch, "write_picks", dies)
        assert run_line(LINE).code == 130
    assert pick().err == ""
    assert not list(Path("picks").glob("*_changed*"))


def test_a_stage_of_a_living_process_is_left_alone() -> None:
    pick()
    with Leases(Path("picks/records")) as leases:
        assert leases.acquire("a")
        Path("picks/records/a.new").mkdir()
        Path("picks/records/a.new/a.txt").write_text("half")
        assert "a is already done" in pick().out
        assert Path("picks/records/a.new/a.txt").exists()
    assert pick().out.count("is already done") == 3
    assert not Path("picks/records/a.new").exists()


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


def test_a_mask_that_keeps_hardly_anything() -> None:
    mask = np.zeros((24, 48, 64), np.int8)
    mask[3, 5, 7] = 1
    write_tomogram(Path("mask.mrc"), mask)
    pick("--mask", "mask.mrc")
    assert [record(name)["status"] for name in NAMES] == ["done"] * 3


def test_moved_tomograms_are_kept_up_with_by_several_processes() -> None:
    pick("--workers", "2")
    os.utime("tomograms/b.mrc", ns=(1, 1))
    assert "the same: b" in pick("--workers", "2").out
    assert "the same" not in pick("--workers", "2").out


@pytest.mark.parametrize("damaged", ['{"tomograms": 5}', "[]", "{"])
def test_a_damaged_summary_stops_nobody(damaged: str) -> None:
    pick()
    Path("picks/run.json").write_text(damaged)
    assert pick().out.count("is already done") == 3


def test_names_from_folders_do_not_depend_on_other_folders() -> None:
    for path in ("s/TS_01/tomogram.mrc", "s/TS_02/rec.mrc", "s/TS_02/even.mrc"):
        write_tomogram(Path(path), clean_phantom(1, (24, 48, 64), 2).volume)
    assert run_line(f"milopyp-infer 's/*/*.mrc' --model {TOY} --out each --name-from parent --threads 1").code == 0
    assert sorted(path.stem for path in Path("each").glob("*.txt")) == ["TS_01", "TS_02_even", "TS_02_rec"]
