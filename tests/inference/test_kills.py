"""Batches of real processes: killed in the middle, interrupted, and two at once on one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from milopyp_inference.claims import Claims
from running import tree
from toys import write_batch

COUNT = 20


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty tomograms, and what a run without trouble makes of them."""
    folder = tmp_path_factory.mktemp("batch")
    write_batch(folder, COUNT, (32, 64, 64), particles=6)
    started(folder, "whole").communicate()
    assert len(records(folder / "whole")) == COUNT
    return folder


def started(folder: Path, out: str) -> subprocess.Popen[str]:
    """The batch as a process of its own."""
    program = Path(sys.executable).with_name("milopyp-infer")
    names = sorted(str(path.relative_to(folder)) for path in (folder / "tomograms").iterdir())
    line = [str(program), *names, "--model", "toy.onnx", "--out", out, "--threads", "1"]
    return subprocess.Popen(
        line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored when tests run in the background
    )  # fmt: skip


def records(run: Path) -> dict[str, int]:
    """When each tomogram was finished."""
    return {path.stem: path.stat().st_mtime_ns for path in (run / "records").glob("*.json")}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "nothing happened for a minute"
        time.sleep(0.005)


def outputs(run: Path) -> dict[str, str]:
    """Everything that does not say how long it took."""
    return {name: content for name, content in tree(run).items() if not name.endswith(".json")}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)])
def test_a_restart_does_only_what_was_missing(undisturbed: Path, number: int, code: int) -> None:
    run = undisturbed / f"killed_{number}"
    process = started(undisturbed, run.name)
    wait_for(lambda: len(records(run)) >= 7)
    process.send_signal(number)
    said, _ = process.communicate()
    assert process.returncode == code
    assert code < 0 or "the same command goes on where it stopped" in said
    before = records(run)
    assert 7 <= len(before) < COUNT
    again = started(undisturbed, run.name)
    said, _ = again.communicate()
    assert again.returncode == 0, said
    assert said.count("is already done") == len(before)
    after = records(run)
    assert len(after) == COUNT
    assert {name: after[name] for name in before} == before
    assert outputs(run) == outputs(undisturbed / "whole")  # no leftovers either
    assert json.loads((run / "run.json").read_text())["done"] == COUNT


def test_two_at_once_share_the_work(undisturbed: Path) -> None:
    run = undisturbed / "shared"
    both = [started(undisturbed, run.name) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    picked = [
        {line.split()[2] for line in text.splitlines() if " picks in " in line and "(order" in line} for text in said
    ]
    assert picked[0] | picked[1] == {f"t{number:02d}" for number in range(COUNT)}
    assert not picked[0] & picked[1]
    assert outputs(run) == outputs(undisturbed / "whole")


def test_claims_of_the_living_hold_and_those_of_the_dead_do_not(tmp_path: Path) -> None:
    with Claims(tmp_path) as ours:
        assert ours.take("a")
        assert not Claims(tmp_path).take("a")
        ours.give_back("a")
        assert Claims(tmp_path).take("a")
    (tmp_path / "a.claim").unlink()
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    here = json.dumps({"host": os.uname().nodename, "pid": gone.pid, "born": "1"})
    for content, age, free in (
        (here, 0, True),  # of this host: the process is not there
        ('{"host": "elsewhere", "pid": 1, "born": "1"}', 0, False),
        ('{"host": "elsewhere", "pid": 1, "born": "1"}', 1000, True),  # not touched for long
        ("", 0, False),  # just being written
        ("", 1000, True),
    ):
        claim = tmp_path / "b.claim"
        claim.write_text(content)
        then = time.time() - age
        os.utime(claim, (then, then))
        with Claims(tmp_path) as claims:
            assert claims.take("b") is free, content
        claim.unlink(missing_ok=True)
        assert list(tmp_path.iterdir()) == []
