"""One model of several species against one for each: how good, how long. With the real command lines.

The three species of dev, and those of mid, with the same labels in both ways. Models and finished runs are kept in
--work, so that an interrupted benchmark goes on where it stopped, and another --split needs no other training. F1 is
that of the picks at the suggested thresholds; of the model of several species also with --no-exclusive.

    python benchmarks/bench_classes.py --labels 15 --presets learn,pretrained --extra "--threads 1"
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench_accuracy import LEARN, call, judge
from machine import describe_machine
from tasks import TASKS, Draw, Task, draws, reference_data

from milopyp_inference.batch.reader import chosen_picks, read_records
from milopyp_shared.coordinate_lists import read_coordinate_list, write_classes
from milopyp_shared.matching import evaluate

TOGETHER = "together"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with dev/ and mid/; MILOPYP_REFERENCE/data by default")
    parser.add_argument("--datasets", default="dev,mid")
    parser.add_argument("--presets", default=LEARN, help="those of milopyp-train, and learn: milopyp learn")
    parser.add_argument("--labels", default="15", help="30pct, all or numbers of labels, separated by commas")
    parser.add_argument("--split", choices=["val", "test"], default="test")
    parser.add_argument("--extra", default="", help="more options for the training")
    parser.add_argument("--work", type=Path, default=Path("bench_classes"))
    options = parser.parse_args()
    if not options.data and "MILOPYP_REFERENCE" not in os.environ:
        sys.exit("MILOPYP_REFERENCE is not set: there are no tomograms with several species to judge by")
    data = options.data or reference_data()
    print(f"{describe_machine()}; {options.split} tomograms\n")
    print("| data | preset | labels | species | AUPRC alone | together | F1 alone | together | both kept |")
    print("|---|---|---|---|---|---|---|---|---|")
    for dataset, preset, labels in itertools.product(
        options.datasets.split(","), options.presets.split(","), options.labels.split(",")
    ):
        tasks = [task for task in TASKS if task.dataset == dataset]
        runs: list[list[dict[str, dict[str, Any]]]] = []
        for draw in draws(labels):
            where = options.work.resolve() / f"{dataset}_{preset}_{draw.name}"
            alone = [run(where / task.species, [task], preset, draw, data, options) for task in tasks]
            runs.append([*alone, run(where / TOGETHER, tasks, preset, draw, data, options)])
        for number, task in enumerate(tasks):
            one, several = ([each[which][task.species] for each in runs] for which in (number, -1))
            figures = (_mean(one, "auprc"), _mean(several, "auprc"), _mean(one, "f1"), _mean(several, "f1"))
            cells = (dataset, preset, labels, task.species, *figures, _mean(several, "f1_of_both"))
            print(f"| {' | '.join(cells)} |", flush=True)
        for what in ("training", "picking"):
            one = statistics.median(sum(own[what]["seconds"] for own in each[:-1]) for each in runs)
            several = statistics.median(each[-1][what]["seconds"] for each in runs)
            print(f"| {dataset} | {preset} | {labels} | *{what}, s* | {one:.1f} | {several:.1f} | | | |", flush=True)


def run(
    folder: Path, tasks: list[Task], preset: str, draw: Draw, data: Path, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Train on the labels of some species (once), pick, and judge each; seconds under ``training`` and ``picking``."""
    kept, trained = folder / f"{options.split}.json", folder / "training.json"
    if kept.exists():
        figures: dict[str, dict[str, Any]] = json.loads(kept.read_text())
        return figures
    folder.mkdir(parents=True, exist_ok=True)
    lists = {task.species: data / task.dataset / "lists" / task.species for task in tasks}
    labels = {species: draw.coordinates(own) for species, own in lists.items()}
    write_classes(folder / "labels.tsv", labels if len(tasks) > 1 else {"": labels[tasks[0].species]})
    first = lists[tasks[0].species]
    bbox = ",".join(f"{task.species}={task.diameter:g}" for task in tasks)
    bbox = bbox if len(tasks) > 1 else f"{tasks[0].diameter:g}"
    common = ("--bbox", bbox, *options.extra.split())
    if not trained.exists():
        start = time.perf_counter()
        _train(folder, first / "images_train.tsv", preset, common)
        trained.write_text(json.dumps({"seconds": time.perf_counter() - start}))
    pick = ("milopyp-infer", first / f"images_{options.split}.tsv", "--model", "model.onnx", "--overwrite", "--out")
    call(folder, *pick, options.split)
    figures = {}
    for task in tasks:
        place = folder / options.split / task.species if len(tasks) > 1 else folder / options.split
        truth = lists[task.species] / f"coords_{options.split}.tsv"
        auprc = judge(place, truth, task.radius)["auprc"]
        figures[task.species] = {"auprc": auprc, "f1": at_threshold(place, truth, task)}
    seconds = sum(record.seconds["total"] for record in read_records(place))
    if len(tasks) > 1:
        call(folder, *pick, "both", "--no-exclusive")
        for task in tasks:
            truth = lists[task.species] / f"coords_{options.split}.tsv"
            figures[task.species]["f1_of_both"] = at_threshold(folder / "both" / task.species, truth, task)
    figures |= {"training": json.loads(trained.read_text()), "picking": {"seconds": seconds}}
    kept.write_text(json.dumps(figures))
    return figures


def _train(folder: Path, images: Path, preset: str, common: tuple[str, ...]) -> None:
    """``model.onnx`` of ``labels.tsv``."""
    if preset == LEARN:
        call(folder, "milopyp", "learn", images, "labels.tsv", "-o", "model.onnx", "--overwrite", *common)
        return
    call(
        folder, "milopyp-train", "--train-img-txt", images, "--train-coord-txt", "labels.tsv", "--exp-id", "run",
        "--no-export", "--overwrite", "--preset", preset, *common,
    )  # fmt: skip
    call(folder, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", "model.onnx", "--overwrite")


def at_threshold(run_folder: Path, coordinates: Path, task: Task) -> float:
    """F1 of the picks that a run has written."""
    [record] = read_records(run_folder)
    truth = read_coordinate_list(coordinates)[record.name]
    found = evaluate(chosen_picks(run_folder, record), truth, task.radius)
    return 2 * found.n_hits / max(found.n_picks + len(truth), 1)


def _mean(runs: list[dict[str, Any]], name: str) -> str:
    values = [run[name] for run in runs]
    return f"{statistics.mean(values):.3f} ({', '.join(f'{value:.2f}' for value in values)})"


if __name__ == "__main__":
    main()
