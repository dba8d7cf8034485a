"""How long from changed labels to new scores, once features are kept? Of one tomogram, with one thread.

The tomogram is a realistic phantom of 256 x 256 x 96 voxels; the large one is it, side by side and on top, cut to size.
Every step is taken several times in a row, of different labels; medians.

    python benchmarks/bench_learn.py
    python benchmarks/bench_learn.py --size 512,512,256
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from milopyp_inference.engine.features import open_features
from milopyp_inference.engine.machine import Machine
from milopyp_learning.heads import HARDEST, SEED, TOLERANCE
from milopyp_learning.kept_features import keep_features
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.head import fit_head
from milopyp_shared.lists import ImageEntry
from milopyp_shared.mrc import write_mrc
from milopyp_shared.peaks import find_candidates, nms
from milopyp_shared.system import peak_memory_mib
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation.realistic import RealisticSettings
from milopyp_simulation.realistic_files import write_realistic
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.head_examples import anywhere, gather
from milopyp_training.data.loading import load_volumes
from milopyp_training.data.target_map import TargetMap

DIAMETER, LABELS, SHAPE = 18.0, 15, (96, 256, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256,256,96", help="x,y,z")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    x, y, z = map(int, options.size.split(","))
    with tempfile.TemporaryDirectory() as folder:
        seconds, size = measured(Path(folder), (z, y, x), options.repeats)
    print(f"{describe_machine()}, one thread; {LABELS} labels, peak memory {peak_memory_mib()} MiB\n")
    print(f"| step, {x} x {y} x {z} voxels ({size / 2**20:.0f} MiB of features) | s |")
    print("|---|---|")
    for step, times in seconds.items():
        print(f"| {step} | {statistics.median(times):.3f} |")
    changed = [sum(row) for row in zip(*(seconds[step] for step in STEPS), strict=True)]
    print(f"| **changed labels to new scores** | **{statistics.median(changed):.3f}** |")


STEPS = ("examples", "fit", "heat map", "peaks")


class Clock:
    """Seconds of every step, by its name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Take the time of a block."""
        start = time.perf_counter()
        yield
        self.seconds.setdefault(step, []).append(time.perf_counter() - start)


def measured(folder: Path, shape: tuple[int, int, int], repeats: int) -> tuple[dict[str, list[float]], int]:
    """Seconds of every step, and bytes of the features."""
    network, clock = open_features(machine=Machine(threads=1)), Clock()
    volume = made(folder, shape)
    for step in ("features, once", "opened again"):
        with clock(step):
            kept = keep_features(network, volume, folder / "kept")
    target_map = TargetMap(DIAMETER, network.file.recipe.geometry.stride)
    rng, voxels = np.random.default_rng(0), float(np.prod(kept.grid))
    for _ in range(repeats):
        some = replace(volume, xyz=volume.xyz[rng.permutation(len(volume.xyz))[:LABELS]])
        with clock("examples"):
            found = gather(kept.parts(some), target_map, anywhere(voxels, np.random.default_rng(SEED)))
        with clock("fit"):
            head = fit_head(found.features, found.target, found.positive, hardest=HARDEST, tolerance=TOLERANCE)
        with clock("heat map"):
            heat = kept.heat_map(head)
        with clock("peaks"):
            nms(find_candidates(heat, volume.voxel_per_output(target_map.stride)), 0.6 * DIAMETER)
    return clock.seconds, kept.codes.nbytes


def made(folder: Path, shape: tuple[int, int, int]) -> LabelledVolume:
    """The tomogram with all of its particles as labels."""
    path, xyz = write_large(folder, shape)
    description = open_features(machine=Machine(threads=1)).description
    [volume] = load_volumes([ImageEntry("large", path)], {"large": xyz}, description.grey, diameter=DIAMETER)
    return volume


def write_large(folder: Path, shape: tuple[int, int, int]) -> tuple[Path, NDArray[np.float64]]:
    """A tomogram in ``large.mrc``, and its particles."""
    phantom = write_realistic(folder / "p", 1, RealisticSettings(SHAPE, diameter=DIAMETER, n_particles=30))
    [path], xyz = phantom.tomograms, read_coordinate_list(phantom.coordinates)
    [points] = xyz.values()
    small = np.asarray(open_tomogram(path).zyx, np.float32)
    times = [-(-want // have) for want, have in zip(shape, SHAPE, strict=True)]
    large = np.tile(small, times)[: shape[0], : shape[1], : shape[2]]
    shifts = np.stack(np.meshgrid(*(np.arange(n) for n in times), indexing="ij"), -1).reshape(-1, 3) * SHAPE
    everywhere = np.concatenate([points + shift[::-1] for shift in shifts])
    inside = (everywhere <= np.array(shape)[::-1] - 1).all(axis=1)
    write_mrc(folder / "large.mrc", large, 10.0)
    return folder / "large.mrc", everywhere[inside]


if __name__ == "__main__":
    main()
