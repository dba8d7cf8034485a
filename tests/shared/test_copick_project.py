"""copick projects: tomograms are called as their runs, picks go where copick looks for them, labels come from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from copick_toys import write_picks, write_project, write_runs
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.lists import read_image_list
from milopyp_shared.project_labels import merge
from running import Outcome, run_line, tree
from toys import TOY

INFER = f"milopyp-infer --copick project.json --object ribosome --model {TOY} --threads 1 --out-thresh 0.1"
RUNS = ("TS_01", "TS_02")
PLACE = "overlay/ExperimentRuns/{}/Picks/milopyp_0_ribosome.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    write_runs(place, RUNS)
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "static", "static")
    write_project({})


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def stored(run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(PLACE.format(run)).read_text())
    return content


def check_project(threshold: float) -> None:
    """The project holds the candidates of the run above the threshold, in Angstrom."""
    for run in RUNS:
        content, wanted = stored(run), read_candidates(Path(f"picks/{run}.candidates.csv"))
        wanted = wanted[wanted.score > threshold]
        assert len(wanted)
        found = [[*(point["location"][axis] for axis in "xyz"), point["score"]] for point in content["points"]]
        np.testing.assert_allclose(found, np.column_stack([wanted.xyz * 10, wanted.score]), atol=1e-4)


def test_picks_go_where_copick_looks_for_them_under_the_names_of_the_runs() -> None:
    write_picks("TS_01", "alice", [(1, 2, 3)])
    before = tree(Path())
    outcome = done(f"{INFER} --tomo-type wbp --voxel-spacing 10 --out picks")
    assert "the picks of 2 runs are in the project" in outcome.out
    after = tree(Path())
    new = {name for name in after if name not in before and not name.startswith("picks")}
    assert {name for name in new if name.endswith(".json")} == {PLACE.format(run) for run in RUNS}
    assert {name: after[name] for name in before} == before  # of the static root, and of other people
    assert {"TS_01.mod", "TS_02.txt", "run.json"} <= {path.name for path in Path("picks").iterdir()}
    check_project(0.1)
    content = stored("TS_01")
    assert {key: content[key] for key in content if key not in ("points", "made_by")} == {
        "pickable_object_name": "ribosome",
        "user_id": "milopyp",
        "session_id": "0",
        "run_name": "TS_01",
        "voxel_spacing": 10.0,
        "unit": "angstrom",
        "trust_orientation": False,
    }


def test_the_same_command_again_brings_what_was_chosen_since_into_the_project() -> None:
    done(f"{INFER} --out picks")
    before = tree(Path("overlay"))
    assert "is already done" in done(f"{INFER} --out picks").out
    assert tree(Path("overlay")) == before
    done("milopyp threshold picks --value 0.3")
    assert tree(Path("overlay")) == before
    done(f"{INFER} --out picks")
    check_project(0.3)


def test_picks_that_somebody_has_changed_in_copick_stay() -> None:
    done(f"{INFER} --out picks")
    content = stored("TS_02")
    del content["made_by"]  # as copick does when it stores them
    Path(PLACE.format("TS_02")).write_text(json.dumps(content, indent=4))
    before = tree(Path())
    refused = run_line(f"{INFER} --out picks")
    assert refused.code == 2 and PLACE.format("TS_02") in refused.err and PLACE.format("TS_01") not in refused.err
    assert tree(Path()) == before
    outcome = done(f"{INFER} --out picks --overwrite")
    assert json.loads(Path("picks/TS_02_milopyp_0_ribosome.json.1").read_text()) == content
    assert "kept as picks/TS_02_milopyp_0_ribosome.json.1" in outcome.err
    check_project(0.1)


def test_user_and_session_are_as_asked() -> None:
    done(f"{INFER} --out picks --user unet --session 7 --shard 2/2")
    assert [path.name for path in Path("overlay").rglob("*.json")] == ["unet_7_ribosome.json"]


def test_a_run_without_the_tomogram_and_one_that_is_damaged() -> None:
    shutil.copytree("static/ExperimentRuns/TS_01/VoxelSpacing10.000", "static/ExperimentRuns/TS_03/VoxelSpacing20.000")
    Path("static/ExperimentRuns/TS_02/VoxelSpacing10.000/wbp.zarr/.zattrs").write_text("{")
    Path("static/ExperimentRuns/.hidden").mkdir()
    outcome = run_line(f"{INFER} --voxel-spacing 10 --out picks")
    assert outcome.code == 1
    assert "without wbp with voxels of 10 A, and left out: TS_03" in outcome.out
    assert [path.parts[2] for path in Path("overlay").rglob("*.json")] == ["TS_01"]


def test_a_project_that_cannot_be_written_is_said_and_the_run_is_whole() -> None:
    Path("overlay").write_text("a file")
    outcome = run_line(f"{INFER} --out picks")
    assert outcome.code == 1
    assert outcome.err.count("its picks are not in the project") == 2
    assert Path("picks/TS_02.mod").is_file()
    Path("overlay").unlink()
    done(f"{INFER} --out picks")
    check_project(0.1)


def test_voxels_that_are_not_those_of_the_folder_are_said() -> None:
    shutil.move("static/ExperimentRuns/TS_02/VoxelSpacing10.000", "static/ExperimentRuns/TS_02/VoxelSpacing7.840")
    outcome = done(f"{INFER} --voxel-spacing 7.84 --out picks")
    assert "TS_02: voxels of 10 A, and of 7.84 A by the name of its folder" in outcome.err
    assert stored("TS_02")["voxel_spacing"] == 7.84
    outcome = done(f"{INFER} --voxel-spacing 7.84 --voxel-size 15.68 --out level")  # as of a level of half the size
    assert "by the name of its folder" not in outcome.err


@pytest.mark.parametrize("same", [True, False])
def test_one_root_is_enough(same: bool) -> None:
    write_project({}, overlay_root=str(Path("static").absolute()), static_root="static" if same else None)
    done(f"{INFER} --out picks")
    assert Path("static/ExperimentRuns/TS_02/Picks/milopyp_0_ribosome.json").is_file()


def labels(words: str = "") -> tuple[dict[str, np.ndarray], Outcome]:
    outcome = done(f"milopyp prepare --copick project.json --object ribosome -o ribo --overwrite --no-pictures {words}")
    return read_coordinate_list("ribo_train_coords.txt"), outcome


def test_labels_of_several_people_with_each_particle_once() -> None:
    write_picks("TS_01", "alice", [(100, 200, 100), (300, 300, 120)])
    write_picks("TS_01", "bob", [(300, 340, 120), (500, 100, 60), (540, 100, 60)], root="static")
    write_picks("TS_01", "milopyp", [(10, 10, 10)], session="0")
    write_picks("TS_01", "carol", [], session="3")
    found, outcome = labels()
    assert list(found) == ["TS_01"]
    assert sorted(found["TS_01"].tolist()) == [[10, 20, 10], [30, 32, 12], [50, 10, 6], [54, 10, 6]]
    assert "2 of alice (session 1), 3 of bob (session 1)" in outcome.out
    assert "1 pick within half a particle of somebody else's: merged" in outcome.out
    assert "--bbox 120A, twice the radius of ribosome" in outcome.out
    assert "without picks of ribosome, and left out: TS_02" in outcome.err
    [image] = read_image_list("ribo_train_imgs.txt")
    assert image.name == "TS_01"
    assert image.path == Path("static/ExperimentRuns/TS_01/VoxelSpacing10.000/wbp.zarr").absolute()


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("--user bob", 1),
        ("--user bob,alice", 3),
        ("--session 2", 1),
        ("--user milopyp --session 0", 4),
        ("--user alice --bbox 8", 2),
    ],
)
def test_whose_picks_are_labels(words: str, number: int) -> None:
    write_picks("TS_01", "alice", [(100, 200, 100), (300, 300, 120)])
    write_picks("TS_02", "bob", [(300, 340, 120)], session="2")
    write_picks("TS_02", "milopyp", [(100 * each, 100, 100) for each in range(1, 5)], session="0")
    found, _ = labels(words)
    assert sum(map(len, found.values())) == number


def test_pictures_lie_beside_the_lists_and_nothing_is_written_into_the_project() -> None:
    write_picks("TS_01", "alice", [(100, 200, 100)])
    before = {name: tree(Path(name)) for name in ("static", "overlay")}
    done("milopyp prepare --copick project.json --bbox 8 -o lists/ribo")
    assert {path.name for path in Path("lists").iterdir()} >= {"TS_01_labels.png", "ribo_train_imgs.txt"}
    assert {name: tree(Path(name)) for name in before} == before


def test_a_list_of_all_tomograms() -> None:
    done("milopyp prepare --copick project.json -o all --inference")
    assert [image.name for image in read_image_list("all_test_imgs.txt")] == [*RUNS]


def test_merging_counts_a_place_once_and_different_places_of_one_set_always() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1000, (30, 3))
    seen = [places[:20], places[10:] + rng.uniform(-1, 1, (20, 3)), places[5:25] + rng.uniform(-1, 1, (20, 3))]
    merged, twice = merge(seen, 5.0)
    assert (len(merged), twice) == (30, 30)
    assert np.abs(merged[:, None] - places).max(2).min(0).max() < 1.0
    close = np.array([[0.0, 0, 0], [1, 0, 0]])
    assert merge([close], 5.0)[0].tolist() == close.tolist()
    assert merge([np.empty((0, 3)), close], 5.0) == (pytest.approx(close), 0)
