"""`milopyp evaluate`: figures that can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bad_input.builders import record_of, run_summary
from milopyp_shared.coordinate_lists import write_coordinate_list
from running import Outcome, run_line
from toys import TOY, clean_phantom, write_tomogram

TRUTH = [[10.0, 10.0, 10.0], [40.0, 10.0, 10.0], [10.0, 40.0, 10.0], [40.0, 40.0, 10.0]]
# hit, false, hit, false, hit; the last particle is never found
CANDIDATES = [
    (10.0, 10.0, 11.0, 0.9),
    (80.0, 80.0, 10.0, 0.8),
    (40.0, 12.0, 10.0, 0.7),
    (80.0, 10.0, 10.0, 0.6),
    (13.0, 40.0, 10.0, 0.5),
]
AUPRC = (1 / 1 + 2 / 3 + 3 / 5) / 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the truth of one tomogram."""
    monkeypatch.chdir(tmp_path)
    write_coordinate_list("truth.txt", {"a": TRUTH})
    return tmp_path


def save(path: str, rows: Sequence[tuple[float, ...]]) -> None:
    """A table as ``milopyp-infer`` writes it."""
    Path(path).parent.mkdir(exist_ok=True)
    lines = ["# comment", "x,y,z,score", *(",".join(str(value) for value in row) for row in rows)]
    Path(path).write_text("\n".join(lines) + "\n")


def evaluate(picks: str = "picks", *more: str) -> Outcome:
    outcome = run_line(f"milopyp evaluate {picks} --truth truth.txt --radius 5 --json out/figures.json", *more)
    assert outcome.code == 0, outcome.err
    return outcome


def figures() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(Path("out/figures.json").read_text())
    return stored


def test_figures_of_a_hand_made_run() -> None:
    save("picks/a.candidates.csv", CANDIDATES)
    outcome = evaluate()
    assert outcome.err == ""
    found = figures()
    assert found["auprc"] == pytest.approx(AUPRC)
    assert (found["n_truth"], found["n_candidates"], found["n_hits"]) == (4, 5, 3)
    # F1 = 2 hits / (picks + particles): 2/5, 2/6, 4/7, 4/8, 6/9
    assert found["best"] == pytest.approx({"f1": 6 / 9, "threshold": 0.5, "precision": 3 / 5, "recall": 3 / 4})
    assert found["rmse"] == pytest.approx(((1 + 4 + 9) / 3) ** 0.5)
    assert found["mean_offset"] == pytest.approx([3 / 3, 2 / 3, 1 / 3])
    assert found["curve"]["precision"] == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2, 3 / 5])
    assert found["curve"]["recall"] == pytest.approx([1 / 4, 1 / 4, 1 / 2, 1 / 2, 3 / 4])
    assert (found["tomograms"], found["distance"]) == (["a"], 6.0)  # 1.2 radii, since no run says otherwise
    assert found["picks"] is None and "picks       not known: no record says which" in outcome.out
    for text in ("AUPRC       0.567", "best F1     0.667 at score 0.500", "RMSE        2.16", "+1.00 +0.67 +0.33"):
        assert text in outcome.out


def test_a_table_of_one_tomogram_is_enough() -> None:
    save("picks/a.candidates.csv", CANDIDATES)
    save("picks/b.candidates.csv", [])
    evaluate("picks/a.candidates.csv")
    assert figures()["auprc"] == pytest.approx(AUPRC)


def test_close_candidates_are_dropped_at_the_run_s_distance() -> None:
    """The second-best lies 4 voxels from the best, on the same particle."""
    save("picks/a.candidates.csv", [CANDIDATES[0], (14.0, 10.0, 11.0, 0.85), *CANDIDATES[1:]])
    for words, distance, value in (
        (("--distance", "0"), 0.0, (1 / 1 + 2 / 4 + 3 / 6) / 4),
        (("--distance", "3.9"), 3.9, (1 / 1 + 2 / 4 + 3 / 6) / 4),
        (("--distance", "4.1"), 4.1, AUPRC),
        ((), 6.0, AUPRC),
    ):
        evaluate("picks", *words)
        assert (figures()["distance"], figures()["auprc"]) == (distance, pytest.approx(value))
    run_summary(suppression_distance=3.5)(Path())
    evaluate()
    assert (figures()["distance"], figures()["n_candidates"]) == (3.5, 6)
    evaluate("picks", "--distance", "4.1")
    assert (figures()["distance"], figures()["n_candidates"]) == (4.1, 5)
    Path("picks/run.json").write_text("cut off {")
    evaluate()
    assert figures()["distance"] == 6.0


def test_scores_are_ranked_over_all_tomograms() -> None:
    """In each alone the hit comes first; together a false pick of one stands above the hit of the other."""
    write_coordinate_list("truth.txt", {"a": TRUTH[:1], "b": TRUTH[:1]})
    save("picks/a.candidates.csv", [(10, 10, 10, 0.9), (50, 50, 10, 0.8)])
    save("picks/b.candidates.csv", [(10, 10, 10, 0.7), (50, 50, 10, 0.6)])
    evaluate()
    assert figures()["auprc"] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert figures()["tomograms"] == ["a", "b"]


def test_names_on_one_side_only() -> None:
    """Particles of a tomogram that was not picked are left out, one that the truth does not name has none."""
    write_coordinate_list("truth.txt", {"a": TRUTH, "never picked": TRUTH})
    save("picks/a.candidates.csv", CANDIDATES)
    save("picks/no truth.candidates.csv", CANDIDATES)
    outcome = evaluate()
    none = "warning: no particles are known of no truth: all picks there count as false\n"
    assert outcome.err == f"{none}warning: not picked, left out: never picked\n"
    assert (figures()["n_truth"], figures()["n_candidates"]) == (4, 10)


def test_a_truth_that_says_none() -> None:
    """All picks of its tomogram are false, without a warning; alone it leaves nothing to be found."""
    write_coordinate_list("truth.txt", {"a": TRUTH, "b": TRUTH[:0]})
    save("picks/a.candidates.csv", CANDIDATES)
    save("picks/b.candidates.csv", [(10, 10, 10, 0.95)])
    assert evaluate().err == ""
    assert (figures()["n_truth"], figures()["n_candidates"]) == (4, 6)
    assert figures()["auprc"] == pytest.approx((1 / 2 + 2 / 4 + 3 / 6) / 4)
    Path("picks/a.candidates.csv").unlink()
    assert evaluate().err == "warning: not picked, left out: a\n"
    assert (figures()["n_truth"], figures()["n_candidates"], figures()["auprc"]) == (0, 1, None)


@pytest.mark.parametrize("rows", [[], [(80.0, 80.0, 10.0, 0.8)]], ids=["no candidates", "no hits"])
def test_a_run_that_found_nothing(rows: list[tuple[float, ...]]) -> None:
    save("picks/a.candidates.csv", rows)
    outcome = evaluate()
    assert "AUPRC       0.000" in outcome.out
    found = figures()
    assert (found["auprc"], found["best"]["f1"], found["rmse"], found["n_hits"]) == (0.0, 0.0, None, 0)


def test_the_limit_of_the_radius_counts() -> None:
    save("picks/a.candidates.csv", [(15.0, 10.0, 10.0, 0.9), (40.0, 15.01, 10.0, 0.8)])
    evaluate()
    assert figures()["n_hits"] == 1


FORMATS = [
    ("star", "relion4", ""),
    ("star", "relion5", ""),
    ("star", "warp", ""),
    ("tbl", "tbl", ""),
    ("mod", "mod", ""),
    ("json", "copick", ""),
    ("ndjson", "ndjson", ""),
    ("csv", "csv", ""),
    ("txt", "txt", "--coords voxel"),
]


def run_of(name: str, order: str, folder: str = "run", **changes: Any) -> None:
    """A record as a run leaves it, with some entries changed, beside the candidates."""
    save(f"{folder}/{name}.candidates.csv", CANDIDATES)
    shape = {"xyz": (32, 96, 96), "xzy": (96, 32, 96)}[order]
    Path(f"{folder}/records").mkdir(exist_ok=True)
    Path(f"{folder}/records/{name}.json").write_text(json.dumps(record_of(name, f"{name}.mrc", shape, order) | changes))


def written_as(word: str, order: str, path: str, options: str) -> None:
    """The truth in another program's format, written by `milopyp convert`."""
    save("truth.csv", [(*point, 1.0) for point in TRUTH])
    size = "96 96 32" if order == "xyz" else "96 32 96"
    outcome = run_line(
        f"milopyp convert truth.csv {path} --to {word} --order {order} --shape {size} --voxel-size 10 --name a "
        f"{options}"
    )
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("order", ["xyz", "xzy"])
@pytest.mark.parametrize(("suffix", "word", "options"), FORMATS, ids=[row[1] for row in FORMATS])
def test_the_truth_in_every_format(suffix: str, word: str, options: str, order: str) -> None:
    """Alone, and in a folder with one file per tomogram."""
    run_of("a", order)
    Path("known").mkdir()
    written_as(word, order, f"known/a.{suffix}", options)
    for place in (f"known/a.{suffix}", "known"):
        line = f"milopyp evaluate run --truth {place} --from {word} --radius 5 --json out/figures.json {options}"
        outcome = run_line(line)
        assert outcome.code == 0, outcome.err
        assert figures()["auprc"] == pytest.approx(AUPRC)
        assert figures()["mean_offset"] == pytest.approx([3 / 3, 2 / 3, 1 / 3], abs=0.006)


def test_one_star_file_for_several_tomograms() -> None:
    for name in ("a", "b"):
        run_of(name, "xyz")
    rows = "".join(f"{name}.tomostar {x} {y} {z}\n" for name in ("a", "b", "other") for x, y, z in TRUTH)
    labels = "\n".join(f"_{label}" for label in ("rlnMicrographName", *(f"rlnCoordinate{axis}" for axis in "XYZ")))
    Path("all.star").write_text(f"data_\n\nloop_\n{labels}\n{rows}")
    outcome = run_line("milopyp evaluate run --truth all.star --from warp --radius 50A --out judged")
    assert (outcome.code, outcome.err) == (0, "warning: not picked, left out: other.tomostar\n")
    stored = json.loads(Path("judged/evaluation.json").read_text())
    assert stored["tomograms"] == ["a", "b"]
    assert stored["radius"] == 5.0
    assert stored["n_truth"] == 8
    assert {name: own["auprc"] for name, own in stored["per_tomogram"].items()} == pytest.approx(
        {"a": AUPRC, "b": AUPRC}
    )
    row = next(line for line in outcome.out.splitlines() if line.startswith("a "))
    assert row.split() == ["a", "4", "4", "0.500", "0.500", "0.500", "0.567", "0.667", "0.500", "2.16"]
    # F4 = 17 p r / (16 p + r): best at the last threshold, p = 3/5, r = 3/4
    assert stored["f4"] == pytest.approx(17 * 0.6 * 0.75 / (16 * 0.6 + 0.75))
    assert stored["rms_error"] == pytest.approx([(9 / 3) ** 0.5, (4 / 3) ** 0.5, (1 / 3) ** 0.5])
    text = Path("judged/evaluation.md").read_text()
    assert "| `a` | 4 | 4 | 0.500 | 0.500 | 0.500 | 0.567 | 0.667 | 0.500 | 2.16 |" in text
    assert "| `all` | 8 | 8 |" in text and "AUPRC and best F1 those of all 10 candidates" in text
    assert "mean +1.00, +0.67, +0.33" in text
    with Image.open("judged/evaluation.png") as picture:
        assert picture.size == pytest.approx((1100, 460), rel=0.05)


HEAD = "data_\n\nloop_\n" + "".join(
    f"_rln{word}\n" for word in ("TomoName", "ClassNumber", *(f"Coordinate{x}" for x in "XYZ"))
)


def test_a_table_without_rows_says_that_there_are_no_particles() -> None:
    for name in ("a", "b"):
        run_of(name, "xyz")
    Path("none.star").write_text(HEAD)
    outcome = run_line("milopyp evaluate run --truth none.star --from relion4 --radius 5 --json figures.json")
    assert outcome.code == 0, outcome.err
    assert "no particles are known of a, b: all picks there count as false" in outcome.err
    assert json.loads(Path("figures.json").read_text())["n_truth"] == 0


def test_one_class_of_the_truth() -> None:
    run_of("a", "xyz")
    rows = "".join(f"a {number % 2 + 1} {x} {y} {z}\n" for number, (x, y, z) in enumerate(TRUTH))
    Path("two.star").write_text(HEAD + rows)
    line = "milopyp evaluate run --truth two.star --from relion4 --radius 5 --json figures.json"
    for words, count in (("", 4), ("--class 1", 2)):
        outcome = run_line(f"{line} {words}")
        assert outcome.code == 0, outcome.err
        assert json.loads(Path("figures.json").read_text())["n_truth"] == count


def judged(words: str) -> Outcome:
    outcome = run_line(f"milopyp evaluate {words} --truth truth.txt --json out/figures.json")
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    return outcome


@pytest.mark.parametrize("picks", ["run", "run/a.candidates.csv"])
def test_half_the_particle_of_the_run_is_the_radius(picks: str) -> None:
    """Its records know how large the particle is in voxels of each tomogram, those of rescaled ones too."""
    run_of("a", "xyz", diameter=9.0)
    said = "radius 4.5 voxels: half the particle of the run\n"
    assert judged(picks).out.startswith(said)
    assert (figures()["radius"], figures()["auprc"]) == (4.5, pytest.approx(AUPRC))
    assert said not in judged(f"{picks} --radius 4.5").out
    assert said not in judged(f"{picks} -q").out and figures()["radius"] == 4.5


def test_lengths_in_angstrom_are_those_of_the_record() -> None:
    """Alone, and in a table that lies in its run."""
    for picks in ("run", "run/a.candidates.csv"):
        run_of("a", "xyz")
        judged(f"{picks} --radius 29A --distance 41A")
        assert (figures()["radius"], figures()["distance"]) == (2.9, 4.1)
        assert figures()["n_hits"] == 2  # the third is 3 voxels off


def test_particles_of_two_sizes_need_a_radius() -> None:
    """As a model leaves them that has picked tomograms of two voxel sizes."""
    write_coordinate_list("truth.txt", {"a": TRUTH, "b": TRUTH})
    run_of("a", "xyz", diameter=10.0)
    run_of("b", "xyz", diameter=8.0)
    refused = run_line("milopyp evaluate run --truth truth.txt")
    assert refused.code == 2
    assert refused.errors == [
        "error: --radius: particles of 8 to 10 voxels; expected a number: run is no run with particles of one size, to "
        "take half of it"
    ]
    judged("run --radius 10")  # as large as the larger one, and no larger
    assert run_line("milopyp evaluate run --truth truth.txt --radius 10.1").code == 2


def test_a_radius_in_angstrom_without_the_a_is_asked_about() -> None:
    run_of("a", "xyz", diameter=10.0)
    refused = run_line("milopyp evaluate run --truth truth.txt --radius 50")
    assert refused.errors == [
        "error: --radius: 50 voxels; expected at most 10, the particle of run. Did you mean 5? Or give it in Angstrom: "
        "50A."
    ]


# ---------------------------------------------------------------- the picks of the run


def of_selection(**selection: Any) -> dict[str, Any]:
    """Options of a record."""
    return {"options": {"selection": {"threshold": 0.5, "distance": 6.0} | selection, "published": None}}


@pytest.mark.parametrize(
    ("selection", "cut", "found"),
    [
        ({}, "4 above 0.500", (4, 2, 0.5)),  # the last candidate scores 0.5, and not above it
        ({"threshold": 0.45}, "5 above 0.450", (5, 3, 0.45)),
        ({"threshold": 0.0, "limit": 3}, "3 above 0.000, the best 3 of each tomogram", (3, 2, 0.0)),
        ({"margin": 120.0}, "0 above 0.500, 120 A from its faces", (0, 0, 0.5)),  # of which all lie 10 voxels of 10 A
        ({"threshold": 0.95}, "0 above 0.950", (0, 0, 0.95)),
    ],
)
def test_the_picks_that_the_run_has_written_come_first(selection: Any, cut: str, found: tuple[Any, ...]) -> None:
    """By the options of its records; AUPRC goes on to look at all candidates."""
    run_of("a", "xyz", "picks", **of_selection(**selection))
    outcome = evaluate()
    n_picks, n_hits, threshold = found
    own = figures()["picks"]
    assert (own["n_picks"], own["n_truth"], own["n_hits"], own["threshold"]) == (n_picks, 4, n_hits, threshold)
    assert own["precision"] == (pytest.approx(n_hits / n_picks) if n_picks else None)
    assert own["recall"] == pytest.approx(n_hits / 4)
    assert own["f1"] == pytest.approx(2 * n_hits / (n_picks + 4))
    assert outcome.out.startswith(f"picks       {cut}: precision ")
    assert (figures()["n_candidates"], figures()["auprc"]) == (5, pytest.approx(AUPRC))
    assert "candidates  5, of which 3 are right" in outcome.out
    assert "F4 weighs recall 4 times as much as precision" in outcome.out


def test_thresholds_may_differ_by_tomogram() -> None:
    write_coordinate_list("truth.txt", {"a": TRUTH, "b": TRUTH})
    run_of("a", "xyz", "picks", **of_selection(threshold=0.65))
    run_of("b", "xyz", "picks", **of_selection(threshold=0.45))
    assert evaluate().out.startswith("picks       8 above 0.450 to 0.650: precision 0.625, recall 0.625, F1 0.625\n")
    assert figures()["picks"]["threshold"] is None
    each = {name: own["picks"] for name, own in figures()["per_tomogram"].items()}
    assert {name: (own["n_picks"], own["n_hits"], own["threshold"]) for name, own in each.items()} == {
        "a": (3, 2, 0.65), "b": (5, 3, 0.45)
    }  # fmt: skip


def test_picks_cut_anew_are_the_picks() -> None:
    for name in ("a", "b"):
        write_tomogram(Path(f"{name}.mrc"), clean_phantom().volume, voxel_size=10.0)
    write_coordinate_list("truth.txt", dict.fromkeys(("a", "b"), clean_phantom().particles_xyz))
    assert run_line(f"milopyp-infer a.mrc b.mrc --model {TOY} --out picks --threads 1").code == 0
    for line in (None, "--value 0.9", "--count 4"):
        assert line is None or run_line(f"milopyp threshold picks {line}").code == 0
        evaluate()
        written = [len(Path(f"picks/{name}.txt").read_text().splitlines()) for name in ("a", "b")]
        assert figures()["picks"]["n_picks"] == sum(written) > 0
        assert [own["picks"]["n_picks"] for own in figures()["per_tomogram"].values()] == written


def test_picks_of_the_published_decoding_are_those_of_its_model() -> None:
    """They are made from the heat map: no candidate says which."""
    write_tomogram(Path("a.mrc"), clean_phantom().volume, voxel_size=10.0)
    write_coordinate_list("truth.txt", {"a": clean_phantom().particles_xyz})
    line = f"milopyp-infer a.mrc --model {TOY} --out picks --threads 1 --published --cutoff-z 0 --out-thresh 0.3"
    assert run_line(line).code == 0
    evaluate()
    written = np.loadtxt("picks/a.txt", ndmin=2)
    assert figures()["picks"]["n_picks"] == len(written) > 0
    assert figures()["picks"]["n_hits"] == matches(written[:, [0, 2, 1]], np.array(clean_phantom().particles_xyz))
    Path("picks/a.mod").unlink()
    assert "picks       not known" in evaluate().out


def matches(picks: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> int:
    """Pairs within 5 voxels, where no two lie so close."""
    return int((np.linalg.norm(picks[:, None] - truth[None], axis=2) <= 5).any(axis=0).sum())
