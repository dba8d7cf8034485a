"""The one command that measures a GPU, rehearsed: its table, what it says of rows that fail, and what a stop leaves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from running import wait_for
from toys import TOY, clean_phantom, write_tomogram

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
from watched_process import watch  # noqa: E402


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """The command, with two files and a tomogram that are given."""
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    shutil.copy(TOY, tmp_path / "again.onnx")
    words = [BENCHMARKS / "gpu_check.py", TOY, tmp_path / "again.onnx", "--tomogram", tmp_path / "a.mrc"]
    return [sys.executable, *map(str, words), "--quick", "--only", "picking", "--out", str(tmp_path / "table.md")]


def table_of(path: Path) -> list[list[str]]:
    """Cells of the rows, without the heading."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_rehearsal_on_the_cpu(line: list[str], tmp_path: Path) -> None:
    subprocess.run(line, check=True, capture_output=True)
    rows = [row for row in table_of(tmp_path / "table.md") if row[1] == "cpu"]
    assert [row[0] for row in rows] == ["toy.onnx", "again.onnx"]
    for row in rows:
        assert row[2:4] == ["0.0e+00", "0.0e+00"]
        assert (int(row[4]) > 0, row[5]) == (True, "100.0%")
        assert 0 < float(row[7]) <= float(row[6])  # the network's share of a tomogram's seconds
        assert row[8] == "1" and int(row[10]) > 20
    text = (tmp_path / "table.md").read_text()
    assert "a tomogram of 80 x 64 x 32 voxels" in text
    assert "Not run" not in text


def test_what_was_found_stays_when_it_is_stopped(line: list[str], tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    process = subprocess.Popen(
        [*line, "--rounds", "100000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for(table.is_file)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 1
    finally:
        process.kill()
    assert "Not run: picking, toy.onnx cpu; " in table.read_text()


def test_a_process_that_takes_too_long_or_breaks() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    start = time.monotonic()
    assert watch([sys.executable, "-c", code], 0.5, None).problem == "stopped after 0 s"
    assert time.monotonic() - start < 20
    broken = watch([sys.executable, "-c", "raise ValueError('no such kernel')"], 20, None)
    assert broken.problem == "the process ended with 1: ValueError: no such kernel"
    assert (broken.samples, broken.gpu_memory, broken.busy(0, time.time())) == ([], None, None)


def test_what_nvidia_smi_says_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    wanted = "--id=1 --query-gpu=memory.used,utilization.gpu --format=csv,noheader,nounits"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "{wanted}" ] || exit 1\n'
        "[ -e later ] && echo 1024, 70 && exit; [ -e go ] && echo 2048, 90 && exit; echo 500, 0\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    code = "import time; open('go', 'w'); time.sleep(1); open('later', 'w'); time.sleep(1)"
    found = watch([sys.executable, "-c", code], 20, 1)
    assert (found.problem, found.gpu_memory) == ("", 1548)
    working = [moment for moment, used, _ in found.samples if used > 500]
    busy = found.busy(working[0], working[-1])
    assert busy is not None and 70 < busy < 90
    assert found.busy(0, 1) is None
