"""Three small tomograms, the command that picks them, and what it leaves: what tests of batches share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from running import Outcome, run_line
from toys import TOY, clean_phantom, write_tomogram

NAMES = ("a", "b", "c")
LINE = "milopyp-infer tomograms/a.mrc tomograms/b.mrc tomograms/c.mrc --model toy.onnx --out picks --threads 1"


def write_three() -> None:
    """Three tomograms with 4, 5 and 6 particles and the toy model, in the working directory."""
    shutil.copy(TOY, "toy.onnx")
    for number, name in enumerate(NAMES):
        phantom = clean_phantom(seed=number + 1, shape_zyx=(24, 48, 64), particles=4 + number)
        write_tomogram(Path("tomograms") / f"{name}.mrc", phantom.volume, voxel_size=10.0)


def pick(*more: str) -> Outcome:
    outcome = run_line(LINE, *more)
    assert outcome.code == 0, outcome.err
    return outcome


def record(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(Path(f"picks/records/{name}.json").read_text())
    return stored


def skipped(outcome: Outcome) -> list[str]:
    """Names of the tomograms that a run said it left as they were."""
    return [line.split()[2] for line in outcome.out.splitlines() if "is already done" in line]


def written() -> dict[str, int]:
    """Time of writing of every output."""
    return {
        path.name: path.stat().st_mtime_ns
        for path in Path("picks").glob("*.*")
        if path.name not in ("run.json", "status.json")
    }
