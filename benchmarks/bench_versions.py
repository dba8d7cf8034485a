"""Is a version slower than another one? Two installations interleaved: start-up, picking stage by stage, memory.

    python benchmarks/bench_versions.py OLD/.venv/bin NEW/.venv/bin --model MODEL.onnx --tomogram TOMOGRAM.mrc

Medians, with the smallest and largest value; the ratio is that of the medians. CPU seconds are those of the process and
its children: on a machine that is not idle they say more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from machine import describe_machine

PROGRAMS = ("milopyp", "milopyp-train", "milopyp-export", "milopyp-infer")
STAGES = ("preprocess", "network", "heat_map", "peaks", "write", "total")


def run(command: list[str]) -> tuple[float, float, float]:
    """Seconds by the clock, of the CPU, and peak resident MiB of one call."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="bin folder of one installation")
    parser.add_argument("new", type=Path, help="bin folder of the other one")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tomogram", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}

    def note(what: str, version: str, value: float) -> None:
        found.setdefault(what, {}).setdefault(version, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds + 1):  # the first one fills caches
            for version, programs in (("old", options.old), ("new", options.new)):
                out = Path(folder, version)
                values = {f"{name} --help, CPU s": run([str(programs / name), "--help"])[1] for name in PROGRAMS}
                pick = [programs / "milopyp-infer", options.tomogram, "--model", options.model, "--out", out]
                wall, cpu, peak = run([*map(str, pick), "--overwrite", "--provider", "cpu", "-q"])
                values |= {"picking, s": wall, "picking, CPU s": cpu, "picking, peak MiB": peak}
                (record,) = (out / "records").glob("*.json")
                seconds = json.loads(record.read_text())["seconds"]
                values |= {f"picking: {stage}, s": seconds[stage] for stage in STAGES}
                for what, value in values.items() if turn else ():
                    note(what, version, value)
    print(f"{describe_machine()}; {options.tomogram.name} with {options.model.name}, {options.rounds} rounds\n")
    print("| what | old | new | new / old |\n|---|---|---|---|")
    for what, versions in found.items():
        old, new = (versions[name] for name in ("old", "new"))
        cells = [f"{statistics.median(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in (old, new)]
        print(f"| {what} | {cells[0]} | {cells[1]} | {statistics.median(new) / statistics.median(old):.2f} |")


if __name__ == "__main__":
    main()
