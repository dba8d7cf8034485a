"""Commands that the page starts: how far they are, what becomes of them, how they are stopped; and open pages."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from milopyp.labelling import windows
from milopyp.labelling.jobs import Job, Jobs, Line
from milopyp.labelling.runs import free_name, models
from milopyp.labelling.windows import Windows
from milopyp_shared.errors import UsageError
from running import wait_for


def line(code: str, part: float = 1.0) -> Line:
    """A command of Python."""
    return Line([sys.executable, "-c", code], ["milopyp", "learn", "my list.txt"], part)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path, lambda: None)


def run(jobs: Jobs, *codes: str, done: object = None) -> Job:
    """Start a job and wait for its end."""
    started = jobs.start("learn", "label-1", [*map(line, codes)], Path("m.onnx"), lambda: done() if done else "")  # type: ignore[operator]
    wait_for(lambda: jobs.running is None)
    return jobs.all[started.number - 1]


def test_a_job_that_ends_well(jobs: Jobs, tmp_path: Path) -> None:
    seen = []

    def done() -> str:
        seen.append((jobs.all[0].state, jobs.all[0].text))
        return "12 picks in a"

    job = run(jobs, "print('epoch 1/4'); open('here', 'w')", "print('done\\n\\n  12 picks  \\n')", done=done)
    assert (job.state, job.share, job.made, job.text) == ("done", 1.0, "m.onnx", "12 picks in a")
    assert job.line == "milopyp learn 'my list.txt' && milopyp learn 'my list.txt'"
    assert (tmp_path / "here").exists()
    assert seen == [("running", "12 picks")]
    assert job.log == ()


def test_how_far_it_is(tmp_path: Path) -> None:
    """In parts of all lines; never back; nothing that is no count."""
    shares = []
    jobs = Jobs(tmp_path, lambda: shares.append(jobs.all[-1].share if jobs.all else None))
    run(jobs, "print('3/10', '/tmp/3/x', sep='\\n'); print('5/0'); print('12/10'); print('1/10')", "print('1/2')")
    told = [share for share in shares if share is not None]
    assert told == sorted(told)
    assert sorted(set(told)) == [0.15, 0.75, 1.0]
    jobs.start("train", "label-2", [line("print('1/2')", 3), line("print('1/2')")], Path("m.onnx"), str)
    wait_for(lambda: jobs.running is None)
    assert set(shares[shares.index(1.0) :]) >= {0.375, 0.875}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print('x\\nerror: a.mrc: no; expected yes'); print('more'); exit(2)", "error: a.mrc: no; expected yes"),
        ("print('Usage: x\\n\\nError: no such option'); exit(2)", "Error: no such option"),
        ("exit(3)", "ended without a word"),
        ("import os; os.kill(os.getpid(), 9)", "ended without a word"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n'); exit(1)", "\ufffd\ufffd"),
        ("print('internal error: KeyError: 1'); exit(70)", "internal error: KeyError: 1"),
    ],
)
def test_a_job_that_fails(jobs: Jobs, code: str, text: str) -> None:
    never: list[int] = []
    job = run(jobs, code, "open('never', 'w')", done=lambda: never.append(1))
    assert (job.state, job.text, job.made) == ("failed", text, None)
    assert not never
    assert not (jobs._folder / "never").exists()
    assert run(jobs, "print(1)").state == "done"


def test_what_is_kept_of_much(jobs: Jobs) -> None:
    job = run(jobs, "for number in range(5000): print(number)\nexit(1)")
    assert job.log[-1] == "4999"
    assert len(job.log) == 30


def test_what_comes_after_it_fails(jobs: Jobs) -> None:
    def fails() -> None:
        raise UsageError("gone", where="label-1-picks")

    assert run(jobs, "print(1)", done=fails).text == "error: label-1-picks: gone"


def test_a_command_that_is_not_there(jobs: Jobs) -> None:
    jobs.start("pick", "picks-1", [Line(["/no/such/program"], ["milopyp"])], Path("p"), str)
    wait_for(lambda: jobs.running is None)
    assert jobs.all[0].state == "failed"
    assert "/no/such/program" in jobs.all[0].text


SLEEPS = "import os; print(os.getpid(), flush=True); import time; time.sleep(100)"


def test_one_at_a_time_until_it_is_stopped(jobs: Jobs) -> None:
    job = jobs.start("learn", "label-1", [line(SLEEPS), line("open('never', 'w')")], Path("m"), str)
    wait_for(lambda: jobs.all[0].text)
    with pytest.raises(UsageError, match="label-1 is at work"):
        jobs.start("pick", "picks-1", [line("")], Path("p"), str)
    jobs.stop(7)
    assert jobs.running is not None
    jobs.stop(job.number)
    wait_for(lambda: jobs.running is None)
    assert (jobs.all[0].state, jobs.all[0].made) == ("stopped", None)
    assert not (jobs._folder / "never").exists()
    jobs.stop(job.number)  # over long ago
    assert run(jobs, "print(1)").state == "done"
    assert [job.number for job in jobs.all] == [1, 2]


def test_the_end_of_the_server_is_the_end_of_the_job(jobs: Jobs) -> None:
    assert jobs.shutdown() is None
    jobs.start("learn", "label-1", [line(SLEEPS)], Path("m"), str)
    wait_for(lambda: jobs.all[0].text)
    job = jobs.shutdown()
    assert job is not None
    assert job.name == "label-1"
    with pytest.raises(ProcessLookupError):
        os.kill(int(job.text), 0)
    assert jobs.shutdown() is None


def test_ctrl_c_in_the_terminal_is_not_for_the_job(jobs: Jobs) -> None:
    """It has a group of its own: the server decides when it ends."""
    jobs.start("learn", "label-1", [line(SLEEPS)], Path("m"), str)
    wait_for(lambda: jobs.all[0].text)
    assert os.getpgid(int(jobs.all[0].text)) != os.getpgid(0)
    os.kill(int(jobs.all[0].text), signal.SIGKILL)
    wait_for(lambda: jobs.running is None)
    assert jobs.all[0].state == "failed"


@pytest.mark.parametrize("there", ["label-1.onnx", "label-1-picks", "exp/semi/label-1", "label-1"])
def test_no_name_is_given_twice(tmp_path: Path, there: str) -> None:
    assert free_name(tmp_path, "label-") == "label-1"
    (tmp_path / there).mkdir(parents=True)
    assert free_name(tmp_path, "label-") == "label-2"
    assert free_name(tmp_path, "label-", {"label-2", "label-3"}) == "label-4"
    assert free_name(tmp_path, "picks-") == "picks-1"


def test_models_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"label-{number}.onnx").touch()
    (tmp_path / "other.onnx").touch()
    assert models(tmp_path) == ["label-1", "label-2", "label-10"]


def test_pages_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have asked lately; one that leaves is gone at once."""
    seen = Windows()
    assert seen.seen(None) == 0
    assert seen.seen("") == 0
    assert [seen.seen("a"), seen.seen("b"), seen.seen("a"), seen.seen(None)] == [1, 2, 2, 2]
    seen.gone("a", None)
    assert seen.seen(None) == 1
    monkeypatch.setattr(windows, "SEEN", 0.0)
    assert seen.seen(None) == 0


def test_a_page_that_leaves_with_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where another one is open, nor when it was only read again."""
    monkeypatch.setattr(windows, "LEFT", 0.05)
    seen, ended = Windows(), threading.Event()
    for others in (["b"], ["a"]):
        seen.seen("a")
        seen.gone("a", ended.set)
        for other in others:
            seen.seen(other)
        assert not ended.wait(0.2)
        for other in others:
            seen.gone(other, None)
    seen.seen("a")
    seen.gone("a", ended.set)
    assert ended.wait(60)
