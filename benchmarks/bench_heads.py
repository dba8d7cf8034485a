"""What do more classes cost in picking? The tomograms of dev, the shipped network with heads for 1, 3 and 6 classes.

The heads are learned (milopyp learn) from 15 labels each of the species of dev; for six classes each species is there
twice, with other labels. The numbers of classes take turns, each run in a process of its own. *In a batch* is what one
more tomogram costs by the clock: a run of the tomograms under several names each, less a run of them once. *Network* is
of a tomogram, as records say. Medians of the turns, and of the ratios to one class of the same turn. Memory is without
pages of files, which the system can take back.

    python benchmarks/bench_heads.py
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench_classes import TOGETHER
from machine import describe_machine
from tasks import TASKS, Draw, reference_data
from watched_process import watch

from milopyp_inference.batch.class_runs import class_folders
from milopyp_inference.batch.reader import read_records
from milopyp_shared.coordinate_lists import write_classes

BIN = Path(sys.executable).parent
LIMIT = 3600.0  # seconds
SPECIES = [task for task in TASKS if task.dataset == "dev"]
NUMBERS = (1, 3, 6)
AGAIN = 5  # times that the tomograms are in a batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with dev/; MILOPYP_REFERENCE/data by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="2")
    options = parser.parse_args()
    if not options.data and "MILOPYP_REFERENCE" not in os.environ:
        sys.exit("MILOPYP_REFERENCE is not set: there are no tomograms to pick")
    lists = (options.data or reference_data()) / "dev" / "lists"
    tomograms = sorted(lists.parent.glob("*.rec"))
    turns: dict[int, list[Turn]] = {number: [] for number in NUMBERS}
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as name:
        folder = Path(name)
        batch = [folder / f"{again}_{path.name}" for again in range(AGAIN) for path in tomograms]
        for link, path in zip(batch, tomograms * AGAIN, strict=True):
            link.symlink_to(path)
        models = {number: make_model(folder, lists, number) for number in NUMBERS}
        for _ in range(options.rounds):
            for number, model in models.items():
                once = pick(model, tomograms, folder / TOGETHER, options.threads)
                more = pick(model, batch, folder / TOGETHER, options.threads)
                each = (more.seconds - once.seconds) / (len(batch) - len(tomograms))
                turns[number].append(replace(once, seconds=each))
    print(f"{describe_machine()}; {options.threads} threads, medians of {options.rounds} interleaved runs\n")
    print("| classes | picks | network, s | in a batch, s | of one class | peak MiB | of one class |")
    print("|---|---|---|---|---|---|---|")
    for number, own in turns.items():
        network, each, memory = (statistics.median(values) for values in zip(*map(Turn.figures, own), strict=True))
        ratio, more = (
            statistics.median(of(this) / of(one) for this, one in zip(own, turns[1], strict=True))
            for of in (lambda turn: turn.seconds, lambda turn: turn.memory)
        )
        print(f"| {number} | {own[0].picks} | {network:.2f} | {each:.2f} | {ratio:.2f} | {memory:.0f} | {more:.2f} |")


@dataclass(frozen=True)
class Turn:
    """A run of picking: seconds of the network per tomogram and of all, peak memory in MiB, and its picks."""

    network: float
    seconds: float
    memory: float
    picks: int

    def figures(self) -> tuple[float, float, float]:
        return self.network, self.seconds, self.memory


def pick(model: Path, tomograms: Sequence[Path], out: Path, threads: str) -> Turn:
    shutil.rmtree(out, ignore_errors=True)
    line = [BIN / "milopyp-infer", *tomograms, "--model", model, "--out", out, "--threads", threads]
    start = time.perf_counter()
    watched = watch([str(word) for word in line], LIMIT, None)
    seconds = time.perf_counter() - start
    if watched.problem:
        sys.exit(f"{model.name}: {watched.problem}")
    runs = list(class_folders(out).values()) or [out]
    network = statistics.median(record.seconds["network"] for record in read_records(runs[0]))
    picks = sum(record.picks for run in runs for record in read_records(run))
    return Turn(network, seconds, watched.memory, picks)


def make_model(folder: Path, lists: Path, number: int) -> Path:
    """Heads of so many classes, of the species in turn, each with other labels than the one before it."""
    chosen = [(SPECIES[i % len(SPECIES)], i // len(SPECIES) + 1) for i in range(number)]
    labels = {
        f"{task.species}_{draw}" if number > 1 else "": Draw("15", draw).coordinates(lists / task.species)
        for task, draw in chosen
    }
    write_classes(folder / f"{number}.tsv", labels)
    sizes = [
        f"{kind}={task.diameter:g}" if kind else f"{task.diameter:g}"
        for kind, (task, _) in zip(labels, chosen, strict=True)
    ]
    model = folder / f"{number}.onnx"
    line = [
        BIN / "milopyp", "learn", lists / SPECIES[0].species / "images_train.tsv", folder / f"{number}.tsv",
        "--bbox", ",".join(sizes), "-o", model, "--quiet", *(["--may-overlap"] if number > len(SPECIES) else []),
    ]  # fmt: skip
    subprocess.run([str(word) for word in line], check=True)
    return model


if __name__ == "__main__":
    main()
