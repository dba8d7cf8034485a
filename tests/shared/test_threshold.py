"""`milopyp threshold`: other picks from the same candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest

from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.picks import Picks
from running import run_line, tree
from threshold_toys import cut, record, table, write_run, write_tomograms
from toys import TOY, clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def picks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over two tomograms, one of them with another axis order; the tomograms are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    write_run()
    return tmp_path / "picks"


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


def test_two_formats_of_one_suffix() -> None:
    cut("--format relion4,relion5")
    assert {path.name for path in Path("picks").glob("xyz*.star")} == {"xyz.relion4.star", "xyz.relion5.star"}


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
