"""What do more classes cost in picking? The tomograms of dev, the shipped network with heads for 1, 3 and 6 classes.

The heads are learned (milopyp learn) from 15 labels each of the species of dev; for six classes each species is there
twice, with other labels. The numbers of classes take turns, each run in a process of its own; medians of a tomogram and
of the turns, and of the ratios to one class of the same turn. Memory is without pages of files, which the system can
take back.

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
    seconds: dict[int, list[dict[str, float]]] = {number: [] for number in NUMBERS}
    memory: dict[int, list[float]] = {number: [] for number in NUMBERS}
    picks: dict[int, int] = {}
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as name:
        folder = Path(name)
        models = {number: make_model(folder, lists, number) for number in NUMBERS}
        for _ in range(options.rounds):
            for number, model in models.items():
                out = folder / TOGETHER
                shutil.rmtree(out, ignore_errors=True)
                line = [BIN / "milopyp-infer", *tomograms, "--model", model, "--out", out, "--threads", options.threads]
                watched = watch([str(word) for word in line], LIMIT, None)
                if watched.problem:
                    sys.exit(f"{number} classes: {watched.problem}")
                runs = list(class_folders(out).values()) or [out]
                each = [record.seconds for record in read_records(runs[0])]
                seconds[number].append({key: statistics.median(own[key] for own in each) for key in each[0]})
                memory[number].append(watched.memory)
                picks[number] = sum(own.picks for run in runs for own in read_records(run))
    print(f"{describe_machine()}; {options.threads} threads, medians of {options.rounds} interleaved runs\n")
    print("| classes | picks | network, s | all, s | of one class | peak MiB | of one class |")
    print("|---|---|---|---|---|---|---|")
    for number in NUMBERS:
        network, total = (statistics.median(run[key] for run in seconds[number]) for key in ("network", "total"))
        ratio = statistics.median(
            own["total"] / one["total"] for own, one in zip(seconds[number], seconds[1], strict=True)
        )
        held = statistics.median(memory[number])
        more = held / statistics.median(memory[1])
        print(f"| {number} | {picks[number]} | {network:.2f} | {total:.2f} | {ratio:.2f} | {held:.0f} | {more:.2f} |")


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
