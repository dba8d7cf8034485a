"""Several processes on one machine, led by one that does not pick itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from milopyp_inference.batch.leases import STALE_AFTER
from milopyp_inference.launch.options import worker_args
from milopyp_inference.options import InferOptions
from running import outputs, run_line, wait_for
from toys import write_batch

COUNT = 8
LINE = "milopyp-infer tomograms.txt --model toy.onnx --with-score --out"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tomograms, and what one process makes of them in ``whole``."""
    folder = tmp_path_factory.mktemp("workers")
    write_batch(folder, COUNT, (32, 64, 64), particles=6)
    with contextlib.chdir(folder):
        assert run_line(f"{LINE} whole --threads 1").code == 0
    return folder


@pytest.fixture(autouse=True)
def here(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole)


def owners(run: str) -> list[Path]:
    return list((Path(run) / "records").glob("*.claim"))


def test_two_workers_do_what_one_process_does() -> None:
    outcome = run_line(f"{LINE} both --workers 2 --threads 2")
    assert outcome.code == 0, outcome.err
    assert outputs(Path("both")) == outputs(Path("whole"))
    assert outcome.out.count("picks in") == COUNT + 1  # a line each, and the sum
    summary = json.loads(Path("both/run.json").read_text())
    assert (summary["done"], [record["name"] for record in summary["tomograms"]]) == (
        COUNT,
        [f"t{number:02d}" for number in range(COUNT)],
    )
    again = run_line(f"{LINE} both --workers 2 --threads 2")
    assert again.code == 0 and "done already: 8 of 8 tomograms" in again.out


def test_what_a_killed_worker_leaves_is_picked() -> None:
    program = str(Path(sys.executable).with_name("milopyp-infer"))
    words = [*LINE.split()[1:], "killed", "--workers", "2", "--threads", "2"]
    leader = subprocess.Popen([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: owners("killed"))
    victim = json.loads(owners("killed")[0].read_text())["pid"]
    os.kill(victim, signal.SIGKILL)
    said, _ = leader.communicate()
    assert leader.returncode == 0, said
    assert outputs(Path("killed")) == outputs(Path("whole"))
    assert not list(Path("killed").rglob("*.part")) and not owners("killed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_leader(number: int) -> None:
    out = f"ended_{number}"
    program = str(Path(sys.executable).with_name("milopyp-infer"))
    words = [*LINE.split()[1:], out, "--workers", "2", "--threads", "2"]
    leader = subprocess.Popen(
        [program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    wait_for(lambda: owners(out))
    pids = {json.loads(path.read_text())["pid"] for path in owners(out)}
    leader.send_signal(number)
    said, _ = leader.communicate()
    assert leader.returncode == 130 and "the same command goes on where it stopped" in said
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not owners(out)
    assert run_line(f"{LINE} {out} --workers 2").code == 0
    assert outputs(Path(out)) == outputs(Path("whole"))


def test_a_tomogram_that_cannot_be_picked_is_tried_again_and_named() -> None:
    shutil.copy("tomograms.txt", "more.txt")
    with Path("more.txt").open("a") as stream:
        stream.write("bad bad.mrc\n")
    Path("bad.mrc").write_bytes(Path("tomograms/t00.mrc").read_bytes()[:5000])
    outcome = run_line("milopyp-infer more.txt --model toy.onnx --out some --workers 2")
    assert outcome.code == 1
    assert "once more: bad" in outcome.out
    assert "failed: bad: " in outcome.err and "the file has 5000 bytes" in outcome.err
    assert json.loads(Path("some/run.json").read_text())["done"] == COUNT


def test_overwrite_picks_everything_once() -> None:
    run_line(f"{LINE} over --workers 2")
    before = {path: path.stat().st_mtime_ns for path in Path("over/records").glob("*.json")}
    assert run_line(f"{LINE} over --workers 2 --overwrite").code == 0
    after = {path: path.stat().st_mtime_ns for path in Path("over/records").glob("*.json")}
    assert before.keys() == after.keys() and all(after[path] > before[path] for path in before)


def test_two_leaders_at_once() -> None:
    """Each with its part: together the whole, and the summary of all of it."""
    program = str(Path(sys.executable).with_name("milopyp-infer"))
    words = [*LINE.split()[1:], "parts", "--workers", "1", "--threads", "1", "--shard"]
    leaders = [
        subprocess.Popen([program, *words, part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for part in ("1/2", "2/2")
    ]
    for leader in leaders:
        said, _ = leader.communicate()
        assert leader.returncode == 0, said
    assert outputs(Path("parts")) == outputs(Path("whole"))
    assert json.loads(Path("parts/run.json").read_text())["done"] == COUNT


def test_what_another_host_has_is_waited_for() -> None:
    """A lease of a host that may be alive is no failure; when it is stale, the tomogram is picked."""
    Path("leased/records").mkdir(parents=True)
    lease = Path("leased/records/t03.claim")
    lease.write_text('{"host": "elsewhere", "pid": 1, "born": "1"}')
    now = time.time()
    os.utime(lease, (now - STALE_AFTER + 8, now - STALE_AFTER + 8))  # stale in a few seconds
    outcome = run_line(f"{LINE} leased --workers 1 --threads 1")
    assert outcome.code == 0, outcome.err
    assert outputs(Path("leased")) == outputs(Path("whole"))


def test_a_missing_file_costs_itself_only() -> None:
    link = Path("tomograms/link.mrc")
    link.symlink_to("t00.mrc")
    Path("gone.txt").write_text(Path("tomograms.txt").read_text() + "link tomograms/link.mrc\n")
    program = str(Path(sys.executable).with_name("milopyp-infer"))
    line = [program, "gone.txt", "--model", "toy.onnx", "--out", "gone", "--workers", "1"]
    leader = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: owners("gone"))
    link.unlink()  # after the list was read
    said, _ = leader.communicate()
    assert leader.returncode == 1 and "failed: link: " in said, said
    assert json.loads(Path("gone/run.json").read_text())["done"] == COUNT


def test_what_all_workers_would_refuse_is_refused_at_once() -> None:
    outcome = run_line(f"{LINE} refused --workers 2 --memory rubbish")
    assert outcome.code == 2 and not Path("refused").exists()


def test_one_process_per_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without GPUs here, the words of the processes tell."""
    monkeypatch.setattr("milopyp_shared.system.allowed_threads", lambda: 9)
    options = InferOptions((), Path("toy.onnx"), gpus="0,2")
    assert worker_args(options) == [["--gpus", "0", "--threads", "4"], ["--gpus", "2", "--threads", "4"]]
    assert worker_args(replace(options, gpus="1")) == []
