"""Files with particles of several classes: EMAN2's info files and STAR files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from milopyp import read_picks
from milopyp_shared.errors import InputError, UsageError
from prepare_toys import SHAPE, labels, prepare
from running import Outcome, run_line
from toys import noise, write_tomogram

BOXES = [[1, 2, 3, "manual", 0.0, 0], [4, 5, 6, "tm", 3.5, 1], [7, 8, 9, "tm", 2.5, 1]]
NAMES = {"0": {"name": "ribosome", "boxsize": 32}, "1": {"name": "26S"}, "2": {"name": "spare"}}
TWO = "0 ribosome (1), 1 26S (2), 2 spare (0)"
LABELS = ["rlnTomoName", *(f"rlnCoordinate{axis}" for axis in "XYZ"), "rlnClassNumber"]
ROWS = [["a", 1, 2, 3, 1], ["a", 4, 5, 6, 3], ["b", 7, 8, 9, 3], ["b", 1, 8, 2, 3], ["b", 2, 8, 2, -999]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def info(boxes: Any = BOXES, names: Any = NAMES) -> None:
    Path("a.json").write_text(json.dumps({"boxes_3d": boxes, "class_list": names}))


def star(rows: Any = ROWS, labels: list[str] = LABELS, name: str = "all.star") -> None:
    head = "\n".join(f"_{label}" for label in labels)
    Path(name).write_text(f"data_particles\nloop_\n{head}\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows))


def convert(words: str) -> Outcome:
    return run_line(f"milopyp convert {words} --overwrite")


@pytest.mark.parametrize(
    ("word", "points"),
    [("0", [[1, 2, 3]]), ("ribosome", [[1, 2, 3]]), ("1", [[4, 5, 6], [7, 8, 9]]), ("26S", [[4, 5, 6], [7, 8, 9]]),
     ("spare", [])],
)  # fmt: skip
def test_a_class_of_eman(word: str, points: list[list[float]]) -> None:
    info()
    outcome = convert(f"a.json a.csv --from eman --class {word}")
    assert outcome.code == 0, outcome.err
    assert read_picks("a.csv").xyz.tolist() == points
    assert read_picks("a.json", format="eman", class_=word).xyz.tolist() == points


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", f"boxes of several classes: {TWO}; expected those of one. Choose with --class of milopyp convert"),
        ("--class 3", f"no class 3; expected one of {TWO}"),
        ("--class Ribosome", f"no class Ribosome; expected one of {TWO}"),
    ],
)
def test_classes_of_eman_are_listed(words: str, message: str) -> None:
    info()
    outcome = convert(f"a.json a.csv --from eman {words}")
    assert isinstance(outcome.error, InputError) and message in outcome.err
    assert not Path("a.csv").exists()


@pytest.mark.parametrize("names", [None, [], {"x": {"name": "a"}, "1": 3, "0": {"name": 5}, "9" * 5000: {"name": "b"}}])
def test_classes_without_names(names: Any) -> None:
    info(names=names)
    assert read_picks("a.json", format="eman", class_=1).xyz.tolist() == [[4, 5, 6], [7, 8, 9]]
    with pytest.raises(InputError, match=r"no class ribosome; expected one of 0 \(1\), 1 \(2\)$"):
        read_picks("a.json", format="eman", class_="ribosome")


def test_a_class_of_no_boxes() -> None:
    info(boxes=[], names={})
    assert len(read_picks("a.json", format="eman", class_="ribosome")) == 0
    info(boxes=BOXES[:1])
    assert read_picks("a.json", format="eman").xyz.tolist() == [[1, 2, 3]]


SEVERAL = "all.star has several classes, of which all are taken: 1 (1), 3 (3); --class of milopyp convert"


@pytest.mark.parametrize(
    ("words", "points", "said"),
    [
        ("--name a", [[1, 2, 3], [4, 5, 6]], True),
        ("--name b", [[7, 8, 9], [1, 8, 2], [2, 8, 2]], True),
        ("--name a --class 3", [[4, 5, 6]], False),
        ("--name b --class 3", [[7, 8, 9], [1, 8, 2]], False),
        ("--name b --class 1", [], False),
    ],
)
def test_a_class_of_a_star_file(words: str, points: list[list[float]], said: bool) -> None:
    star()
    outcome = convert(f"all.star a.csv --from relion4 {words}")
    assert outcome.code == 0, outcome.err
    assert (SEVERAL in outcome.err) is said
    assert read_picks("a.csv").xyz.tolist() == points


@pytest.mark.parametrize(
    "rows", [[["a", 1, 2, 3, 2], ["a", 4, 5, 6, 2]], [["a", 1, 2, 3, -999], ["a", 4, 5, 6, 2]], [["a", 1, 2, 3, -999]]]
)
def test_one_class_is_not_worth_a_word(rows: list[list[Any]]) -> None:
    star(rows)
    outcome = convert("all.star a.csv --from warp")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(read_picks("a.csv")) == len(rows)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ("all.star a.csv --from warp --name a --class 2", InputError, "no class 2; expected one of 1 (1), 3 (3)"),
        ("all.star a.csv --from warp --name a --class ribosome", InputError, "no class ribosome"),
        ("none.star a.csv --from warp --class 1", InputError, "none.star: has no rlnClassNumber"),
        ("a.ndjson a.csv --class 1", UsageError, "--class: given for a.ndjson; expected a file of mod, csv, list,"),
        ("a.tbl a.csv --class 1", InputError, "no class 1; expected one of 0 (1)"),
    ],
)  # fmt: skip
def test_classes_that_there_are_not(words: str, error: type, message: str) -> None:
    star()
    star([["a", 1, 2, 3]], LABELS[:4], "none.star")
    Path("a.tbl").write_text("0 " * 35 + "\n")
    outcome = convert(words)
    assert isinstance(outcome.error, error) and message in outcome.err


@pytest.fixture
def tomograms(folder: Path) -> Path:
    for name in ("a", "b"):
        write_tomogram(folder / f"data/{name}.rec", noise(SHAPE))
    star()
    return folder / "data"


def test_labels_of_a_class(tomograms: Path) -> None:
    """Of the whole file it is said once; a tomogram without particles of the class holds none."""
    outcome = prepare(tomograms, "--picks all.star --from relion4")
    assert outcome.err.count("several classes") == 1
    assert {name: len(xyz) for name, xyz in labels(tomograms).items()} == {"a": 2, "b": 3}
    outcome = prepare(tomograms, "--picks all.star --from relion4 --class 1")
    assert "several classes" not in outcome.err and "b.rec: all.star holds no picks of it" in outcome.err
    assert labels(tomograms)["a"].tolist() == [[1, 2, 3]]


def test_labels_of_a_class_beside_each_tomogram(tomograms: Path) -> None:
    info()
    Path("a.json").rename("data/a.json")
    star([["b", 7, 8, 9, 3]], name="data/b.star")
    outcome = prepare(tomograms, "--from eman --class 26S")
    assert {name: xyz.tolist() for name, xyz in labels(tomograms).items()} == {"a": [[4, 5, 6], [7, 8, 9]]}
    assert "b.rec has no picks" in outcome.err


@pytest.mark.parametrize("rows", [ROWS, ROWS[:2]])
def test_several_classes_are_said_once_of_one_file(rows: list[list[Any]]) -> None:
    star(rows)
    outcome = convert("all.star all.tsv --from relion4")
    assert outcome.code == 0 and outcome.err.count("several classes") == 1
    assert "several classes" not in convert("all.star all.tsv --from relion4 --class 3").err


def test_labels_of_files_without_classes(tomograms: Path) -> None:
    (tomograms / "a.txt").write_text("")
    outcome = run_line("milopyp prepare -d data -e .rec -o run --overwrite --no-pictures --class 1")
    assert isinstance(outcome.error, UsageError) and "--class: given for data/a.txt" in outcome.err


@pytest.mark.parametrize("name", ["list.parquet", "a.ndjson"])
def test_labels_of_one_file_without_classes(name: str, tomograms: Path) -> None:
    Path(name).write_text("image_name x_coord y_coord z_coord\na 1 2 3\n")
    outcome = run_line(f"milopyp prepare -d data -e .rec -o run --overwrite --no-pictures --class 1 --picks {name}")
    assert isinstance(outcome.error, UsageError) and f"--class: given for {name}" in outcome.err
