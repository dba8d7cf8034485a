"""How large is the report of 20 tomograms of 512 x 512 x 256 voxels, and how fast does it open?

    python benchmarks/bench_report.py [--tomograms 20] [--classes 3]

The tomograms are noise over a few phantoms' worth of particles, which pictures compress worse than anything real. The
time to open is what Chromium needs from the address to the first slice on the canvas, without a window.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

from milopyp_inference.batch.class_runs import class_folders, write_class_names
from milopyp_inference.batch.record_files import write_record, write_summary
from milopyp_inference.batch.records import FileIdentity, PickOptions, RunSummary, TomogramRecord
from milopyp_inference.decode.select import Selection
from milopyp_shared.formats.candidates import write_candidates
from milopyp_shared.mrc import write_mrc
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame

SIZE = (512, 512, 256)  # x, y, z
DIAMETER = 20.0
CANDIDATES = 3000
OPENINGS = 5


def make_runs(folder: Path, count: int, classes: int) -> Path:
    """A run over `count` names of one file, or one for each class."""
    run, (x, y, z) = folder / "picks", SIZE
    write_mrc(folder / "tomogram.mrc", np.random.default_rng(1).normal(0, 1000, (z, y, x)).astype(np.int16), 10.0)
    if classes > 1:
        run.mkdir()
        write_class_names(run, [f"class_{number + 1}" for number in range(classes)])
    for seed, own in enumerate(class_folders(run).values() or [run], 1):
        make_run(own, folder / "tomogram.mrc", count, seed)
    return run


def make_run(run: Path, path: Path, count: int, seed: int) -> None:
    """A run over `count` names of the file `path`."""
    rng = np.random.default_rng(seed)
    x, y, z = SIZE
    heat = np.zeros((z // 2, y // 2, x // 2), np.float32)
    (run / "records").mkdir(parents=True)
    places = rng.uniform(0, 1, (CANDIDATES, 3)) * (np.array(SIZE) - 1)
    scores = np.sort(rng.beta(0.4, 2.0, CANDIDATES))[::-1]
    for (px, py, pz), score in zip(places // 2, scores, strict=True):
        heat[int(pz), int(py), int(px)] = score
    options = PickOptions(Selection(threshold=0.3, distance=12.0))
    records = []
    for number in range(count):
        name = f"tomogram_{number + 1}"
        write_candidates(run / f"{name}.candidates.csv", Picks(places, scores))
        write_mrc(run / f"{name}_hm.mrc", heat, 20.0)
        tomogram = FileIdentity(str(path))
        asked = TomogramRecord(
            name=name, input=tomogram, model="", model_sha256="", options=options, mask=None, called=name,
            tomo_name=name, dynamo_tomogram=None,
        )  # fmt: skip
        records.append(
            asked.picked(
                shape_zyx=(z, y, x),
                frame=Frame("xyz", (z, y, x), (10.0, 10.0, 10.0)),
                diameter=DIAMETER,
                suppression_distance=12.0,
                provider="",
                operators={},
                warnings=(),
                levels=None,
                candidates=CANDIDATES,
                picks=int((scores > 0.3).sum()),
                seconds={},
                peak_memory_mib=0,
            )
        )
        write_record(run, records[-1])
    empty = RunSummary(
        model="model.onnx", model_sha256="", diameter=DIAMETER, suppression_distance=12.0, call=options,
        typed=(), options=options, calibration=None, done=0, failed={}, picks=0, tomograms=(),
    )  # fmt: skip
    write_summary(run, empty.with_records(records))


def seconds_to_open(page: Path) -> float:
    """Median over some openings, in a browser that is already there."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,1100"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    times = []
    try:
        for _ in range(OPENINGS):
            driver.get("about:blank")
            start = time.perf_counter()
            driver.get(page.as_uri())
            driver.execute_async_script("const done = arguments[0]; viewer.draw().then(() => done());")
            times.append(time.perf_counter() - start)
    finally:
        driver.quit()
    return statistics.median(times)


def main() -> None:
    from milopyp.cli import milopyp

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tomograms", type=int, default=20)
    parser.add_argument("--classes", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = make_runs(Path(name), given.tomograms, given.classes)
        start = time.perf_counter()
        milopyp(["report", str(run), "--quiet"], standalone_mode=False)
        took = time.perf_counter() - start
        page = run / "report.html"
        print(f"{describe_machine()}\n")
        print("| tomograms | voxels | classes | page, MB | s to write | s to open |\n|---|---|---|---|---|---|")
        size = " x ".join(map(str, SIZE))
        figures = f"{page.stat().st_size / 1e6:.1f} | {took:.0f} | {seconds_to_open(page):.2f}"
        print(f"| {given.tomograms} | {size} | {given.classes} | {figures} |")


if __name__ == "__main__":
    main()
