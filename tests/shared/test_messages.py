"""What commands say, and where it goes: -q, -v, --log-file."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click
import pytest

from milopyp_shared.commandline import command, run
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError
from milopyp_shared.messages import LOGGER
from running import PROGRAMS, Outcome, run_line
from toys import TOY, noise, write_batch, write_tomogram

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\d+) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)")


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def logged(path: Path) -> list[tuple[int, str, str]]:
    """Process, level and text of every line of a log; each line must be one."""
    lines = [LINE.fullmatch(line) for line in path.read_text().splitlines()]
    assert lines and all(lines)
    return [(int(line[1]), line[2], line[3]) for line in lines if line]


def said(path: Path) -> list[tuple[str, str]]:
    """Level and text of all but the details."""
    return [(level, text) for _, level, text in logged(path) if level != "DEBUG"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a tomogram that has no labels, and one whose labels look wrong."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_tomogram(tmp_path / f"data/{name}.rec", noise((16, 48, 40)))
    (tmp_path / "data/a.txt").write_text("".join(f"{x} 20 8\n" for x in range(2, 39, 6)))
    return tmp_path


def prepare(words: str = "") -> Outcome:
    return run_line(f"milopyp prepare -d data -o run --overwrite --no-pictures {words}")


SPOKEN = ["a.rec (order xyz): 7 labels from a.txt", "wrote data/run_train_imgs.txt and data/run_train_coords.txt: "]
WARNED = ["a.rec: W03 labels lie on empty density", "b.rec has no picks"]


def test_what_is_said_does_not_depend_on_the_options(folder: Path) -> None:
    plain = prepare()
    assert plain.code == 0
    assert [line.startswith(text) for line, text in zip(plain.out.splitlines(), SPOKEN, strict=True)] == [True, True]
    assert all(f"warning: {text}" in plain.err for text in WARNED) and len(plain.err.splitlines()) == 2
    assert prepare("--log-file a.log") == plain
    assert prepare("-q") == replace(plain, out="") == prepare("--quiet --log-file b.log") == prepare("-q -v")
    details = prepare("--verbose")
    assert (details.code, details.out) == (0, plain.out)
    more = [line for line in details.err.splitlines() if line not in plain.err.splitlines()]
    assert re.search(r" prepare -d data -o run --no-pictures --overwrite -v \(milopyp .*, Python .*\)$", more[0])
    assert re.fullmatch(r"\d+\.\d s in all", more[1]) and len(more) == 2


@pytest.mark.parametrize("words", ["", "-q", "-v", "-q -v"])
def test_the_log_has_everything(folder: Path, words: str) -> None:
    outcome = prepare(f"{words} --log-file logs/run.log")
    levels = [level for level, _ in said(folder / "logs/run.log")]
    texts = [text for _, text in said(folder / "logs/run.log")]
    assert levels == ["WARNING", "INFO", "WARNING", "INFO"]
    for text, begin in zip(texts, [WARNED[0], SPOKEN[0], WARNED[1], SPOKEN[1]], strict=True):
        assert text.startswith(begin)
    assert outcome.err.count("warning: ") == 2
    details = [text for _, level, text in logged(folder / "logs/run.log") if level == "DEBUG"]
    assert " prepare -d data -o run" in details[0] and details[-1].endswith(" s in all")
    assert {process for process, _, _ in logged(folder / "logs/run.log")} == {os.getpid()}


def test_a_log_goes_on_and_has_the_errors(folder: Path) -> None:
    prepare("--log-file run.log")
    before = (folder / "run.log").read_text()
    refused = run_line("milopyp prepare -d nowhere -o run --log-file run.log")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "error: nowhere: is no folder; expected a folder with tomograms\n"
    assert (folder / "run.log").read_text().startswith(before)
    assert said(folder / "run.log")[4:] == [
        ("ERROR", "nowhere: is no folder; expected a folder with tomograms"),
    ]


def test_a_bug_leaves_its_stack_in_the_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @command("task")
    def task() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(SystemExit) as leave:
        run(task, ["--log-file", "run.log"])
    assert leave.value.code == 70
    assert capsys.readouterr().err.startswith("internal error: ZeroDivisionError: by zero (--debug-trace")
    log = (folder / "run.log").read_text()
    assert " CRITICAL ZeroDivisionError: by zero" in log and "Traceback (most recent call last)" in log


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("data/a.rec", "is not a log of milopyp"),
        ("data/a.txt", "is not a log of milopyp"),
        ("data", "cannot be written (Is a directory)"),
        ("data/a.rec/run.log", "cannot be written"),
    ],
)
def test_what_is_no_log_is_left_alone(folder: Path, name: str, words: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    outcome = prepare(f"--log-file {name}")
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert words in outcome.err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_ends_the_log_and_not_the_work(folder: Path) -> None:
    plain, outcome = prepare(), prepare("--log-file /dev/full")
    assert (outcome.code, outcome.out) == (0, plain.out)
    assert outcome.err == "warning: /dev/full cannot be written any more: the log ends here\n" + plain.err


def test_handlers_of_others_do_not_double_the_lines(folder: Path) -> None:
    plain = prepare()
    own = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(own)
    try:
        assert prepare() == plain
    finally:
        logging.getLogger().removeHandler(own)
    assert LOGGER.handlers == [] and LOGGER.propagate


# ---------------------------------------------------------------- commands in commands


@pytest.fixture
def nested() -> Iterator[click.Command]:
    """A command that speaks, calls another one that is quiet if told so, and speaks again."""

    @command("inner")
    @click.option("--fail", is_flag=True)
    def inner(fail: bool) -> None:
        Console().say("inner")
        Console().warn("W99 inner")
        if fail:
            raise InputError("broken")

    @command("outer")
    @click.argument("words", nargs=-1)
    def outer(words: tuple[str, ...]) -> None:
        Console().say("before")
        inner.main(args=[f"--{word}" for word in words], standalone_mode=False)
        Console().say("after")

    yield outer


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("", "before\ninner\nafter\n"),
        ("quiet", "before\nafter\n"),
        ("-q", ""),
        ("-q verbose", ""),
        ("fail", "before\ninner\n"),
        ("quiet fail", "before\n"),
    ],
)
def test_a_command_in_a_command(
    folder: Path, nested: click.Command, capsys: pytest.CaptureFixture[str], line: str, out: str
) -> None:
    fails = "fail" in line
    with pytest.raises(SystemExit) as leave:
        run(nested, [*line.split(), "--log-file", "run.log"])
    assert leave.value.code == (2 if fails else 0)
    assert capsys.readouterr() == (out, "warning: W99 inner\n" + "error: broken\n" * fails)
    expected = [("INFO", "before"), ("INFO", "inner"), ("WARNING", "W99 inner")]
    assert said(folder / "run.log") == [*expected, ("ERROR", "broken") if fails else ("INFO", "after")]


def test_a_bar_on_the_terminal_is_lines_in_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @command("task")
    def task() -> None:
        with Console().progress("tomogram", 2) as progress:
            progress.step("a, 3 picks")
            progress.step("b, 4 picks")

    monkeypatch.setenv("TERM", "xterm")
    for words in ([], ["-q"]):
        output = Terminal()
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit):
            run(task, [*words, "--log-file", f"{len(words)}.log"])
        assert ("━" in output.getvalue()) == (not words) and "left" not in output.getvalue()
        lines = [text for _, text in said(folder / f"{len(words)}.log")]
        assert lines == ["tomogram 1/2: a, 3 picks, 0 s left", "tomogram 2/2: b, 4 picks"]


# ---------------------------------------------------------------- picking


def test_workers_share_the_log(folder: Path) -> None:
    write_batch(folder / "batch", 4, (16, 32, 40), 3)
    line = f"{sys.executable} -m milopyp_inference.cli tomograms.txt --model toy.onnx --out picks --workers 2"
    done = subprocess.run(
        [*line.split(), "--log-file", "run.log"], cwd=folder / "batch", capture_output=True, text=True, check=True
    )
    lines = logged(folder / "batch/run.log")
    processes = {process for process, _, _ in lines}
    assert len(processes) == 3
    for name in ("t00", "t01", "t02", "t03"):
        assert len([line for line in done.stdout.splitlines() if f": {name} " in line]) == 1
        stages = [
            (process, text) for process, level, text in lines if level == "DEBUG" and text.startswith(f"{name} on")
        ]
        assert len(stages) == 1 and stages[0][0] != min(processes)
        assert re.fullmatch(r"t\d\d on OpenVINO: (\w+ \d+\.\d\d s, )+total \d+\.\d\d s", stages[0][1])


def test_failed_tomograms_are_errors_in_the_log(folder: Path) -> None:
    (folder / "c.rec").write_bytes(b"no tomogram")
    line = f"milopyp-infer data/a.rec c.rec --model {TOY} --out picks --threads 1 --log-file run.log"
    outcome = run_line(line)
    assert outcome.code == 1
    assert outcome.err.startswith("failed: c: c.rec: the file ends after 11 bytes")
    (error,) = [text for level, text in said(folder / "run.log") if level == "ERROR"]
    assert outcome.err == f"failed: {error}\n"


def test_jobs_of_a_cluster_write_to_the_same_log(folder: Path) -> None:
    write_batch(folder / "batch", 2, (16, 32, 40), 3)
    line = f"milopyp-infer batch/tomograms.txt --model {TOY} --out picks --slurm --dry-run -v --log-file run.log"
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    words = (folder / "picks/slurm/milopyp-infer.sbatch").read_text().split()
    assert words[words.index("--log-file") + 1] == "run.log" and "-v" in words


# ---------------------------------------------------------------- all commands


ANSWER = {"milopyp show", "milopyp doctor", "milopyp engines list"}  # these say nothing else


def test_every_command_that_speaks_has_the_options() -> None:
    found: dict[str, set[str]] = {}

    def look(name: str, program: click.Command) -> None:
        if isinstance(program, click.Group):
            context = click.Context(program)
            for below in program.list_commands(context):
                look(f"{name} {below}", program.get_command(context, below) or program)
        else:
            found[name] = {option for parameter in program.params for option in parameter.opts}

    for name, (module, attribute) in PROGRAMS.items():
        look(name, getattr(import_module(module), attribute))
    own = {"-q", "--quiet", "-v", "--verbose", "--log-file"}
    assert {name for name, options in found.items() if not options & own} == ANSWER
    assert all(own <= options for name, options in found.items() if name not in ANSWER)
