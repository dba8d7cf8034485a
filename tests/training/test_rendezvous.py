"""Processes that wait for each other: what is said, what ends it, and environments that do not fit."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from milopyp_shared.errors import CheckError, ContradictionError, MilopypError, UsageError
from milopyp_training.loop import rendezvous
from milopyp_training.loop.rendezvous import Invitation, meet, read_invitation
from milopyp_training.methods.base import ALONE, WorldInfo
from running import run_line

TORCHRUN = {
    "RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "node7", "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "3",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def invitations(monkeypatch: pytest.MonkeyPatch) -> list[Invitation]:
    """Of two processes; nobody is waited for long."""
    monkeypatch.setattr(rendezvous, "LIMIT", 1.0)
    monkeypatch.setattr(rendezvous, "SAID_AFTER", 0.1)
    port = free_port()
    return [Invitation(WorldInfo(rank, 2), "0", "127.0.0.1", port) for rank in (0, 1)]


def test_what_torchrun_sets() -> None:
    assert read_invitation(TORCHRUN) == Invitation(WorldInfo(1, 2), "0", "node7", 29500, True, "3")
    for environment in ({}, {"WORLD_SIZE": ""}, {"WORLD_SIZE": "1"}, {"RANK": "4"}, {"WORLD_SIZE": "1", "RANK": "0"}):
        assert read_invitation(environment).world == ALONE


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_a_size_without_the_rest(name: str) -> None:
    with pytest.raises(ContradictionError, match=f"WORLD_SIZE: is 2 in the environment, without {name};"):
        read_invitation(TORCHRUN | {name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORLD_SIZE", "two"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "-2"), ("RANK", "2"), ("LOCAL_RANK", "x"),
     ("MASTER_PORT", "70000")],
)  # fmt: skip
def test_numbers_that_do_not_fit(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}: '{value}' in the environment; expected"):
        read_invitation(TORCHRUN | {name: value})


def test_two_meet_whoever_comes_first(invitations: list[Invitation]) -> None:
    said: list[str] = []
    second = threading.Thread(target=meet, args=(invitations[1], said.append))
    second.start()
    time.sleep(0.3)
    store = meet(invitations[0], said.append)
    second.join()
    assert store.num_keys() > 0
    assert said == [f"waiting for the first of 2 processes at 127.0.0.1:{invitations[0].port}, 0 minutes at most"]


@pytest.mark.parametrize(("rank", "missing"), [(0, "1 of 2 processes"), (1, "the first of 2 processes")])
def test_one_that_stays_alone(invitations: list[Invitation], rank: int, missing: str) -> None:
    said: list[str] = []
    with pytest.raises(CheckError, match=f"{missing} did not come within 1 s; expected 2, as WORLD_SIZE says"):
        meet(invitations[rank], said.append)
    assert len(said) == 1 and missing in said[0]


def test_a_port_that_is_taken(invitations: list[Invitation]) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        taken = Invitation(WorldInfo(0, 2), "0", "127.0.0.1", one.getsockname()[1])
        with pytest.raises(CheckError, match=r"no other process can be waited for there .*a free port in MASTER_PORT"):
            meet(taken, lambda text: None)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = run_line("milopyp-train --train-img-txt a --train-coord-txt b --bbox 10")
    assert (outcome.code, outcome.out) == (2, "")
    [line] = outcome.errors
    assert line.startswith("error: WORLD_SIZE: is 2 in the environment, without RANK, LOCAL_RANK, MASTER_ADDR, ")
    assert "unset WORLD_SIZE to train in one process" in line
    assert isinstance(outcome.error, MilopypError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rank", [0, 1])
def test_waiting_is_interrupted_at_once(rank: int, tmp_path: Path) -> None:
    code = (
        "from milopyp_training.loop import rendezvous\n"
        "rendezvous.SAID_AFTER = 0.1\n"
        "from milopyp_training.cli import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--train-img-txt", "a", "--train-coord-txt", "b", "--bbox", "9"], cwd=tmp_path,
        env=os.environ | TORCHRUN | {"RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
                                     "TORCHELASTIC_USE_AGENT_STORE": "False"},
        stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored when tests run in the background
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline().startswith("warning: waiting for ")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; " in said and "Traceback" not in said
