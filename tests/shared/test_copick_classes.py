"""copick projects and several classes: each is an object of the project, for picks and for labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from copick_toys import OBJECTS, write_picks, write_project, write_runs
from milopyp_shared.coordinate_lists import read_classes
from milopyp_shared.errors import UsageError
from milopyp_shared.formats.candidates import read_candidates
from running import Outcome, run_line, tree
from toys import TOY_OF_TWO

INFER = f"milopyp-infer --copick project.json --model {TOY_OF_TWO} --threads 1 --no-exclusive --out picks"
RUNS = ("TS_01", "TS_02")
CLASSES = ("ribosome", "proteasome")
TWO = (*OBJECTS, {"name": "proteasome", "is_particle": True, "label": 3, "radius": 50.0})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    write_runs(place, RUNS)
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "static", "static")
    write_project({}, pickable_objects=TWO)


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def check_project(thresholds: dict[str, float], objects: dict[str, str] | None = None) -> None:
    """The project holds the candidates of each class above its threshold, in Angstrom, as the object that it is."""
    files = {path.relative_to("overlay/ExperimentRuns").as_posix() for path in Path("overlay").rglob("*.json")}
    called = {kind: (objects or {}).get(kind, kind) for kind in CLASSES}
    assert files == {f"{run}/Picks/milopyp_0_{name}.json" for run in RUNS for name in called.values()}
    for kind, run in ((kind, run) for kind in CLASSES for run in RUNS):
        path = Path(f"overlay/ExperimentRuns/{run}/Picks/milopyp_0_{called[kind]}.json")
        content, wanted = json.loads(path.read_text()), read_candidates(Path(f"picks/{kind}/{run}.candidates.csv"))
        wanted = wanted[wanted.score > thresholds[kind]]
        assert content["pickable_object_name"] == called[kind] and len(wanted)
        found = [[*(point["location"][axis] for axis in "xyz"), point["score"]] for point in content["points"]]
        np.testing.assert_allclose(found, np.column_stack([wanted.xyz * 10, wanted.score]), atol=1e-4)


def test_each_class_is_the_object_of_its_name() -> None:
    outcome = done(f"{INFER} --out-thresh ribosome=0.1,proteasome=0.2")
    assert outcome.out.count("picks go to ") == 2
    assert outcome.out.count("the picks of 2 runs are in the project") == 2
    check_project({"ribosome": 0.1, "proteasome": 0.2})


def test_what_was_chosen_of_one_class_since_is_brought_into_the_project() -> None:
    line = f"{INFER} --out-thresh ribosome=0.1,proteasome=0.2"
    done(line)
    done("milopyp threshold picks/proteasome --value 0.3")
    assert "is already done" in done(line).out
    check_project({"ribosome": 0.1, "proteasome": 0.3})


def test_a_class_may_be_called_otherwise_in_the_project() -> None:
    write_project({}, pickable_objects=[{"name": "ribosome80S"}, {"name": "proteasome"}])
    done(f"{INFER} --out-thresh 0.1 --object ribosome=ribosome80S")
    check_project(dict.fromkeys(CLASSES, 0.1), {"ribosome": "ribosome80S"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "proteasome=NAME with one of ribosome"),
        ("--object proteasome=membrane", "proteasome=NAME with one of ribosome"),
        ("--object proteasome=ribosome", "another particle of the project for each class"),
        ("--object ribosome", "another particle of the project for each class"),
        ("--object other=ribosome", "one of ribosome, proteasome, as toy_of_two.onnx finds them"),
    ],
)
def test_a_class_that_is_no_object_of_the_project(words: str, expected: str) -> None:
    write_project({})
    before = tree(Path())
    outcome = run_line(f"{INFER} {words}")
    assert outcome.code == 2 and isinstance(outcome.error, UsageError)
    assert outcome.error.where == "--object" and outcome.error.expected == expected
    assert tree(Path()) == before


def prepared(words: str) -> Outcome:
    return run_line(f"milopyp prepare --copick project.json -o all --no-pictures {words}")


def test_several_objects_are_classes_of_labels() -> None:
    write_picks("TS_01", "alice", [(100, 200, 100), (300, 300, 120)])
    write_picks("TS_02", "alice", [(200, 200, 100)], object_="proteasome")
    write_picks("TS_02", "bob", [(200, 230, 100)], object_="proteasome")
    outcome = prepared("--object ribosome,proteasome")
    assert outcome.code == 0, outcome.err
    assert "--bbox 120A, twice the radius of ribosome" in outcome.out
    assert "--bbox 100A, twice the radius of proteasome" in outcome.out
    found = read_classes("all_train_coords.txt")
    assert {kind: {name: xyz.tolist() for name, xyz in own.items()} for kind, own in found.items()} == {
        "ribosome": {"TS_01": [[10, 20, 10], [30, 30, 12]]},
        "proteasome": {"TS_02": [[20, 21.5, 10]]},
    }


@pytest.mark.parametrize("bbox", ["12", "proteasome=12"])
def test_diameters_of_objects_may_be_said(bbox: str) -> None:
    write_project({}, pickable_objects=[{"name": "ribosome", "radius": 60.0}, {"name": "proteasome"}])
    for name in CLASSES:
        write_picks("TS_01", "alice", [(100, 200, 100)], object_=name)
    assert prepared(f"--object ribosome,proteasome --bbox {bbox}").code == 0


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ("--object ribosome,ribosome", "--object"),
        ("--object ribosome,membrane", "--object"),
        ("--object ribosome,proteasome --bbox other=12", "--bbox"),
        ("--labels ribosome=_a.mod", "--labels"),
    ],
)
def test_objects_that_cannot_be_classes(words: str, where: str) -> None:
    for name in CLASSES:
        write_picks("TS_01", "alice", [(100, 200, 100)], object_=name)
    outcome = prepared(words)
    assert outcome.code == 2 and isinstance(outcome.error, UsageError) and outcome.error.where == where
    assert not list(Path().glob("all_*"))
