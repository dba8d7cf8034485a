"""Forms and precisions of exported files, side by side: size, seconds per slab, heat maps, picks.

The first table needs nothing: networks with random weights, in every layout. The second one takes checkpoints that
bench_accuracy.py has left in its --work folder, exports each in every precision (int8 calibrated on the training
tomograms), and picks the test tomogram. Times are medians of interleaved runs of one slab.

    python benchmarks/bench_export.py --models bench_accuracy --tasks ribosome70S,proteasome26S,betagal
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from machine import describe_machine
from tasks import TASKS, Task, reference_data
from torch import nn

from milopyp_export.convert import ExportOptions, export
from milopyp_export.graph import PickingGraph, make_graph
from milopyp_export.lowering import Layout
from milopyp_export.precision import Precision, quantise
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.runtime import import_onnxruntime
from milopyp_inference.pipeline import prepare, run_network
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lists import read_image_list
from milopyp_shared.matching import evaluate
from milopyp_shared.peaks import nms
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d

LAYOUTS: tuple[Layout, ...] = ("conv3d", "conv2d_sum", "conv2d_stack")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
LEVELS = np.array([0.0, 255.0], dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="folder with TASK_PRESET_LABELS/exp/semi/run/*.pth")
    parser.add_argument("--data", type=Path, help="folder with dev/ and mid/; MILOPYP_REFERENCE/data by default")
    parser.add_argument("--tasks", default="ribosome70S,proteasome26S,betagal")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--labels", default="30pct_seed1")
    parser.add_argument("--slab", default="32x256x256", help="sections x rows x columns")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    slab = tuple(int(size) for size in options.slab.split("x"))
    print(
        f"{describe_machine()}; {options.threads} threads, slab {options.slab}, medians of {options.rounds} "
        "interleaved runs\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        compare_layouts(Path(folder), slab, options)
        if options.models:
            compare_precisions(Path(folder), slab, options)


def compare_layouts(folder: Path, slab: tuple[int, ...], options: argparse.Namespace) -> None:
    """First table: the same arithmetic in three layouts, and integers."""
    print("| network | layout | s per slab | conv3d / this | differs from conv3d |\n|---|---|---|---|---|")
    for name, network in (("unet3d", UNet3d()), ("unet_4", SectionUNet(4))):
        settle(network)
        models = {layout: make_graph(PickingGraph(network.eval(), 0.0), layout) for layout in LAYOUTS}
        inputs = {"sections": noise((12, *slab[1:]), 2), "levels": LEVELS}
        models["conv2d_stack, int8"] = quantise(models["conv2d_stack"], [inputs], reduce_range=False)
        files = {layout: folder / f"{name}_{layout}.onnx" for layout in models}
        for layout, model in models.items():
            onnx.save(model, str(files[layout]))
        seconds, heats = race(files, slab, options)
        for layout in files:
            print(
                f"| {name} | {layout} | {seconds[layout]:.3f} | {seconds['conv3d'] / seconds[layout]:.2f} | "
                f"{np.abs(heats[layout] - heats['conv3d']).max():.1g} |",
                flush=True,
            )
    print()


def compare_precisions(folder: Path, slab: tuple[int, ...], options: argparse.Namespace) -> None:
    """Second table: trained models in every precision, judged by their picks."""
    data = options.data or reference_data()
    wanted = options.tasks.split(",")
    print(
        "| task | precision | MiB | s per slab | fp32 / this | heat map, max difference | AUPRC | best F1 |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for task in (task for task in TASKS if task.species in wanted):
        lists = data / task.dataset / "lists" / task.species
        run = options.models / f"{task.species}_{options.preset}_{options.labels}" / "exp/semi/run"
        calibration = read_image_list(lists / "images_train.tsv")
        files = {}
        for precision in PRECISIONS:
            files[precision] = folder / f"{task.species}_{precision}.onnx"
            wish = ExportOptions(precision=precision, calibration=calibration if precision == "int8" else ())
            export(run / "model_last_contrastive.pth", files[precision], wish)
        seconds, _ = race(files, slab, options)
        judged = {name: judge(path, task, lists) for name, path in files.items()}
        for name, path in files.items():
            heat, auprc, f1 = judged[name]
            print(
                f"| {task.species} | {name} | {path.stat().st_size / 2**20:.2f} | {seconds[name]:.3f} | "
                f"{seconds['fp32'] / seconds[name]:.2f} | {np.abs(heat - judged['fp32'][0]).max():.1g} | "
                f"{auprc:.3f} | {f1:.3f} |",
                flush=True,
            )


def judge(path: Path, task: Task, lists: Path) -> tuple[np.ndarray[Any, Any], float, float]:
    """Heat map of the test tomogram, AUPRC and best F1 over all its particles."""
    [image] = read_image_list(lists / "images_test.tsv")
    truth = read_coordinate_list(lists / "coords_test.tsv")[image.name]
    model = open_model(path)
    [result] = run_network(prepare(open_tomogram(image.path), model.recipe), model)
    found = evaluate(nms(result.candidates, model.recipe.suppression_distance), truth, task.radius)
    return result.heat, found.auprc, found.best.f1


def race(
    files: dict[str, Path], slab: tuple[int, ...], options: argparse.Namespace
) -> tuple[dict[str, float], dict[str, np.ndarray[Any, Any]]]:
    """Median seconds of one slab for every file, the files taking turns; and their heat maps."""
    onnxruntime, sessions = import_onnxruntime(), {}
    for name, path in files.items():
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
        settings.log_severity_level = 4
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle sessions must not steal time
        sessions[name] = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    inputs = {"sections": noise(slab, 1), "levels": LEVELS}
    heats = {name: session.run(["heatmap"], inputs)[0] for name, session in sessions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(options.rounds):
        for name, session in sessions.items():
            start = time.perf_counter()
            session.run(["heatmap"], inputs)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}, heats


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    values = np.random.default_rng(seed).normal(127.5, 32.0, (1, *shape))
    return values.clip(0, 255).astype(np.uint8)


def settle(network: nn.Module) -> None:
    """Statistics of a batch, so that numbers have the size that they have in trained networks."""
    torch.manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight)
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.rand(1, 8, 64, 64))
    network.eval()


if __name__ == "__main__":
    sys.exit(main())
