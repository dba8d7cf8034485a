"""Every provider that works here with every model file: the same heat maps and picks, how fast, with how much memory?

Files of one network in fp32, fp16 and int8 pick one tomogram, every provider and file in a process of its own. Heat
maps and picks are compared with those of the (first) fp32 file on the CPU. Combinations that are refused are listed.

    milopyp phantom --out phantoms --count 1 --size 128,512,512
    python benchmarks/gpu_check.py fp32.onnx fp16.onnx int8.onnx --tomogram phantoms/phantom_1.mrc --out table.md
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from milopyp_inference.engine import tensorrt_cache
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model, read_recipe
from milopyp_inference.engine.planning import parse_memory
from milopyp_inference.engine.providers.registry import PROVIDERS, describe
from milopyp_inference.pipeline import prepare, run_network
from milopyp_shared.errors import MilopypError
from milopyp_shared.matching import match_greedy
from milopyp_shared.peaks import above_threshold, nms
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe
from milopyp_shared.system import allowed_threads
from milopyp_shared.tomogram import open_tomogram

REFERENCE = "cpu"  # provider that the others are compared with
HEADINGS = (
    "file", "provider", "heat map, max difference", "mean difference", "picks", "picks in common", "s per tomogram",
    "of them network", "first run, s", "GPU memory, MiB",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one provider makes of one file.

    Attributes
    ----------
    seconds, network
        Medians per tomogram, without the first one: in all, and of the network alone.
    first
        Seconds of the first tomogram, with opening the file and building an engine.
    memory
        MiB in use on the GPU above what was before; None on the CPU and without nvidia-smi.
    """

    heat: NDArray[np.float32]
    picks: Picks
    seconds: float
    network: float
    first: float
    memory: int | None


@dataclass(frozen=True)
class Run:
    """A provider with a file: what was found, or why nothing was."""

    file: Path
    provider: str
    found: Found | None
    refused: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="ONNX files of one network, one of them in fp32")
    parser.add_argument("--tomogram", type=Path, required=True)
    parser.add_argument("--order", default="auto", help="axes of the tomogram's file")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU")
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--memory", help="as --memory of milopyp-infer")
    parser.add_argument("--rounds", type=int, default=5, help="tomograms timed, after a first one")
    parser.add_argument("--out", type=Path, help="file for the table, beside the terminal")
    parser.add_argument("--one", nargs=2, metavar=("PROVIDER", "FOLDER"), help=argparse.SUPPRESS)  # of the processes
    options = parser.parse_args()
    if options.one:
        one_run(options, options.one[0], Path(options.one[1]))
        return
    recipes = {path: read_recipe(path) for path in options.models}
    reference = next((path for path, recipe in recipes.items() if recipe.precision == "fp32"), None)
    if reference is None:
        parser.error("one of the files has to be fp32: it is what the others are compared with")
    states = dict(describe())
    working = [name for name, state in states.items() if state == "works"]
    first = (reference, REFERENCE)
    pairs = [first, *(pair for pair in itertools.product(options.models, working) if pair != first)]
    runs = [Run(*pair, *measured(options, *pair)) for pair in pairs]
    if runs[0].found is None:
        raise SystemExit(f"the reference cannot be computed: {runs[0].refused}")
    text = "\n".join([header(options, states), "", *table(runs, runs[0].found, recipes[reference])])
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


def header(options: argparse.Namespace, states: dict[str, str]) -> str:
    """Machine, GPU, versions, what was picked, what does not work."""
    z, y, x = open_tomogram(options.tomogram, options.order).shape
    gpu = tensorrt_cache.gpu_name(options.device) or "no GPU"
    broken = "".join(f" {name} does not work here: {state}." for name, state in states.items() if state != "works")
    return (
        f"{describe_machine()}; {gpu}; {options.threads} threads; a tomogram of {x} x {y} x {z} voxels, "
        f"medians of {options.rounds} runs after a first one.{broken}"
    )


def table(runs: list[Run], reference: Found, recipe: Recipe) -> list[str]:
    """One line per run."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    for run in runs:
        cells = [run.file.name, run.provider]
        if run.found is None:
            cells += [f"refused: {run.refused}", *[""] * (len(HEADINGS) - 3)]
        else:
            cells += compared(run.found, reference, recipe.diameter / 4)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def compared(found: Found, reference: Found, radius: float) -> list[str]:
    """The cells behind file and provider."""
    difference = np.abs(found.heat - reference.heat)
    return [
        f"{difference.max():.1e}",
        f"{difference.mean():.1e}",
        str(len(found.picks)),
        f"{agreement(found.picks, reference.picks, radius):.1%}",
        f"{found.seconds:.3f}",
        f"{found.network:.3f}",
        f"{found.first:.1f}",
        "-" if found.memory is None else str(found.memory),
    ]


def agreement(a: Picks, b: Picks, radius: float) -> float:
    """Share of the picks of both that have a partner in the other one within `radius` voxels; NaN without picks."""
    if len(a) == 0 or len(b) == 0:
        return 0.0 if len(a) + len(b) else float("nan")
    return 2 * int(match_greedy(b.xyz, b.score, a.xyz, radius).hit.sum()) / (len(a) + len(b))


def measured(options: argparse.Namespace, file: Path, provider: str) -> tuple[Found | None, str]:
    """What is found, or why nothing is.

    The process is another one, so that what a crash or a memory pool leaves does not reach the next run.
    """
    with tempfile.TemporaryDirectory(prefix="milopyp-check-") as name:
        folder = Path(name)
        words = [sys.executable, __file__, file, "--tomogram", options.tomogram, "--order", options.order]
        words += ["--device", options.device, "--threads", options.threads, "--rounds", options.rounds]
        words += ["--memory", options.memory] if options.memory else []
        before = None if not PROVIDERS[provider].gpu else memory_in_use(options.device)
        peak = before
        with (folder / "log").open("w+") as log:
            process = subprocess.Popen([*map(str, words), "--one", provider, name], stdout=log, stderr=log)
            while process.poll() is None:
                time.sleep(0.1)
                if before is not None:
                    peak = max(peak or 0, memory_in_use(options.device) or 0)
            log.seek(0)
            last = (log.read().splitlines() or [""])[-1]
        if process.returncode:
            return None, f"the process ended with {process.returncode}: {last}"
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
        if "refused" in facts:
            return None, facts["refused"]
        arrays = np.load(folder / "arrays.npz")
        memory = None if before is None or peak is None else peak - before
        return Found(arrays["heat"], Picks(arrays["xyz"], arrays["score"]), memory=memory, **facts), ""


def one_run(options: argparse.Namespace, provider: str, folder: Path) -> None:
    """The part of the process: arrays and facts are left in `folder`."""
    memory = parse_memory(options.memory) if options.memory else None
    totals, networks = [], []
    try:
        start = time.perf_counter()
        model = open_model(options.models[0], Machine(provider, options.device, options.threads, memory))
        for _ in range(options.rounds + 1):
            result = run_network(prepare(open_tomogram(options.tomogram, options.order), model.recipe), model)
            totals.append(time.perf_counter() - start)
            networks.append(result.seconds["network"])
            start = time.perf_counter()
    except MilopypError as error:
        (folder / "facts.json").write_text(json.dumps({"refused": error.found}))
        return
    picks = above_threshold(nms(result.candidates, model.recipe.suppression_distance), model.recipe.threshold.score)
    np.savez(folder / "arrays.npz", heat=result.heat, xyz=picks.xyz, score=picks.score)
    facts = {"seconds": statistics.median(totals[1:]), "network": statistics.median(networks[1:]), "first": totals[0]}
    (folder / "facts.json").write_text(json.dumps(facts))


def memory_in_use(device: int) -> int | None:
    """MiB in use on a GPU, by whomever; None without nvidia-smi."""
    command = ["nvidia-smi", f"--id={device}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return int(done.stdout.strip())


if __name__ == "__main__":
    main()
