"""Does the default preset stand bad input? One task, trained and judged under conditions that people meet.

Every finished run is kept in --work, like those of ``bench_accuracy.py``. Judged on the validation tomogram.

    python benchmarks/bench_robustness.py --task betagal --labels 30pct_seed1
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_accuracy import call, judge
from machine import describe_machine
from numpy.typing import NDArray
from scipy import fft
from tasks import TASKS, Task, reference_data

from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.mrc import write_mrc
from milopyp_shared.tomogram import open_tomogram

Labels = dict[str, NDArray[np.float64]]
WRONG = 0.05
COARSE = 12.0  # Angstrom


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with dev/ and mid/; MILOPYP_REFERENCE/data by default")
    parser.add_argument("--task", default="betagal")
    parser.add_argument("--labels", default="30pct_seed1")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--extra", default="", help="more options for milopyp-train")
    parser.add_argument("--work", type=Path, default=Path("bench_robustness"))
    options = parser.parse_args()
    data = options.data or reference_data()
    [task] = [task for task in TASKS if task.species == options.task]
    print(f"{describe_machine()}; {task.species}, labels {options.labels}, validation tomogram\n")
    print("| case | labels | AUPRC | best F1 | RMSE, voxels | warnings |\n|---|---|---|---|---|---|")
    for name in options.cases.split(","):
        folder = options.work.resolve() / task.species / name
        found = run_case(name, task, data / task.dataset, options.labels, folder, options.extra)
        print(
            f"| {CASES[name][0]} | {found['labels']} | {found['auprc']:.3f} | {found['f1']:.3f} | "
            f"{found['rmse']:.2f} | {', '.join(found['warnings']) or '-'} |",
            flush=True,
        )


def run_case(name: str, task: Task, data: Path, labels: str, folder: Path, extra: str) -> dict[str, Any]:
    """Train, export, pick and judge one case; what was found is kept."""
    result = folder / "result.json"
    if result.exists():
        kept: dict[str, Any] = json.loads(result.read_text())
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    lists = data / "lists" / task.species
    images = {part: read_image_list(lists / f"images_{part}.tsv") for part in ("train", "val")}
    points = {
        "train": read_coordinate_list(lists / f"coords_train_{labels}.tsv"),
        "val": read_coordinate_list(lists / "coords_val.tsv"),
    }
    scale, train, infer = CASES[name][1](images, points, folder)
    for part in ("train", "val"):
        write_image_list(folder / f"images_{part}.tsv", images[part])
        write_coordinate_list(folder / f"coords_{part}.tsv", points[part])
    told, model = "", folder.parent / TRAINED_AS.get(name, name) / "model.onnx"
    if not model.exists():
        told = call(
            folder, "milopyp-train", "--train-img-txt", "images_train.tsv", "--train-coord-txt", "coords_train.tsv",
            "--bbox", task.diameter, "--exp-id", "run", "--no-export", *train, *extra.split(),
        )  # fmt: skip
        model = folder / "model.onnx"
        call(folder, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", model, "--overwrite")
    told += call(folder, "milopyp-infer", "images_val.tsv", "--model", model, "--out", "val", "--overwrite", *infer)
    found = judge(folder / "val", folder / "coords_val.tsv", task.radius * scale)
    found["labels"] = sum(map(len, points["train"].values()))
    found["warnings"] = sorted({word for word in told.split() if word[:1] == "W" and word[1:].isdigit()})
    result.write_text(json.dumps(found))
    return found


Case = Callable[[dict[str, list[ImageEntry]], dict[str, Labels], Path], tuple[float, list[str], list[str]]]


def as_it_is(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """Nothing is changed. A case gives voxels there per voxel here, and options for training and picking."""
    return 1.0, [], []


def jittered(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """Clicks up to two voxels off along every axis."""
    rng = np.random.default_rng(1)
    for name, xyz in points["train"].items():
        points["train"][name] = np.clip(xyz + rng.integers(-2, 3, xyz.shape), 0, None)
    return 1.0, [], []


def wrong(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """One label in twenty, at least one per tomogram, is anywhere."""
    rng = np.random.default_rng(1)
    for image in images["train"]:
        xyz = points["train"][image.name]
        moved = rng.choice(len(xyz), max(round(WRONG * len(xyz)), 1), replace=False)
        size = np.array(open_tomogram(image.path).shape[::-1])
        xyz[moved] = np.rint(rng.uniform(8, size - 9, (len(moved), 3)))
    return 1.0, [], []


def single(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """One training tomogram."""
    del images["train"][1:]
    points["train"] = {image.name: points["train"][image.name] for image in images["train"]}
    return 1.0, [], []


def bright(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """Inverted contrast, and nobody says so."""
    for part in ("train", "val"):
        images[part] = [
            _written(folder, image, np.negative(_volume(image), dtype=np.int16), 10.0) for image in images[part]
        ]
    return 1.0, [], []


def bright_and_said(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """Inverted contrast, with ``--contrast bright``."""
    bright(images, points, folder)
    return 1.0, ["--contrast", "bright"], []


def coarse(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """The tomogram that is picked has voxels of 12 Angstrom instead of 10; ``--rescale``."""
    scale = 10.0 / COARSE
    images["val"] = [_written(folder, image, _cropped(_volume(image), scale), COARSE) for image in images["val"]]
    points["val"] = {name: (xyz + 0.5) * scale - 0.5 for name, xyz in points["val"].items()}
    return scale, [], ["--rescale"]


def coarse_as_it_is(images: dict[str, list[ImageEntry]], points: dict[str, Labels], folder: Path) -> Any:
    """The same without ``--rescale``."""
    return *coarse(images, points, folder)[:2], []


CASES: dict[str, tuple[str, Case]] = {
    "plain": ("as it is", as_it_is),
    "jitter": ("clicks up to 2 voxels off", jittered),
    "wrong": ("5 % wrong labels", wrong),
    "single": ("one training tomogram", single),
    "bright": ("inverted contrast", bright),
    "bright_said": ("inverted contrast, `--contrast bright`", bright_and_said),
    "coarse": ("picked at 12 A with `--rescale`", coarse),
    "coarse_as_it_is": ("picked at 12 A without it", coarse_as_it_is),
}
TRAINED_AS = {"coarse": "plain", "coarse_as_it_is": "plain"}  # the same training tomograms


def _volume(image: ImageEntry) -> NDArray[Any]:
    tomogram = open_tomogram(image.path)
    return tomogram.sections(0, tomogram.shape[0])


def _written(folder: Path, image: ImageEntry, zyx: NDArray[Any], voxel_size: float) -> ImageEntry:
    path = folder / f"{image.name}.mrc"
    write_mrc(path, zyx, voxel_size)
    return ImageEntry(image.name, path)


def _cropped(volume: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Resampled by cropping its Fourier transform: another way than the one of ``--rescale``."""
    spectrum = fft.fftshift(fft.fftn(volume.astype(np.float32)))
    sizes = [round(size * scale) for size in volume.shape]
    cut = tuple(slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(volume.shape, sizes, strict=True))
    small = fft.ifftshift(spectrum[cut])
    # the transform's origin is the centre of the first voxel; both samplings are to cover the same space
    for axis, (n, m) in enumerate(zip(volume.shape, sizes, strict=True)):
        shift = (n / m - 1) / 2
        phase = np.exp(2j * np.pi * fft.fftfreq(m) * m / n * shift)
        small = small * phase.reshape([-1 if k == axis else 1 for k in range(3)])
    return np.real(fft.ifftn(small)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
