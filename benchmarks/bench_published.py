"""How good is `--preset published`? The rows of the reference run of the published program, for several seeds.

Training as there: unet_4, contrastive, 27 labels (30 %, seed 1) of dev01 and dev02, bbox 24, 5 epochs, the last one is
used; test on dev04 with 52 ribosomes. Matching within 12.5 voxels, one to one, best score first; before matching, picks
closer than 12.5 voxels to a better one are dropped, except in the row "no distance NMS".

    python benchmarks/bench_published.py --seeds 1,2,3
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from bench_accuracy import call
from machine import describe_machine
from numpy.typing import NDArray
from tasks import reference_data

from milopyp_inference.decode.published import above_threshold, decode
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.matching import evaluate
from milopyp_shared.peaks import nms
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import open_tomogram

RADIUS, BBOX, EPOCHS, LIMIT, THRESHOLD = 12.5, 24, 5, 900, 0.2
# The published program's own run (AUPRC, best F1, RMSE), from the reference data.
REFERENCE = {
    "published file, no distance NMS, all 52": (0.244, 0.510, 3.63),
    "published file, all 52": (0.367, 0.639, 3.63),
    "published file, inside, 31": (0.615, 0.816, 3.63),
    "heat-map peaks without margins and threshold, all 52": (0.620, 0.793, 3.73),
    "the same with 0.5 added to x, y, z": (0.620, 0.793, 3.59),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with dev/; MILOPYP_REFERENCE/data by default")
    parser.add_argument("--seeds", default="1,2,3", help="training seeds")
    parser.add_argument("--extra", default="", help="more options for milopyp-train")
    parser.add_argument("--work", type=Path, default=Path("bench_published"))
    options = parser.parse_args()
    lists = (options.data or reference_data()) / "dev" / "lists" / "ribosome70S"
    runs = [run_one(int(seed), lists, options.work.resolve(), options.extra) for seed in options.seeds.split(",")]
    print(f"{describe_machine()}; training seeds {options.seeds}, {EPOCHS} epochs; training ", end="")
    print(f"{statistics.mean(run['seconds'] for run in runs):.0f} s per run (mean), machine busy\n")
    print("| picks | AUPRC (each seed) | best F1 | RMSE, voxels | mean offset x, y, z | published program |")
    print("|---|---|---|---|---|---|")
    for name, reference in REFERENCE.items():
        rows = [run["rows"][name] for run in runs]
        auprc, f1, rmse = (statistics.mean(row[key] for row in rows) for key in ("auprc", "f1", "rmse"))
        each = ", ".join(f"{row['auprc']:.2f}" for row in rows)
        offset = ", ".join(f"{value:+.2f}" for value in np.mean([row["offset"] for row in rows], axis=0))
        published = " / ".join(map(str, reference))
        print(f"| {name} | {auprc:.3f} ({each}) | {f1:.3f} | {rmse:.2f} | {offset} | {published} |")


def run_one(seed: int, lists: Path, work: Path, extra: str) -> dict:
    """Train, export, pick and judge with one seed; kept in `work`."""
    folder = work / f"seed{seed}{extra.replace(' ', '_')}"
    result = folder / "figures.json"
    if result.exists():
        return json.loads(result.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    call(
        folder, "milopyp-train", "--preset", "published", "--train-img-txt", lists / "images_train.tsv",
        "--train-coord-txt", lists / "coords_train_30pct_seed1.tsv", "--bbox", BBOX, "--num-epochs", EPOCHS,
        "--seed", seed, "--exp-id", "run", "--no-export", *extra.split(),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    call(folder, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", "model.onnx", "--overwrite")
    call(folder, "milopyp-infer", lists / "images_test.tsv", "--model", "model.onnx", "--out", "picks", "--overwrite")
    heat = open_tomogram(folder / "picks" / "dev04_hm.mrc", "xzy")
    (truth,) = read_coordinate_list(lists / "coords_test.tsv").values()
    figures = {"seconds": seconds, "rows": judge(np.ascontiguousarray(heat.zyx), exact_truth(lists, truth))}
    result.write_text(json.dumps(figures))
    return figures


def exact_truth(lists: Path, rounded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sub-voxel centres of dev04, which the reference figures were measured against."""
    table = (lists.parents[1] / "truth" / "dev04.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in table[1:]]
    exact = np.array([[float(cell) for cell in row[1:4]] for row in rows if row[0] == "ribosome70S"])
    assert len(exact) == len(rounded)
    return exact


def judge(heat: NDArray[np.float32], truth: NDArray[np.float64]) -> dict:
    """Every row of the table."""
    found = decode(heat, nms=3, limit=LIMIT)
    written = above_threshold(found, heat.shape, THRESHOLD, cutoff_z=10)
    order = np.argsort(-written.score, kind="stable")
    file = Picks(written.xyz[order], written.score[order])
    # whole even numbers, as the published decode writes them
    peaks = Picks(found.zyx[:, ::-1] * 2.0, found.score.astype(np.float64))
    inside = np.all((truth[:, :2] > 20) & (truth[:, :2] < 236), axis=1) & (truth[:, 2] >= 20) & (truth[:, 2] <= 76)
    moved = nms(peaks, RADIUS)
    rows = [
        evaluate(file, truth, RADIUS),
        evaluate(nms(file, RADIUS), truth, RADIUS),
        evaluate(nms(file, RADIUS), truth, RADIUS, counted=inside),
        evaluate(moved, truth, RADIUS),
        evaluate(Picks(moved.xyz + 0.5, moved.score), truth, RADIUS),
    ]
    return {
        name: {"auprc": row.auprc, "f1": row.best.f1, "rmse": row.rmse, "offset": [float(v) for v in row.mean_offset]}
        for name, row in zip(REFERENCE, rows, strict=True)
    }


if __name__ == "__main__":
    main()
