"""What a GPU gives: picking by every provider and precision, training, and PyTorch beside it, in ten minutes.

Needs no network. It makes its own material: a phantom tomogram, the shipped network with a head fitted to labels, and
its files for CPUs and GPUs. Every measurement is a process of its own; the file of --out is written anew after each, so
that what was found stays when the rest is stopped. What cannot be run, or not in time, is listed.

    python benchmarks/gpu_check.py --out table.md
    python benchmarks/gpu_check.py --quick                           a rehearsal, with little of everything
    python benchmarks/gpu_check.py --make-only --work material       where onnx is installed; then, where it is not,
    python benchmarks/gpu_check.py --work material --out table.md
    python benchmarks/gpu_check.py fp32.onnx fp16.onnx int8.onnx --tomogram tomogram.mrc --out table.md
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gpu_work import FILES, NETWORK, PHANTOM, TOMOGRAM, TRAINING
from machine import describe_machine
from numpy.typing import NDArray
from watched_process import Watched, watch

from milopyp_inference.engine import tensorrt_cache
from milopyp_inference.engine.model import read_recipe
from milopyp_inference.engine.providers.registry import PROVIDERS, describe
from milopyp_shared.atomic import write_text
from milopyp_shared.matching import match_greedy
from milopyp_shared.picks import Picks
from milopyp_shared.system import allowed_threads
from milopyp_shared.tomogram import open_tomogram

WORK = Path(__file__).with_name("gpu_work.py")
REFERENCE = "cpu"  # provider that the others are compared with
PICKS, TRAINS, PEERS = "picking", "training", "PyTorch"
_SEEN = ("process, MiB", "GPU memory, MiB", "GPU at work")
_FOUND = (
    "max difference", "mean difference", "picks", "in common", "s per tomogram", "of them network", "tomograms",
    "first, s", *_SEEN,
)  # fmt: skip
HEADINGS = {
    PICKS: ("file", "provider", *_FOUND),
    TRAINS: ("device", "arithmetic", "s per step", "s per epoch", "epochs", "steps timed", *_SEEN),
    PEERS: ("PyTorch", "arithmetic", *_FOUND),
}


@dataclass(frozen=True)
class Row:
    """A measurement: its table, its first two cells, and what its process is told."""

    table: str
    names: tuple[str, str]
    work: dict[str, Any]


@dataclass
class Report:
    """The tables as far as they are known; written to a file whenever something is."""

    header: str
    rows: list[Row]
    path: Path | None
    cells: dict[int, list[str]] = field(default_factory=dict)

    def add(self, number: int, cells: list[str]) -> None:
        """What was found in a row."""
        self.cells[number] = cells
        print(" | ".join((*self.rows[number].names, *cells)), flush=True)
        self.write()

    def write(self) -> None:
        if self.path:
            write_text(self.path, self.text())  # in one step: a stop leaves the last whole table

    def text(self) -> str:
        lines = [self.header]
        for table, headings in HEADINGS.items():
            numbers = [number for number, row in enumerate(self.rows) if row.table == table and number in self.cells]
            if numbers:
                lines += ["", f"**{table}**", "", f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
            for number in numbers:
                cells = [*self.rows[number].names, *self.cells[number]]
                cells += [""] * (len(headings) - len(cells))
                lines.append(f"| {' | '.join(cells)} |")
        if missing := [row for number, row in enumerate(self.rows) if number not in self.cells]:
            lines += ["", "Not run: " + "; ".join(f"{row.table}, {' '.join(row.names)}" for row in missing) + "."]
        return "\n".join(lines) + "\n"


def main() -> None:
    options = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no process is left
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="milopyp-check-") as name:
        folder = Path(name)
        material = options.work or folder / "material"
        material.mkdir(parents=True, exist_ok=True)
        problem = made(options, material, folder, end)
        if options.make_only:
            raise SystemExit(problem)
        tomogram = options.tomogram or material / TOMOGRAM / PHANTOM
        states = dict(describe())
        rows = rows_of(options, material, tomogram, [name for name, state in states.items() if state == "works"])
        report = Report(header(options, tomogram, states, problem), rows, options.out)
        report.write()
        reference = None
        for number, row in enumerate(rows):
            if (left := end - time.monotonic()) < 5:
                break
            cells, found = measured(row, folder, min(options.row_seconds, left), options.device, reference)
            reference = reference or found
            report.add(number, cells)
    print("\n" + report.text())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="ONNX files of one network, one of them in fp32")
    parser.add_argument("--tomogram", type=Path, help="instead of a phantom")
    parser.add_argument("--order", default="auto", help="axes of the tomogram's file")
    parser.add_argument("--size", help="of the phantom, x by y by z  [default: 512x512x256, with --quick 96x96x32]")
    parser.add_argument("--only", default=",".join(HEADINGS), help=f"tables, of {','.join(HEADINGS)}")
    parser.add_argument("--minutes", type=float, default=10.0, help="for everything")
    parser.add_argument("--row-seconds", type=float, default=150.0, help="for one measurement at most")
    parser.add_argument("--rounds", type=int, help="tomograms timed, after a first one  [default: 5, with --quick 1]")
    parser.add_argument("--steps", type=int, help="of a training that are timed  [default: 30, with --quick 2]")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU")
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--memory", help="as --memory of milopyp-infer")
    parser.add_argument("--work", type=Path, help="folder for the material, used again where it is there")
    parser.add_argument("--make-only", action="store_true", help="make the material, measure nothing")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--out", type=Path, help="file for the tables, beside the terminal")
    options = parser.parse_args()
    options.only = options.only.split(",")
    options.size = options.size or ("96x96x32" if options.quick else "512x512x256")
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.steps = options.steps or (2 if options.quick else 30)
    if options.models and all(read_recipe(path).precision != "fp32" for path in options.models):
        parser.error("one of the files has to be fp32: it is what the others are compared with")
    if unknown := set(options.only) - set(HEADINGS):
        parser.error(f"--only: {', '.join(sorted(unknown))}; expected some of {', '.join(HEADINGS)}")
    return options


def made(options: argparse.Namespace, material: Path, folder: Path, end: float) -> str:
    """Make what the tables need and is not given; what could not be made, in words."""
    wanted = [] if options.tomogram else [TOMOGRAM]
    wanted += [TRAINING] if TRAINS in options.only else []
    wanted += [] if options.models else [TRAINING, NETWORK, *FILES]
    size = [int(word) for word in options.size.split("x")]
    training = [32, 96, 96] if options.quick else [64, 192, 192]
    if not wanted:
        return ""
    print(f"making {', '.join(dict.fromkeys(wanted))}, where they are not there", flush=True)
    work = {"kind": "make", "material": str(material), "wanted": wanted, "size": size, "training": training}
    facts, watched = run(work, folder, end - time.monotonic(), None)
    return watched.problem or facts.get("refused", "")


def rows_of(options: argparse.Namespace, material: Path, tomogram: Path, providers: list[str]) -> list[Row]:
    """Everything to be measured, the most telling first; the very first one is what others are compared with."""
    on = torch_device(options.device) if {TRAINS, PEERS} & set(options.only) else "cpu"
    seconds = options.row_seconds / 2
    picking = {
        "tomogram": str(tomogram), "order": options.order, "device": options.device, "threads": options.threads,
        "memory": options.memory, "rounds": options.rounds, "seconds": seconds,
    }  # fmt: skip
    training = {"kind": "train", "material": str(material), "on": on, "steps": options.steps, "seconds": seconds,
                "threads": options.threads}  # fmt: skip
    files = options.models or [material / name for name in FILES if (material / name).is_file()]
    pairs = [(file, name) for name in providers for file in files if options.models or suits(file, name)]
    pairs.sort(key=lambda pair: (pair[1] != REFERENCE, read_recipe(pair[0]).precision != "fp32"))

    def picks(file: Path, name: str) -> Row:
        return Row(PICKS, (file.name, name), picking | {"kind": "pick", "file": str(file), "provider": name})

    trained = [
        Row(TRAINS, (on, arithmetic), training | {"amp": arithmetic == "bfloat16"})
        for arithmetic in ("bfloat16", "float32")
    ]
    peers = [
        Row(
            PEERS, (f"{'torch.compile' if compiled else 'eager'} on {on}", precision),
            picking | {"kind": "peer", "file": str(material / NETWORK), "on": on, "precision": precision,
                       "compiled": compiled},
        )
        for precision in (("fp32",) if on == "cpu" else ("fp16", "fp32")) for compiled in (False, True)
    ]  # fmt: skip
    soon = [picks(*pair) for number, pair in enumerate(pairs) if number == 0 or pair[1] == "cuda"]
    late = [row for pair in pairs if (row := picks(*pair)) not in soon]  # TensorRT builds for minutes
    late.sort(key=lambda row: not PROVIDERS[row.names[1]].gpu)
    peers = [] if options.models else peers  # which have another network
    rows = [*soon, *trained[:1], *peers, *trained[1:], *late]
    return [row for row in rows if row.table in options.only]


def torch_device(number: int) -> str:
    """Where PyTorch computes; the CPU where it is not installed, as the rows will say."""
    try:
        import torch
    except ImportError:
        return "cpu"
    return f"cuda:{number}" if torch.cuda.is_available() else "cpu"


def suits(file: Path, provider: str) -> bool:
    """Whether a file was made for such a provider."""
    return (file.name in ("fp32_gpu.onnx", "fp16.onnx")) == PROVIDERS[provider].gpu


def header(options: argparse.Namespace, tomogram: Path, states: dict[str, str], problem: str) -> str:
    """Machine, GPU, versions, what was picked, what does not work."""
    z, y, x = open_tomogram(tomogram, options.order).shape
    gpu = tensorrt_cache.gpu_name(options.device) or "no GPU"
    broken = "".join(f" {name} does not work here: {state}." for name, state in states.items() if state != "works")
    missing = f" Of the material not everything could be made: {problem}." if problem else ""
    return (
        f"{describe_machine()}; {gpu}; {options.threads} threads; a tomogram of {x} x {y} x {z} voxels, picked in one "
        f"pass and compared with the first row that has figures; medians, without the first one.{broken}{missing}"
    )


@dataclass(frozen=True)
class Found:
    """What a row has made of the tomogram."""

    heat: NDArray[np.float32]
    picks: Picks


def measured(
    row: Row, folder: Path, limit: float, device: int, reference: Found | None
) -> tuple[list[str], Found | None]:
    """The cells behind the names of a row, and its heat map if it has one."""
    on_gpu = str(row.work.get("on", "")).startswith("cuda") or PROVIDERS[row.work.get("provider", REFERENCE)].gpu
    facts, watched = run(row.work, folder, limit, device if on_gpu else None)
    if problem := watched.problem or facts.get("refused", ""):
        return [problem.replace("|", "/")], None
    busy, used = watched.busy(*facts["window"]), watched.gpu_memory
    seen = [f"{watched.memory:.0f}", "-" if used is None else str(used), "-" if busy is None else f"{busy:.0f} %"]
    if row.table == TRAINS:
        return [f"{facts['step']:.4f}", f"{facts['epoch']:.1f}", str(facts["epochs"]), str(facts["steps"]), *seen], None
    arrays = np.load(folder / "arrays.npz")
    found = Found(arrays["heat"], Picks(arrays["xyz"], arrays["score"]))
    times = [f"{facts['seconds']:.3f}", f"{facts['network']:.3f}", str(facts["rounds"]), f"{facts['first']:.1f}"]
    return [*compared(found, reference or found, facts["radius"]), *times, *seen], found


def run(work: dict[str, Any], folder: Path, limit: float, device: int | None) -> tuple[dict[str, Any], Watched]:
    """A piece of work in a process of its own, so that a crash or a memory pool does not reach the next one."""
    (folder / "facts.json").unlink(missing_ok=True)
    (folder / "work.json").write_text(json.dumps(work))
    watched = watch([sys.executable, str(WORK), str(folder / "work.json")], limit, device)
    return {} if watched.problem else json.loads((folder / "facts.json").read_text()), watched


def compared(found: Found, reference: Found, radius: float) -> list[str]:
    """How far heat map and picks are from the reference's."""
    difference = np.abs(found.heat - reference.heat)
    common = agreement(found.picks, reference.picks, radius)
    return [f"{difference.max():.1e}", f"{difference.mean():.1e}", str(len(found.picks)), f"{common:.1%}"]


def agreement(a: Picks, b: Picks, radius: float) -> float:
    """Share of the picks of both that have a partner in the other one within `radius` voxels; NaN without picks."""
    if len(a) == 0 or len(b) == 0:
        return 0.0 if len(a) + len(b) else float("nan")
    return 2 * int(match_greedy(b.xyz, b.score, a.xyz, radius).hit.sum()) / (len(a) + len(b))


if __name__ == "__main__":
    main()
