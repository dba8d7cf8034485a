"""What a command says: lines, warnings, progress with and without a terminal."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator

import pytest

from milopyp_shared import messages
from milopyp_shared.console import Console


@pytest.fixture(autouse=True)
def said() -> Iterator[None]:
    """What is said goes to the terminal, as in a command."""
    with messages.terminal():
        yield


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet, spoken in ((False, "12 picks\n"), (True, "")):
        console = Console(quiet)
        console.say("12 picks")
        console.warn("W03 contrast looks inverted")
        assert capsys.readouterr() == (spoken, "warning: W03 contrast looks inverted\n")


def test_plain_progress_is_one_line_per_item(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 140.0, 190.0, 400.0])  # started, then after each item
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Console().progress("tomogram", 3) as progress:
        progress.step("TS_01, 40 picks")
        progress.step("TS_02, 38 picks")
        progress.step("TS_03 failed")
    assert capsys.readouterr().out.splitlines() == [
        "tomogram 1/3: TS_01, 40 picks, 1 min 20 s left",
        "tomogram 2/3: TS_02, 38 picks, 45 s left",
        "tomogram 3/3: TS_03 failed",
    ]


def test_what_is_left_goes_by_the_work(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done already takes no time, and a large item as long as several small ones."""
    clock = iter([0.0, 1.0, 11.0, 20.0, 26.0, 51.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Console().progress("tomogram", 3, work=100.0) as progress:
        progress.skip("a is already done", 50.0)
        progress.step("b", 10.0)
        progress.part(0.1, 40.0)  # not long after a line
        progress.part(0.5, 40.0)
        progress.step("c", 40.0)
    assert capsys.readouterr().out.splitlines() == [
        "tomogram 1/3: a is already done",
        "tomogram 2/3: b, 44 s left",
        "tomogram 3/3: 50%, 17 s left",
        "tomogram 3/3: c",
    ]


def test_what_an_earlier_call_has_done_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Console().progress("epoch", 5, done=2) as progress:
        progress.step("loss 1")
    assert capsys.readouterr().out == "epoch 3/5: loss 1, 20 s left\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_progress_says_nothing(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    output = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    with Console(quiet=True).progress("tomogram", 2) as progress:
        progress.step("TS_01")
        progress.step("TS_02")
    assert output.getvalue() == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    output = Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    with Console().progress("tomogram", 2) as progress:
        progress.step("TS_01")
        progress.step("TS_02")
    shown = output.getvalue()
    assert "tomogram: TS_02" in shown and "2/2" in shown and "━" in shown
    assert "left" not in shown  # no plain lines beside the bar


def test_an_error_inside_progress_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(ValueError, match="bug"), Console().progress("tomogram", 2) as progress:
        progress.step("TS_01")
        raise ValueError("bug")
