"""`milopyp learn` and `milopyp-train` with `--template`, without a label: AUPRC, and what wrong settings cost.

The maps are those that the sets were made with, written as MRC files; nothing of the sets but a header and a power
spectrum is looked at, and a membrane protein's map says where its membrane is. Rows of wrong settings replace what is
simulated; *mirrored* is the map's other hand, *mass given* is ``--mass`` with the one
from the literature. Tasks may be rows of `bench_shifted.py`, too (``coarse_betagal``).

    python benchmarks/bench_template.py --rows "as read,dose halved" --tasks betagal
    python benchmarks/bench_template.py --by train --rows "as read" --tasks betagal,coarse_betagal
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench_accuracy import call, picks_in
from bench_shifted import BY_NAME, made
from machine import describe_machine
from numpy.typing import NDArray
from tasks import TASKS, Task, reference_data

from milopyp_inference.engine.features import FeatureNetwork, open_features
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import read_recipe
from milopyp_learning.heads import Known
from milopyp_learning.kept_features import keep_features
from milopyp_learning.template import learn_from_map
from milopyp_shared.console import Console
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lists import read_image_list
from milopyp_shared.matching import evaluate
from milopyp_shared.mrc import write_mrc
from milopyp_shared.picks import Picks
from milopyp_shared.scale import scale_for
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation.among_others import Imaging
from milopyp_simulation.densities import Density, mirrored
from milopyp_simulation.maps import read_map
from milopyp_simulation.spectrum import TiltRange, find_tilt_range
from milopyp_simulation.subject import Subject
from milopyp_training.data.loading import load_volumes
from milopyp_training.evaluation.picking import picks_of

Change = Callable[[Subject], Subject]


def imaged(**changes: object) -> Change:
    """With other settings of the simulated tomograms."""
    return lambda subject: replace(subject, imaging=replace(subject.imaging, **changes))  # type: ignore[arg-type]


def tilted(degrees: float) -> Change:
    """With a tilt range that is wider by this at either end."""

    def change(subject: Subject) -> Subject:
        tilts = subject.imaging.tilts
        wider = TiltRange(tilts.axis, tilts.low - degrees, tilts.high + degrees)
        return replace(subject, imaging=replace(subject.imaging, tilts=wider))

    return change


def heavier(factor: float) -> Change:
    """With a particle of another mass."""
    return lambda subject: replace(
        subject, density=replace(subject.density, array=subject.density.array * np.float32(factor))
    )


MASS_GIVEN = "mass given"
ROWS: dict[str, Change] = {
    "as read": lambda subject: subject,
    MASS_GIVEN: lambda subject: subject,
    "defocus 1 um more": imaged(defocus=(38000.0, 50000.0)),
    "defocus 1 um less": imaged(defocus=(18000.0, 30000.0)),
    "dose halved": imaged(dose=55.0),
    "tilts 10 degrees narrower": tilted(-10.0),
    "tilts 10 degrees wider": tilted(10.0),
    "mirrored": lambda subject: replace(subject, density=mirrored(subject.density)),
    "mass x 1.5": heavier(1.5),
}


TRAINED = ["as read", MASS_GIVEN]  # rows that milopyp-train has options for


@dataclass(frozen=True)
class Result:
    """Of one task and row."""

    auprc: float
    best_f1: float
    f1: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--by", default="learn", choices=["learn", "train"], help="which command learns")
    parser.add_argument("--rows", help="all of those that the command can be asked for by default")
    parser.add_argument("--tasks", default=",".join(task.species for task in TASKS))
    parser.add_argument("--split", default="test", choices=["val", "test"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("bench_template"))
    options = parser.parse_args()
    possible = list(ROWS) if options.by == "learn" else TRAINED
    rows = options.rows.split(",") if options.rows else possible
    if unknown := set(rows) - set(possible):
        parser.error(f"--rows: {', '.join(sorted(unknown))}; {options.by} has {', '.join(possible)}")
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    network = open_features(machine=Machine(threads=options.threads))
    names = options.tasks.split(",")
    print(f"{describe_machine()}; {options.split}, {options.threads} threads; AUPRC / F1 at the threshold (best F1)\n")
    print(f"| simulated | {' | '.join(names)} | mean | s |")
    print("|---|" + "---|" * (len(names) + 2))
    for row in rows:
        results = []
        for name in names:
            case = case_of(name, options.split, work, weighed=row == MASS_GIVEN)
            if options.by == "train":
                results.append(train_one(case, row, options.threads, work))
            else:
                results.append(learn_one(case, row, network, work))
        cells = [f"{one.auprc:.3f} / {one.f1:.2f} ({one.best_f1:.2f})" for one in results]
        mean = statistics.mean(one.auprc for one in results)
        seconds = statistics.mean(one.seconds for one in results)
        print(f"| {row} | {' | '.join(cells)} | {mean:.3f} | {seconds:.0f} |", flush=True)


@dataclass(frozen=True)
class Case:
    """What is picked, and what is known of it.

    Attributes
    ----------
    images
        List of the tomogram.
    truth
        ``(n, 3)`` particles in it.
    density
        The map.
    map_file
        Where it is stored; beside it `density` knows mass and membrane.
    """

    name: str
    task: Task
    images: Path
    truth: NDArray[np.float64]
    density: Density
    map_file: Path


def case_of(name: str, split: str, work: Path, *, weighed: bool) -> Case:
    """A task by its name, or a row of `bench_shifted`."""
    if name in BY_NAME:
        task, data = BY_NAME[name], reference_data()
    else:
        task, data, _ = made(name, work)
    lists = data / task.dataset / "lists" / task.species
    [truth] = read_coordinate_list(lists / f"coords_{split}.tsv").values()
    map_file = work / f"{task.species}.mrc"
    density = density_of(task, map_file, weighed=weighed)
    return Case(name, task, lists / f"images_{split}.tsv", truth, density, map_file)


def learn_one(case: Case, row: str, network: FeatureNetwork, work: Path) -> Result:
    """Learn a head from the map, and pick the tomogram."""
    [image] = read_image_list(case.images)
    tomogram = open_tomogram(image.path)
    tilts = find_tilt_range(tomogram.zyx)
    assert tilts is not None
    assert tomogram.voxel_size is not None
    imaging = Imaging(tomogram.shape[0], tomogram.voxel_size, tilts)
    subject = Subject(case.density, 2 * case.density.radius_in(tomogram.voxel_size), imaging)
    scale = scale_for(subject.diameter, network.description.diameters)
    started = time.perf_counter()
    head, recipe = learn_from_map(
        ROWS[row](subject), network, work / f"{case.name}.onnx", Console(quiet=True), scale=scale
    )
    seconds = time.perf_counter() - started
    [volume] = load_volumes(
        [image], {image.name: case.truth}, network.description.grey, diameter=recipe.diameter, scale=scale
    )
    known = Known(volume, keep_features(network, volume, work / "features" / case.name))
    return judged(picks_of(known.features.heat_map(head), volume, recipe), case, recipe.threshold.score, seconds)


def train_one(case: Case, row: str, threads: int, work: Path) -> Result:
    """The same with the commands, from the map to picks."""
    folder = work / f"{case.name}_{row.replace(' ', '_')}"
    folder.mkdir(exist_ok=True)
    more = [] if case.density.membrane_z is None else ["--membrane-z", case.density.membrane_z]
    more += ["--mass", mass_of(case.task)] if row == MASS_GIVEN else []
    started = time.perf_counter()
    call(
        folder, "milopyp-train", "--train-img-txt", case.images, "--template", case.map_file, "--exp-id", "run",
        "--threads", threads, "--num-workers", 0, "--no-export", *more,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    call(folder, "milopyp-export", "exp/semi/run/model_last_contrastive.pth", "-o", "model.onnx", "--overwrite")
    call(folder, "milopyp-infer", case.images, "--model", "model.onnx", "--out", "picks", "--overwrite")
    _, picks = picks_in(folder / "picks", case.task.radius)
    return judged(picks, case, read_recipe(folder / "model.onnx").threshold.score, seconds)


def judged(picks: Picks, case: Case, threshold: float, seconds: float) -> Result:
    """All picks, and those above the suggested threshold."""
    every = evaluate(picks, case.truth, case.task.radius)
    kept = evaluate(picks[picks.score > threshold], case.truth, case.task.radius)
    return Result(every.auprc, every.f1, 2 * kept.n_hits / max(kept.n_picks + kept.n_truth, 1), seconds)


def density_of(task: Task, path: Path, *, weighed: bool) -> Density:
    """The species' map as a user has it, an MRC file; where its membrane is, and its mass if it is `weighed`."""
    with np.load(reference_data() / "templates" / f"{task.species}.npz", allow_pickle=False) as archive:
        write_mrc(path, archive["density"].astype(np.float32), float(archive["voxel_size"]))
        membrane_z = float(archive["membrane_z"]) if "membrane_z" in archive else None
    return replace(read_map(path, mass_kda=mass_of(task) if weighed else None), membrane_z=membrane_z)


def mass_of(task: Task) -> float:
    """kDa, from the literature."""
    with np.load(reference_data() / "templates" / f"{task.species}.npz", allow_pickle=False) as archive:
        return float(archive["mass_kda"])


if __name__ == "__main__":
    main()
