"""`import milopyp`: what it exports, that it loads nothing, pick files, and evaluation."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import milopyp
from bad_input.builders import record_of
from milopyp import Evaluation, MilopypError, Picks, evaluate, open_tomogram, read_picks, write_picks
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.formats.registry import FORMATS
from running import run_line, tree
from toys import TOY, clean_phantom, noise, write_tomogram

HEAVY = {"torch", "onnx", "onnxruntime", "scipy", "numba", "matplotlib", "numpy", "mrcfile", "click", "rich"}
POINTS = [[30.0, 20.0, 10.0], [4.5, 3.25, 7.0]]
SCORES = [0.9, 0.5]
PICKS = np.column_stack([POINTS, SCORES])
TRUTH = [[10.0, 10.0, 10.0], [40.0, 10.0, 10.0], [10.0, 25.0, 10.0], [40.0, 25.0, 10.0]]
# hit, false, hit, false, hit; the last particle is never found
FOUND = [[10, 10, 11, 0.9], [25, 18, 2, 0.8], [40, 12, 10, 0.7], [25, 2, 2, 0.6], [13, 25, 10, 0.5]]
AUPRC = (1 / 1 + 2 / 3 + 3 / 5) / 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a tomogram of 48 x 32 x 16 voxels in two orders."""
    monkeypatch.chdir(tmp_path)
    for order in ("xyz", "xzy"):
        write_tomogram(tmp_path / f"{order}.mrc", noise((16, 32, 48)), order, voxel_size=10.0)
    return tmp_path


# ---------------------------------------------------------------- names


def in_a_new_process(body: str) -> Any:
    words = [sys.executable, "-c", f"import json, sys\n{body}"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_importing_it_loads_nothing() -> None:
    loaded = in_a_new_process("import milopyp\ndir(milopyp)\nprint(json.dumps(sorted(sys.modules)))")
    assert not {name.partition(".")[0] for name in loaded} & (HEAVY | {"milopyp_shared", "milopyp_inference"})


def test_pick_files_need_no_engine() -> None:
    body = "from milopyp import read_picks, write_picks, open_tomogram\nprint(json.dumps(sorted(sys.modules)))"
    assert not set(in_a_new_process(body)) & {"torch", "onnx", "onnxruntime", "matplotlib", "click"}


def test_every_name_is_there() -> None:
    assert dir(milopyp) == sorted(milopyp.__all__)
    body = "import milopyp\nprint(json.dumps([getattr(milopyp, name).__module__ for name in milopyp.__all__]))"
    assert len(in_a_new_process(body)) == len(milopyp.__all__) == len(set(milopyp.__all__))
    with pytest.raises(AttributeError, match="has no attribute 'puck'"):
        milopyp.puck  # noqa: B018


@pytest.mark.parametrize("name", ["", "_shared", "_training", "_export", "_inference"])
def test_every_package_says_that_it_has_types(name: str) -> None:
    assert (resources.files(f"milopyp{name}") / "py.typed").is_file()


# ---------------------------------------------------------------- pick files


def known_tomogram(how: str, order: str) -> tuple[Any, dict[str, Any]]:
    """The tomogram as a file, open, as an array, or only what is known of it; with further options."""
    path = Path(f"{order}.mrc")
    if how == "file":
        return str(path), {}
    if how == "open":
        return open_tomogram(path), {}
    if how == "array":
        return np.array(open_tomogram(path).zyx), {"voxel_size": 10.0}
    return None, {"order": order, "size": (48, 32, 16) if order == "xyz" else (48, 16, 32), "voxel_size": 10.0}


WORDS = [word for word, row in FORMATS.items() if row.write is not None]


@pytest.mark.parametrize("order", ["xyz", "xzy"])
@pytest.mark.parametrize("word", WORDS)
def test_files_are_those_of_convert(word: str, order: str) -> None:
    """Byte for byte, however the tomogram is given; and they are read back."""
    suffix, more = FORMATS[word].suffixes[0], {"coords": "model2point", "with_score": True}
    Path("a.csv").write_text("x,y,z,score\n" + "".join(f"{x},{y},{z},{s}\n" for x, y, z, s in PICKS.tolist()))
    words = f"--to {word} --tomogram {order}.mrc --coords model2point --with-score --name a"
    outcome = run_line(f"milopyp convert a.csv convert{suffix} {words}")
    assert outcome.code == 0, outcome.err
    for how in ("file", "open", "array", "none") if order == "xyz" else ("file", "open", "none"):
        tomogram, options = known_tomogram(how, order)
        path = Path(f"{how}{suffix}")
        write_picks(path, PICKS[::-1], tomogram, word, name="a", **more, **options)
        if (word, how) != ("mod", "none"):  # nothing says the header then, which 3dmod places models by
            assert path.read_bytes() == Path(f"convert{suffix}").read_bytes()
        back = read_picks(path, tomogram, word, name="a", **more, **options)
        assert back.xyz == pytest.approx(np.array(POINTS), abs=0.006)
        assert back.score == pytest.approx(SCORES if word != "ndjson" else [1, 1])


@pytest.mark.parametrize("turn", ["rotx", "yz"])
def test_turned_files_are_those_of_convert(turn: str, caplog: pytest.LogCaptureFixture) -> None:
    write_picks("a.csv", PICKS)
    outcome = run_line(f"milopyp convert a.csv convert.star --to relion5 --tomogram xzy.mrc --turn {turn} --name a")
    assert outcome.code == 0, outcome.err
    write_picks("own.star", PICKS, "xzy.mrc", "relion5", name="a", turn=turn)
    assert Path("own.star").read_bytes() == Path("convert.star").read_bytes()
    assert "W07" not in caplog.text
    with pytest.raises(UsageError, match=r"'left'.*one of none, rotx, yz"):
        write_picks("b.star", PICKS, "xzy.mrc", "relion5", turn="left")
    assert not Path("b.star").exists()


@pytest.mark.parametrize("word", WORDS)
def test_no_picks_are_written_too(word: str) -> None:
    write_picks(f"a{FORMATS[word].suffixes[0]}", [], "xyz.mrc", word, coords="voxel")
    if word == "csv":
        assert len(read_picks("a.csv")) == 0


def test_nothing_is_replaced(folder: Path) -> None:
    write_picks("a.csv", POINTS)
    before = tree(folder)
    for target in ("a.csv", "xyz.mrc"):
        with pytest.raises(UsageError, match=r"exists already.* Give overwrite=True|is read by this command"):
            write_picks(target, POINTS, "xyz.mrc", "csv")
    with pytest.raises(UsageError, match="is a tomogram"):
        write_picks("xzy.mrc", POINTS, "xyz.mrc", "csv", overwrite=True)
    assert tree(folder) == before
    write_picks("a.csv", POINTS[:1], overwrite=True)
    assert read_picks("a.csv").xyz.tolist() == POINTS[:1]


def test_what_looks_wrong_is_said(caplog: pytest.LogCaptureFixture) -> None:
    write_picks("a.star", POINTS, "xzy.mrc", "warp")
    assert "along the axes of the tomogram's file (order xzy)" in caplog.text


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        ("here", "picks: str; expected Picks, or x, y, z"),
        (None, r"picks: a table of shape \(\)"),
        ([[1, 2]], r"picks: a table of shape \(1, 2\)"),
        ([1, 2, 3], r"picks: a table of shape \(3,\)"),
        ([[1, 2, np.nan]], "picks: a coordinate or score is not finite"),
    ],
)
def test_what_are_no_picks(picks: Any, message: str, folder: Path) -> None:
    before = tree(folder)
    with pytest.raises(InputError, match=message):
        write_picks("a.csv", picks)
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tomogram": 3}, UsageError, "tomogram: a value of type int; expected the name of a file, an open tomogram"),
        ({"tomogram": np.zeros((4, 4))}, InputError, r"tomogram: an array of shape \(4, 4\)"),
        ({"tomogram": np.zeros((16, 32, 48)), "order": "xzy"}, ContradictionError, "tomogram: order 'xzy'"),
        ({"tomogram": "gone.mrc"}, InputError, "gone.mrc: no such file"),
        ({"format": "relion6"}, UsageError, "relion6 is no format"),
        ({"format": "eman"}, UsageError, "eman is only read"),
        ({"format": "relion5"}, UsageError, "the size of the tomogram is not known"),
        (
            {"format": "txt", "order": "xyz", "coords": "imod"},
            UsageError,
            "coords: 'imod'; expected model2point or voxel",
        ),
        ({"format": "warp", "binning": 0.0}, UsageError, "binning: 0.0; expected a number above 0"),
        ({"tomogram": "xyz.mrc", "voxel_size": float("nan")}, UsageError, "voxel_size: nan"),
        ({"tomogram": "xyz.mrc", "order": "xxy"}, UsageError, "order 'xxy'"),
        ({"tomogram": "xyz.mrc", "size": (48, 32, 17)}, ContradictionError, "48 32 16, the size of the file"),
        ({"tomogram": np.zeros((8, 8, 8))}, ContradictionError, "1 of 2 picks outside the tomogram"),
        ({"name": "a/b"}, InputError, "image name 'a/b'"),
        ({"format": "tbl", "dynamo_zero": 2}, UsageError, "dynamo_zero: 2; expected 0 or 1"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], error: type[MilopypError], message: str, folder: Path) -> None:
    before = tree(folder)
    with pytest.raises(error, match=message):
        write_picks("a.csv", POINTS, **options)
    assert tree(folder) == before


def test_what_is_no_file() -> None:
    for used in (open_tomogram, read_picks, lambda path: write_picks(path, POINTS)):
        with pytest.raises(UsageError, match="a value of type int; expected the name of a file"):
            used(3)
    with pytest.raises(ContradictionError, match=r"xzy.mrc: order 'xyz'; expected xzy, in which it is"):
        write_picks("a.csv", POINTS, open_tomogram("xzy.mrc"), order="xyz")


def test_words_that_are_none() -> None:
    with pytest.raises(TypeError, match="ordr"):
        write_picks("a.csv", POINTS, ordr="xyz")  # type: ignore[call-arg]


# ---------------------------------------------------------------- evaluation


def check(result: Evaluation) -> None:
    """What the lines at the top of this file come to."""
    assert result.auprc == pytest.approx(AUPRC)
    assert (result.n_truth, result.n_picks, result.n_hits) == (4, 5, 3)
    # F1 = 2 hits / (picks + particles): best at the last of five
    assert (result.f1, result.threshold, result.precision, result.recall) == pytest.approx((6 / 9, 0.5, 3 / 5, 3 / 4))
    assert result.rmse == pytest.approx(((1 + 4 + 9) / 3) ** 0.5)


def test_figures_of_picks_arrays_and_files() -> None:
    found, shuffled = np.array(FOUND, dtype=float), np.array(FOUND, dtype=float)[[3, 1, 4, 0, 2]]
    write_picks("found.csv", found)
    write_picks("found.mod", found, "xyz.mrc")
    write_picks("truth.star", TRUTH, "xyz.mrc", "relion5")
    write_coordinate_list("truth.txt", {"any name": TRUTH})
    as_list = found.tolist()
    for picks in (found, shuffled, as_list, Picks(found[:, :3], found[:, 3]), "found.csv", Path("found.csv")):
        for truth in (TRUTH, np.array(TRUTH), np.column_stack([TRUTH, [0.1] * 4]), Picks(np.array(TRUTH), np.ones(4))):
            check(evaluate(picks, truth, radius=5))
    check(evaluate(found, "truth.txt", radius=5))
    check(evaluate(found, "truth.star", 5, tomogram="xyz.mrc", format="relion5"))
    check(evaluate("found.mod", TRUTH, 5, tomogram="xyz.mrc"))
    without_scores = evaluate(found[:, :3], TRUTH, radius=5)  # all of score 1: in no order, so that there is no curve
    assert (without_scores.n_picks, without_scores.f1) == (5, pytest.approx(6 / 9))
    assert np.isnan([without_scores.auprc, without_scores.threshold]).all()


def test_close_picks_are_dropped_when_asked_for() -> None:
    double = [*FOUND, [14, 10, 11, 0.85]]
    assert evaluate(double, TRUTH, 5).n_picks == 6
    check(evaluate(double, TRUTH, 5, distance=4.1))


def test_the_result_is_frozen() -> None:
    result = evaluate(FOUND, TRUTH, 5)
    with pytest.raises(AttributeError):
        result.auprc = 1.0  # type: ignore[misc]
    assert json.loads(json.dumps(result.to_dict()))["best"]["f1"] == result.f1


def test_a_run_is_judged_as_by_the_command(tmp_path: Path) -> None:
    truth = {}
    for number, name in enumerate(("a", "b"), 1):
        phantom = clean_phantom(number)
        truth[name] = np.vstack([phantom.particles_xyz[number:], [[1, 1, 1]]]).round(
            2
        )  # one is missed, some picks wrong
        write_tomogram(tmp_path / f"{name}.mrc", phantom.volume, voxel_size=10.0)
    write_coordinate_list("truth.txt", truth | {"never picked": TRUTH})
    assert run_line(f"milopyp-infer a.mrc b.mrc --model {TOY} --out picks --threads 1").code == 0
    assert run_line("milopyp evaluate picks --truth truth.txt --radius 5 --json figures.json").code == 0
    assert run_line("milopyp evaluate picks/a.candidates.csv --truth truth.txt --radius 5 --json a.json").code == 0
    for picks, figures in (("picks", "figures.json"), (Path("picks/a.candidates.csv"), "a.json")):
        stored = json.loads(Path(figures).read_text())
        result = evaluate(picks, "truth.txt", radius=5)
        assert 0.5 < result.auprc < result.f1 < 1
        stored["n_picks"] = stored.pop("n_candidates")
        assert {name: stored[name] for name in result.to_dict()} == json.loads(json.dumps(result.to_dict()))
    alone = evaluate("picks/a.candidates.csv", truth["a"], 5)
    assert alone.to_dict() == evaluate("picks/a.candidates.csv", "truth.txt", 5).to_dict()
    with pytest.raises(UsageError, match="truth: positions of one tomogram for the 2 of the run"):
        evaluate("picks", truth["a"], 5)


def run_in(folder: str) -> None:
    """A run over a tomogram ``a`` with the picks of the top of this file, of particles of 10 voxels."""
    Path(folder, "records").mkdir(parents=True)
    Path(folder, "records", "a.json").write_text(json.dumps(record_of("a", "a.mrc", (32, 96, 96))))
    write_picks(f"{folder}/a.candidates.csv", FOUND, format="csv")


def test_the_radius_is_half_the_particle_of_a_run() -> None:
    run_in("run")
    for picks in ("run", "run/a.candidates.csv"):
        result = evaluate(picks, TRUTH)
        assert result.radius == 5.0
        check(result)
        with pytest.raises(ContradictionError, match=r"radius: 50 voxels; expected at most 10, .* Did you mean 5\?"):
            evaluate(picks, TRUTH, 50)
    for lone in (FOUND, "found.csv"):
        write_picks("found.csv", FOUND, overwrite=True)
        with pytest.raises(UsageError, match="radius: not given; expected a number"):
            evaluate(lone, TRUTH)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tomogram", "xyz.mrc"), ("order", "xyz"), ("size", (96, 96, 32)), ("voxel_size", 10.0), ("name", "a")],
)
def test_a_run_knows_its_tomograms(name: str, value: Any) -> None:
    """What is said beside it would be left aside: it is refused. Of a lone table nothing is known, and it counts."""
    run_in("run")
    with pytest.raises(UsageError, match=rf"{name}: given beside run, a folder of milopyp-infer"):
        evaluate("run", TRUTH, 5, **{name: value})


def test_what_is_said_of_the_truth_of_a_run_counts() -> None:
    """Numbers in a Dynamo table begin at 0, or at 1."""
    run_in("run")
    write_picks("truth.tbl", TRUTH, dynamo_zero=0)
    for picks in ("run", "run/a.candidates.csv"):
        check(evaluate(picks, "truth.tbl", 5, dynamo_zero=0))
        assert evaluate(picks, "truth.tbl", 5).mean_offset != pytest.approx([3 / 3, 2 / 3, 1 / 3])


def test_what_is_said_of_the_tomogram_of_a_lone_table_counts() -> None:
    write_picks("truth.star", TRUTH, "xyz.mrc", "relion5", name="a")
    write_picks("a.candidates.csv", FOUND, format="csv")
    check(evaluate("a.candidates.csv", "truth.star", 5, tomogram="xyz.mrc", format="relion5"))
    with pytest.raises(UsageError, match="not known"):
        evaluate("a.candidates.csv", "truth.star", 5, format="relion5")


@pytest.mark.parametrize(
    ("picks", "truth", "message"),
    [
        ("gone", TRUTH, "gone: no such file or folder"),
        ("gone.csv", TRUTH, "gone.csv: cannot be read"),
        (FOUND, "gone.txt", "gone.txt: no such file or folder"),
        (FOUND, "two.txt", "two.txt: has picks of a, b, which fit none of the tomograms picks"),
        ([[1, 2, 3, 4, 5]], TRUTH, r"picks: a table of shape \(1, 5\)"),
        ({}, TRUTH, "picks: dict"),
        (FOUND, {}, "truth: dict"),
        (FOUND, [[1, 2, float("inf")]], "truth: a coordinate or score is not finite"),
    ],
)
def test_what_cannot_be_compared(picks: Any, truth: Any, message: str) -> None:
    write_coordinate_list("two.txt", {"a": TRUTH, "b": TRUTH})
    with pytest.raises(InputError, match=message):
        evaluate(picks, truth, 5)
    with pytest.raises(UsageError, match="matching radius -1"):
        evaluate(FOUND, TRUTH, -1)
