"""`milopyp threshold`: other picks from the same candidates."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest

from milopyp_inference.batch import batch, cutting
from milopyp_inference.batch.leases import Leases
from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.picks import Picks
from running import Outcome, run_line, tree
from toys import TOY, clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def picks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over two tomograms, one of them with another axis order; the tomograms are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    write_tomograms()
    assert run_line(f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --out picks --threads 1 --with-score").code == 0
    for path in tmp_path.glob("*.mrc"):
        path.unlink()
    return tmp_path / "picks"


def write_tomograms() -> None:
    for seed, order in ((1, "xyz"), (2, "xzy")):
        write_tomogram(Path(f"{order}.mrc"), clean_phantom(seed).volume, order, voxel_size=10.0)


def cut(words: str) -> Outcome:
    outcome = run_line(f"milopyp threshold picks {words}")
    assert outcome.code == 0, outcome.err
    return outcome


def table(path: str) -> Any:
    return np.loadtxt(path, ndmin=2)


def record(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(Path(f"picks/records/{name}.json").read_text())
    return stored


@pytest.mark.parametrize(
    "words", ["--value 0.55", "--count 3", "--value 0.52 --count 4", "--distance 0", "--margin 80", "--margin 80A"]
)
def test_it_gives_what_picking_with_these_options_gives(words: str, tmp_path: Path) -> None:
    cut(f"{words} --out again")
    options = words.replace("--value", "--out-thresh").replace("--count", "--K")
    if "--count" in words and "--value" not in words:
        options += " --out-thresh 0"
    if "--distance" in words:  # no option of picking: every candidate above the threshold
        lines = Path("picks/xzy.candidates.csv").read_text().splitlines()[3:]
        assert len(table("again/xzy.txt")) == sum(float(line.split(",")[3]) > 0.5 for line in lines)
        return
    for seed, order in ((1, "xyz"), (2, "xzy")):
        write_tomogram(tmp_path / f"{order}.mrc", clean_phantom(seed).volume, order, voxel_size=10.0)
    line = f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --out wanted --threads 1 --with-score {options}"
    assert run_line(line).code == 0
    for name in ("xyz", "xzy"):
        np.testing.assert_allclose(table(f"again/{name}.txt"), table(f"wanted/{name}.txt"), atol=0.011)
        models = [imodmodel.read(f"{folder}/{name}.mod")[["x", "y", "z"]] for folder in ("again", "wanted")]
        np.testing.assert_allclose(models[0].to_numpy(), models[1].to_numpy(), atol=0.002)


def test_a_distance_in_angstrom_is_one_of_each_tomogram() -> None:
    """As twice as many voxels in a tomogram of half the voxel size."""
    path = Path("picks/records/xzy.json")
    stored = record("xzy")
    stored["frame"]["voxel_size"] = [5.0, 5.0, 5.0]
    path.write_text(json.dumps(stored))
    cut("--distance 205A --out angstrom")
    for name, voxels in (("xyz", "20.5"), ("xzy", "41")):
        cut(f"--distance {voxels} --out voxels_{name}")
        assert Path(f"angstrom/{name}.txt").read_bytes() == Path(f"voxels_{name}/{name}.txt").read_bytes()
    assert len(table("voxels_xyz/xzy.txt")) > len(table("angstrom/xzy.txt"))
    cut("--distance 205A")
    assert (record("xyz")["suppression_distance"], record("xzy")["suppression_distance"]) == (20.5, 41.0)
    run = json.loads(Path("picks/run.json").read_text())  # of no tomogram in particular
    assert run["suppression_distance"] == run["options"]["selection"]["distance"] == 6.0


def test_the_run_itself_stays_as_it_is_with_out() -> None:
    before = tree(Path("picks"))
    assert "6 picks in 2 tomograms: few" in cut("--count 3 --out few").out
    assert tree(Path("picks")) == before


def test_out_is_a_run_of_its_own() -> None:
    cut("--count 3 --out few")
    run = json.loads(Path("few/run.json").read_text())
    assert (run["picks"], run["done"], run["options"]["selection"]["limit"]) == (6, 2, 3)
    assert [own["outputs"].keys() for own in run["tomograms"]] == [{"xyz.txt", "xyz.mod"}, {"xzy.txt", "xzy.mod"}]
    assert "2 picks in 2 tomograms: few" in run_line("milopyp threshold few --count 1").out
    write_tomograms()
    assert run_line("milopyp report few").code == 0
    rows = ["image_name x_coord y_coord z_coord", *(f"{name} 20 20 8" for name in ("xyz", "xzy"))]
    Path("truth.txt").write_text("\n".join(rows) + "\n")
    assert run_line("milopyp evaluate few --truth truth.txt").code == 0


def test_out_replaces_what_was_cut_from_this_run_and_nothing_else() -> None:
    cut("--count 3 --out few")
    Path("few/xyz.mod").write_bytes(b"mine")
    assert "xyz.mod is not as it was written: kept as xyz_changed.mod" in cut("--count 2 --out few").err
    Path("other").mkdir()
    Path("other/xzy.txt").write_text("1 2 3")
    outcome = run_line("milopyp threshold picks --count 2 --out other")
    assert outcome.code == 2 and "other: holds xzy.txt of something else" in outcome.err
    assert [path.name for path in Path("other").iterdir()] == ["xzy.txt"]


def test_without_out_the_records_say_what_the_picks_are_now() -> None:
    heat = Path("picks/xyz_hm.mrc").read_bytes()
    cut("--value 0.9 --without-score")
    assert Path("picks/xyz_hm.mrc").read_bytes() == heat
    assert table("picks/xzy.txt").size == 0 or table("picks/xzy.txt").shape[1] == 3
    assert record("xyz")["options"]["selection"]["threshold"] == 0.9
    run = json.loads(Path("picks/run.json").read_text())
    assert run["tomograms"] == [record("xyz"), record("xzy")]
    assert run["picks"] == sum(record(name)["picks"] for name in ("xyz", "xzy"))
    assert run["options"]["selection"]["threshold"] == 0.9
    cut("--value 0.5 --distance 3")
    assert record("xyz")["picks"] >= 10
    assert json.loads(Path("picks/run.json").read_text())["suppression_distance"] == 3.0  # which evaluate thins by


def test_what_was_changed_by_hand_is_kept() -> None:
    for name in ("xyz.mod", "xzy.txt"):
        Path("picks", name).write_bytes(b"mine" + Path("picks", name).read_bytes())
    outcome = cut("--value 0.4")
    assert "xyz.mod is not as it was written: kept as xyz_changed.mod" in outcome.err
    assert "xzy.txt is not as it was written: kept as xzy_changed.txt" in outcome.err
    assert "changed" not in cut("--value 0.5").err
    Path("picks/xyz.mod").write_bytes(b"again")
    write_tomograms()
    again = run_line(f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --out picks --threads 1 --overwrite")
    assert again.code == 0, again.err
    assert "xyz.mod is not as it was written: kept as xyz_changed1.mod" in again.err
    assert Path("picks/xyz_changed.mod").read_bytes().startswith(b"mine")
    assert Path("picks/xyz_changed1.mod").read_bytes() == b"again"
    assert record("xyz")["outputs"]["xyz.mod"] == hashlib.sha256(Path("picks/xyz.mod").read_bytes()).hexdigest()
    assert sorted(path.name for path in Path("picks").glob("*_changed*")) == [
        "xyz_changed.mod", "xyz_changed1.mod", "xzy_changed.txt",
    ]  # fmt: skip


def change(name: str) -> bytes:
    """A person's work on an output of the run."""
    path = Path("picks", name)
    path.write_bytes(path.read_bytes() + b"mine")
    return path.read_bytes()


@pytest.mark.parametrize("out", ["picks", "../{}/picks"])
def test_the_run_itself_as_out(out: str) -> None:
    mine = change("xyz.txt")
    outcome = cut(f"--value 0.4 --out {out.format(Path.cwd().name)}")
    assert "xyz.txt is not as it was written: kept as xyz_changed.txt" in outcome.err
    assert Path("picks/xyz_changed.txt").read_bytes() == mine
    assert record("xyz")["options"]["selection"]["threshold"] == 0.4


def test_what_was_changed_is_kept_from_several_processes() -> None:
    mine = change("xyz.txt")
    write_tomograms()
    line = f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --out picks --threads 1 --overwrite --workers 2"
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    assert Path("picks/xyz_changed.txt").read_bytes() == mine
    assert len(list(Path("picks").glob("*_changed*"))) == 1


def test_what_was_changed_is_kept_after_a_failure() -> None:
    mine = change("xyz.txt")
    line = f"milopyp-infer xyz.mrc --model {TOY} --out picks --threads 1 --overwrite"
    write_tomograms()
    whole = Path("xyz.mrc").read_bytes()
    Path("xyz.mrc").write_bytes(whole[:2000])
    run_line(line)
    Path("xyz.mrc").write_bytes(whole)
    assert run_line(line).code == 0
    assert Path("picks/xyz_changed.txt").read_bytes() == mine


def test_a_file_that_the_run_has_not_written_is_kept() -> None:
    Path("picks/xyz.json").write_text("mine")
    assert "xyz.json was not written by milopyp-infer: kept as xyz_changed.json" in cut("--format copick").err
    cut("--value 0.4 --format relion4")
    mine = change("xyz.json")
    cut("--value 0.4 --format copick")
    assert Path("picks/xyz_changed1.json").read_bytes() == mine


INFER = f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --out picks --threads 1 --with-score"


def infer(*more: str) -> Outcome:
    """The command that made the run, which must not need the network."""
    write_tomograms()
    before = {path.name: path.stat().st_mtime_ns for path in Path("picks").glob("*_hm.mrc")}
    outcome = run_line(INFER, *more)
    assert outcome.code == 0, outcome.err
    assert before == {name: Path("picks", name).stat().st_mtime_ns for name in before}
    return outcome


def threshold(name: str = "xyz") -> float:
    found: float = record(name)["options"]["selection"]["threshold"]
    return found


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


def test_files_of_formats_that_are_not_asked_for_any_more_are_named() -> None:
    cut("--format relion4")
    outcome = cut("--format csv --value 0.6")
    assert "not of today's picks, since --format does not name them any more: xyz.star, xzy.star" in outcome.err
    assert "not of today's picks" in infer().err
    Path("picks/xyz.star").unlink()
    Path("picks/xzy.star").unlink()
    assert infer().err == ""


def test_nothing_is_cut_where_candidates_are_missing() -> None:
    before = tree(Path("picks"))
    whole = Path("picks/xzy.candidates.csv").read_bytes()
    Path("picks/xzy.candidates.csv").unlink()
    outcome = run_line("milopyp threshold picks --value 0.9")
    assert outcome.code == 2 and "picks: lacks xzy.candidates.csv" in outcome.err
    Path("picks/xzy.candidates.csv").write_bytes(whole)
    assert tree(Path("picks")) == before


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


def test_a_margin_that_one_tomogram_cannot_have_changes_nothing() -> None:
    stored = record("xzy")
    stored["frame"]["voxel_size"] = None
    Path("picks/records/xzy.json").write_text(json.dumps(stored))
    before = tree(Path("picks"))
    outcome = run_line("milopyp threshold picks --margin 20")
    assert outcome.code == 2 and "--margin: the voxel size is unknown" in outcome.err
    assert tree(Path("picks")) == before


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


def test_two_formats_of_one_suffix() -> None:
    cut("--format relion4,relion5")
    assert {path.name for path in Path("picks").glob("xyz*.star")} == {"xyz.relion4.star", "xyz.relion5.star"}


def test_a_run_that_is_worked_on_is_left_alone() -> None:
    with Leases(Path("picks/records")) as leases:
        assert leases.acquire("xzy")
        outcome = run_line("milopyp threshold picks --value 0.9")
    assert outcome.code == 2 and "somebody is picking xzy" in outcome.err


def test_what_a_killed_command_has_written_is_no_work_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies between the first new file and the record."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cutting, "write_record", dies)
        assert run_line("milopyp threshold picks --count 2").code == 130
    assert record("xyz")["outputs"]["xyz.txt"] != hashlib.sha256(Path("picks/xyz.txt").read_bytes()).hexdigest()
    assert cut("--count 3").err == ""
    with monkeypatch.context() as patched:
        patched.setattr(cutting, "write_record", dies)
        assert run_line("milopyp threshold picks --count 2").code == 130
    change("xyz.mod")
    assert "kept as xyz_changed.mod" in cut("--count 3").err
    assert not list(Path("picks/records").glob("*.new"))


def test_precision_of_several_models_is_refused() -> None:
    run = json.loads(Path("picks/run.json").read_text())
    table_of = {"particles": 5.0, "score": [0.3, 0.52, 0.9], "precision": [0.4, 0.8, 1.0], "recall": [1.0, 0.9, 0.1]}
    run["tomograms"][0]["model_sha256"] = "another"
    Path("picks/run.json").write_text(json.dumps(run | {"calibration": table_of}))
    outcome = run_line("milopyp threshold picks --precision 0.75")
    assert outcome.code == 2 and "several models" in outcome.err


def test_what_was_picked_as_published_is_refused(tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    assert run_line(f"milopyp-infer a.mrc --model {TOY} --out published --published --cutoff-z 0").code == 0
    outcome = run_line("milopyp threshold published --value 0.5")
    assert outcome.code == 2
    assert "a was picked with milopyp-infer --published" in outcome.err


def test_a_threshold_for_a_precision() -> None:
    run = json.loads(Path("picks/run.json").read_text())
    assert run["calibration"] is None  # the toy model was not trained
    table_of = {"particles": 5.0, "score": [0.3, 0.52, 0.9], "precision": [0.4, 0.8, 1.0], "recall": [1.0, 0.9, 0.1]}
    Path("picks/run.json").write_text(json.dumps(run | {"calibration": table_of}))
    outcome = cut("--precision 0.75 --out precise")
    assert "picks above 0.52: expected precision 0.75" in outcome.out
    cut("--value 0.52 --out wanted")
    assert tree(Path("precise")) == tree(Path("wanted"))


def test_other_formats_follow(tmp_path: Path) -> None:
    assert not list(Path("picks").glob("*.tbl"))
    cut("--format tbl,copick")
    first = Path("picks/xyz.tbl").read_text()
    assert len(first.splitlines()) == len(table("picks/xyz.txt"))
    cut("--count 3")
    assert [len(Path(f"picks/{name}.tbl").read_text().splitlines()) for name in ("xyz", "xzy")] == [3, 3]
    assert len(json.loads(Path("picks/xzy.json").read_text())["points"]) == 3
    assert record("xyz")["options"]["formats"] == ["tbl", "copick"]


@pytest.mark.parametrize("total", [1, 7, 20])
def test_a_threshold_for_a_number_of_picks_in_all_tomograms(total: int) -> None:
    rng = np.random.default_rng(total)
    scores = []
    for name in ("xyz", "xzy"):
        path = Path(f"picks/{name}.candidates.csv")
        found = read_candidates(path)
        scores.append(np.sort(rng.uniform(0, 1, len(found)))[::-1])
        write_candidates(path, Picks(found.xyz, scores[-1]))
    best = np.sort(np.concatenate(scores))[::-1][:total]
    picks = "1 pick" if total == 1 else f"{total} picks"
    assert f"{picks} in 2 tomograms: some" in cut(f"--total {total} --out some").out
    lines = [line for name in ("xyz", "xzy") for line in Path(f"some/{name}.txt").read_text().splitlines()]
    np.testing.assert_allclose(sorted(float(line.split()[3]) for line in lines), best[::-1], atol=0.006)


def test_the_plot_changes_nothing_and_shows_every_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curves, as they are handed to the plotting library, count the picks above every threshold."""
    from matplotlib.axes import Axes

    drawn: list[Any] = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda axes, *words, **more: drawn.append(words) or plot(axes, *words, **more))
    before = tree(Path("picks"))
    assert "wrote counts.png" in cut("--plot counts.png").out
    assert tree(Path("picks")) == before
    assert Path("counts.png").read_bytes().startswith(b"\x89PNG")
    at, count = drawn[0][:2]
    assert count[np.searchsorted(at, 0.5)] == 20 and (np.diff(count) <= 0).all()
    assert drawn[1][1] == [20]  # the threshold of the run


def test_a_rescaled_run_keeps_its_distances() -> None:
    """Candidates 7 voxels apart, in a tomogram whose voxels are 1.4 times the model's: particles 7.1 voxels wide."""
    phantom = clean_phantom(3)
    write_tomogram(Path("coarse.mrc"), phantom.volume, voxel_size=14.0)
    assert run_line(f"milopyp-infer coarse.mrc --model {TOY} --out coarse --threads 1 --rescale").code == 0
    stored = json.loads(Path("coarse/records/coarse.json").read_text())
    assert stored["suppression_distance"] == pytest.approx(stored["options"]["selection"]["distance"] / 1.4)
    header = Path("coarse/coarse.candidates.csv").read_text().splitlines()[:3]
    near = stored["suppression_distance"] * 1.1  # apart enough here, not with the model's own voxels
    rows = ["20,20,10,0.95", f"{20 + near},20,10,0.9"]
    Path("coarse/coarse.candidates.csv").write_text("\n".join([*header, *rows]) + "\n")
    assert run_line("milopyp threshold coarse --value 0.5").code == 0
    assert len(table("coarse/coarse.txt")) == 2
