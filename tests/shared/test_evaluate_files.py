"""`milopyp evaluate`: picks of other programs, and several of them beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile
from PIL import Image

from bad_input.builders import record_of
from milopyp import write_picks
from milopyp_shared.coordinate_lists import write_coordinate_list
from running import Outcome, run_line
from toys import write_tomogram

TRUTH = [[10.0, 10.0, 10.0], [40.0, 10.0, 10.0], [10.0, 40.0, 10.0], [40.0, 40.0, 10.0]]
# hit, false, hit, false, hit; the last particle is never found
FOUND = [(10, 10, 11, 0.9), (80, 80, 10, 0.8), (40, 12, 10, 0.7), (80, 10, 10, 0.6), (13, 40, 10, 0.5)]
AUPRC = (1 / 1 + 2 / 3 + 3 / 5) / 4
ALL = {"n_picks": 5, "n_truth": 4, "n_hits": 3, "precision": 3 / 5, "recall": 3 / 4, "f1": 6 / 9}
SHAPES = {"xyz": (32, 96, 96), "xzy": (96, 32, 96)}
FORMATS = {
    "relion4": "star", "relion5": "star", "warp": "star", "tbl": "tbl", "mod": "mod", "copick": "json", "csv": "csv",
    "ndjson": "ndjson", "txt": "txt",
}  # fmt: skip
WITHOUT_SCORES = ("txt", "ndjson")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the truth of two tomograms."""
    monkeypatch.chdir(tmp_path)
    write_coordinate_list("truth.txt", {"a": TRUTH, "b": TRUTH})
    return tmp_path


def run_of(
    folder: str, names: Sequence[str] = ("a",), order: str = "xyz", found: Any = FOUND, threshold: float = 0.65
) -> None:
    """A run as milopyp-infer leaves it, over tomograms that nobody needs."""
    for name in names:
        record = record_of(name, f"{name}.mrc", SHAPES[order], order)
        record["options"]["selection"]["threshold"] = threshold
        path = Path(folder, "records", f"{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))
        write_picks(f"{folder}/{name}.candidates.csv", found, format="csv")


def file_of(path: str, word: str, name: str = "a", order: str = "xyz", found: Any = FOUND, **more: Any) -> None:
    """The picks in another program's format."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    size = SHAPES[order][::-1]
    options: dict[str, Any] = {"order": order, "size": size, "voxel_size": 10.0, "name": name} | more
    write_picks(path, found, format=word, **({"coords": "model2point"} if word == "txt" else {}) | options)


def judged(words: str, *warnings: str) -> tuple[dict[str, Any], Outcome]:
    outcome = run_line(f"milopyp evaluate {words} --truth truth.txt --json figures.json")
    assert (outcome.code, outcome.err.splitlines()) == (0, list(warnings)), outcome.err
    return json.loads(Path("figures.json").read_text()), outcome


LEFT = "warning: not picked by all, left out: b"
ALONE = "warning: not picked, left out: b"


@pytest.mark.parametrize("place", ["file", "folder", "pattern"])
@pytest.mark.parametrize("order", SHAPES)
@pytest.mark.parametrize("word", FORMATS)
def test_picks_of_another_program_beside_a_run(word: str, order: str, place: str) -> None:
    """The run says all that must be known of its tomograms, and the file itself which format it is."""
    run_of("run", order=order)
    file_of(f"other/a.{FORMATS[word]}", word, order=order)
    path = {"file": f"other/a.{FORMATS[word]}", "folder": "other", "pattern": f"'other/*.{FORMATS[word]}'"}[place]
    coords = "--coords model2point" if word == "txt" else ""
    outcome = run_line(f"milopyp evaluate run {path} {coords} --truth truth.txt --json figures.json")
    assert outcome.code == 0 and LEFT in outcome.err.splitlines(), outcome.err
    found = json.loads(Path("figures.json").read_text())["compared"]
    own, other = found["run"], found[Path(path.strip("'")).name]
    assert (own["picks"]["n_picks"], own["n_candidates"], own["auprc"]) == (3, 5, pytest.approx(AUPRC))
    assert {name: other["picks"][name] for name in ALL} == pytest.approx(ALL)
    assert other["rmse"] == pytest.approx(((1 + 4 + 9) / 3) ** 0.5, abs=0.01)
    if word in WITHOUT_SCORES:
        assert (other["ranked"], other["auprc"], other["best"]["threshold"]) == (False, None, None)
        assert "is not known: no scores, or all the same" in outcome.out
    else:
        assert (other["ranked"], other["auprc"]) == (True, pytest.approx(AUPRC))
        assert other["best"]["threshold"] == pytest.approx(0.5)


def test_what_a_run_has_written_is_judged_as_the_run() -> None:
    run_of("run", ("a", "b"))
    for name in "ab":
        file_of(f"run/{name}.mod", "mod", name, found=FOUND[:3])
    found, outcome = judged("run 'run/*.mod'")
    own, models = found["compared"].values()
    assert {**own["picks"], "cut": "", "threshold": None} == models["picks"]
    rows = [line.split() for line in outcome.out.splitlines() if line.startswith(("run ", "*.mod "))]
    assert rows == [
        ["run", "8", "6", "0.667", "0.500", "0.571", "0.553", "0.667", "0.500", "2.16", "above", "0.650"],
        ["*.mod", "8", "6", "0.667", "0.500", "0.571", f"{models['auprc']:.3f}", "0.571", "0.700", "1.58"],
    ]
    assert "those of a file end where its list ends" in outcome.out


def test_a_star_file_alone_with_its_tomograms() -> None:
    """Written by an independent library; without a run, radius and tomograms have to be said."""
    frame = np.array(FOUND, dtype=float)
    columns = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    rows = [
        {"rlnTomoName": name, **dict(zip(columns, (row[:3] - [48, 48, 16]) * 10)), "rlnAutopickFigureOfMerit": row[3]}
        for name in "ab"
        for row in frame
    ]
    import pandas

    starfile.write({"particles": pandas.DataFrame(rows)}, "all.star")
    for name in "ab":
        write_tomogram(Path(f"{name}.mrc"), np.zeros(SHAPES["xyz"], np.float32), voxel_size=10.0)
    Path("images.txt").write_text("image_name rec_path\na a.mrc\nb b.mrc\n")
    for said in ("--tomogram '?.mrc'", "--tomogram a.mrc --tomogram b.mrc", "--tomogram images.txt",
                 "--shape 96 96 32 --voxel-size 10"):  # fmt: skip
        found, outcome = judged(f"all.star {said} --radius 50A")
        assert (found["tomograms"], found["picks"]["n_picks"], found["radius"]) == (["a", "b"], 10, 5.0)
        assert found["n_picks"] == 10 and "n_candidates" not in found
        assert "all.star: 10 picks, read as relion5" in outcome.out and "candidates" not in outcome.out
        assert "picks       10: precision 0.600, recall 0.750, F1 0.667" in outcome.out
    found, _ = judged("all.star --tomogram a.mrc --radius 50A", ALONE)
    assert found["picks"]["n_picks"] == 5


def test_picks_without_scores_have_no_curve() -> None:
    file_of("a.ndjson", "ndjson")
    found, outcome = judged("a.ndjson --radius 5 --out out", ALONE)
    assert {name: found["picks"][name] for name in ALL} == pytest.approx(ALL)
    assert found["auprc"] is None and found["rmse"] == pytest.approx(2.1602, abs=1e-4)
    assert "AUPRC       -  (no scores, or all the same: no order, and no curve)" in outcome.out
    assert "best F" not in outcome.out and "score   precision" not in outcome.out
    assert "| `a` | 4 | 5 | 0.600 | 0.750 | 0.667 | - | - | - | 2.16 |" in Path("out/evaluation.md").read_text()


def test_binning_of_picks_is_not_that_of_the_truth() -> None:
    run_of("run")
    file_of("a.tbl", "tbl", binning=4.0)
    assert judged("run a.tbl --picks-binning 4", LEFT)[0]["compared"]["a.tbl"]["auprc"] == pytest.approx(AUPRC)
    write_picks("truth4.star", TRUTH, format="relion4", order="xyz", name="a", binning=4.0)
    outcome = run_line("milopyp evaluate run a.tbl --picks-binning 4 --truth truth4.star --binning 4 --json f.json")
    assert outcome.code == 0, outcome.err
    assert json.loads(Path("f.json").read_text())["compared"]["a.tbl"]["picks"]["n_hits"] == 3


def test_a_text_of_one_tomogram_with_scores_is_no_list() -> None:
    run_of("run")
    file_of("a.txt", "txt", with_score=True)
    found, outcome = judged("run a.txt --coords model2point --with-score", LEFT)
    assert found["compared"]["a.txt"]["auprc"] == pytest.approx(AUPRC) and "read as txt" in outcome.out
    write_coordinate_list("list.txt", {"a": [row[:3] for row in FOUND]})
    found, outcome = judged("run list.txt", LEFT)
    assert found["compared"]["list.txt"]["picks"]["n_hits"] == 3 and "read as a coordinate list" in outcome.out


def test_several_are_judged_on_the_tomograms_of_all() -> None:
    """Each is as it would be alone there; names of other programs are the tomograms' own."""
    write_coordinate_list("truth.txt", dict.fromkeys(("TS_1", "TS_2", "TS_3", "never"), TRUTH))
    run_of("one/picks", ("TS_1", "TS_2", "TS_3"))
    run_of("two/picks", ("rec_TS_1", "rec_TS_3", "rec_TS_4"), found=FOUND[::2], threshold=0.8)
    rows = [f"{name}.tomostar {x} {y} {z} {s}" for name in ("TS_1", "TS_3", "TS_9") for x, y, z, s in FOUND[:2]]
    labels = "rlnMicrographName rlnCoordinateX rlnCoordinateY rlnCoordinateZ rlnAutopickFigureOfMerit"
    Path("warp.star").write_text(
        "\n".join(["data_", "", "loop_", *(f"_{label}" for label in labels.split()), *rows]) + "\n"
    )
    words = "one/picks two/picks warp.star"
    left = "warning: not picked by all, left out: TS_2, TS_9.tomostar, never, rec_TS_4"
    found, _ = judged(f"{words} --out out", left)
    assert found["tomograms"] == ["TS_1", "TS_3"] and list(found["compared"]) == words.split()
    own = {name: (each["picks"]["n_picks"], each["picks"]["n_hits"]) for name, each in found["compared"].items()}
    assert own == {"one/picks": (6, 4), "two/picks": (2, 2), "warp.star": (4, 2)}
    assert all(each["n_truth"] == 8 for each in found["compared"].values())
    assert json.loads(Path("out/evaluation.json").read_text()) == found
    text = Path("out/evaluation.md").read_text()
    assert "| `two/picks` | 8 | 2 | 1.000 | 0.250 | 0.400 |" in text and "| above 0.800 |" in text
    with Image.open("out/evaluation.png") as picture:
        assert picture.size == pytest.approx((1100, 460), abs=20)
    for name in words.split()[:2]:
        alone = run_line(f"milopyp evaluate {name} --truth truth.txt --json alone.json")
        assert alone.code == 0
        each = json.loads(Path("alone.json").read_text())["per_tomogram"]
        beside = found["compared"][name]["per_tomogram"]
        assert [each[own] for own in each if own.endswith(("1", "3"))] == list(beside.values())


def test_two_models_of_different_particles_need_a_radius() -> None:
    run_of("one")
    run_of("two")
    path = Path("two/records/a.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"diameter": 8.0}))
    refused = run_line("milopyp evaluate one two --truth truth.txt")
    assert (refused.code, "--radius: particles of 8 to 10 voxels" in refused.err) == (2, True)
    assert judged("one two --radius 4", LEFT)[0]["radius"] == 4.0


def test_a_class_of_the_truth_is_not_one_of_the_picks() -> None:
    run_of("run")
    file_of("a.star", "relion4")
    head = "".join(f"_rln{word}\n" for word in ("TomoName", "ClassNumber", *(f"Coordinate{x}" for x in "XYZ")))
    rows = "".join(f"a {number % 2 + 1} {x} {y} {z}\n" for number, (x, y, z) in enumerate(TRUTH))
    Path("truth.star").write_text(f"data_\n\nloop_\n{head}{rows}")
    outcome = run_line("milopyp evaluate run a.star --truth truth.star --class 1 --json figures.json")
    assert (outcome.code, outcome.err) == (0, "")
    found = json.loads(Path("figures.json").read_text())["compared"]["a.star"]["picks"]
    assert (found["n_truth"], found["n_hits"]) == (2, 2)
