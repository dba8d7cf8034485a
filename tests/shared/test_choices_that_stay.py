"""What `milopyp threshold` has chosen stays the run's until another choice is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from milopyp_inference.batch import batch
from running import run_line, tree
from threshold_toys import cut, infer, record, threshold, write_run
from toys import TOY, clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def picks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over two tomograms, one of them with another axis order; the tomograms are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    write_run()
    return tmp_path / "picks"


def test_the_same_command_does_not_undo_a_choice() -> None:
    cut("--value 0.52 --margin 20 --format csv")
    before = tree(Path("picks"))
    again = infer()
    assert "chosen with milopyp threshold, and stays: threshold 0.52, margin 20 Angstrom, formats csv" in again.out
    assert again.out.count("is already done") == 2
    after = tree(Path("picks"))  # but what says that the tomograms were written again
    assert [{name: own for name, own in of.items() if "json" not in name} for of in (after, before)] == [
        {name: own for name, own in after.items() if "json" not in name}
    ] * 2
    assert json.loads(Path("picks/run.json").read_text())["options"]["selection"]["threshold"] == 0.52


def test_an_option_that_differs_counts_and_the_others_stay() -> None:
    cut("--value 0.52 --format csv")
    again = infer("--K", "3")
    assert "stays: threshold 0.52, formats csv" in again.out
    assert again.out.count("cut anew: 3 of") == 2
    assert (threshold(), record("xyz")["options"]["formats"], record("xyz")["picks"]) == (0.52, ["csv"], 3)
    again = infer("--K", "3", "--out-thresh", "0.6")
    assert "is replaced: threshold 0.52 by threshold 0.6" in again.out
    assert threshold() == threshold("xzy") == 0.6
    infer("--K", "3", "--out-thresh", "0.6")
    assert threshold() == 0.6
    again = infer("--out-thresh", "0.7", "--format", "relion4")
    assert "formats csv by formats relion4" in again.out
    assert (threshold(), record("xyz")["options"]["formats"]) == (0.7, ["relion4"])


def test_a_choice_holds_for_tomograms_that_come_later(tmp_path: Path) -> None:
    cut("--value 0.52")
    write_tomogram(tmp_path / "new.mrc", clean_phantom(3).volume, voxel_size=10.0)
    assert "cut anew" not in infer("new.mrc").out
    assert threshold("new") == 0.52
    summary = json.loads(Path("picks/run.json").read_text())
    assert [own["name"] for own in summary["tomograms"]] == ["new", "xyz", "xzy"]
    outcome = infer()  # a part of the folder
    assert "picks holds 1 more, of other calls" in outcome.out
    assert json.loads(Path("picks/run.json").read_text())["done"] == 3


def test_what_is_given_for_the_first_time_counts() -> None:
    """Also where it says what the last call meant without it."""
    cut("--value 0.52")
    assert "threshold 0.52 by threshold 0.5" in infer("--out-thresh", "0.5").out
    assert threshold() == 0.5
    cut("--value 0.52")
    infer("--out-thresh", "0.5")
    assert threshold() == 0.52  # the same command again
    infer("--out-thresh", "auto")
    assert threshold() == 0.52
    infer()
    assert "by threshold 0.5" in infer("--out-thresh", "auto").out
    assert threshold() == 0.5


def test_a_threshold_lifts_a_count() -> None:
    cut("--count 2")
    outcome = cut("--value 0.5")
    assert "no longer only the best 2 of each tomogram" in outcome.out
    assert record("xyz")["options"]["selection"]["limit"] is None
    assert "no longer" not in cut("--count 2 --value 0.5").out
    assert "no longer" not in cut("--margin 10").out
    assert record("xyz")["options"]["selection"]["limit"] == 2
    infer("--K", "3")
    cut("--count 2")
    cut("--total 5")
    assert record("xyz")["options"]["selection"]["limit"] == 3  # which milopyp-infer was told


def test_what_is_chosen_while_others_pick_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its last tomogram and its summary."""
    write_tomogram(Path("new.mrc"), clean_phantom(3).volume, voxel_size=10.0)
    whole = batch.summarise

    def late(run: Any) -> Any:
        cut("--value 0.52")
        return whole(run)

    monkeypatch.setattr(batch, "summarise", late)
    infer("new.mrc")
    assert json.loads(Path("picks/run.json").read_text())["options"]["selection"]["threshold"] == 0.52


def test_only_what_is_chosen_is_the_runs() -> None:
    """Options that single tomograms were picked with do not become those of all."""
    write_tomogram(Path("new.mrc"), clean_phantom(3).volume, voxel_size=10.0)
    assert run_line(f"milopyp-infer new.mrc --model {TOY} --out picks --threads 1 --coords voxel").code == 0
    cut("--value 0.52")
    options = json.loads(Path("picks/run.json").read_text())["options"]
    assert (options["selection"]["threshold"], options["coords"], options["with_score"]) == (0.52, "voxel", False)
    infer()
    assert (record("xyz")["options"]["coords"], record("xyz")["options"]["with_score"]) == ("model2point", True)
    assert threshold() == threshold("new") == 0.52


def test_names_that_were_chosen_stay() -> None:
    Path("names.star").write_text("data_global\n\nloop_\n_rlnTomoName\nrec_xyz\nrec_xzy\n")
    cut("--format relion4 --tomograms names.star")
    assert record("xyz")["tomo_name"] == "rec_xyz"
    assert infer().out.count("is already done") == 2
    assert record("xyz")["tomo_name"] == "rec_xyz"


def test_names_that_were_chosen_hold_for_tomograms_that_come_later() -> None:
    Path("rec_xyz_Vol.mrc").unlink(missing_ok=True)
    write_tomogram(Path("rec_new_10.00Apx.mrc"), clean_phantom(3).volume, voxel_size=10.0)
    cut("--format relion4 --names series")
    outcome = infer("rec_new_10.00Apx.mrc")
    assert "chosen with milopyp threshold, and stays: names by series" in outcome.out
    assert record("rec_new_10.00Apx")["tomo_name"] == "new"
    assert "new" in Path("picks/rec_new_10.00Apx.star").read_text()
    assert json.loads(Path("picks/run.json").read_text())["named"] == "series"


def test_a_run_is_shown() -> None:
    cut("--value 0.52 --format csv --turn rotx")
    outcome = run_line("milopyp show picks")
    assert outcome.code == 0
    rows = {line[:12].strip(): line[12:] for line in outcome.out.splitlines()}
    assert rows["run"].startswith("picks: ") and rows["run"].endswith("in 2 tomograms")
    assert rows["model"] == f"{TOY} (2 tomograms)"
    assert rows["suggested"] == "0.50 (chosen by hand, uncalibrated)"
    assert rows["written"] == (
        "picks above 0.52 as NAME.txt, NAME.mod, NAME.csv (csv), all of the tomogram turned by rotx"
    )
    assert rows["chosen"] == "threshold 0.52, formats csv, turn rotx"
    assert json.loads(run_line("milopyp show picks --json").out) == json.loads(Path("picks/run.json").read_text())
    assert run_line("milopyp show nowhere").code == 2
