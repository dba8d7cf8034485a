"""Picking speed and memory, beside the published method in eager PyTorch.

Four tables: whole processes on one tomogram of 512 x 512 x 256; the network alone, beside PyTorch and beside what the
machine can do; peaks and suppression, beside scipy; memory against the size of the tomogram. Networks have random
weights unless models are given: speed does not depend on them (the number of candidates does, a little).

    python benchmarks/bench_inference.py                     all tables, 20 to 30 minutes on two cores
    python benchmarks/bench_inference.py --tables network,peaks
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_export import settle
from machine import describe_machine

from milopyp_export.convert import build
from milopyp_export.graph import PickingGraph
from milopyp_export.precision import quantise
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.streaming import ChunkStream
from milopyp_shared import preprocessing as grey_module
from milopyp_shared.mrc import write_mrc
from milopyp_shared.peaks import find_candidates, nms, warm_up
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import Recipe, Threshold
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d

TABLES = ("network", "peaks", "whole", "memory")
NETWORKS = {"unet_4": lambda: SectionUNet(4), "unet3d": UNet3d}
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
    """Both networks in fp32 and int8, with random weights."""
    models = {}
    rng = np.random.default_rng(1)
    for name, make in NETWORKS.items():
        torch.manual_seed(1)
        network = make().eval()
        settle(network)
        make_quiet(network)
        parameters = grey_module.published() if name == "unet_4" else Preprocessing()
        preset = "published" if name == "unet_4" else "default"
        recipe = Recipe(name, preset, parameters, network.geometry(), 20.0, Threshold(0.9, "none"))
        graph = PickingGraph(network, 1e-4 if name == "unet_4" else 0.0)
        models[f"{name} fp32"] = folder / f"{name}.onnx"
        build(graph, recipe).save(models[f"{name} fp32"])
        stacked = build(graph, recipe, "conv2d_stack")
        slab = {"sections": rng.integers(0, 256, (1, 12, 128, 128), np.uint8), "levels": LEVELS}
        models[f"{name} int8"] = folder / f"{name}_int8.onnx"
        quantised_file(stacked, slab, models[f"{name} int8"])
    return models


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


def quantised_file(built: Any, slab: dict[str, Any], path: Path) -> None:
    from dataclasses import replace

    from milopyp_export.streaming_graph import streaming_inputs

    inputs = streaming_inputs(built.streaming, built.recipe.chunks, [slab])
    recipe = replace(built.recipe, precision="int8")
    whole, streaming = quantise(built.whole, [slab], False), quantise(built.streaming, inputs, False)
    replace(built, whole=whole, streaming=streaming, recipe=recipe).save(path)


def table_of_network(folder: Path, models: dict[str, Path], options: argparse.Namespace) -> None:
    """The network stage of a section of 512 x 512, in chunks of 8 sections as picking runs it."""
    sections = np.random.default_rng(1).integers(0, 256, (8, 512, 512), np.uint8)
    as_float = torch.from_numpy(sections[None].astype(np.float32) / 255)
    peak = convolution_peak(options.threads)
    print(f"Largest rate of a 3 x 3 convolution of 128 channels in PyTorch here: {peak:.0f} GFLOP/s\n")
    print("| network | s per section | PyTorch / this | GFLOP/s | part of the peak |\n|---|---|---|---|---|")
    for name, make in NETWORKS.items():
        network = make().eval()
        runs: dict[str, Callable[[], Any]] = {"PyTorch eager, fp32": lambda network=network: eager(network, as_float)}
        for precision in ("fp32", "int8"):
            model = open_model(models[f"{name} {precision}"], Machine("cpu", threads=options.threads))
            chunks = model.recipe.chunks
            assert chunks is not None
            stream = ChunkStream(model.engine.streaming_session, chunks, LEVELS, 10**6, (512, 512))
            runs[f"onnxruntime, {precision}"] = lambda stream=stream: stream.run(stream.inputs(sections, 400))
        times = interleaved(runs, options.rounds)
        flops = operations(network) * 512 * 512
        for what, seconds in times.items():
            rate = flops / (seconds / 8) / 1e9
            part = f"{rate / peak:.0%}" if "fp32" in what else ""
            print(
                f"| {name}, {what} | {seconds / 8:.3f} | {times['PyTorch eager, fp32'] / seconds:.2f} | {rate:.0f} "
                f"| {part} |"
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
    tomogram = write_noise(folder / "whole.mrc", options.size)
    commands = {
        name: infer([tomogram], model, folder / f"out_{name.replace(' ', '_')}", options.threads)
        for name, model in models.items()
    }
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
        stages = stages_of(folder / f"out_{name.replace(' ', '_')}")
        parts = [f"{stages[key] / stages['total']:.0%}" for key in ("network", "preprocess")] if stages else ["", ""]
        print(f"| {name} | {seconds:.1f} | {reference / seconds:.1f} | {parts[0]} | {parts[1]} | {memory:.0f} |")


def table_of_memory(folder: Path, models: dict[str, Path], options: argparse.Namespace) -> None:
    """Peak memory must not grow with depth, and `--memory` must hold, while the next tomogram is prepared, too."""
    print(
        "| tomograms | model | --memory | s | peak, MB | peak with mapped file pages, MB |\n|---|---|---|---|---|---|"
    )
    for count, size, memory in ((2, "512x512x512", "1GB"), (1, "512x512x2048", "1GB"), (1, "1024x1024x512", "2GB")):
        tomograms = [write_noise(folder / f"memory_{number}.mrc", size) for number in range(count)]
        for name in ("unet3d fp32", "unet_4 int8"):
            run = measured(infer(tomograms, models[name], folder / "out", options.threads, memory))
            print(
                f"| {count} x {size} | {name} | {memory} | {run['seconds']:.0f} | {run['memory']:.0f} "
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
    return [program, *map(str, words), "--flips", "1", "--overwrite", "--provider", "cpu"]


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


def convolution_peak(threads: int) -> float:
    """GFLOP/s of a large 2D convolution."""
    torch.set_num_threads(threads)
    layer, x = torch.nn.Conv2d(128, 128, 3, padding=1).eval(), torch.randn(1, 128, 256, 256)
    with torch.inference_mode():
        times = interleaved({"": lambda: layer(x)}, 7)
    return 2 * 9 * 128 * 128 * 256 * 256 / times[""] / 1e9


if __name__ == "__main__":
    main()
