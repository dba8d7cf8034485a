"""Files written before the packages were regrouped are still read: a run, a model, a checkpoint, a recipe."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from milopyp_inference import pick
from milopyp_shared.calibration import Calibration, Threshold
from milopyp_shared.formats.mod import CENTRE, write_mod
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import METADATA_KEY, Chunks, Geometry, Recipe
from milopyp_shared.tomogram import read_header
from running import outputs, run_line
from toys import clean_phantom, write_tomogram

OLD = Path(__file__).parents[1] / "data" / "before_regrouping"
LINE = (
    "milopyp-infer tomograms/a.mrc tomograms/b.mrc --model model.onnx --out run --threads 1 --with-score "
    "--format tbl,copick --margin 5 --mask masks"
)
RECORDS = ("run/records/a.json", "run/records/b.json", "run/run.json")
WRITTEN = 1_700_000_000  # when the tomogram and the mask were, for the records
NOT_THERE = {"turn": "none", "precision": None, "mask_distance": None, "normals": False}  # options, then


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The old run beside its tomogram, its mask and its model, where today's files are taken for those of then."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    write_tomogram(Path("tomograms/a.mrc"), clean_phantom(7, (16, 48, 48), 3).volume, voxel_size=10.0)
    mask = np.ones((16, 48, 48), np.int8)
    mask[:, :, :8] = 0
    write_tomogram(Path("masks/a_mask.mrc"), mask)
    for path in ("tomograms/a.mrc", "masks/a_mask.mrc"):
        os.utime(path, (WRITTEN, WRITTEN))
    for path in (*Path("run").rglob("*.json"), Path("published_record.json")):
        path.write_text(path.read_text().replace("/data/", f"{tmp_path}/"))
    return tmp_path


def content(path: str) -> Any:
    return json.loads(Path(path).read_text())


def test_the_same_command_skips_what_an_old_record_says_is_done() -> None:
    before, records = outputs(Path("run")), [content(path) for path in RECORDS]
    outcome = run_line(LINE)
    assert outcome.code == 1  # the second tomogram was not there then, either
    assert "a is already done: 3 picks" in outcome.out
    assert "failed: b: tomograms/b.mrc: no such file" in outcome.err
    written = outputs(Path("run"))
    assert written.pop("tomograms.doc") and written == before
    now = [content(path) for path in RECORDS]
    for summary in (now[2], records[2]):  # the summary is written anew, with frames in the words of today
        summary["tomograms"][0].pop("frame")
    assert now[2].pop("suggested")["score"] == 0.4  # of the model, which summaries did not say
    for each in (now[1], *now[2]["tomograms"]):
        assert each.pop("outputs") == {}
    for each in (now[1], now[2], *now[2]["tomograms"]):  # and with options that there were not
        assert {name: each["options"].pop(name) for name in NOT_THERE} == NOT_THERE
    for options in (now[2]["call"], *(each["options"] for each in (now[1], now[2], *now[2]["tomograms"]))):
        assert options["selection"].pop("exclusive") is True
    for each in (now[1], *now[2]["tomograms"]):  # and with what the tomogram is called
        called = {"a": 1, "b": 2}
        assert each.pop("tomo_name") == each["name"] == each.pop("called")
        assert each.pop("dynamo_tomogram") == called[each["name"]]
        assert each.pop("levels", None) is None  # which nobody kept
        assert each.pop("model") == ("model.onnx" if each["name"] == "b" else "")  # b was tried again today
    assert now[2].pop("named") == ""
    assert set(now[2].pop("typed")) <= {"threshold", "margin", "with_score", "formats"}
    assert now[2].pop("call") == now[2]["options"] | NOT_THERE  # nothing has been chosen since
    assert now == records


def test_an_old_record_of_voxels_that_single_precision_rounds() -> None:
    """The cell is stored in single precision, so that the sizes of the axes differ in the eighth digit."""
    for path in RECORDS[0], RECORDS[2]:
        Path(path).write_text(Path(path).read_text().replace('_voxel_size": 10.0', '_voxel_size": 10.000003'))
    assert "a is already done: 3 picks" in run_line(LINE).out


def test_an_old_record_counts_only_for_the_same_files() -> None:
    os.utime("masks/a_mask.mrc", (WRITTEN + 1, WRITTEN + 1))
    assert "already done" not in run_line(LINE).out


def test_old_candidates_are_cut_again() -> None:
    before = Path("run/a.txt").read_text(), Path("run/a.tbl").read_text()
    assert run_line("milopyp threshold run --value 0.4").code == 0
    assert (Path("run/a.txt").read_text(), Path("run/a.tbl").read_text()) == before
    outcome = run_line("milopyp threshold run --precision 0.8 --count 2")
    assert "picks above 0.60: expected precision 0.80" in outcome.out
    record, summary = content("run/records/a.json"), content("run/run.json")
    assert record["options"]["selection"] == {
        "threshold": 0.6, "distance": 6.0, "limit": 2, "margin": 5.0, "exclusive": True,
    }  # fmt: skip
    assert (record["picks"], summary["picks"], summary["failed"]["b"][:16]) == (2, 2, "tomograms/b.mrc:")
    for option, value in NOT_THERE.items():
        assert summary["tomograms"][1]["options"].pop(option) == value
    assert summary["tomograms"][1]["options"]["selection"].pop("exclusive") is True
    assert (summary["tomograms"][1].pop("tomo_name"), summary["tomograms"][1].pop("dynamo_tomogram")) == ("b", 1)
    assert summary["tomograms"][1].pop("outputs") == {}
    assert (summary["tomograms"][1].pop("called"), summary["tomograms"][1].pop("model")) == ("b", "")
    assert summary["tomograms"] == [record, content("run/records/b.json")]


def with_origin_of_imod_4() -> None:
    """The tomogram and the records of then say an origin x of 30 A, whose sign nobody looked at."""
    with Path("tomograms/a.mrc").open("r+b") as stream:
        stream.seek(108)
        stream.write(struct.pack("<i", 0))
        stream.seek(196)
        stream.write(struct.pack("<f", 30.0))
    os.utime("tomograms/a.mrc", (WRITTEN, WRITTEN))
    record = content("run/records/a.json")
    record["frame"]["origin"] = [30.0, 0.0, 0.0]
    Path("run/records/a.json").write_text(json.dumps(record))


def test_old_picks_whose_header_was_misread_are_placed_or_picked_anew() -> None:
    with_origin_of_imod_4()
    assert run_line("milopyp threshold run --value 0.4 --out new").code == 0
    model = Path("new/a.mod").read_bytes()
    reference = struct.unpack_from(">18f", model, model.index(b"MINX") + 8)
    assert reference[12:15] == (30.0, 0.0, 0.0)  # IMOD's origin is the number as it stands: without version, no sign
    assert "a is already done" not in run_line(LINE).out
    assert content("run/records/a.json")["frame"]["placement"]["origin"] == [-30.0, 0.0, 0.0]


def test_old_picks_without_their_tomogram_must_be_picked_anew() -> None:
    Path("tomograms/a.mrc").unlink()
    outcome = run_line("milopyp threshold run --value 0.4")
    assert outcome.code == 2 and "pick it anew with milopyp-infer" in outcome.err and len(outcome.errors) == 1


def test_an_old_run_is_shown_and_judged() -> None:
    assert run_line("milopyp report run").code == 0
    page = Path("run/report.html").read_text()
    assert '"threshold": 0.4' in page and "tomograms/b.mrc: no such file" in page
    rows = [f"a {x} {y} {z}" for x, y, z in clean_phantom(7, (16, 48, 48), 3).particles_xyz]
    Path("truth.txt").write_text("\n".join(["image_name x_coord y_coord z_coord", *rows]) + "\n")
    assert run_line("milopyp evaluate run --truth truth.txt --radius 50A --json figures.json").code == 0
    figures = content("figures.json")
    assert (figures["distance"], figures["n_truth"]) == (6.0, 3)


@pytest.mark.parametrize("gone", [False, True])
def test_an_old_run_is_judged_by_a_model_on_its_tomogram(gone: bool) -> None:
    """The header is read anew; where it is gone, the model is taken as drawn on this tomogram."""
    with_origin_of_imod_4()
    placement = read_header(Path("tomograms/a.mrc")).frame.placement
    assert placement.origin == (-30.0, 0.0, 0.0)
    particles = np.array(clean_phantom(7, (16, 48, 48), 3).particles_xyz, dtype=float)
    write_mod(Path("a.mod"), particles, size_xyz=(48, 48, 16), radius=4.0, placement=placement)
    if gone:
        Path("tomograms/a.mrc").unlink()
    outcome = run_line("milopyp evaluate run --truth a.mod --radius 50A --json figures.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert content("figures.json")["n_hits"] == 3


def test_a_record_of_published_picks() -> None:
    shutil.copy("published_record.json", "run/records/a.json")
    outcome = run_line("milopyp threshold run --value 0.5")
    assert "a was picked with milopyp-infer --published" in outcome.err
    assert run_line("milopyp report run").code == 0


def test_an_old_model_picks() -> None:
    found = pick("tomograms/a.mrc", "model.onnx", mask="masks/a_mask.mrc", margin=5.0)
    rows = np.loadtxt("run/a.txt")
    np.testing.assert_allclose(found.xyz + CENTRE, rows[:, :3], atol=0.006)
    np.testing.assert_allclose(found.score, rows[:, 3], atol=1e-5)


def test_an_old_checkpoint_is_shown_and_exported() -> None:
    assert "unet3d" in run_line("milopyp show checkpoint.pth").out
    assert run_line("milopyp-export checkpoint.pth -o new.onnx").code == 0
    old, new = pick("tomograms/a.mrc", "model.onnx"), pick("tomograms/a.mrc", "new.onnx")
    np.testing.assert_allclose(new.xyz, old.xyz, atol=1e-3)
    assert set(torch.load("checkpoint.pth", weights_only=True)) == {"format", "schema", "recipe", "state_dict"}


def test_an_old_recipe() -> None:
    recipe = Recipe.from_json(Path("recipe.json").read_text(), "recipe.json")
    assert (recipe.architecture, recipe.architecture_options) == ("unet3d", {"channels": 2, "levels": 2})
    assert recipe.grey == Preprocessing("mean", (0.4, 0.8, 0.8), (-4.0, 4.0), stretch=False, statistics="moments")
    assert recipe.geometry == Geometry((8, 16, 16), (2, 4, 4), (1, 2, 2))
    assert recipe.threshold == Threshold(0.4, "out of fold", calibrated=True)
    assert recipe.calibration == Calibration(25.0, (0.2, 0.4, 0.6), (0.5, 0.75, 0.95), (0.9, 0.8, 0.5))
    assert isinstance(recipe.chunks, Chunks) and recipe.chunks.states[3] == (2, 4, 2)
    assert (recipe.labels, recipe.order, recipe.flips, recipe.precision) == ({"TS_01": 30}, "xzy", 1, "fp32")
    assert (recipe.contrast, recipe.voxel_size, recipe.working_bytes) == ("dark", 10.0, 240)
    stored = {entry.key: entry.value for entry in onnx.load("model.onnx").metadata_props}
    assert Recipe.from_json(stored[METADATA_KEY], "model.onnx") == recipe
