"""A model of several classes: one pass over the tomograms leaves a run of each, and a place goes to one of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batch_toys import LINE, NAMES, pick, skipped, write_three
from milopyp_inference import pick as pick_one
from milopyp_inference.batch import one_tomogram
from milopyp_inference.decode.rivals import with_rivals
from milopyp_inference.decode.select import Selection, select_picks
from milopyp_shared.errors import UsageError
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame
from running import outputs, run_line, tree
from toys import TOY, TOY_OF_TWO

FIRST, SECOND = CLASSES = ("ribosome", "proteasome")
NETWORK = one_tomogram.run_network
FRAME = Frame("xyz", (40, 40, 40), None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over three tomograms, and the model."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(place)
        write_three()
        shutil.copy(TOY_OF_TWO, "toy.onnx")
        outcome = pick()
        assert all(f"picks in 3 of 3 tomograms: picks/{name}" in outcome.out for name in CLASSES)
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it, in the working directory."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tomograms that the network looks at from here on."""
    names: list[str] = []

    def run(prepared: Any, *more: Any) -> Any:
        names.append(prepared.tomogram.path.stem)
        return NETWORK(prepared, *more)

    monkeypatch.setattr(one_tomogram, "run_network", run)
    return names


def candidates(kind: str, name: str, folder: str = "picks") -> Picks:
    return read_candidates(Path(f"{folder}/{kind}/{name}.candidates.csv"))


def picked(kind: str, name: str, folder: str = "picks") -> NDArray[np.float64]:
    rows = Path(f"{folder}/{kind}/{name}.txt").read_text().splitlines()
    return np.array([row.split() for row in rows], float).reshape(-1, 3)


def files(kind: str) -> dict[str, str]:
    """The files of picks of a class."""
    return {name: content for name, content in outputs(Path("picks", kind)).items() if name.endswith((".txt", ".mod"))}


def test_one_pass_leaves_a_run_of_each_class() -> None:
    assert json.loads(Path("picks/classes.json").read_text()) == {"classes": list(CLASSES)}
    assert {path.name for path in Path("picks").iterdir()} == {*CLASSES, "classes.json", "status.json"}
    shutil.copy(TOY, "toy.onnx")
    pick("--out", "alone")
    alone = set(tree(Path("alone"))) - {"status.json"}
    for kind in CLASSES:
        assert set(tree(Path("picks", kind))) == alone
        run = json.loads(Path(f"picks/{kind}/run.json").read_text())
        assert (run["done"], run["diameter"]) == (3, 10.0 if kind == FIRST else 8.0)


def test_a_class_for_itself_is_picked_as_by_a_model_of_one() -> None:
    pick("--no-exclusive")
    shutil.copy(TOY, "toy.onnx")
    pick("--out", "alone")
    for name in NAMES:
        alone = read_candidates(Path(f"alone/{name}.candidates.csv"))
        np.testing.assert_allclose(candidates(FIRST, name).xyz, alone.xyz, atol=2e-3)
        np.testing.assert_array_equal(picked(FIRST, name), np.loadtxt(f"alone/{name}.txt", ndmin=2))
        assert len(picked(SECOND, name)) == len(picked(FIRST, name))  # which it sees as well, less clearly


def test_a_place_goes_to_the_higher_score() -> None:
    for name in NAMES:
        first, second = (candidates(kind, name) for kind in CLASSES)
        assert first.rival is not None and second.rival is not None
        chosen = second.score > 0.4
        assert chosen.sum() == len(picked(FIRST, name)) > 0 == len(picked(SECOND, name))
        assert set(second.rival[chosen]) == set(first.score[first.score > 0.5])
        assert set(first.rival[first.score > 0.5]) == set(second.score[chosen])
        assert (second.rival[chosen] > second.score[chosen]).all()


def test_what_is_no_pick_of_the_other_class_is_no_rival() -> None:
    highest = max(candidates(FIRST, name).score.max() for name in NAMES)
    assert highest < 0.9995
    pick("--out", "second", "--out-thresh", "ribosome=0.9995")
    for name in NAMES:
        assert not len(picked(FIRST, name, "second"))
        assert len(picked(SECOND, name, "second")) == len(picked(FIRST, name))


def test_the_same_command_again_skips_all(looked_at: list[str]) -> None:
    before = outputs(Path("picks"))
    assert skipped(pick()) == list(NAMES)
    assert not looked_at
    assert outputs(Path("picks")) == before


@pytest.mark.parametrize(
    ("words", "most"), [("--out-thresh {}=0.999", None), ("--K {}=2", 2), ("--margin {}=100", None)]
)  # fmt: skip
def test_an_option_of_a_class_cuts_that_class(words: str, most: int | None, looked_at: list[str]) -> None:
    pick("--no-exclusive")
    before = {kind: files(kind) for kind in CLASSES}
    counts = [len(picked(SECOND, name)) for name in NAMES]
    outcome = pick("--no-exclusive", *words.format(SECOND).split())
    assert "cut anew from the candidates: a, b, c" in outcome.out
    assert not looked_at
    assert files(FIRST) == before[FIRST] and files(SECOND) != before[SECOND]
    after = [len(picked(SECOND, name)) for name in NAMES]
    assert sum(after) < sum(counts) and max(after) <= (most or max(counts))
    records = [json.loads(Path(f"picks/{SECOND}/records/{name}.json").read_text()) for name in NAMES]
    assert [record["picks"] for record in records] == after


@pytest.mark.parametrize("more", ["", "--dry-run"])
def test_a_folder_of_other_classes_is_refused_before_anything_is_said_of_it(more: str) -> None:
    before = tree(Path("picks"))
    shutil.copy(TOY, "toy.onnx")
    outcome = run_line(f"{LINE} --overwrite {more}")
    assert outcome.code == 2 and "holds runs of the classes ribosome, proteasome" in outcome.err
    assert "threshold" not in outcome.out and "picked again" not in outcome.out
    assert tree(Path("picks")) == before


def test_a_class_without_its_record_is_picked_again(looked_at: list[str]) -> None:
    before = {kind: outputs(Path("picks", kind)) for kind in CLASSES}
    for lost in ("records/b.json", "b.txt", "b.mod"):
        Path("picks", SECOND, lost).unlink()
    assert skipped(pick()) == ["a", "c"]
    assert looked_at == ["b"]
    assert {kind: outputs(Path("picks", kind)) for kind in CLASSES} == before


def test_workers_leave_the_same_files() -> None:
    assert run_line(LINE, "--out", "both", "--workers", "2", "--threads", "2").code == 0
    for kind in CLASSES:
        assert outputs(Path("both", kind)) == outputs(Path("picks", kind))
    assert json.loads(Path("both/status.json").read_text())["picks"] == 15
    assert run_line(LINE, "--out", "both", "--workers", "2", "--threads", "2", "--overwrite").code == 0
    assert not list(Path("both").rglob("*_changed*"))


@pytest.mark.parametrize("words", ["", "--out-thresh 0.45"], ids=["skipped", "cut"])
def test_the_status_counts_the_picks_of_all_classes(words: str) -> None:
    pick("--no-exclusive", "--out", "all")
    assert json.loads(Path("all/status.json").read_text())["picks"] == 30
    pick("--no-exclusive", "--out", "all", *words.split())
    status = json.loads(Path("all/status.json").read_text())
    assert (status["picks"], status["done"]) == (30, 3)


def test_what_is_said_of_a_tomogram_counts_the_picks_of_all_classes() -> None:
    """As it is done, whoever does it; the status file counts the same while it goes on."""
    for more in ("", "--workers 2"):
        outcome = run_line(f"{LINE} --no-exclusive --overwrite --out all {more}")
        for name, count in zip(NAMES, (4, 5, 6), strict=True):
            assert f": {name} (order xyz): {count} ribosome, {count} proteasome in " in outcome.out
    assert "a is already done: 4 ribosome, 4 proteasome" in pick("--no-exclusive", "--out", "all").out


def test_a_failed_tomogram_fails_in_each_class() -> None:
    whole = Path("tomograms/b.mrc").read_bytes()
    Path("tomograms/b.mrc").write_bytes(whole[:5000])
    assert run_line(LINE).code == 1
    for kind in CLASSES:
        assert list(json.loads(Path(f"picks/{kind}/run.json").read_text())["failed"]) == ["b"]
    Path("tomograms/b.mrc").write_bytes(whole)
    assert skipped(pick()) == ["a", "c"]
    for kind in CLASSES:
        assert not json.loads(Path(f"picks/{kind}/run.json").read_text())["failed"]


def test_one_class_from_python() -> None:
    first, second = (pick_one("tomograms/b.mrc", "toy.onnx", particle=kind) for kind in CLASSES)
    assert len(first) == len(second) == 5  # each for itself
    np.testing.assert_allclose(first.xyz + np.array([0.5, 0.5, 0]), picked(FIRST, "b"), atol=0.0056)
    assert (second.score < first.score).all()
    for unknown in (None, "apoferritin"):
        with pytest.raises(UsageError, match=r"particle: .*; expected one of ribosome, proteasome"):
            pick_one("tomograms/b.mrc", "toy.onnx", particle=unknown)


places = st.lists(
    st.tuples(*[st.integers(0, 39)] * 3, st.integers(1, 99)), max_size=8, unique_by=lambda row: row[3]
)  # fmt: skip


def picks_of(rows: list[tuple[int, int, int, int]]) -> Picks:
    table = np.array(sorted(rows, key=lambda row: -row[3]), float).reshape(-1, 4)
    return Picks(table[:, :3], table[:, 3] / 100)


@settings(max_examples=60)
@given(st.lists(places, min_size=2, max_size=3), st.lists(st.integers(4, 30), min_size=3, max_size=3))
def test_rivals_are_the_best_picks_of_others_nearby(
    rows: list[list[tuple[int, int, int, int]]], diameters: list[int]
) -> None:
    found = [picks_of(own) for own in rows]
    selections = [Selection(0.3, 0.6 * diameter) for diameter in diameters[: len(found)]]
    sizes = [float(diameter) for diameter in diameters[: len(found)]]
    again = with_rivals(found, selections, sizes, FRAME)
    for kind, own in enumerate(again):
        for place, rival in zip(own.xyz, own.rival if own.rival is not None else (), strict=True):
            near = [
                score
                for other, theirs in enumerate(found)
                if other != kind
                for xyz, score in zip(*_chosen(theirs, selections[other]), strict=True)
                if np.linalg.norm(xyz - place) <= min(sizes[kind], sizes[other]) / 2
            ]
            assert rival == max(near) if near else np.isnan(rival)


def _chosen(found: Picks, selection: Selection) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chosen = select_picks(found, selection, FRAME)
    return chosen.xyz, chosen.score
