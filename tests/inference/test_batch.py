"""Runs over many tomograms: what their records, summaries and warnings say, and what fails alone."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_toys import LINE, NAMES, pick, record, skipped, write_three
from milopyp_inference import pipeline
from milopyp_inference.batch import batch, one_tomogram
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import Model
from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.providers.cpu import CpuEngine
from milopyp_shared.recipe import METADATA_KEY
from milopyp_shared.system import peak_memory_mib
from milopyp_shared.tomogram import Tomogram
from running import run_line, tree
from toys import TOY, clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the three tomograms are: the working directory."""
    monkeypatch.chdir(tmp_path)
    write_three()
    return tmp_path


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
    assert (b["name"], b["status"], b["picks"], b["provider"]) == ("b", "done", 5, "OpenVINO")
    assert (b["frame"]["order"], b["frame"]["stored_shape"]) == ("xyz", [24, 48, 64])
    assert (b["frame"]["voxel_size"], b["warnings"]) == ([10.0] * 3, [])
    assert b["options"]["selection"] == {
        "threshold": 0.5, "distance": 6.0, "limit": None, "margin": 0.0, "exclusive": True,
    }  # fmt: skip
    assert b["operators"] == {"OpenVINO": sum(b["operators"].values())}
    assert b["candidates"] >= b["picks"]
    assert (
        sum(b["seconds"][stage] for stage in ("preprocess", "network", "heat_map", "peaks", "write"))
        <= b["seconds"]["total"] + 1e-3  # both are rounded
    )
    assert 20 < b["peak_memory_mib"] <= peak_memory_mib()  # of this process, whatever has run in it before
    run = json.loads(Path("picks/run.json").read_text())
    assert run["tomograms"] == [record(name) for name in NAMES]
    assert (run["done"], run["failed"], run["picks"], run["diameter"]) == (3, {}, 15, 10.0)
    assert run["model_sha256"] == b["model_sha256"]
    assert run["suppression_distance"] == 6.0


def test_a_tomogram_that_is_cut_short_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = batch.prepare

    def late(tomogram: Tomogram, *more: Any, **threads: int) -> pipeline.Prepared:
        if tomogram.path.stem == "b":
            os.truncate(tomogram.path, 30_000)
        return prepare(tomogram, *more, **threads)

    monkeypatch.setattr(batch, "prepare", late)
    outcome = run_line(LINE)
    assert outcome.code == 1
    assert "failed: b: tomograms/b.mrc: has changed while it was read" in outcome.err
    assert record("b")["status"] == "failed"
    assert [record(name)["picks"] for name in "ac"] == [4, 6]


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

    monkeypatch.setattr(one_tomogram, "run_network", full_at_b)
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
        patched.setattr(one_tomogram, "run_network", dies)
        assert run_line(LINE, "--summary", "figures.csv", "--overwrite").code == 130
    with Path("figures.csv").open(newline="") as stream:
        assert {row["status"] for row in csv.DictReader(stream)} == {"pending"}
    assert json.loads(Path("picks/run.json").read_text())["done"] == 3  # what the records say


def test_one_tomogram_under_two_names_is_said() -> None:
    pick()
    Path("images.txt").write_text("image_name\trec_path\nother\ttomograms/a.mrc\n")
    outcome = run_line("milopyp-infer images.txt --model toy.onnx --out picks --threads 1")
    assert "picks: a and other are the same tomogram, " in outcome.err


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


def test_names_from_folders_do_not_depend_on_other_folders() -> None:
    for path in ("s/TS_01/tomogram.mrc", "s/TS_02/rec.mrc", "s/TS_02/even.mrc"):
        write_tomogram(Path(path), clean_phantom(1, (24, 48, 64), 2).volume)
    assert run_line(f"milopyp-infer 's/*/*.mrc' --model {TOY} --out each --name-from parent --threads 1").code == 0
    assert sorted(path.stem for path in Path("each").glob("*.txt")) == ["TS_01", "TS_02_even", "TS_02_rec"]


def test_a_mask_that_keeps_hardly_anything() -> None:
    mask = np.zeros((24, 48, 64), np.int8)
    mask[3, 5, 7] = 1
    write_tomogram(Path("mask.mrc"), mask)
    pick("--mask", "mask.mrc")
    assert [record(name)["status"] for name in NAMES] == ["done"] * 3
