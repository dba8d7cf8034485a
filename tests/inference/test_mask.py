"""``--mask`` in picking: what lies outside is no pick, in any output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from milopyp_inference import pick
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.picks import Picks
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

LINE = "milopyp-infer a.mrc b.mrc --model toy.onnx --out picks --threads 1 --with-score"


@pytest.fixture(autouse=True)
def particles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """True positions in two tomograms, and masks of the half with the smaller x; the second one has its axes turned."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "toy.onnx")
    truth = {}
    for number, (name, order) in enumerate({"a": "xyz", "b": "xzy"}.items()):
        phantom = clean_phantom(seed=number + 1, shape_zyx=(24, 48, 64), particles=6)
        truth[name] = phantom.particles_xyz
        write_tomogram(Path(f"{name}.mrc"), phantom.volume, order, voxel_size=10.0)
        left = np.zeros(phantom.volume.shape, np.int8)
        left[:, :, :32] = 1
        write_tomogram(Path("masks") / f"{name}_mask.mrc", left, order)
    return truth


def found(name: str) -> Picks:
    return read_candidates(Path(f"picks/{name}.candidates.csv"))


def count(name: str) -> int:
    return len(Path(f"picks/{name}.txt").read_text().splitlines())


def test_picks_stay_inside(particles: dict[str, np.ndarray]) -> None:
    outcome = run_line(LINE, "--mask", "masks")
    assert outcome.code == 0, outcome.err
    for name, xyz in particles.items():
        assert 0 < np.sum(xyz[:, 0] < 31) < len(xyz)
        assert (found(name).xyz[:, 0] < 32).all()
        assert count(name) == np.sum(xyz[:, 0] < 31)
    assert run_line("milopyp threshold picks --value 0.3").code == 0
    assert count("a") == np.sum(particles["a"][:, 0] < 31)


def test_from_python(particles: dict[str, np.ndarray]) -> None:
    inside = pick("a.mrc", "toy.onnx", mask="masks/a_mask.mrc")
    everywhere = pick("a.mrc", "toy.onnx")
    assert np.array_equal(inside.xyz, everywhere.xyz[everywhere.xyz[:, 0] < 32])


def test_published_decoding_knows_masks(particles: dict[str, np.ndarray]) -> None:
    line = "milopyp-infer a.mrc --model toy.onnx --published --cutoff-z 0 --out-thresh 0.1 --threads 1"
    texts = {}
    for name, more in {"all": [], "masked": ["--mask", "masks"]}.items():
        assert run_line(line, "--out", name, *more).code == 0
        texts[name] = [line.split() for line in Path(f"{name}/a.txt").read_text().splitlines()]
    inside = int(np.sum(particles["a"][:, 0] < 32))
    limited = run_line(line, "--out", "limited", "--K", str(inside), "--mask", "masks")
    assert limited.code == 0
    rows = [row.split() for row in Path("limited/a.txt").read_text().splitlines()]
    assert rows == texts["masked"]  # what the mask leaves out does not use up --K
    assert texts["masked"] == [row for row in texts["all"] if float(row[0]) < 32]


def test_another_mask_under_the_same_name_picks_again(particles: dict[str, np.ndarray]) -> None:
    run_line(LINE, "--mask", "masks")
    before = count("a")
    assert "a is already done" in run_line(LINE, "--mask", "masks").out
    write_tomogram(Path("masks/a_mask.mrc"), np.ones((24, 48, 64), np.float32))
    again = run_line(LINE, "--mask", "masks")
    assert "a is already done" not in again.out and "b is already done" in again.out
    assert count("a") == len(particles["a"]) > before


def test_a_mask_that_goes_away_picks_again(particles: dict[str, np.ndarray]) -> None:
    run_line(LINE, "--mask", "masks")
    before = count("a")
    Path("masks/a_mask.mrc").unlink()
    assert "a is already done" not in run_line(LINE, "--mask", "masks").out
    assert count("a") == len(particles["a"]) > before


def test_tomograms_without_a_mask_are_named(particles: dict[str, np.ndarray]) -> None:
    Path("masks/b_mask.mrc").unlink()
    outcome = run_line(LINE, "--mask", "masks")
    assert "masks has no mask of b: no part of it is left out" in outcome.out
    assert count("b") == len(particles["b"])


def test_a_mask_that_fits_one_tomogram_only(particles: dict[str, np.ndarray]) -> None:
    """One mask for all, of which the second tomogram is stored in another order: it fails, the first is picked."""
    outcome = run_line(LINE, "--mask", "masks/a_mask.mrc")
    assert outcome.code == 1
    failed = json.loads(Path("picks/run.json").read_text())["failed"]
    assert list(failed) == ["b"] and "64 x 48 x 24 voxels" in failed["b"]
    assert not Path("picks/b.txt").exists()
