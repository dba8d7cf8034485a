"""Programs whose output is closed, read by nobody, on a full disk, or of an encoding without the names of files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.coordinate_lists import write_coordinate_list
from running import outputs
from toys import TOY, clean_phantom, write_tomogram

GOES_ON = "standard output any more: the work goes on without\n"
ANSWERS = [f"milopyp show {TOY}", "milopyp engines list", "milopyp --version", "milopyp --help", "milopyp show --help"]
HELP = ["milopyp-infer --help", "milopyp-train --help", "milopyp-export --help"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tomogram with a Russian name, and what is made of it when nothing is in the way."""
    folder = tmp_path_factory.mktemp("streams")
    write_tomogram(folder / "картина.mrc", clean_phantom().volume, voxel_size=10.0)
    code, _ = ended("exec {} --out whole", folder)
    assert code == 0
    return folder / "whole"


def ended(shell: str, cwd: Path, output: int | None = None, **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a line for the shell, in which ``{}`` stands for picking."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", "-c", shell.format(f"milopyp-infer картина.mrc --model {TOY} --threads 1")], cwd=cwd,
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"} | environment,
        stdout=output if output is not None else subprocess.DEVNULL, stderr=subprocess.PIPE,
        encoding="utf-8", timeout=100, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe whose reader is gone."""
    reads, writes = os.pipe()
    os.close(reads)
    yield writes
    os.close(writes)


@pytest.mark.parametrize(
    ("number", "how", "said"),
    [
        (0, ">&-", ""),
        (1, "2>&-", ""),
        (2, "<&- >&- 2>&-", ""),
        (3, "> /dev/full", f"warning: nothing can be written to {GOES_ON}"),
        (4, "> /dev/full 2>&1", ""),
    ],
)
def test_picking_needs_nobody_to_talk_to(number: int, how: str, said: str, whole: Path) -> None:
    out = whole.with_name(f"out_{number}")
    assert ended(f"exec {{}} --out {out} {how}", whole.parent) == (0, said)
    assert outputs(out) == outputs(whole)


def test_picking_goes_on_when_nobody_reads(unread: int, whole: Path) -> None:
    out, log = whole.with_name("unread"), whole.with_name("log")
    code, said = ended(f"exec {{}} --out {out} --log-file {log}", whole.parent, unread)
    assert (code, said) == (0, f"warning: nobody reads {GOES_ON}")
    assert outputs(out) == outputs(whole)
    assert "in 1 of 1 tomogram: " in log.read_text(encoding="utf-8")
    assert ended(f"exec {{}} --out {out} --overwrite 2>&1", whole.parent, unread) == (0, "")


def test_an_evaluation_is_written_when_nobody_reads(unread: int, whole: Path) -> None:
    write_coordinate_list(whole.with_name("truth.txt"), {"картина": np.array([[9.0, 9.0, 9.0]])})
    line = f"exec milopyp evaluate {whole} --truth truth.txt --radius 5 --json figures.json"
    code, said = ended(line, whole.parent, unread)
    assert code == 0, said
    assert whole.with_name("figures.json").is_file()


@pytest.mark.parametrize("line", [*ANSWERS, *HELP])
def test_an_answer_that_nobody_reads_ends_quietly(line: str, unread: int, tmp_path: Path) -> None:
    assert ended(f"exec {line}", tmp_path, unread) == (141, "")


def test_errors_that_nobody_reads_have_their_exit_code(unread: int, tmp_path: Path) -> None:
    for line in ("milopyp-infer --nonsense", "milopyp-infer no.mrc --model no.onnx", "milopyp-infer --debug-trace a"):
        assert ended(f"exec {line} 2>&1", tmp_path, unread)[0] == 2
        assert ended(f"exec {line} 2>&-", tmp_path)[0] == 2


def test_names_that_the_terminal_does_not_have(whole: Path) -> None:
    said, out = whole.with_name("said"), whole.with_name("latin")
    assert ended(f"exec {{}} --out {out} > {said}", whole.parent, PYTHONIOENCODING="latin-1") == (0, "")
    assert r"\u043a\u0430\u0440\u0442\u0438\u043d\u0430 (order xyz)" in said.read_text(encoding="ascii")
    assert outputs(out) == outputs(whole)
