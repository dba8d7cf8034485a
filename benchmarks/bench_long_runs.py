"""Does anything grow in a long run? Memory, open files and speed over 300 tomograms and over 200 epochs.

    python benchmarks/bench_long_runs.py
    python benchmarks/bench_long_runs.py --tomograms 60 --epochs 0     # a short one

Each is one process, looked at from outside whenever it has finished something. The first sixth is warm-up; compared are
the third that follows and the last third: medians, of memory the largest, since the heap is given back now and then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from machine import describe_machine

from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from toys import write_batch

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Look:
    """A process at one moment: how much it has finished, resident memory in kB, open files, seconds."""

    finished: int
    memory: int
    files: int
    time: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tomograms", type=int, default=300, help="0: leave it out")
    parser.add_argument("--epochs", type=int, default=200, help="0: leave it out")
    options = parser.parse_args()
    print(f"{describe_machine()}\n")
    print("| run | | early | late | late / early |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as name:
        if options.tomograms:
            report(f"picking {options.tomograms} tomograms", "tomogram", picking(Path(name), options.tomograms))
        if options.epochs:
            report(f"training {options.epochs} epochs", "epoch", training(Path(name), options.epochs))


def picking(folder: Path, count: int) -> list[Look]:
    """Tomograms of 64 x 64 x 32 voxels with the toy model."""
    write_batch(folder, count, (32, 64, 64), particles=6)
    records = folder / "picks/records"
    line = ["milopyp-infer", "tomograms.txt", "--model", "toy.onnx", "--out", "picks", "--threads", "1"]
    return watched(line, folder, lambda: len(list(records.glob("*.json"))))


def training(folder: Path, epochs: int) -> list[Look]:
    """A tomogram of 52 x 48 x 12 voxels with five labels, two patches per step."""
    settings = PhantomSettings((12, 48, 52), n_particles=5, n_distractors=0, diameter=8, noise=0.3, background=0)
    [phantom] = write_phantoms(folder / "small", 1, settings).tomograms
    write_image_list(folder / "images.tsv", [ImageEntry(phantom.stem, phantom)])
    coordinates = next((folder / "small").glob("*coord*"))
    line = [
        "milopyp-train", "--train-img-txt", "images.tsv", "--train-coord-txt", coordinates, "--bbox", 8,
        "--batch-size", 2, "--num-epochs", epochs, "--threads", 1, "--gpus", -1, "--no-export", "--exp-id", "long",
    ]  # fmt: skip
    run = folder / "exp/semi/long"

    def finished() -> int:
        [table] = run.glob("logs_*/losses.csv")
        return len(table.read_text().splitlines()) - 1

    return watched(line, folder, finished)


def watched(line: list[object], folder: Path, finished: Callable[[], int]) -> list[Look]:
    """Run a command and look at it every time that it has finished something more."""
    words = [str(PROGRAMS / str(line[0])), *map(str, line[1:])]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)
    own = Path(f"/proc/{process.pid}")
    looks: list[Look] = []
    while process.poll() is None:
        time.sleep(0.02)
        try:
            count = finished()
            if not looks or count > looks[-1].finished:
                memory = int((own / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
                looks.append(Look(count, memory, len(list((own / "fd").iterdir())), time.monotonic()))
        except (OSError, ValueError):  # not there yet, or gone
            continue
    if process.returncode:
        raise SystemExit(f"{line[0]} left with {process.returncode}")
    return looks


def report(title: str, unit: str, looks: list[Look]) -> None:
    """The rows of one run."""
    third = len(looks) // 3
    if third < 2:
        raise SystemExit(f"{title}: seen {len(looks)} times only, too few to compare")
    early, late = looks[third // 2 :][:third], looks[-third:]
    figures: list[tuple[str, str, Callable[[list[Look]], float]]] = [
        ("resident memory, MiB", ".1f", lambda part: max(look.memory for look in part) / 1024),
        ("open files", ".0f", lambda part: median(look.files for look in part)),
        (
            f"ms per {unit}", ".1f",
            lambda part: (part[-1].time - part[0].time) / (part[-1].finished - part[0].finished) * 1000,
        ),
    ]  # fmt: skip
    for name, form, figure in figures:
        before, after = figure(early), figure(late)
        print(f"| {title} | {name} | {before:{form}} | {after:{form}} | {after / before:.3f} |", flush=True)
        title = ""


if __name__ == "__main__":
    sys.exit(main())
