"""Batches that were cut short, and files of others: what is milopyp's own is known, and nothing else is replaced."""

from __future__ import annotations

import weakref
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from batch_toys import LINE, pick, record, skipped, write_three
from milopyp_inference import pipeline
from milopyp_inference.batch import cutting, one_tomogram, picking_run
from milopyp_inference.batch.leases import Leases
from milopyp_shared.errors import FullDiskError
from running import run_line, tree, wait_for
from toys import clean_phantom, write_tomogram


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the three tomograms are: the working directory."""
    monkeypatch.chdir(tmp_path)
    write_three()
    return tmp_path


def test_an_interrupted_run_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pipeline.run_network
    seen: list[str] = []

    def interrupted(prepared: Any, *arguments: Any) -> Any:
        seen.append(prepared.tomogram.path.stem)
        if seen == ["a", "b"]:
            raise KeyboardInterrupt
        return whole(prepared, *arguments)

    monkeypatch.setattr(one_tomogram, "run_network", interrupted)
    outcome = run_line(LINE)
    assert outcome.code == 130
    assert outcome.err.strip() == "interrupted; the same command goes on where it stopped"
    assert {path.name.split(".")[0].split("_")[0] for path in Path("picks").glob("?[._]*")} == {"a"}
    assert [path.name for path in Path("picks/records").iterdir()] == ["a.json"]
    # what a killed process leaves
    leftovers = [Path("picks/.b.txt.x.part"), Path("picks/records/.b.json.x.part")]
    for part in leftovers:
        part.write_text("half")
    assert skipped(pick()) == ["a"]
    assert seen == ["a", "b", "b", "c"]
    assert not any(part.exists() for part in leftovers)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, FullDiskError("no space", where="x", expected="y", remedy="z")])
def test_the_last_tomogram_is_written_while_the_network_is_at_the_next(
    monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    """What is found is complete even where the network, on the next one, is interrupted meanwhile."""
    network, write, at_b = pipeline.run_network, one_tomogram.write_all_picks, Event()

    def interrupted(prepared: Any, *arguments: Any) -> Any:
        if prepared.tomogram.path.stem == "b":
            at_b.set()
            raise stop
        return network(prepared, *arguments)

    def late(*arguments: Any) -> None:
        assert at_b.wait(60)
        write(*arguments)

    monkeypatch.setattr(one_tomogram, "run_network", interrupted)
    monkeypatch.setattr(one_tomogram, "write_all_picks", late)
    assert run_line(LINE).code == (130 if stop is KeyboardInterrupt else FullDiskError.exit_code)
    assert [path.name for path in Path("picks/records").iterdir()] == ["a.json"]
    assert Path("picks/a.txt").exists()


def test_what_is_written_is_not_kept_while_the_network_is_at_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heat maps and grey levels lie on temporary files, which must have room for those that are worked on only."""
    network, found = pipeline.run_network, list[weakref.ref[Any]]()

    def looking(prepared: Any, *arguments: Any) -> Any:
        wait_for(lambda: not any(result() for result in found))
        results = network(prepared, *arguments)
        found.append(weakref.ref(results[0]))
        return results

    monkeypatch.setattr(one_tomogram, "run_network", looking)
    pick()
    assert len(found) == 3


def test_a_record_says_with_what_its_own_tomogram_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written when OpenVINO has compiled the network for another size."""
    write_tomogram(Path("tomograms/b.mrc"), clean_phantom(seed=2, shape_zyx=(25, 47, 63), particles=4).volume)
    network, write, through_b = pipeline.run_network, one_tomogram.write_all_picks, Event()

    def telling(prepared: Any, *arguments: Any) -> Any:
        results = network(prepared, *arguments)
        if prepared.tomogram.path.stem == "b":
            through_b.set()
        return results

    def late(*arguments: Any) -> None:
        assert through_b.wait(60)
        write(*arguments)

    monkeypatch.setattr(one_tomogram, "run_network", telling)
    monkeypatch.setattr(one_tomogram, "write_all_picks", late)
    assert run_line(LINE).code == 0
    a, b, c = (record(name)["operators"] for name in "abc")
    assert a == c != b


def test_a_full_disk_behind_the_network_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next tomogram, which the network is through with, is not written any more."""

    def full(*_: Any) -> None:
        raise FullDiskError("no space", where="x", expected="y", remedy="z")

    with monkeypatch.context() as patched:
        patched.setattr(one_tomogram, "write_all_picks", full)
        outcome = run_line(LINE)
    assert (outcome.code, outcome.err.count("no space")) == (FullDiskError.exit_code, 1)
    assert list(Path("picks/records").iterdir()) == []
    assert skipped(pick()) == []


def test_a_command_that_died_before_its_record_is_not_taken_for_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are known as milopyp's, and are those of the options that are asked for in the end."""

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    pick()
    whole = tree(Path("picks"))
    for module, more in ((cutting, ("--K", "1")), (picking_run, ("--contrast", "bright"))):
        with monkeypatch.context() as patched:
            patched.setattr(module, "write_record", dies)
            assert run_line(LINE, *more).code == 130
        assert list(Path("picks/records").glob("*.new"))
        again = pick()
        assert "a" not in skipped(again) and again.err == ""
        assert not list(Path("picks").glob("*_changed*"))
        after = tree(Path("picks"))
        assert {name: after[name] for name in whole if "json" not in name} == {
            name: own for name, own in whole.items() if "json" not in name
        }
        assert not list(Path("picks/records").glob("*.new"))


def test_what_died_twice_is_still_known_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(picking_run, "write_record", dies)
        assert run_line(LINE).code == 130
    with monkeypatch.context() as patched:  # and the next one before it has anything to put in place
        patched.setattr(one_tomogram, "write_all_picks", dies)
        assert run_line(LINE).code == 130
    assert pick().err == ""
    assert not list(Path("picks").glob("*_changed*"))


def test_a_stage_of_a_living_process_is_left_alone() -> None:
    pick()
    with Leases(Path("picks/records")) as leases:
        assert leases.acquire("a")
        Path("picks/records/a.new").mkdir()
        Path("picks/records/a.new/a.txt").write_text("half")
        assert "a is already done" in pick().out
        assert Path("picks/records/a.new/a.txt").exists()
    assert pick().out.count("is already done") == 3
    assert not Path("picks/records/a.new").exists()


def test_a_person_s_files_are_not_replaced_unasked() -> None:
    Path("picks").mkdir()
    Path("picks/b.mod").write_bytes(b"clicks")
    outcome = run_line(LINE)
    assert outcome.code == 2
    assert "picks: holds b.mod, which no record says that milopyp-infer has written" in outcome.err
    assert [path.name for path in Path("picks").iterdir()] == ["b.mod"]
    assert "b.mod was not written by milopyp-infer: kept as b_changed.mod" in pick("--overwrite").err
    assert Path("picks/b_changed.mod").read_bytes() == b"clicks"
