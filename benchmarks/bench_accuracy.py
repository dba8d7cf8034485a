"""How good are the picks? Trains, exports, picks and evaluates every task with the real command lines.

Every finished run is kept in --work, so that an interrupted benchmark goes on where it stopped. Test tomograms are
only ever evaluated here, never used to choose anything; --split val gives the figures for choosing. Where there is
neither --data nor MILOPYP_REFERENCE, phantoms are made and are the only task.

    python benchmarks/bench_accuracy.py --tasks ribosome70S,betagal --labels 30pct,15,5 --presets pretrained,scratch
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray
from scipy.stats import binomtest
from tasks import PHANTOM, TASKS, Draw, Task, draws, phantom_data, reference_data

from milopyp_inference.batch.reader import read_run
from milopyp_inference.engine.model import read_recipe
from milopyp_shared import matching
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.matching import evaluate
from milopyp_shared.peaks import nms
from milopyp_shared.picks import Picks

# Where the published program never picks: 20 voxels in x and y, 10 heat-map sections (20 voxels) in z.
LEARN = "learn"  # no preset: the head alone, by milopyp learn
MARGIN_XYZ = np.array([20.0, 20.0, 20.0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with dev/ and mid/; MILOPYP_REFERENCE/data by default")
    parser.add_argument("--tasks", help="names separated by commas; all by default")
    parser.add_argument("--presets", default="pretrained", help="those of milopyp-train, and learn: milopyp learn")
    parser.add_argument("--labels", default="30pct", help="30pct, all or numbers of labels, separated by commas")
    parser.add_argument("--seeds", help="numbers of the label draws; the training seed is fixed. All by default")
    parser.add_argument("--split", choices=["val", "test"], default="test")
    parser.add_argument("--extra", default="", help="more options for the training")
    parser.add_argument(
        "--rejected", type=int, default=0, metavar="N",
        help="train a second time, with the best N wrong picks of the first in the labelled tomograms rejected",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("bench_accuracy"))
    options = parser.parse_args()
    if options.data or "MILOPYP_REFERENCE" in os.environ:
        data, tasks = options.data or reference_data(), TASKS
    else:
        data, tasks = phantom_data(options.work.resolve() / "data"), (PHANTOM,)
    wanted = options.tasks.split(",") if options.tasks else [task.species for task in tasks]
    rows = []
    for labels, preset, task in itertools.product(options.labels.split(","), options.presets.split(","), tasks):
        if task.species not in wanted:
            continue
        chosen = [draw for draw in draws(labels) if not options.seeds or str(draw.number) in options.seeds.split(",")]
        runs = [
            run_one(
                task,
                preset,
                draw,
                data,
                work=options.work.resolve(),
                split=options.split,
                extra=options.extra,
                rejected=options.rejected,
            )
            for draw in chosen
        ]
        rows.append((task, preset, runs))
        print(describe_row(*rows[-1]), file=sys.stderr, flush=True)
    print(f"{describe_machine()}; {options.split} tomograms, labels {options.labels}\n")
    print("| task | preset | labels | AUPRC | best F1 | RMSE | interior AUPRC | training, min | s per tomogram |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(describe_row(*row))
    promises = [line for task, _, runs in rows for line in describe_expectations(task, runs)]
    if promises:
        print("\n| task | labels | threshold | precision promised | true | recall promised | true | F1 | best F1 |")
        print("|---|---|---|---|---|---|---|---|---|")
        print("\n".join(promises))


def run_one(
    task: Task, preset: str, draw: Draw, data: Path, *, work: Path, split: str, extra: str = "", rejected: int = 0
) -> dict[str, Any]:
    """Train (once), pick and evaluate; the figures of one run."""
    lists = data / task.dataset / "lists" / task.species
    first = "_".join([task.species, preset, draw.name, *extra.replace("-", "").replace("/", "").split()])
    name = f"{first}_rejected_{rejected}" if rejected else first
    if rejected:
        run_one(task, preset, draw, data, work=work, split=split, extra=extra)
    folder, result = work / name, work / f"{name}_{split}.json"
    if result.exists():
        return json.loads(result.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    timing = folder / "seconds.json"
    if not timing.exists():
        start = time.perf_counter()
        coordinates = folder / "labels.tsv"
        write_coordinate_list(coordinates, draw.coordinates(lists))
        images, common = lists / "images_train.tsv", ["--bbox", task.diameter, *extra.split()]
        if rejected:
            wrong = wrong_picks(work / first, lists, draw, task.radius)
            write_coordinate_list(folder / "rejected.tsv", best_of(wrong, rejected))
            common += ["--rejected", "rejected.tsv"]
        if preset == LEARN:
            call(folder, "milopyp", "learn", images, coordinates, "-o", "model.onnx", "--overwrite", *common)
        else:
            call(
                folder, "milopyp-train", "--train-img-txt", images, "--train-coord-txt", coordinates,
                "--exp-id", "run", "--no-export", "--preset", preset, *common,
            )  # fmt: skip
        timing.write_text(json.dumps(time.perf_counter() - start))
        if preset != LEARN:
            call(folder, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", "model.onnx", "--overwrite")
    call(
        folder, "milopyp-infer", lists / f"images_{split}.tsv", "--model", "model.onnx", "--out", split, "--overwrite"
    )  # fmt: skip
    figures = judge(folder / split, lists / f"coords_{split}.tsv", task.radius)
    figures |= judge_expectations(folder, split, lists / f"coords_{split}.tsv", task.radius)
    figures["training_seconds"] = json.loads(timing.read_text())
    figures["labels"] = sum(len(xyz) for xyz in draw.coordinates(lists).values())
    result.write_text(json.dumps(figures))
    return figures


def wrong_picks(folder: Path, lists: Path, draw: Draw, radius: float) -> dict[str, Picks]:
    """What the model in a folder finds in the labelled tomograms where there is no particle, best first."""
    call(folder, "milopyp-infer", lists / "images_train.tsv", "--model", "model.onnx", "--out", "train", "--overwrite")
    found, distance = read_run(folder / "train")
    truth, labelled = read_coordinate_list(lists / "coords_train_all.tsv"), draw.coordinates(lists)
    return {
        name: matching.exclude_near(nms(picks, distance or 1.2 * radius), truth[name], radius)
        for name, picks in found.items()
        if name in labelled
    }


def best_of(picks: dict[str, Picks], number: int) -> dict[str, NDArray[np.float64]]:
    """Places of the best so many of all tomograms, by tomogram."""
    scores = np.sort(np.concatenate([own.score for own in picks.values()]))[::-1]
    lowest = scores[:number].min(initial=np.inf)
    return {name: own.xyz[own.score >= lowest] for name, own in picks.items() if (own.score >= lowest).any()}


def judge(run: Path, coordinates: Path, radius: float) -> dict[str, Any]:
    """Figures over all particles of the run's only tomogram, and over those inside the published margins."""
    name, picks = picks_in(run, radius)
    truth = read_coordinate_list(coordinates)[name]
    record = json.loads((run / "records" / f"{name}.json").read_text())
    whole = matching.evaluate_at_best_f1([(picks, truth)], radius)
    size = np.array(record["shape_zyx"][::-1])
    inside = np.all((truth > MARGIN_XYZ) & (truth < size - MARGIN_XYZ), axis=1)
    return {
        "auprc": whole.auprc,
        "f1": whole.best.f1,
        "rmse": whole.rmse,
        "offset": [float(value) for value in whole.mean_offset],
        "interior": evaluate(picks, truth, radius, counted=inside).auprc,
        "seconds": record["seconds"]["total"],
    }


def picks_in(run: Path, radius: float) -> tuple[str, Picks]:
    """Name and picks of the run's only tomogram."""
    found, distance = read_run(run)
    [(name, candidates)] = found.items()
    return name, nms(candidates, distance or 1.2 * radius)


def judge_expectations(folder: Path, split: str, coordinates: Path, radius: float) -> dict[str, Any]:
    """What the model promises at its suggested threshold, and what the picks above it are."""
    recipe = read_recipe(folder / "model.onnx")
    name, picks = picks_in(folder / split, radius)
    truth, threshold = read_coordinate_list(coordinates)[name], recipe.threshold.score
    kept = evaluate(picks[picks.score > threshold], truth, radius)
    precision, recall = kept.n_hits / max(kept.n_picks, 1), kept.n_hits / len(truth)
    found: dict[str, Any] = {
        "threshold": threshold,
        "picks": kept.n_picks,
        "precision": precision,
        "recall": recall,
        "f1_at_threshold": 2 * kept.n_hits / (kept.n_picks + len(truth)),
    }
    if (expected := recipe.calibration) is not None:
        found["promised_precision"] = float(np.interp(threshold, expected.score, expected.precision))
        found["promised_recall"] = float(np.interp(threshold, expected.score, expected.recall))
        found["promised_particles"], found["particles"] = expected.particles, len(truth)
    return found


def describe_expectations(task: Task, runs: list[dict[str, Any]]) -> list[str]:
    """One line per run of the table of promises; the interval is the binomial one of 95 % around the true precision."""
    lines = []
    for run in (run for run in runs if "promised_precision" in run):
        low, high = binomtest(round(run["precision"] * run["picks"]), max(run["picks"], 1)).proportion_ci()
        lines.append(
            f"| {task.species} | {run['labels']} | {run['threshold']:.2f} | {run['promised_precision']:.2f} | "
            f"{run['precision']:.2f} ({low:.2f} to {high:.2f}) | {run['promised_recall']:.2f} | {run['recall']:.2f} | "
            f"{run['f1_at_threshold']:.3f} | {run['f1']:.3f} |"
        )
    return lines


def describe_row(task: Task, preset: str, runs: list[dict[str, Any]]) -> str:
    """One line of the table: means over the runs."""
    figures = ("labels", "auprc", "f1", "rmse", "interior", "training_seconds", "seconds")
    mean = {key: statistics.mean(run[key] for run in runs) for key in figures}
    each = ", ".join(f"{run['auprc']:.2f}" for run in runs)
    return (
        f"| {task.species} | {preset} | {mean['labels']:.0f} | {mean['auprc']:.3f} ({each}) | {mean['f1']:.3f} | "
        f"{mean['rmse']:.2f} | {mean['interior']:.3f} | {mean['training_seconds'] / 60:.1f} | {mean['seconds']:.1f} |"
    )


def call(folder: Path, program: str, *arguments: object) -> str:
    """Run one of the programs of this environment in `folder`; what it says on standard error."""
    command = [str(Path(sys.executable).parent / program), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stderr


if __name__ == "__main__":
    main()
