"""Tomograms that hold no particle, from the files that say so to the model that has learned from them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import HERE, LAST, Experiment, heat_of, trained
from milopyp_shared.matching import max_score_within
from milopyp_shared.peaks import find_candidates
from milopyp_shared.tomogram import open_tomogram
from running import run_line
from toys import noise, write_tomogram

DIAMETER = 8
SHAPE = (16, 48, 52)
LISTS = "--train-img-txt data/run_train_imgs.txt --train-coord-txt data/run_train_coords.txt"
TRAIN = f"milopyp-train {LISTS} --order xyz --bbox {DIAMETER} --preset scratch {HERE}"


def places(seed: int) -> np.ndarray:
    """Eight of them, ``(n, 3)`` x, y, z, apart from each other and from the faces."""
    rng, found = np.random.default_rng(seed), np.empty((0, 3))
    while len(found) < 8:
        place = rng.uniform((4, 4, 3), (SHAPE[2] - 5, SHAPE[1] - 5, SHAPE[0] - 4))
        if (np.linalg.norm(found - place, axis=1) > 1.5 * DIAMETER).all():
            found = np.vstack([found, place])
    return found


def blobs(path: str, seed: int, size: float) -> np.ndarray:
    """A tomogram of dark blobs; those of size 1 are the particles, larger ones look alike. Their places."""
    z, y, x = np.indices(SHAPE)
    volume, centres = np.random.default_rng(seed).normal(0, 0.2, SHAPE), places(seed)
    for place in centres:
        square = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2
        volume -= np.exp(-square / (2 * (size * DIAMETER / 4) ** 2))
    write_tomogram(Path(path), (1000 * volume).astype(np.int16), voxel_size=10.0)
    return centres


def prepared(words: str = "") -> None:
    outcome = run_line(f"milopyp prepare -d data -e .mrc -o run --no-pictures --bbox {DIAMETER} {words}")
    assert outcome.code == 0, outcome.err
    lines = Path("data/run_train_coords.txt").read_text().splitlines(keepends=True)
    assert "empty\tnone\tnone\tnone\n" in lines
    Path("data/labels_only.txt").write_text("".join(line for line in lines if not line.startswith("empty")))


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Lists of prepare: ``full`` with its labels, and ``empty``, whose file of picks says that there are none."""
    with contextlib.chdir(tmp_path):
        rows = "".join(f"{x},{y},{z},1\n" for x, y, z in blobs("data/full.mrc", 1, 1.0))
        Path("data/full.csv").write_text(f"x,y,z,score\n{rows}")
        blobs("data/empty.mrc", 2, 1.7)
        Path("data/empty.csv").write_text("x,y,z,score\n")
        prepared()
        yield tmp_path


def left_out(line: str, name: str) -> Experiment:
    """A training that leaves the empty tomogram out and says so."""
    outcome = run_line(f"{line} --exp-id {name}")
    assert (outcome.code, outcome.doubts) == (0, ["warning: empty: W05 has no labels and is left out"])
    experiment = Experiment(outcome, Path("exp/semi") / name)
    assert set(experiment.recipe().labels) == {"full"}
    return experiment


def at(experiment: Experiment, volume: str, centres: np.ndarray) -> np.ndarray:
    """The highest score within a radius of each place."""
    heat = heat_of(experiment, LAST, Path(volume), "xyz")
    return max_score_within(find_candidates(heat, experiment.recipe().voxel_per_output), centres, DIAMETER / 2)


@pytest.mark.usefixtures("work")
def test_look_alikes_of_an_empty_tomogram_are_not_learned_as_particles() -> None:
    """The same training with and without the row that says that their tomogram holds no particle."""
    told = trained(f"{TRAIN} --batch-size 2 --quick --num-epochs 4 --exp-id told")
    assert "empty: 52 x 48 x 16 voxels, order xyz, no particles: all of it is background" in told.outcome.out
    assert told.recipe().labels == {"full": 8, "empty": 0}
    untold = left_out(f"{TRAIN.replace('run_train_coords', 'labels_only')} --batch-size 2 --quick --num-epochs 4", "a")
    particles, alike = blobs("new.mrc", 3, 1.0), blobs("alike.mrc", 4, 1.7)
    assert at(told, "alike.mrc", alike).mean() < 0.6 * at(untold, "alike.mrc", alike).mean()
    assert at(told, "alike.mrc", alike).max() < 0.6 * np.median(at(told, "new.mrc", particles))


@pytest.mark.usefixtures("work")
def test_the_published_method_leaves_them_out() -> None:
    """Its patches lie around labels: what the program does with a tomogram without any is nothing."""
    for name in ("full", "empty"):  # large enough for its patches, the particles where they were
        zyx = noise((16, 72, 72), 5)
        zyx[:, : SHAPE[1], : SHAPE[2]] = open_tomogram(Path(f"data/{name}.mrc"), "xyz").zyx
        write_tomogram(Path(f"data/{name}.mrc"), zyx)
    for name in ("run_train_coords", "labels_only"):  # an epoch is one step per label
        rows = Path(f"data/{name}.txt").read_text().splitlines(keepends=True)
        Path(f"data/{name}.txt").write_text("".join([row for row in rows if "full" not in row] + rows[-2:]))
    line = f"{TRAIN} --preset published --num-epochs 1"
    first = left_out(line, "said").checkpoint()["state_dict"]
    second = left_out(line.replace("run_train_coords", "labels_only"), "unsaid").checkpoint()["state_dict"]
    assert all(torch.equal(value, second[key]) for key, value in first.items())
