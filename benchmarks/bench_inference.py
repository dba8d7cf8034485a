"""Picking speed and memory, beside the published method in eager PyTorch.

Four tables: whole processes on one tomogram of 512 x 512 x 256; the network alone, beside PyTorch and beside what the
machine can do in the same precision; peaks and suppression, beside scipy; memory against the size of the tomogram.
Networks have random weights, or a random head: speed does not depend on them (the number of candidates does, a little).

    python benchmarks/bench_inference.py                     all tables, half an hour on two cores
    python benchmarks/bench_inference.py --tables network,peaks
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_export import settle
from machine import describe_machine

from milopyp_export.convert import build, in_integers
from milopyp_export.graph import PickingGraph
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.openvino_runtime import import_openvino
from milopyp_inference.engine.streaming import ChunkStream
from milopyp_shared import preprocessing as grey_module
from milopyp_shared.calibration import Threshold
from milopyp_shared.mrc import write_mrc
from milopyp_shared.peaks import find_candidates, nms, warm_up
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.pretrained_weights import read_pretrained
from milopyp_shared.recipe import Recipe
from milopyp_training.networks.pretrained import build_pretrained
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d

TABLES = ("network", "peaks", "whole", "memory")
PRECISIONS = ("fp32", "bf16", "int8")
REFERENCE = "published method, eager PyTorch, whole volume at once"
LEVELS = np.array([0.0, 255.0], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="512x512x256", help="of the tomogram of the table of whole processes")
    parser.add_argument("--published", type=Path, help=argparse.SUPPRESS)  # this file, as the published method
    options = parser.parse_args()
    if options.published:
        published_method(options.published, options.threads)
        return
    torch.set_num_threads(options.threads)
    print(f"{describe_machine()}; {options.threads} threads, medians of {options.rounds} interleaved runs\n")
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as folder:
        models = make_models(Path(folder))
        for table in options.tables.split(","):
            globals()[f"table_of_{table}"](Path(folder), models, options)
            print(flush=True)


def make_models(folder: Path) -> dict[str, Path]:
    """The networks in fp32 and int8, by name and precision."""
    models = {}
    rng = np.random.default_rng(1)
    slab = {"sections": rng.integers(0, 256, (1, 12, 128, 128), np.uint8), "levels": LEVELS}
    for name, make in NETWORKS.items():
        network = make()
        grey = grey_module.published() if name == "unet_4" else Preprocessing()
        architecture = "unet_4" if name == "unet_4" else "unet3d"
        recipe = Recipe(
            architecture, "published" if name == "unet_4" else "default", grey, network.geometry(), 20.0,
            Threshold(0.9, "none"), network.architecture_options,
        )  # fmt: skip
        graph = PickingGraph(network, 1e-4 if name == "unet_4" else 0.0)
        for precision in ("fp32", "int8"):
            built = build(graph, recipe, "conv2d_stack" if precision == "int8" else "conv2d_sum")
            if precision == "int8":
                built = in_integers(replace(built, recipe=replace(built.recipe, precision="int8")), [slab], False)
            models[f"{name} {precision}"] = folder / f"{name}_{precision}.onnx"
            built.save(models[f"{name} {precision}"])
    return models


def settled(network: Any) -> Any:
    """A network of random weights in evaluation mode, whose numbers stay in range."""
    torch.manual_seed(1)
    network = network.eval()
    settle(network)
    make_quiet(network)
    return network


def pretrained() -> Any:
    """The shipped network, with a random head."""
    torch.manual_seed(1)
    network = build_pretrained(read_pretrained()).eval()
    make_quiet(network)
    return network


NETWORKS: dict[str, Callable[[], Any]] = {
    "unet_4": lambda: settled(SectionUNet(4)),
    "scratch": lambda: settled(UNet3d()),
    "pretrained": pretrained,
}


def make_quiet(network: Any) -> None:
    """Scores as low as those of trained networks: where every voxel is a candidate, candidates are what takes time."""
    noise = torch.rand(1, 12, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits = network.picking_logits(noise)
    if isinstance(network, SectionUNet):  # its output has no bias
        return
    with torch.no_grad():
        network.head.weight /= logits.std()
        network.head.bias.copy_((network.head.bias - logits.mean()) / logits.std() - 8.0)


def table_of_network(folder: Path, models: dict[str, Path], options: argparse.Namespace) -> None:
    """The network stage of a section of 512 x 512, in the pieces in which picking runs it within a gigabyte."""
    rng = np.random.default_rng(1)
    peaks = {precision: convolution_peak(precision, options.threads) for precision in PRECISIONS}
    said = ", ".join(f"{rate:.0f} in {precision}" for precision, rate in peaks.items())
    print(f"Largest rate of a 3 x 3 x 3 convolution of 128 channels in OpenVINO here, GFLOP/s: {said}\n")
    print("| network | s per section | PyTorch / this | GFLOP/s | part of the peak |\n|---|---|---|---|---|")
    for name, make in NETWORKS.items():
        network = make()
        slab = rng.integers(0, 256, (8, 512, 512), np.uint8)
        as_float = torch.from_numpy(slab[None].astype(np.float32) / 255)
        runs: dict[str, tuple[str, int, Callable[[], Any]]] = {
            "PyTorch eager, fp32": ("fp32", 8, lambda network=network, x=as_float: eager(network, x))
        }
        for precision in ("fp32", "int8"):
            model = open_model(models[f"{name} {precision}"], Machine("cpu", threads=options.threads))
            chunks = model.recipe.chunks
            assert chunks is not None
            stream = ChunkStream(model.engine.streaming_session, chunks, LEVELS, 10**6, (512, 512))
            runs[f"onnxruntime, {precision}"] = (
                precision, 8, lambda stream=stream, slab=slab: stream.run(stream.inputs(slab, 400))
            )  # fmt: skip
        for precision in PRECISIONS:
            file = models[f"{name} {'int8' if precision == 'int8' else 'fp32'}"]
            wanted = "bf16" if precision == "bf16" else None
            model = open_model(file, Machine("openvino", threads=options.threads, precision=wanted))
            tile = model.engine.plan((128, 512, 512)).largest
            block = rng.integers(0, 256, tile, np.uint8)
            sections = tile[0] * tile[1] * tile[2] / (512 * 512)
            runs[f"OpenVINO, {precision}"] = (
                precision, sections, lambda engine=model.engine, block=block: engine.run(block, LEVELS)
            )  # fmt: skip
        times = interleaved({what: run for what, (_, _, run) in runs.items()}, options.rounds)
        seconds = {what: times[what] / sections for what, (_, sections, _) in runs.items()}
        for what, (precision, _, _) in runs.items():
            rate = operations(network) * 512 * 512 / seconds[what] / 1e9
            print(
                f"| {name}, {what} | {seconds[what]:.4f} | {seconds['PyTorch eager, fp32'] / seconds[what]:.1f} "
                f"| {rate:.0f} | {rate / peaks[precision]:.0%} |",
                flush=True,
            )


def table_of_peaks(folder: Path, models: dict[str, Path], options: argparse.Namespace) -> None:
    """Peaks and suppression in a heat map of 8 million voxels with 2,000 particles."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    rng = np.random.default_rng(1)
    heat = np.zeros((128, 256, 256), np.float32)
    places = rng.integers(0, heat.shape, (2000, 3))
    heat[tuple(places.T)] = rng.uniform(0.3, 1.0, 2000)
    heat = gaussian_filter(heat, 2.0)
    heat /= heat.max()

    def ours() -> int:
        return len(nms(find_candidates(heat, (2, 2, 2)), 12.0))

    def scipy_way() -> int:
        found = np.argwhere((maximum_filter(heat, 7) == heat) & (heat > 0.01))
        return len(found[np.argsort(-heat[tuple(found.T)])])

    warm_up()
    ours()
    times = interleaved({"peaks, sub-voxel positions, suppression": ours, "scipy: maximum filter, sort": scipy_way}, 7)
    print("| 8.4 M voxels, 2,000 particles | ms | scipy / this | found |\n|---|---|---|---|")
    for (what, seconds), count in zip(times.items(), (ours(), scipy_way()), strict=True):
        print(f"| {what} | {1000 * seconds:.0f} | {list(times.values())[1] / seconds:.1f} | {count} |")


def table_of_whole(folder: Path, models: dict[str, Path], options: argparse.Namespace) -> None:
    """Whole processes, one pass without mirrored copies."""
    tomogram, outs = write_noise(folder / "whole.mrc", options.size), dict[str, Path]()
    commands = {}
    for name in models:
        ways = {"cpu": [], "openvino": [], "openvino, bf16": ["--precision", "bf16"]}
        for way, more in ways.items():
            if more and name.endswith("int8"):
                continue
            words = ["--provider", way.partition(",")[0], *more]
            out = folder / f"out_{len(commands)}"
            commands[f"{name}, {way}"] = [*infer([tomogram], models[name], out, options.threads), *words]
            outs[f"{name}, {way}"] = out
    commands[REFERENCE] = [
        sys.executable, __file__, "--published", str(tomogram), "--threads", str(options.threads),
    ]  # fmt: skip
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            found[name].append(measured(command))
    reference = statistics.median(
        run["seconds"] for run in found["published method, eager PyTorch, whole volume at once"]
    )
    print(f"Tomogram of {options.size} int16, `--memory 1GB --flips 1`; memory without mapped file pages.\n")
    print("| what | s | published / this | in the network | preparing | peak memory, MB |\n|---|---|---|---|---|---|")
    for name, runs in found.items():
        seconds, memory = (statistics.median(run[key] for run in runs) for key in ("seconds", "memory"))
        stages = stages_of(outs[name]) if name in outs else {}
        parts = [f"{stages[key] / seconds:.0%}" for key in ("network", "preprocess")] if stages else ["", ""]
        print(f"| {name} | {seconds:.1f} | {reference / seconds:.1f} | {parts[0]} | {parts[1]} | {memory:.0f} |")


def table_of_memory(folder: Path, models: dict[str, Path], options: argparse.Namespace) -> None:
    """Peak memory must not grow with depth, and `--memory` must hold, while the next tomogram is prepared, too."""
    print(
        "| tomograms | model | --memory | s | peak, MB | peak with mapped file pages, MB |\n|---|---|---|---|---|---|"
    )
    for count, size, memory in ((2, "512x512x512", "1GB"), (1, "512x512x2048", "1GB"), (1, "1024x1024x512", "2GB")):
        tomograms = [write_noise(folder / f"memory_{number}.mrc", size) for number in range(count)]
        for name, provider in itertools.product(("pretrained fp32", "unet_4 int8"), ("cpu", "openvino")):
            command = infer(tomograms, models[name], folder / "out", options.threads, memory)
            run = measured([*command, "--provider", provider])
            print(
                f"| {count} x {size} | {name}, {provider} | {memory} | {run['seconds']:.0f} | {run['memory']:.0f} "
                f"| {run['mapped']:.0f} |",
                flush=True,
            )


def published_method(tomogram: Path, threads: int) -> None:
    """The published method on a whole tomogram at once, with this project's network: the reference of all ratios."""
    from scipy.ndimage import gaussian_filter

    from milopyp_inference.decode.published import PublishedOptions, pick
    from milopyp_shared.tomogram import open_tomogram

    torch.set_num_threads(threads)
    volume = open_tomogram(tomogram, "xyz").sections(0, 10**6).astype(np.float32)
    volume = np.maximum(volume[0::2], volume[1::2])
    volume = gaussian_filter((volume - volume.mean()) / volume.std(), 0.8)
    volume = np.clip((volume - volume.mean()) / volume.std(), -3, 3)
    levels = np.rint((volume + 3) / 6 * 255).astype(np.uint8)
    grey = torch.from_numpy(levels.astype(np.float32) / 255)[None]
    torch.manual_seed(1)
    network = SectionUNet(4).eval()
    with torch.inference_mode():
        heat = torch.sigmoid(network.picking_logits(grey)).clamp(1e-4, 1 - 1e-4)[0].numpy()
    pick(heat, PublishedOptions(), 0.9, (2, 2, 2))


def infer(tomograms: Sequence[Path], model: Path, out: Path, threads: int, memory: str = "1GB") -> list[str]:
    """A command line."""
    program = str(Path(sys.executable).with_name("milopyp-infer"))
    words = [*tomograms, "--order", "xyz", "--model", model, "--out", out, "--threads", threads, "--memory", memory]
    return [program, *map(str, words), "--flips", "1", "--overwrite"]


def measured(command: list[str]) -> dict[str, float]:
    """Seconds of a process, and its peak memory in MB: without mapped file pages (seen every 20 ms), and with them."""
    start, memory, mapped = time.perf_counter(), 0, 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            break
        status = {key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines)
                  if key in ("RssAnon", "RssShmem", "VmHWM")}  # fmt: skip
        memory = max(memory, status.get("RssAnon", 0) + status.get("RssShmem", 0))
        mapped = max(mapped, status.get("VmHWM", 0))
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {process.stderr.read()[-500:]!r}")  # type: ignore[union-attr]
    return {"seconds": seconds, "memory": memory * 1024 / 1e6, "mapped": mapped * 1024 / 1e6}


def stages_of(out: Path) -> dict[str, float]:
    """Seconds per stage that a run has noted."""
    if not (out / "run.json").is_file():
        return {}
    stages: dict[str, float] = json.loads((out / "run.json").read_text())["tomograms"][0]["seconds"]
    return stages


def write_noise(path: Path, size: str) -> Path:
    """An int16 tomogram of smoothed noise, x by y by z."""
    from scipy.ndimage import gaussian_filter

    x, y, z = (int(word) for word in size.split("x"))
    block = gaussian_filter(np.random.default_rng(1).standard_normal((32, y, x), dtype=np.float32), 1.0)
    repeated = np.memmap(path.with_suffix(".raw"), np.int16, "w+", shape=(z, y, x))
    for first in range(0, z, 32):
        repeated[first : first + 32] = block * 1000
    write_mrc(path, repeated, 10.0)
    path.with_suffix(".raw").unlink()
    return path


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, run in turns after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def eager(network: torch.nn.Module, sections: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.sigmoid(network.picking_logits(sections))


def operations(network: torch.nn.Module) -> float:
    """Floating-point operations per input voxel, counted by PyTorch."""
    from torch.utils.flop_counter import FlopCounterMode

    sections = torch.zeros(1, 8, 128, 128)
    with FlopCounterMode(display=False) as counter:
        eager(network, sections)
    return counter.get_total_flops() / sections.numel()


def convolution_peak(precision: str, threads: int) -> float:
    """GFLOP/s of a large 3D convolution in OpenVINO."""
    ov = import_openvino()
    ops, size, channels = ov.opset13, (16, 64, 64), 128

    def in_range(node: Any) -> Any:
        return ops.fake_quantize(node, *(np.float32(limit) for limit in (-1, 1, -1, 1)), 255)

    x = ops.parameter([1, channels, *size], np.float32)
    kernel = ops.constant(np.random.default_rng(1).uniform(-1, 1, (channels, channels, 3, 3, 3)).astype(np.float32))
    nodes = (in_range(x), in_range(kernel)) if precision == "int8" else (x, kernel)
    one = [1, 1, 1]
    model = ov.Model([ops.relu(ops.convolution(*nodes, one, one, one, one))], [x])
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
    values = np.random.default_rng(1).uniform(-1, 1, (1, channels, *size)).astype(np.float32)
    seconds = interleaved({"": lambda: request.infer([values], share_outputs=True)}, 7)[""]
    return float(2 * 27 * channels**2 * np.prod(size) / seconds / 1e9)


if __name__ == "__main__":
    main()
