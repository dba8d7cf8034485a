"""What bf16 and int8 cost in accuracy: AUPRC and picks in common with fp32, for every provider for CPUs.

Networks are those that `bench_accuracy.py` has trained into --work; nothing is trained here.

    python benchmarks/bench_accuracy.py --tasks proteasome26S,thyroglobulin,betagal --labels 15 --seeds 1 --work W
    python benchmarks/bench_precision.py --tasks proteasome26S,thyroglobulin,betagal --labels 15 --seeds 1 --work W
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mrcfile
import numpy as np
from bench_accuracy import call, judge
from machine import describe_machine
from tasks import TASKS, Draw, Task, draws, reference_data

from milopyp_export.parity import count_partners
from milopyp_inference.batch.reader import candidates_of, read_records
from milopyp_shared.picks import Picks

WAYS = {
    "fp32, cpu": ("model.onnx", "--provider", "cpu"),
    "fp32, openvino": ("model.onnx", "--provider", "openvino"),
    "bf16, openvino": ("model.onnx", "--precision", "bf16"),
    "int8, cpu": ("int8.onnx", "--provider", "cpu"),
    "int8, openvino": ("int8.onnx", "--provider", "openvino"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", required=True)
    parser.add_argument("--labels", default="15")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--work", type=Path, default=Path("bench_accuracy"))
    options = parser.parse_args()
    print(f"{describe_machine()}; test tomograms, {options.labels} labels\n")
    print("| task | arithmetic, provider | AUPRC | picks | in common with fp32 | heat map, max difference | mean |")
    print("|---|---|---|---|---|---|---|")
    for task in TASKS:
        if task.species in options.tasks.split(","):
            for draw in draws(options.labels):
                if str(draw.number) in options.seeds.split(","):
                    one_task(task, draw, options.work.resolve())


def one_task(task: Task, draw: Draw, work: Path) -> None:
    """The rows of one trained network."""
    folder = work / f"{task.species}_pretrained_{draw.name}"
    lists = reference_data() / task.dataset / "lists" / task.species
    if not (folder / "int8.onnx").exists():
        call(
            folder, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", "int8.onnx",
            "--precision", "int8", "--calibration", lists / "images_train.tsv",
        )  # fmt: skip
    reference: tuple[Picks, np.ndarray] | None = None
    for way, (model, *words) in WAYS.items():
        out = folder / way.replace(", ", "_")
        call(
            folder, "milopyp-infer", lists / "images_test.tsv", "--model", model, "--out", out, "--overwrite", *words
        )  # fmt: skip
        [record] = read_records(out)
        selection = record.options.selection
        picks = candidates_of(out, record, selection.threshold, selection.limit)
        with mrcfile.open(out / f"{record.name}_hm.mrc") as file:
            heat = np.array(file.data, np.float32)
        reference = reference or (picks, heat)
        common = count_partners(reference[0], picks, task.radius)
        share = 2 * common / max(len(picks) + len(reference[0]), 1)
        auprc = judge(out, lists / "coords_test.tsv", task.radius)["auprc"]
        difference = np.abs(heat - reference[1])
        print(
            f"| {task.species} | {way} | {auprc:.3f} | {len(picks)} | {share:.0%} | {difference.max():.1g} "
            f"| {difference.mean():.1g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
