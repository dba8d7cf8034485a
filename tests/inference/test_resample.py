"""``milopyp-infer --rescale``: a tomogram of another voxel size than the model's."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.matching import evaluate
from milopyp_shared.picks import Picks
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms
from running import run_line
from toys import DIAMETER, TOY, VOXEL_SIZE


@pytest.mark.parametrize("scale", [0.7, 1.2])
def test_picks_are_in_the_voxels_of_the_tomogram(tmp_path: Path, scale: float) -> None:
    settings = PhantomSettings(
        (24, 56, 64), voxel_size=VOXEL_SIZE * scale, n_particles=4, n_distractors=0, diameter=DIAMETER / scale,
        noise=0.0, missing_wedge_degrees=None, background=0.0,
    )  # fmt: skip
    made = write_phantoms(tmp_path / "data", 1, settings)
    [tomogram] = made.tomograms
    outcome = run_line("milopyp-infer --rescale", tomogram, "--model", TOY, "--out", tmp_path / "picks")
    assert (outcome.code, outcome.doubts) == (0, [])
    name = tomogram.stem
    found = np.loadtxt(tmp_path / "picks" / f"{name}.candidates.csv", delimiter=",", skiprows=3)
    truth = read_coordinate_list(made.coordinates)[name]
    result = evaluate(Picks(found[:, :3], found[:, 3])[found[:, 3] > 0.5], truth, DIAMETER / scale / 2)
    assert result.n_hits == len(truth)
    assert np.abs(result.mean_offset).max() < 0.3 / scale
    record = json.loads((tmp_path / "picks" / "records" / f"{name}.json").read_text())
    assert record["diameter"] == pytest.approx(DIAMETER / scale)
    assert record["suppression_distance"] == pytest.approx(0.6 * DIAMETER / scale)
    with mrcfile.open(tmp_path / "picks" / f"{name}_hm.mrc") as heat, mrcfile.open(tomogram) as source:
        assert [heat.voxel_size[axis] for axis in "xyz"] == pytest.approx([2 * VOXEL_SIZE] * 3, rel=1e-5)
        # both cover the same space: the lower corner of the first voxel is the same
        corner = [float(heat.header.origin[axis]) - VOXEL_SIZE for axis in "xyz"]
        assert corner == pytest.approx([float(source.header.origin[axis]) - VOXEL_SIZE * scale / 2 for axis in "xyz"])


def test_without_it_the_warning_names_it(tmp_path: Path) -> None:
    settings = PhantomSettings((16, 32, 40), voxel_size=14.0, n_particles=1, n_distractors=0, diameter=8, noise=0.1)
    [tomogram] = write_phantoms(tmp_path / "data", 1, settings).tomograms
    outcome = run_line("milopyp-infer", tomogram, "--model", TOY, "--out", tmp_path / "picks")
    assert outcome.code == 0
    assert "W02 voxels of 14 A, but the model was trained at 10 A (--rescale resamples)" in outcome.err
