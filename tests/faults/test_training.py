"""Trainings that are killed, run out of room or memory: what goes on ends as if nothing had happened."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments import BEST, DIAMETER, LAST, lists
from faults.processes import (
    KILLS,
    Undisturbed,
    ended,
    kill,
    limit_memory,
    on_a_small_disk,
    started,
    undisturbed,
)
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms
from running import wait_for

LINE = (
    "milopyp-train --train-img-txt small/train_img.txt --train-coord-txt small/train_coord.txt --val-img-txt "
    f"small/val_img.txt --val-coord-txt small/val_coord.txt --bbox {DIAMETER} --preset scratch --batch-size 2 "
    "--threads 1 --gpus -1 --no-export --exp-id"
)
QUICK, CROSS_VALIDATED = "--quick --num-epochs 2", "--num-epochs 1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small tomograms of nine particles and their lists."""
    folder = tmp_path_factory.mktemp("training")
    settings = PhantomSettings((16, 48, 52), n_distractors=0, n_particles=9, diameter=DIAMETER, noise=0.3, background=0)
    phantoms = write_phantoms(folder / "small", 2, settings)
    lists(folder / "small", phantoms, ("train_img.txt", "train_coord.txt", "val_img.txt", "val_coord.txt"))
    return folder


@pytest.fixture(scope="module")
def whole(home: Path) -> Callable[[str], Undisturbed]:
    """What a run with certain options leaves when nothing happens to it."""
    done: dict[str, Undisturbed] = {}

    def run(options: str) -> Undisturbed:
        if options not in done:
            name = f"whole_{len(done)}"
            done[options] = undisturbed(f"{LINE} {name} {options}", home, home / "exp/semi" / name)
        return done[options]

    return run


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, tensors included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else repr(one) == repr(other)  # NaN is NaN


def assert_as_undisturbed(run: Path, whole: Undisturbed) -> None:
    """Equal in everything but the options, the dates of the logs, and their number; nothing left over."""
    for name in (LAST, BEST):
        found, expected = (torch.load(folder / name, weights_only=True) for folder in (run, whole.folder))
        assert same(found | {"options": None}, expected | {"options": None}), name
    assert {path.name for path in run.iterdir() if path.is_file()} == {
        path.name for path in whole.folder.iterdir() if path.is_file()
    }
    assert (run / "model_selection.md").read_text() == (whole.folder / "model_selection.md").read_text()
    logs, expected_logs = (max(folder.glob("logs_*")) for folder in (run, whole.folder))
    for table in ("losses.csv", "validation.csv"):
        assert (logs / table).read_text() == (expected_logs / table).read_text()
    assert not list(run.rglob("*.part"))


@pytest.mark.parametrize("moment", range(KILLS))
def test_killed_at_any_moment(whole: Callable[[str], Undisturbed], home: Path, moment: int) -> None:
    """Every other pair of runs is one that cross-validates first."""
    options = CROSS_VALIDATED if moment // 2 % 2 else QUICK
    expected, run = whole(options), home / f"exp/semi/moment_{moment}"
    kill(f"{LINE} {run.name} {options}", home, run, moment, expected.seconds)
    ended(f"{LINE} {run.name} {options} --resume", home)
    assert_as_undisturbed(run, expected)


def test_terminated(whole: Callable[[str], Undisturbed], home: Path) -> None:
    """As a cluster does when the time is up."""
    expected, run = whole(QUICK), home / "exp/semi/terminated"
    process = started(f"{LINE} {run.name} {QUICK}", home)
    wait_for((run / LAST).exists)
    process.terminate()
    said, _ = process.communicate()
    assert process.returncode == 130
    assert "the same command with --resume goes on after the last finished epoch" in said
    ended(f"{LINE} {run.name} {QUICK} --resume", home)
    assert_as_undisturbed(run, expected)


@pytest.mark.parametrize("size", ["6m", "50k", "12m", "10m"][: KILLS // 2])
def test_full_disk(whole: Callable[[str], Undisturbed], home: Path, size: str) -> None:
    expected, run = whole(QUICK), home / f"exp/semi/full_{size}"
    line = f"{LINE} {run.name} {QUICK}"
    code, said, again, more = on_a_small_disk(line, f"{line} --resume", home, run, size)
    assert code == 3, said
    assert "No space left on device" in said and "expected free space. Make room" in said
    assert said.count("error:") == 1
    assert again == 0, more
    assert_as_undisturbed(run, expected)


def test_out_of_memory(home: Path) -> None:
    """A batch that is larger than what the process may take."""
    process = started(f"{LINE} little --quick --batch-size 1000", home)
    wait_for((home / "exp/semi/little/opt.txt").exists)
    limit_memory(process, 400)
    said, _ = process.communicate()
    assert process.returncode == 3, said
    assert "error: not enough memory" in said
    assert not list((home / "exp/semi/little").glob("*.pth"))


@pytest.mark.parametrize("words", ["--seed 2", "--overwrite --seed 2", "--resume"])
def test_a_second_training_of_one_folder(whole: Callable[[str], Undisturbed], home: Path, words: str) -> None:
    """As of a job that is queued again while the first one is still there: it is refused, and disturbs nothing."""
    expected, run = whole(QUICK), home / f"exp/semi/both_{words.split()[0].strip('-')}"
    first = started(f"{LINE} {run.name} {QUICK}", home)
    wait_for((run / "opt.txt").exists)
    first.send_signal(signal.SIGSTOP)  # however long the second one takes to begin
    second = started(f"{LINE} {run.name} {QUICK} {words}", home)
    refused, _ = second.communicate()
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2, refused
    assert "another training is writing to it" in refused
    said, _ = first.communicate()
    assert first.returncode == 0, said
    assert_as_undisturbed(run, expected)
