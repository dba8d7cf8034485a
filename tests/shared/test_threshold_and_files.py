"""`milopyp threshold` and the files that are there: a person's work is kept, and nothing is done by halves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from milopyp_inference.batch import cutting
from milopyp_inference.batch.leases import Leases
from running import run_line, tree
from threshold_toys import change, cut, infer, record, write_run, write_tomograms
from toys import TOY


@pytest.fixture(autouse=True)
def picks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over two tomograms, one of them with another axis order; the tomograms are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    write_run()
    return tmp_path / "picks"


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


def test_a_margin_that_one_tomogram_cannot_have_changes_nothing() -> None:
    stored = record("xzy")
    stored["frame"]["voxel_size"] = None
    Path("picks/records/xzy.json").write_text(json.dumps(stored))
    before = tree(Path("picks"))
    outcome = run_line("milopyp threshold picks --margin 20")
    assert outcome.code == 2 and "--margin: the voxel size is unknown" in outcome.err
    assert tree(Path("picks")) == before


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


def test_out_replaces_what_was_cut_from_this_run_and_nothing_else() -> None:
    cut("--count 3 --out few")
    Path("few/xyz.mod").write_bytes(b"mine")
    assert "xyz.mod is not as it was written: kept as xyz_changed.mod" in cut("--count 2 --out few").err
    Path("other").mkdir()
    Path("other/xzy.txt").write_text("1 2 3")
    outcome = run_line("milopyp threshold picks --count 2 --out other")
    assert outcome.code == 2 and "other: holds xzy.txt of something else" in outcome.err
    assert [path.name for path in Path("other").iterdir()] == ["xzy.txt"]
