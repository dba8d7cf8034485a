"""Tomograms that hold no particle, from the files that say so to the model that has learned from them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import HERE, LAST, Experiment, heat_of, trained
from milopyp_shared.lists import read_coordinate_list
from milopyp_shared.matching import max_score_within
from milopyp_shared.peaks import find_candidates
from milopyp_shared.phantom import Phantom, PhantomSettings, make_phantom
from running import run_line
from toys import write_tomogram

DIAMETER = 10
SHAPE = (24, 72, 72)
LISTS = "--train-img-txt data/run_train_imgs.txt --train-coord-txt"
TRAIN = f"milopyp-train {LISTS} data/run_train_coords.txt --bbox {DIAMETER} --batch-size 4 {HERE}"


def phantom(seed: int, particles: int, rings: int) -> Phantom:
    """Rings have the particles' mass and size: they look alike to who has not been told."""
    settings = PhantomSettings(
        SHAPE, n_particles=particles, n_distractors=rings, diameter=DIAMETER, noise=0.2, background=0.0, seed=seed,
        missing_wedge_degrees=None,
    )  # fmt: skip
    return make_phantom(settings)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Lists of prepare: ``full`` with ten labels, and ``rings``, whose file of picks is empty."""
    threads = torch.get_num_threads()
    with contextlib.chdir(tmp_path_factory.mktemp("absence")):
        full = phantom(1, particles=10, rings=0)
        write_tomogram(Path("data/full.mrc"), full.volume, voxel_size=10.0)
        write_tomogram(Path("data/rings.mrc"), phantom(2, particles=0, rings=10).volume, voxel_size=10.0)
        rows = "".join(f"{x},{y},{z},1\n" for x, y, z in full.particles_xyz)
        Path("data/full.csv").write_text(f"x,y,z,score\n{rows}")
        Path("data/rings.csv").write_text("x,y,z,score\n")
        outcome = run_line("milopyp prepare -d data -e .mrc -o run --no-pictures --bbox 10")
        assert outcome.code == 0, outcome.err
        lines = Path("data/run_train_coords.txt").read_text().splitlines()
        Path("data/labels_only.txt").write_text(
            "\n".join(line for line in lines if not line.startswith("rings")) + "\n"
        )
        yield Path.cwd()
    torch.set_num_threads(threads)


def at(experiment: Experiment, name: str, volume: str, places: np.ndarray) -> np.ndarray:
    """The highest score within a radius of each place."""
    candidates = find_candidates(
        heat_of(experiment, name, Path(volume), "xyz"), experiment.recipe(name).voxel_per_output
    )
    return max_score_within(candidates, places, DIAMETER / 2)


@pytest.mark.usefixtures("work")
def test_look_alikes_of_an_empty_tomogram_are_not_learned_as_particles() -> None:
    """The same training with and without the row that says that the tomogram of rings holds none."""
    told = trained(f"{TRAIN} --quick --num-epochs 4 --exp-id told")
    assert "rings: 72 x 72 x 24 voxels, order xyz, no particles: all of it is background" in told.outcome.out
    assert told.recipe().labels == {"full": 10, "rings": 0}
    line = TRAIN.replace("run_train_coords", "labels_only") + " --quick --num-epochs 4 --exp-id untold"
    outcome = run_line(line)
    assert (outcome.code, outcome.err) == (0, "warning: rings: W05 has no labels and is left out\n")
    untold = Experiment(outcome, Path("exp/semi/untold"))
    assert untold.recipe().labels == {"full": 10}
    new = phantom(3, particles=8, rings=8)
    write_tomogram(Path("new.mrc"), new.volume, voxel_size=10.0)
    particles, rings = (
        {run.folder.name: at(run, LAST, "new.mrc", places) for run in (told, untold)}
        for places in (new.particles_xyz, new.distractors_xyz)
    )
    assert rings["told"].mean() < 0.5 * rings["untold"].mean()
    assert np.median(particles["told"]) > 2 * rings["told"].max()


def test_cross_validation_and_validation_with_empty_tomograms(work: Path) -> None:
    """Nothing in a tomogram without particles is asked about, ignored, expected or suggested; all of it is judged."""
    line = f"{TRAIN} --num-epochs 1 --val-img-txt data/run_train_imgs.txt --val-coord-txt data/run_train_coords.txt"
    run = trained(f"{line} --val-fully-labelled --debug 4 --exp-id checked")
    [row] = run.table("validation.csv")
    assert np.isfinite([row[name] for name in ("loss", "labels", "auprc", "f1")]).all()
    found = run.checkpoint()["cross_validated"]
    assert set(found["ignored_candidates"]) == {"full"}
    assert set(read_coordinate_list(run.folder / "debug/next_labels.tsv")) == {"full"}
    assert "10 of about" in run.outcome.out
    sheets = {path.name for path in (run.folder / "debug").glob("1_*.png") if "pred" not in path.name}
    assert sheets == {"1_full.png", "1_rings.png"}
    again = run_line(f"{line} --val-fully-labelled --debug 4 --exp-id checked --resume")
    assert (again.code, again.err) == (0, "") and "going on after epoch 1" in again.out
    other = run_line(f"{line.replace('run_train_coords', 'labels_only')} --exp-id checked --resume")
    assert other.code == 2 and "rings" in other.err


def test_the_published_method_leaves_them_out(work: Path) -> None:
    """Its patches lie around labels: what the program does with a tomogram without any is nothing."""
    runs = []
    for name in ("run_train_coords", "labels_only"):
        line = f"{TRAIN.replace('--batch-size 4 ', '').replace('run_train_coords', name)} --preset published"
        outcome = run_line(f"{line} --num-epochs 1 --exp-id published_{name}")
        assert (outcome.code, outcome.err) == (0, "warning: rings: W05 has no labels and is left out\n")
        runs.append(Experiment(outcome, Path(f"exp/semi/published_{name}")))
    first, second = (run.checkpoint()["state_dict"] for run in runs)
    assert all(torch.equal(value, second[key]) for key, value in first.items())
