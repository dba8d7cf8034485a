"""Does a second process pick faster, and what does SLURM add?

    python benchmarks/bench_processes.py

Twelve tomograms of 256 x 256 x 96 voxels with the default network (random weights): one process with all threads,
workers that share them, and a SLURM array on a cluster of one node that is started for it (as root, with Debian's
slurm-wlm and munge; left out elsewhere). The variants take turns; medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from bench_inference import interleaved, make_models, write_noise
from machine import describe_machine

from milopyp_shared.lists import ImageEntry, write_image_list

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/cluster"))
from one_node import missing, one_node

COUNT, SIZE = 12, "256x256x96"
INFER = str(Path(sys.executable).with_name("milopyp-infer"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    threads = len(os.sched_getaffinity(0))
    ways = {
        f"1 process, {threads} threads": ["--threads", str(threads)],
        f"{threads} workers, 1 thread each": ["--workers", str(threads), "--threads", str(threads)],
    }
    if why := missing():
        print(f"without SLURM: {why}", file=sys.stderr)
    else:
        ways[f"SLURM, {threads} jobs, 1 CPU each"] = ["--slurm", "--slurm-jobs", str(threads), "--slurm-cpus", "1"]
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as name, one_node() if not why else nullcontext():
        folder = Path(name)
        model = make_models(folder)["scratch fp32"]
        first = write_noise(folder / "t0.mrc", SIZE)
        entries = [ImageEntry(f"t{number}", folder / f"t{number}.mrc") for number in range(COUNT)]
        for entry in entries[1:]:
            shutil.copy(first, entry.path)
        write_image_list(folder / "list.tsv", entries)

        def run(words: list[str]) -> Callable[[], None]:
            def once() -> None:
                out = folder / "picks"
                shutil.rmtree(out, ignore_errors=True)
                line = [INFER, str(folder / "list.tsv"), "--model", str(model), "--out", str(out), *words]
                subprocess.run(line, check=True, capture_output=True)

            return once

        seconds = interleaved({way: run(words) for way, words in ways.items()}, rounds)
    print(f"{describe_machine()}; {COUNT} tomograms of {SIZE}, medians of {rounds} interleaved runs\n")
    print("| way | s | s per tomogram | beyond one process, s per tomogram |\n|---|---|---|---|")
    alone = next(iter(seconds.values()))
    for way, taken in seconds.items():
        print(f"| {way} | {taken:.1f} | {taken / COUNT:.2f} | {(taken - alone) / COUNT:+.2f} |")


if __name__ == "__main__":
    main()
