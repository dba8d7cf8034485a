"""`milopyp collect` of a run of several classes: every program gets all of them, each by its name or number."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import dynamotable
import imodmodel
import numpy as np
import pandas
import pytest
import starfile

from milopyp_shared.coordinate_lists import read_classes
from milopyp_shared.errors import InputError
from running import run_line, tree
from toys import TOY_OF_TWO, clean_phantom, write_tomogram

CLASSES = ("ribosome", "proteasome")
NAMES = ("a", "b")
XYZ = ["x", "y", "z"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over two tomograms with 4 and 5 particles, which both classes claim, the second one its best two."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(place)
        for seed, name in enumerate(NAMES, 1):
            phantom = clean_phantom(seed, shape_zyx=(24, 48, 64), particles=3 + seed)
            write_tomogram(Path(f"{name}.mrc"), phantom.volume, voxel_size=10.0)
        words = "--out picks --threads 1 --no-exclusive --K proteasome=2"
        outcome = run_line(f"milopyp-infer a.mrc b.mrc --model {TOY_OF_TWO} {words}")
        assert outcome.code == 0, outcome.err
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "picks", "picks")


def collect(to: str) -> Path:
    outcome = run_line(f"milopyp collect picks --to {to} -o out")
    assert outcome.code == 0, outcome.err
    assert "a: 4 ribosome, 2 proteasome" in outcome.out
    assert "13 picks of 2 tomograms" in outcome.out
    table = pandas.read_csv("out/classes.tsv", sep="\t")
    assert table.to_numpy().tolist() == [[1, "ribosome", 9], [2, "proteasome", 4]]
    return Path("out")


def picked(kind: str, name: str) -> np.ndarray:
    """As voxels of the inside frame."""
    return imodmodel.read(f"picks/{kind}/{name}.mod")[XYZ].to_numpy() - [0.5, 0.5, 0.0]


def assert_same(found: np.ndarray, kind: str, name: str) -> None:
    expected = picked(kind, name)
    assert len(found) == len(expected) > 0
    found, expected = (each[np.lexsort(each.round().T)] for each in (found, expected))
    np.testing.assert_allclose(found, expected, atol=0.011)


def test_relion5_gets_class_numbers() -> None:
    particles = starfile.read(collect("relion5") / "particles.star", always_dict=True)["particles"]
    found = particles.groupby(["rlnTomoName", "rlnClassNumber"]).size().to_dict()
    assert found == {("a", 1): 4, ("a", 2): 2, ("b", 1): 5, ("b", 2): 2}
    columns = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    for number, kind in enumerate(CLASSES, 1):
        for name in NAMES:
            own = particles[(particles.rlnTomoName == name) & (particles.rlnClassNumber == number)]
            assert_same(own[columns].to_numpy() / 10 + [32, 24, 12], kind, name)


def test_dynamo_gets_class_numbers() -> None:
    out = collect("dynamo")
    table = dynamotable.read(out / "particles.tbl")
    assert table.groupby(["tomo", "class"]).size().tolist() == [4, 2, 5, 2]
    assert len((out / "particles.doc").read_text().splitlines()) == 2
    assert table["tag"].is_unique


def test_classes_of_dynamo_are_read_back_and_said() -> None:
    collect("dynamo")
    outcome = run_line("milopyp convert out/particles.tbl all.tsv --tomogram picks/ribosome")
    said = "particles.tbl has several classes, of which all are taken: 1 (9), 2 (4); --class of milopyp convert or of"
    assert outcome.code == 0 and outcome.err.count(said) == 1
    assert sum(map(len, read_classes("all.tsv")[""].values())) == 13
    outcome = run_line("milopyp convert out/particles.tbl two.tsv --class 2 --tomogram picks/ribosome")
    assert outcome.code == 0 and "classes" not in outcome.err
    for name in NAMES:
        assert_same(read_classes("two.tsv")[""][name], "proteasome", name)


def test_tomograms_of_a_dynamo_map_are_called_as_their_files() -> None:
    """The map has paths; files named by these would lie beside the tomograms."""
    collect("dynamo")
    for target, word in (("all.tsv", "list"), ("lists", "list"), ("all.star", "warp")):
        assert run_line(f"milopyp convert out/particles.tbl {target} --to {word} --class 2").code == 0
    for name in NAMES:
        assert_same(read_classes("all.tsv")[""][name], "proteasome", name)
        assert_same(read_classes(f"lists/{name}.tsv")[""][name], "proteasome", name)
    particles = starfile.read("all.star")
    assert {*particles.rlnMicrographName} == {f"{name}.tomostar" for name in NAMES}


@pytest.mark.parametrize(("to", "path"), [("dynamo", "particles.tbl"), ("relion4", "particles.star")])
def test_numbers_of_classes_are_labels(to: str, path: str, made: Path) -> None:
    collect(to)
    labels = " ".join(f"--labels {kind}=out/{path}#{number}" for number, kind in enumerate(CLASSES, 1))
    line = f"milopyp prepare -d {made} -e .mrc --no-pictures"
    outcome = run_line(f"{line} -o new/all {labels}")
    assert outcome.code == 0 and "several classes" not in outcome.err
    classes = read_classes("new/all_train_coords.txt")
    for kind, name in product(CLASSES, NAMES):
        assert_same(classes[kind][name], kind, name)
    outcome = run_line(f"{line} -o new/one --picks out/{path}")
    assert outcome.code == 0 and f"{path} has several classes, of which all are taken: 1 (9), 2 (4);" in outcome.err


def test_copick_gets_a_file_of_each_object() -> None:
    out = collect("copick")
    config = json.loads((out / "copick_config.json").read_text())
    objects = {own["name"]: (own["label"], own["radius"]) for own in config["pickable_objects"]}
    assert objects == {"ribosome": (1, 50.0), "proteasome": (2, 40.0)}
    for kind in CLASSES:
        for name in NAMES:
            [path] = out.rglob(f"{name}/**/*_{kind}.json")
            stored = json.loads(path.read_text())
            points = np.array([[own["location"][axis] for axis in XYZ] for own in stored["points"]])
            assert stored["pickable_object_name"] == kind
            assert_same(points / 10, kind, name)


def test_imod_gets_an_object_of_each_class() -> None:
    out = collect("imod")
    for name in NAMES:
        objects = imodmodel.ImodModel.from_file(out / f"{name}.mod").objects
        assert [item.header.name for item in objects] == list(CLASSES)
        assert [item.header.pdrawsize for item in objects] == [5, 4]
        assert len({(item.header.red, item.header.green, item.header.blue) for item in objects}) == 2
        for item, kind in zip(objects, CLASSES, strict=True):
            points = np.concatenate([contour.points for contour in item.contours])
            assert_same(points - [0.5, 0.5, 0.0], kind, name)


def test_objects_of_several_names_are_not_mixed_silently() -> None:
    collect("imod")
    outcome = run_line("milopyp convert out/a.mod both.csv --order xyz")
    assert outcome.code == 0, outcome.err
    assert "a.mod has several objects, of which all are taken: 1 ribosome, 2 proteasome;" in outcome.err
    outcome = run_line("milopyp convert picks/ribosome/a.mod one.csv --order xyz")
    assert outcome.code == 0 and "several objects" not in outcome.err


def test_the_table_names_the_classes() -> None:
    table = pandas.read_csv(collect("csv") / "particles.csv")
    for (name, kind), own in table.groupby(["tomogram", "class"]):
        assert_same(own[XYZ].to_numpy(), kind, name)
    assert table["class"].value_counts().to_dict() == {"ribosome": 9, "proteasome": 4}


def test_the_table_is_read_back() -> None:
    collect("csv")
    assert run_line("milopyp convert out/particles.csv all.star --to relion4 --class proteasome").code == 0
    particles = starfile.read("all.star", always_dict=True)["particles"]
    assert run_line("milopyp convert out/particles.csv lists --to list --class ribosome").code == 0
    for name in NAMES:
        own = particles[particles.rlnTomoName == name]
        assert_same(own[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy(), "proteasome", name)
        assert_same(read_classes(f"lists/{name}.tsv")[""][name], "ribosome", name)
    outcome = run_line("milopyp convert out/particles.csv one.csv --class ribosome")
    assert outcome.code == 2 and "particles of 2 tomograms; expected those of one" in outcome.err


def test_the_table_is_labels_of_its_classes(made: Path) -> None:
    collect("csv")
    labels = " ".join(f"--labels {kind}=out/particles.csv" for kind in CLASSES)
    outcome = run_line(f"milopyp prepare -d {made} -e .mrc -o new/all --no-pictures {labels}")
    assert outcome.code == 0, outcome.err
    classes = read_classes("new/all_train_coords.txt")
    for kind, name in product(CLASSES, NAMES):
        assert_same(classes[kind][name], kind, name)


def test_candidates_of_a_class_are_converted() -> None:
    """They have a column more, of the other classes."""
    outcome = run_line("milopyp convert picks/ribosome/a.candidates.csv models --to mod --shape 64 48 24 --order xyz")
    assert outcome.code == 0, outcome.err
    assert len(imodmodel.read("models/a.mod")) == len(pandas.read_csv("picks/ribosome/a.candidates.csv", comment="#"))


def test_the_list_is_one_of_labels_of_classes() -> None:
    classes = read_classes(collect("list") / "particles.tsv")
    assert list(classes) == list(CLASSES)
    for kind in CLASSES:
        for name in NAMES:
            assert_same(classes[kind][name], kind, name)


def test_a_run_of_one_of_the_classes_is_a_run_like_others() -> None:
    assert run_line("milopyp collect picks/proteasome --to list -o out").code == 0
    assert sum(map(len, read_classes("out/particles.tsv")[""].values())) == 4
    assert run_line("milopyp threshold picks/proteasome --value 0.5").code == 0
    shown = run_line("milopyp show picks/proteasome")
    assert shown.code == 0 and "4 picks in 2 tomograms" in shown.out


def test_what_wants_one_run_names_those_of_the_classes() -> None:
    before = tree(Path("picks"))
    outcome = run_line("milopyp threshold picks --value 0.5")
    assert isinstance(outcome.error, InputError)
    assert outcome.errors == [
        "error: picks: holds a run for each of its classes; expected one of them: picks/ribosome, picks/proteasome"
    ]
    assert tree(Path("picks")) == before
