"""How long does a person wait on the page of `milopyp label`? From the start to a slice, from a click to suggestions.

The command runs as it does for people, and is asked what its page asks for. The tomogram is that of bench_learn.py, as
32-bit numbers; clicks are its particles, a little off. With several classes, clicks are of one after the other, and
answered is what the class that was clicked has to wait for.

    python benchmarks/bench_label.py
    python benchmarks/bench_label.py --size 512,512,256
    python benchmarks/bench_label.py --classes 3
    python benchmarks/bench_label.py --size 1024,1024,512 --clicks 0
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_learn import DIAMETER, write_large
from machine import describe_machine

STEPS = 15  # slices of each direction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256,256,96", help="x,y,z")
    parser.add_argument("--clicks", type=int, default=10, help="0: slices only")
    parser.add_argument("--classes", type=int, default=1)
    options = parser.parse_args()
    x, y, z = map(int, options.size.split(","))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, xyz = write_large(folder, (z, y, x))
        rows = measured(folder, path, xyz, options)
    print(f"{describe_machine()}\n\n| {x} x {y} x {z} voxels, 32 bits | |\n|---|---|")
    for what, value in rows.items():
        print(f"| {what} | {value} |")


@dataclass(frozen=True)
class Page:
    """What asks in the page's place."""

    port: int
    token: str

    def get(self, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and content of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        said = None if body is None else json.dumps(body)
        connection.request("POST" if said else "GET", f"/api/{path}", said, {"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def state(self) -> dict[str, Any]:
        """The first tomogram's part of the state, and the jobs."""
        found = json.loads(self.get("state")[1])
        return {**found["tomograms"][0], "jobs": found["jobs"]}

    def slice(self, axis: str, at: int, thick: int) -> int:
        """Status of a slice."""
        return self.get(f"slice?tomogram=0&axis={axis}&at={at}&thick={thick}")[0]


def measured(folder: Path, path: Path, xyz: np.ndarray, options: argparse.Namespace) -> dict[str, str]:
    """What to say of each step."""
    rows: dict[str, str] = {}
    clicks, begun = options.clicks, time.perf_counter()
    with running(folder, path, options.classes) as (process, page):
        rows["from the start to an address, s"] = seconds_since(begun)
        middle = np.array(xyz.max(axis=0) / 2, int)
        page.slice("z", int(middle[2]), 1)
        rows["to the first slice, s"] = seconds_since(begun)
        wait(lambda: page.slice("x", int(middle[0]), 5) == 200)
        rows["to XZ and YZ, s"] = seconds_since(begun)
        if clicks:
            wait(lambda: page.state()["features"] == 1)
            rows["to its features, s"] = seconds_since(begun)
        for axis, number in (("z", 2), ("y", 1), ("x", 0)):
            for thick in (1, 10):
                places = np.linspace(0, 2 * middle[number], STEPS).astype(int)
                times = [timed(partial(page.slice, axis, int(at), thick)) for at in places]
                rows[f"{axis} slice of {thick}, median and longest, ms"] = (
                    f"{1000 * statistics.median(times):.0f}, {1000 * max(times):.0f}"
                )
        if clicks:
            rows |= clicked(page, xyz[np.random.default_rng(0).permutation(len(xyz))[:clicks]], options.classes)
        rows["memory at most, MiB (with mapped files)"] = f"{peak(process.pid)} ({peak(process.pid, 'VmHWM')})"
    return rows


def clicked(page: Page, xyz: np.ndarray, classes: int) -> dict[str, str]:
    """From clicks to suggestions, and a run of picking beside them."""
    rng, answers, suggestions, everything = np.random.default_rng(1), [], [], []
    for number, place in enumerate(xyz):
        species = number * classes // len(xyz)
        page.get("view", {"tomogram": 0, "species": species})
        before, begun = page.state()["suggestions"], time.perf_counter()
        place = np.clip(place + rng.normal(0, 1.5, 3), 0, None).tolist()
        assert page.get("edit", {"do": "add", "tomogram": 0, "xyz": place, "species": species})[0] == 200
        answers.append(time.perf_counter() - begun)
        wait(lambda before=before: page.state()["suggestions"] > before)
        suggestions.append(time.perf_counter() - begun)
        wait(lambda: page.state()["current"])
        everything.append(time.perf_counter() - begun)
    assert page.get("train", {"method": "learn"})[0] == 200
    begun = time.perf_counter()
    wait(lambda: page.state()["jobs"][-1]["state"] != "running")
    return {
        "from a click to its answer, median and longest, ms": f"{1000 * statistics.median(answers):.0f}, "
        f"{1000 * max(answers):.0f}",
        "from a click to suggestions, first, median and longest of the others, s": f"{suggestions[0]:.2f}, "
        f"{statistics.median(suggestions[1:]):.2f}, {max(suggestions[1:]):.2f}",
        "to those of all classes, median and longest, s": f"{statistics.median(everything):.2f}, {max(everything):.2f}",
        "milopyp learn and a run of picking, s": seconds_since(begun),
    }


@contextmanager
def running(folder: Path, path: Path, classes: int) -> Iterator[tuple[subprocess.Popen[str], Page]]:
    """The command, and its page."""
    bbox = ",".join(f"c{number}={DIAMETER:g}" for number in range(classes)) if classes > 1 else f"{DIAMETER:g}"
    words = [sys.executable, "-P", "-m", "milopyp.cli", "label", str(path), "--bbox", bbox, "--no-browser"]
    with subprocess.Popen([*words, "-o", str(folder / "labels")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses = (re.search(r"127.0.0.1:(\d+)/#token=(\S+)", line) for line in process.stdout)
        found = next(filter(None, addresses))
        page = Page(int(found[1]), found[2])
        wait(lambda: page.get("state")[0] == 200)
        try:
            yield process, page
        finally:
            process.terminate()


def wait(condition: Callable[[], bool]) -> None:
    """Until something holds."""
    while not attempt(condition):
        time.sleep(0.01)


def attempt(condition: Callable[[], bool]) -> bool:
    """Whether something holds; not where nobody answers yet."""
    try:
        return condition()
    except ConnectionError:
        return False


def timed(action: Callable[[], Any]) -> float:
    """Seconds that something takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def seconds_since(begun: float) -> str:
    """As a table has them."""
    return f"{time.perf_counter() - begun:.1f}"


def peak(process: int, what: str = "RssAnon") -> int:
    """MiB of a process."""
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", text)
    assert found
    return int(found[1]) // 1024


if __name__ == "__main__":
    main()
