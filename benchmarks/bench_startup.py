"""How long does ``--help`` take? Programs interleaved, medians of wall time."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe_machine

PROGRAMS = ("milopyp", "milopyp-train", "milopyp-export", "milopyp-infer")
ROUNDS = 15


def main() -> None:
    folder = Path(sys.executable).parent
    seconds: dict[str, list[float]] = {name: [] for name in ("python -c pass", *PROGRAMS)}
    for _ in range(ROUNDS):
        for name, times in seconds.items():
            command = [sys.executable, "-c", "pass"] if name not in PROGRAMS else [str(folder / name), "--help"]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
    print(f"{describe_machine()}; median of {ROUNDS} interleaved runs\n")
    print("| command | seconds |\n|---|---|")
    for name, times in seconds.items():
        print(f"| `{name}{'' if name not in PROGRAMS else ' --help'}` | {statistics.median(times):.3f} |")


if __name__ == "__main__":
    main()
