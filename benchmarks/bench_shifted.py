"""Does pre-training help where tomograms and labels differ from what it has seen? Both presets on each row.

Tomograms come from the reference simulator (not from the one that pre-training uses), with settings and post-processing
that pre-training never has together: *coarse* has voxels of 13 A by resampling, tilts of +-50 degrees about x, and is
smoothed; *fine* has voxels of 7 A by resampling, flipped phases and a SIRT-like filter. *phantom* are the simple ones.
The other rows have flawed labels on the usual tomograms: up to two voxels off, 5 % (at least one) anywhere, or the ones
that are easiest to see. 15 labels, three draws.

    python benchmarks/bench_shifted.py --rows coarse_betagal,off_betagal
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_accuracy import run_one
from machine import describe_machine
from numpy.typing import NDArray
from scipy import ndimage
from tasks import PHANTOM, TASKS, Draw, Task, draws, phantom_data, reference_data

from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.labels import density_contrast
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.mrc import write_mrc
from milopyp_shared.tomogram import open_tomogram

LABELS = "15"
SEED = 700  # of the reference simulator: none of its sets has it
BY_NAME = {task.species: task for task in TASKS}
OFF, WRONG = 2, 0.05


@dataclass(frozen=True)
class Look:
    """What is done to a set of tomograms of 10 A voxels.

    Attributes
    ----------
    settings
        Of the reference simulator.
    voxel_size
        Angstrom, by resampling.
    smooth
        Sigma, voxels.
    about_x
        The tilt axis is x.
    flipped
        Phases of the tilt images.
    iterations
        Of SIRT, that the filter looks like; 0: the simulator's own filter.
    """

    settings: dict[str, Any]
    voxel_size: float
    smooth: float = 0.0
    about_x: bool = False
    flipped: bool = False
    iterations: int = 0


LOOKS = {
    "coarse": Look({"tilt_max": 50}, 13.0, smooth=0.8, about_x=True),
    "fine": Look({}, 7.0, flipped=True, iterations=12),
}
FLAWS = ("off", "wrong", "easy")
SPECIES = ("betagal", "proteasome26S")
ROWS = [f"{kind}_{name}" for kind in (*LOOKS, *FLAWS) for name in SPECIES] + ["phantom"]


@dataclass(frozen=True)
class FlawedDraw(Draw):
    """Labels as people make them; see the head of this file."""

    flaw: str = ""

    @property
    def name(self) -> str:
        """Of its coordinate list and of its run."""
        return f"{super().name}_{self.flaw}"

    def coordinates(self, lists: Path) -> dict[str, NDArray[np.float64]]:
        """The labels of the training tomograms."""
        if self.flaw == "easy":
            return easiest(lists, int(self.labels), self.number)
        found = super().coordinates(lists)
        rng = np.random.default_rng([self.number, 77])
        sizes = {
            image.name: open_tomogram(image.path).shape[::-1] for image in read_image_list(lists / "images_train.tsv")
        }
        if self.flaw == "off":
            moved = {name: xyz + rng.integers(-OFF, OFF + 1, xyz.shape) for name, xyz in found.items()}
            return {name: np.clip(xyz, 0, np.array(sizes[name]) - 1) for name, xyz in moved.items()}
        wrong = rng.permutation(sum(map(len, found.values())))[: max(round(WRONG * int(self.labels)), 1)]
        first = 0
        for name, xyz in found.items():
            for index in wrong[(wrong >= first) & (wrong < first + len(xyz))]:
                xyz[index - first] = np.rint(rng.uniform(8, np.array(sizes[name]) - 9))
            first += len(xyz)
        return found


def easiest(lists: Path, count: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Of twice as many as are wanted, drawn from the darker half of all particles, the darkest."""
    everything = Draw("all").coordinates(lists)
    images = {image.name: open_tomogram(image.path) for image in read_image_list(lists / "images_train.tsv")}
    rows = []
    for name, xyz in everything.items():
        volume = images[name].sections(0, images[name].shape[0]).astype(np.float32)
        rows += [(density_contrast(volume, point[None], 2 * BY_NAME[lists.name].radius), name, point) for point in xyz]
    rows.sort(key=lambda row: row[0])
    half = rows[: max(len(rows) // 2, 2 * count)]
    chosen = sorted(np.random.default_rng([seed, 78]).permutation(len(half))[: 2 * count])[:count]
    return {
        name: np.array([half[i][2] for i in chosen if half[i][1] == name])
        for name in everything
        if any(half[i][1] == name for i in chosen)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--presets", default="pretrained,scratch")
    parser.add_argument("--seeds", default="1,2,3", help="numbers of the label draws; the training seed is fixed")
    parser.add_argument("--work", type=Path, default=Path("bench_shifted"))
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    presets = options.presets.split(",")
    print(f"{describe_machine()}; test tomogram, {LABELS} labels, draws {options.seeds}\n")
    print(f"| row | {' | '.join(f'{preset}, AUPRC (each draw) | RMSE' for preset in presets)} |")
    print("|---|" + "---|---|" * len(presets))
    for row in options.rows.split(","):
        task, data, chosen = made(row, work)
        chosen = [draw for draw in chosen if str(draw.number) in options.seeds.split(",")]
        cells = []
        for preset in presets:
            runs = [run_one(task, preset, draw, data, work=work / row, split="test") for draw in chosen]
            each = ", ".join(f"{run['auprc']:.2f}" for run in runs)
            mean = {key: statistics.mean(run[key] for run in runs) for key in ("auprc", "rmse")}
            cells.append(f"{mean['auprc']:.3f} ({each}) | {mean['rmse']:.2f}")
        print(f"| {row} | {' | '.join(cells)} |", flush=True)


def made(row: str, work: Path) -> tuple[Task, Path, list[Draw]]:
    """Task, data and label draws of a row."""
    if row == "phantom":
        return PHANTOM, phantom_data(work / "phantoms"), draws(LABELS)
    kind, _, species = row.partition("_")
    task = BY_NAME[species]
    if kind in FLAWS:
        return task, reference_data(), [FlawedDraw(LABELS, draw.number, kind) for draw in draws(LABELS)]
    look = LOOKS[kind]
    simulate(task, look, work / "data" / kind)
    scale = 10.0 / look.voxel_size
    return (
        replace(task, diameter=round(task.diameter * scale, 1), radius=task.radius * scale),
        work / "data" / kind,
        draws(LABELS),
    )


def simulate(task: Task, look: Look, folder: Path) -> None:
    """Three tomograms (two to train, one to test) and their lists, unless they are there."""
    lists = folder / task.dataset / "lists" / task.species
    if (lists / "coords_test.tsv").exists():
        return
    lists.mkdir(parents=True, exist_ok=True)
    simulator = reference_simulator()
    settings = simulator.BASE | simulator.PRESETS[task.dataset] | look.settings | {"axis": "zyx", "seed": SEED}
    templates = {
        name: simulator.Template(name, [str(reference_data() / "templates")])
        for name in (*settings["particles"], *settings["membrane"])
    }
    images, points = [], {}
    for number in (1, 2, 3):
        name = f"{task.species}_{number}"
        volume, xyz = seen(simulator, settings, templates, look, number, task.species)
        path = folder / task.dataset / f"{name}.mrc"
        write_mrc(path, volume, look.voxel_size)
        images.append(ImageEntry(name, path))
        points[name] = np.rint(np.clip(xyz, 0, np.array(volume.shape[::-1]) - 1))
        print(f"made {path}: {len(xyz)} particles", file=sys.stderr, flush=True)
    for split, part in (("train", images[:2]), ("test", images[2:])):
        write_image_list(lists / f"images_{split}.tsv", part)
        listed = {image.name: points[image.name] for image in part}
        write_coordinate_list(lists / f"coords_{split}{'_all' * (split == 'train')}.tsv", listed)


def seen(
    simulator: Any, settings: dict[str, Any], templates: dict[str, Any], look: Look, number: int, species: str
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One tomogram ``(z, y, x)`` and the centres of a species, in its voxels."""
    rng, size, pad = np.random.default_rng([SEED, number]), tuple(settings["size"]), simulator.PAD
    specimen = simulator.build_specimen(settings, size, rng, templates)
    xyz = np.array([row[1:4] for row in specimen.truth if row[0] == species and specimen.in_field(row[1:3])])
    xyz = xyz - [pad, pad, 0]
    stack, angles, facts = simulator.tilt_series(specimen, settings, rng)
    if look.flipped:
        stack = flipped(simulator, stack, settings, facts["defocus_A"])
    ramp = simulator.ramp_filter
    if look.iterations:
        simulator.ramp_filter = lambda width, cut, sigma: bent(ramp(width, cut, sigma), look.iterations)
    volume = simulator.reconstruct(stack, angles, size, settings["radial"]).transpose(1, 0, 2)
    simulator.ramp_filter = ramp
    if look.about_x:  # a quarter turn about z, which mirrors nothing
        volume, xyz = np.rot90(volume, axes=(1, 2)), xyz[:, [1, 0, 2]] * [1, -1, 1] + [0, volume.shape[2] - 1, 0]
    scale = 10.0 / look.voxel_size
    volume = resized(np.ascontiguousarray(volume, np.float32), scale)
    if look.smooth:
        volume = ndimage.gaussian_filter(volume, look.smooth)
    return volume, (xyz + 0.5) * scale - 0.5


def flipped(simulator: Any, stack: NDArray[Any], settings: dict[str, Any], defocus: float) -> NDArray[np.float32]:
    """Tilt images with the sign of the transfer function taken out."""
    rows, columns = stack.shape[1:]
    k2 = (np.fft.fftfreq(rows)[:, None] ** 2 + np.fft.rfftfreq(columns)[None] ** 2) / settings["voxel"] ** 2
    sign = np.sign(simulator.ctf2d(k2, defocus, settings))
    images = [np.fft.irfft2(np.fft.rfft2(image) * sign, s=(rows, columns)) for image in stack]
    return np.asarray(images, np.float32)


def bent(ramp: NDArray[Any], iterations: int) -> NDArray[np.float32]:
    """A ramp filter that falls behind at high frequencies, as few iterations of SIRT do."""
    frequency = np.linspace(0, 0.5, len(ramp))
    reached = 1 - (1 - 0.5 / (1 + 60 * frequency)) ** iterations
    return np.asarray(ramp * reached, np.float32)


def resized(volume: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Other voxels over the same space."""
    shape = [round(size * scale) for size in volume.shape]
    if scale < 1:
        volume = ndimage.gaussian_filter(volume, 0.4 / scale)
    moved = ndimage.affine_transform(volume, [1 / scale] * 3, [0.5 / scale - 0.5] * 3, output_shape=shape, order=1)
    return np.asarray(moved, np.float32)


def reference_simulator() -> Any:
    """``tools/simulate.py`` beside the reference data, unchanged."""
    path = reference_data().parent / "tools" / "simulate.py"
    spec = importlib.util.spec_from_file_location("reference_simulator", path)
    assert spec and spec.loader, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # numba finds what it kept by it
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
