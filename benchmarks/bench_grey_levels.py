"""Do borders, gold and hot voxels cost particles? A trained model picks one tomogram as it is and disturbed.

Counted are the particles that lie at least a radius inside what is left of the tomogram, and how many of them have a
pick above the score that is best (F1) on the tomogram as it is; beads and hot voxels may lie on particles. Without
--model, one is trained.

    python benchmarks/bench_grey_levels.py --task betagal --model bench_accuracy/betagal_pretrained_15_seed1/model.onnx
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench_accuracy import call
from machine import describe_machine
from numpy.typing import NDArray
from tasks import PHANTOM, TASKS, Draw, Task, phantom_data, reference_data

from milopyp_inference.batch.reader import read_run
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import read_image_list
from milopyp_shared.matching import evaluate
from milopyp_shared.mrc import write_mrc
from milopyp_shared.peaks import nms
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import open_tomogram

Volume = NDArray[np.float32]
Kept = tuple[range, range, range]  # z, y, x
BEADS, BEAD_RADIUS, BEAD_DEPTH = 6, 6.0, 8.0  # radius in voxels, darker by this many standard deviations
HOT = 2000.0  # standard deviations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="phantom", help="phantom, or a species of the reference data")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--work", type=Path, default=Path("bench_grey_levels"))
    options = parser.parse_args()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    task = {one.species: one for one in (*TASKS, PHANTOM)}[options.task]
    data = phantom_data(work / "data") if task is PHANTOM else reference_data()
    model = options.model.resolve() if options.model else trained(task, data, work)
    lists = data / task.dataset / "lists" / task.species
    (image,), truth = read_image_list(lists / "images_test.tsv"), read_coordinate_list(lists / "coords_test.tsv")
    tomogram = open_tomogram(image.path)
    volume = tomogram.sections(0, tomogram.shape[0]).astype(np.float32)
    volume = (volume - volume.mean()) / volume.std()
    print(f"{describe_machine()}; {task.species}, {model.name}\n")
    print("| tomogram | particles that are left | found as it is | found | false | median score |")
    print("|---|---|---|---|---|---|")
    threshold, undisturbed = 0.0, None
    for name, disturbed, kept in cases(volume):
        folder = work / name.replace(" ", "_").replace("%", "percent").replace(",", "")
        folder.mkdir(exist_ok=True)
        write_mrc(folder / "tomogram.mrc", disturbed, 10.0)
        call(
            folder, "milopyp-infer", "tomogram.mrc", "--model", model, "--out", "picks", "--order", "xyz", "--overwrite"
        )
        chosen = picks_of(folder / "picks", task.radius)
        if undisturbed is None:
            threshold = evaluate(chosen, truth[image.name], task.radius).best.threshold
            undisturbed = chosen[chosen.score >= threshold]
        picks = (undisturbed, chosen[chosen.score >= threshold])
        print(line(name, picks, truth[image.name], kept, task.radius), flush=True)


def trained(task: Task, data: Path, work: Path) -> Path:
    """A model of 15 labels with the default preset."""
    lists, model = data / task.dataset / "lists" / task.species, work / "model.onnx"
    if not model.exists():
        write_coordinate_list(work / "labels.tsv", Draw("15").coordinates(lists))
        call(
            work, "milopyp-train", "--train-img-txt", lists / "images_train.tsv", "--train-coord-txt", "labels.tsv",
            "--bbox", task.diameter, "--exp-id", "run", "--no-export",
        )  # fmt: skip
        call(work, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", model, "--overwrite")
    return model


def cases(volume: Volume) -> Iterator[tuple[str, Volume, Kept]]:
    """Name, disturbed volume in standard deviations upon 100, and which box of it is left."""
    whole: Kept = tuple(map(range, volume.shape))  # type: ignore[assignment]
    grey = 100 + 10 * volume
    yield "as it is", grey, whole
    for part in (0.03, 0.1):
        for axis, word in ((2, "x"), (1, "y"), (0, "z")):
            for low in (True, False):
                cut = list(whole)
                width = max(round(part * volume.shape[axis]), 1)
                cut[axis] = cut[axis][width:] if low else cut[axis][:-width]
                disturbed = np.zeros_like(grey)
                disturbed[np.ix_(*cut)] = grey[np.ix_(*cut)]
                side = "low" if low else "high"
                yield f"{part:.0%} zero at {side} {word}", disturbed, (cut[0], cut[1], cut[2])
    for name, change in (("one hot voxel", hot), ("six gold beads", beads)):
        disturbed = grey.copy()
        change(disturbed)
        yield name, disturbed, whole


def hot(volume: Volume) -> None:
    """One voxel that a detector has left."""
    volume[tuple(size // 3 for size in volume.shape)] += 10 * HOT


def beads(volume: Volume) -> None:
    """Gold beads anywhere."""
    rng, places = np.random.default_rng(0), np.indices(volume.shape, dtype=np.float32)
    for _ in range(BEADS):
        centre = rng.uniform(0.1, 0.9, 3) * volume.shape
        volume[((places - centre[:, None, None, None].astype(np.float32)) ** 2).sum(axis=0) < BEAD_RADIUS**2] -= (
            10 * BEAD_DEPTH
        )


def picks_of(run: Path, radius: float) -> Picks:
    """All picks of a run of one tomogram, close neighbours suppressed."""
    found, distance = read_run(run)
    (candidates,) = found.values()
    return nms(candidates, distance or 1.2 * radius)


def line(name: str, picks: tuple[Picks, Picks], truth: NDArray[np.float64], kept: Kept, radius: float) -> str:
    """One row of the table; `picks` of the tomogram as it is and of this one."""
    low, high = (np.array([ends[side] for ends in reversed(kept)]) for side in (0, -1))
    inside = np.all((truth >= low + radius) & (truth <= high - radius), axis=1)
    judged = evaluate(picks[1], truth, radius)
    before, now = (evaluate(own, truth[inside], radius).n_hits for own in picks)
    scores = np.median(picks[1].score) if len(picks[1]) else np.nan
    return f"| {name} | {inside.sum()} | {before} | {now} | {judged.n_picks - judged.n_hits} | {scores:.2f} |"


if __name__ == "__main__":
    main()
