"""Nothing grows while a process goes on: the short version of ``benchmarks/bench_long_runs.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks/bench_long_runs.py"


def test_memory_and_open_files() -> None:
    line = [sys.executable, str(BENCHMARK), "--tomograms", "60", "--epochs", "15"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    rows = [[cell.strip() for cell in row.split("|")[2:5]] for row in done.stdout.splitlines() if row.startswith("|")]
    memory = [(float(early), float(late)) for name, early, late in rows if name == "resident memory, MiB"]
    files = [(int(early), int(late)) for name, early, late in rows if name == "open files"]
    assert len(memory) == len(files) == 2
    for early, late in memory:
        assert late < 1.02 * early, done.stdout
    for before, after in files:  # one more or less while something is being written
        assert after <= before + 1, done.stdout
