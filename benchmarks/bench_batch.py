"""How long does a batch that is done take when its command is given again, and how right is the time that is left?

    python benchmarks/bench_batch.py restart --bin OLD/.venv/bin --bin NEW/.venv/bin
    python benchmarks/bench_batch.py left --model MODEL.onnx

`restart`: small tomograms with the toy model, so that what is not the network shows; installations take turns. `left`:
tomograms of noise, one of them large; what a run said of the time left after a tenth of the work, and how long it took.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench_inference import write_noise
from machine import describe_machine

TOY = Path(__file__).parents[1] / "tests/data/toy.onnx"
HERE = Path(sys.executable).parent
SIZES = ("768x768x192", "384x384x96", "256x256x64", "512x512x128", "256x256x64")
LEFT = re.compile(r"(?:(\d+) min )?(\d+) s left$")
SHARE = re.compile(r" (\d+)/\d+: (\d+)%")


def seconds(line: Sequence[str | Path]) -> float:
    """Wall-clock seconds of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(list(map(str, line)), check=True, capture_output=True)
    return time.perf_counter() - start


def restart(folder: Path, bins: Sequence[Path], model: Path, count: int, rounds: int) -> None:
    """Pick `count` tomograms with each installation, all again, and once more when nothing is left to do."""
    first = write_noise(folder / "t0.mrc", "64x64x32")
    for number in range(1, count):
        os.link(first, folder / f"t{number}.mrc")
    images = folder / "images.tsv"
    rows = [f"t{number}\tt{number}.mrc\n" for number in range(count)]
    images.write_text("image_name\trec_path\n" + "".join(rows))
    taken: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):  # the first one compiles
        for number, place in enumerate(bins):
            line = [place / "milopyp-infer", images, "--model", model, "--out", folder / f"p{number}", "--threads", "1"]
            for what, words in (("all of them", ["--overwrite"]), ("nothing left to do", [])):
                found = seconds([*line, *words])
                if turn:
                    taken.setdefault((what, str(place)), []).append(found)
    print(f"{describe_machine()}; {count} tomograms, medians of {rounds} interleaved runs\n")
    print("| what | installation | s | ms per tomogram |\n|---|---|---|---|")
    for (what, place), values in sorted(taken.items()):
        print(f"| {what} | {place} | {median(values):.2f} | {1000 * median(values) / count:.2f} |")


def left(folder: Path, model: Path) -> None:
    """Pick tomograms of noise, the largest first, and hold what was said of the time left against what it took."""
    paths = [write_noise(folder / f"t{number}.mrc", size) for number, size in enumerate(SIZES)]
    sizes = [path.stat().st_size for path in paths]
    line = [HERE / "milopyp-infer", *paths, "--model", model, "--out", folder / "picks"]
    start = time.perf_counter()
    said: list[tuple[float, float, float]] = []  # seconds since the start, part of the work, seconds left
    process = subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    longest = last = 0.0
    for text in process.stdout:
        now = time.perf_counter() - start
        longest, last = max(longest, now - last), now
        if (found := LEFT.search(text.strip())) and (share := SHARE.search(text)):
            done, part = int(share[1]) - 1, int(share[2]) / 100
            work = (sum(sizes[:done]) + part * sizes[done]) / sum(sizes)
            said.append((now, work, 60 * int(found[1] or 0) + int(found[2])))
    assert process.wait() == 0
    total = time.perf_counter() - start
    print(f"{describe_machine()}; {', '.join(SIZES)}: {total:.0f} s, no line for {longest:.0f} s at most\n")
    print("| work done | s left, as said | s left, as it was | said / was |\n|---|---|---|---|")
    for now, work, rest in said:
        print(f"| {work:.0%} | {rest:.0f} | {total - now:.0f} | {rest / (total - now):.2f} |")


def main() -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["restart", "left"])
    parser.add_argument("--bin", type=Path, action="append", help="folders with the programs; default: this one")
    parser.add_argument("--model", type=Path, help="default: the toy model; one that all installations can read")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="milopyp-bench-") as name:
        if given.what == "left":
            left(Path(name), given.model)
        else:
            restart(Path(name), given.bin or [HERE], given.model or TOY, given.count, given.rounds)


if __name__ == "__main__":
    main()
