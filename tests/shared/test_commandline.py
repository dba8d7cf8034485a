"""The edge of every command: exit codes, one-line errors, spellings, help."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from milopyp_shared.commandline import command, option, run
from milopyp_shared.errors import (
    CheckError,
    ContradictionError,
    InputError,
    MilopypError,
    MissingDependency,
    UsageError,
)
from milopyp_shared.option_types import Number
from milopyp_training import train
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

Answer = tuple[int, str, str]


@pytest.fixture(autouse=True)
def own_signal_handlers() -> Iterator[None]:
    """`run` takes SIGTERM over for good; give it back to pytest."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def leave(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command: exit code, standard output, standard error."""

    def answer(program: click.Command, *arguments: str) -> Answer:
        with pytest.raises(SystemExit) as caught:
            run(program, list(arguments))
        out, err = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out, err

    return answer


def doing(action: Callable[[], Any]) -> click.Command:
    """A command that does only this."""

    @command("task")
    def task() -> Any:
        return action()

    return task


def raising(error: BaseException) -> click.Command:
    def action() -> None:
        raise error

    return doing(action)


@command("pick")
@click.argument("inputs", nargs=-1)
@option("--out-thresh", type=Number(0, 1), default=0.25, group="Picks", help="Score threshold.")
@option("--train-img-txt", "--images", "images", group="Input", help="Image list.")
@option("--save-all/--best-only", " /-B", default=False, group="Output", help="Keep every epoch.")
@option("--gpus", type=click.Choice(["0", "-1"]), default="-1", group="Machine", help="Devices.")
@option("-K", "--limit", type=click.IntRange(min=1), group="Picks", help="Picks at most.")
@option("--secret", hidden=True)
def pick(**given: Any) -> int:
    """Pick particles."""
    click.echo(repr(sorted(given.items())))
    return 0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (MilopypError, 2),
        (UsageError, 2),
        (InputError, 2),
        (ContradictionError, 2),
        (MissingDependency, 2),
        (CheckError, 3),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    leave: Callable[..., Answer], kind: type[MilopypError], code: int
) -> None:
    error = kind("found\n  this", where="a.mrc", expected="that", remedy="Do so.")
    assert leave(raising(error)) == (code, "", "error: a.mrc: found this; expected that. Do so.\n")


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_what_a_command_returns(leave: Callable[..., Answer], result: Any, code: int) -> None:
    assert leave(doing(lambda: result)) == (code, "", "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (KeyError("order"), "KeyError: 'order'"),
        (FileNotFoundError(2, "No such file or directory"), "FileNotFoundError:"),
        (EOFError("Ran out of input"), "EOFError: Ran out of input"),  # a file ended, nobody pressed control-D
    ],
    ids=repr,
)
def test_anything_else_is_a_bug(leave: Callable[..., Answer], error: Exception, said: str) -> None:
    code, out, err = leave(raising(error))
    assert (code, out) == (70, "")
    assert err.strip().startswith(f"internal error: {said}")
    assert err.strip().endswith("(--debug-trace shows where). This is a bug: please report it.")
    assert "Traceback" not in err


def test_the_error_that_ended_a_command_can_be_asked_for() -> None:
    error = InputError("found this", where="a.mrc")
    with pytest.raises(SystemExit) as caught:
        run(raising(error), [])
    assert caught.value.__cause__ is error
    with pytest.raises(SystemExit) as caught:
        run(raising(MemoryError()), [])
    assert isinstance(caught.value.__cause__, CheckError) and isinstance(caught.value.__cause__.__cause__, MemoryError)
    with pytest.raises(SystemExit) as caught:
        run(doing(lambda: 1), [])
    assert caught.value.__cause__ is None


def test_no_memory_is_no_bug(leave: Callable[..., Answer]) -> None:
    code, out, err = leave(raising(MemoryError("Unable to allocate 96 GiB")))
    assert (code, out) == (3, "")
    assert err.startswith("error: not enough memory (Unable to allocate 96 GiB).")
    assert leave(raising(MemoryError()))[2].startswith("error: not enough memory (none left).")


@pytest.mark.parametrize(
    "action",
    [
        lambda: signal.raise_signal(signal.SIGINT),
        lambda: signal.raise_signal(signal.SIGTERM),
        lambda: click.get_current_context().abort(),
    ],
    ids=["SIGINT", "SIGTERM", "abort"],
)
def test_interrupted(leave: Callable[..., Answer], action: Callable[[], Any]) -> None:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    try:
        code, _, err = leave(doing(action))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert code == 130
    assert err.strip() == "interrupted; the same command goes on where it stopped"


def test_control_d_at_a_question_is_an_interruption(
    leave: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", nothing)
        assert leave(doing(lambda: click.confirm("Go on?")))[0] == 130


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_trace_anywhere_on_the_line_shows_the_stack(leave: Callable[..., Answer], place: int) -> None:
    @command("fail")
    @click.argument("words", nargs=-1)
    @option("--kind", default="input")
    def fail(words: tuple[str, ...], kind: str) -> None:
        assert "--debug-trace" not in words
        raise {"input": InputError("found this"), "bug": ValueError("oops"), "eof": EOFError("end")}[kind]

    for kind, last, code in [
        ("input", "error: found this", 2),
        ("bug", "internal error: ValueError: oops. This is a bug: please report it.", 70),
        ("eof", "internal error: EOFError: end. This is a bug: please report it.", 70),
    ]:
        words = ["a.mrc", "--kind", kind]
        words.insert(place, "--debug-trace")
        found, _, err = leave(fail, *words)
        assert (found, err.splitlines()[-1]) == (code, last)
        assert "Traceback (most recent call last)" in err and "in fail" in err
        assert "Traceback" not in leave(fail, "--kind", kind)[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out-thresh", "high"], "Invalid value for '--out-thresh'"),
        (["--out-thresh", "nan"], "is not a finite number"),
        (["--out_thresh", "1.01"], "1.01 is not in the range 0<=x<=1"),
        (["--no-such-option"], "No such option '--no-such-option'"),
        (["--limit", "0"], "0 is not in the range x>=1"),
        (["--gpus", "7"], "'7' is not one of '0', '-1'"),
        (["--out-thresh"], "requires an argument"),
    ],
)
def test_a_misspelt_line_is_refused(leave: Callable[..., Answer], arguments: list[str], said: str) -> None:
    code, out, err = leave(pick, *arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--out-thresh", "0.5"], "out_thresh", 0.5),
        (["--out_thresh", "0.5"], "out_thresh", 0.5),
        (["--out_thresh=0.5"], "out_thresh", 0.5),
        (["--train-img-txt", "a.txt"], "images", "a.txt"),
        (["--train_img_txt", "a.txt"], "images", "a.txt"),
        (["--images", "a.txt"], "images", "a.txt"),
        (["--save-all"], "save_all", True),
        (["--save_all"], "save_all", True),
        (["--save_all", "--best_only"], "save_all", False),
        (["--save_all", "-B"], "save_all", False),
        (["-K", "7"], "limit", 7),
        (["--gpus", "-1"], "gpus", "-1"),
        (["a.mrc", "--out_thresh", "0.5", "b.mrc"], "inputs", ("a.mrc", "b.mrc")),
    ],
)
def test_both_spellings(leave: Callable[..., Answer], arguments: list[str], name: str, value: object) -> None:
    code, out, err = leave(pick, *arguments)
    assert (code, err) == (0, "")
    assert repr((name, value)) in out


@pytest.mark.parametrize("ask", ["-h", "--help"])
def test_help_is_grouped_and_shows_one_spelling(leave: Callable[..., Answer], ask: str) -> None:
    code, out, err = leave(pick, ask)
    assert (code, err) == (0, "")
    assert "Pick particles." in out
    assert not re.search(r"--\w*_", out)
    groups: dict[str, list[str]] = {}
    for line in out.splitlines():
        if re.fullmatch(r"\w+:", line):
            heading = groups.setdefault(line[:-1], [])
        elif spelling := re.match(r"  (-.+?)(?:  |$)", line):
            heading.append(spelling[1])
    assert groups == {
        "Picks": ["--out-thresh FLOAT RANGE", "-K, --limit INTEGER RANGE"],
        "Input": ["--train-img-txt, --images TEXT"],
        "Output": ["--save-all / -B, --best-only"],
        "Machine": ["--gpus [0|-1]"],
        "Options": ["-h, --help"],
        "Messages": ["-q, --quiet", "-v, --verbose", "--log-file FILE"],
    }
    assert "Score threshold.  [default: 0.25;" in out
    assert leave(pick, "--out_thresh", "0.5")[0] == 0  # the help has not taken the spelling away


def test_arguments_come_from_the_command_line_when_not_given(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import click\n"
        "from milopyp_shared.commandline import command, option, run\n"
        "from milopyp_shared.errors import CheckError\n"
        "@command('task')\n"
        "@option('--exit-with', type=int)\n"
        "def task(exit_with):\n"
        "    if exit_with == 3: raise CheckError('parity')\n"
        "    return exit_with\n"
        "run(task)\n"
    )
    for code, said in ((0, ""), (1, ""), (3, "error: parity\n")):
        done = subprocess.run([sys.executable, program, "--exit_with", str(code)], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


# ---------------------------------------------------------------- programs as words of the group


@pytest.mark.parametrize("word", ["train", "export", "infer"])
def test_a_program_is_a_word_of_the_group(word: str) -> None:
    as_word, as_program = run_line(f"milopyp {word} --help"), run_line(f"milopyp-{word} --help")
    assert re.match(rf"Usage: \S+ {word} \[OPTIONS\]", as_word.out)
    assert as_word.out.split("\n\n", 1)[1] == as_program.out.split("\n\n", 1)[1]
    wrong = run_line(f"milopyp {word} --never")
    assert wrong.code == 2 and f" {word} --help' for help." in wrong.err
    assert f"  {word} " in run_line("milopyp --help").out


def test_the_group_hands_on_exit_codes_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tomogram(Path("a.mrc"), clean_phantom().volume)
    Path("b.mrc").write_text("no tomogram")
    outcome = run_line(f"milopyp infer a.mrc b.mrc --model {TOY} --threads 1")
    assert (outcome.code, outcome.err[:11]) == (1, "failed: b: ")
    monkeypatch.setattr(train, "train", lambda _: signal.raise_signal(signal.SIGTERM))
    stopped = run_line("milopyp train --train-img-txt a.txt --train-coord-txt b.txt --bbox 10 --exp-id x")
    assert stopped.code == 130
    assert stopped.err.strip() == "interrupted; the same command with --resume goes on after the last finished epoch"
