"""A run over two tomograms, and cutting its picks anew: what tests of `milopyp threshold` share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from running import Outcome, run_line
from toys import TOY, clean_phantom, write_tomogram

INFER = f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --out picks --threads 1 --with-score"


def write_run() -> None:
    """The run ``picks`` over two tomograms, one of them with another axis order, which are gone afterwards."""
    write_tomograms()
    assert run_line(INFER).code == 0
    for path in Path().glob("*.mrc"):
        path.unlink()


def write_tomograms() -> None:
    for seed, order in ((1, "xyz"), (2, "xzy")):
        write_tomogram(Path(f"{order}.mrc"), clean_phantom(seed).volume, order, voxel_size=10.0)


def cut(words: str) -> Outcome:
    outcome = run_line(f"milopyp threshold picks {words}")
    assert outcome.code == 0, outcome.err
    return outcome


def table(path: str) -> Any:
    return np.loadtxt(path, ndmin=2)


def record(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(Path(f"picks/records/{name}.json").read_text())
    return stored


def change(name: str) -> bytes:
    """A person's work on an output of the run."""
    path = Path("picks", name)
    path.write_bytes(path.read_bytes() + b"mine")
    return path.read_bytes()


def infer(*more: str) -> Outcome:
    """The command that made the run, which must not need the network."""
    write_tomograms()
    before = {path.name: path.stat().st_mtime_ns for path in Path("picks").glob("*_hm.mrc")}
    outcome = run_line(INFER, *more)
    assert outcome.code == 0, outcome.err
    assert before == {name: Path("picks", name).stat().st_mtime_ns for name in before}
    return outcome


def threshold(name: str = "xyz") -> float:
    found: float = record(name)["options"]["selection"]["threshold"]
    return found
