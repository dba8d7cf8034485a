"""`milopyp-train --rejected`: places that look like particles, and of which a person has said that they are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import HERE, LAST, Experiment, heat_of, trained
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.matching import max_score_within
from milopyp_shared.peaks import find_candidates
from running import run_line
from toys import write_tomogram

DIAMETER = 10
SHAPE = (24, 72, 96)
TRAIN = (
    f"milopyp-train --train-img-txt images.txt --train-coord-txt coords.txt --order xyz --bbox {DIAMETER} --quick "
    f"--num-epochs 1 --batch-size 2 --exp-id {{}} {HERE}"
)


def scene(path: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A tomogram of dark blobs, small ones and larger ones that look alike; the places of both, ``(n, 3)`` x, y, z."""
    grid = np.array([(x, y, 12) for x in range(12, 96, 24) for y in range(12, 72, 24)], float)
    rng = np.random.default_rng(seed)
    places = rng.permutation(grid + rng.uniform(-2, 2, grid.shape))
    z, y, x = np.indices(SHAPE)
    volume = rng.normal(0, 0.2, SHAPE)
    for number, place in enumerate(places):
        square = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2
        volume -= np.exp(-square / (2 * ((1.0 if number < 6 else 1.2) * DIAMETER / 4) ** 2))
    write_tomogram(Path(path), (1000 * volume).astype(np.int16), voxel_size=10.0)
    return places[:6], places[6:]


def highest(experiment: Experiment, volume: str, places: np.ndarray) -> np.ndarray:
    heat = heat_of(experiment, LAST, Path(volume), "xyz")
    return max_score_within(find_candidates(heat, experiment.recipe().voxel_per_output), places, DIAMETER / 2)


def test_what_is_rejected_is_learned_and_belongs_to_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    particles, alike = scene("a.mrc", 1)
    Path("images.txt").write_text("image_name\trec_path\na\ta.mrc\n")
    write_coordinate_list(Path("coords.txt"), {"a": particles})
    write_coordinate_list(Path("rejected.txt"), {"a": alike, "b": alike})
    left_out = "warning: rejected.txt: tomograms without labels are left out: b"
    told = trained(f"{TRAIN.format('told')} --rejected rejected.txt", left_out)
    untold = trained(TRAIN.format("untold"))
    particles, alike = scene("new.mrc", 2)
    assert highest(told, "new.mrc", alike).mean() < 0.75 * highest(untold, "new.mrc", alike).mean()
    assert np.median(highest(told, "new.mrc", particles)) > 0.9 * np.median(highest(untold, "new.mrc", particles))
    resumed = run_line(f"{TRAIN.format('told')} --resume")
    assert resumed.code == 2 and "is a run with other options (a 6 labels" in resumed.err
    assert "6 rejected" in resumed.err
