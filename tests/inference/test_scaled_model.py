"""A model that sees tomograms at another size: its picks are in the voxels of the tomogram."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from milopyp_inference import open_model, pick
from milopyp_inference.api import heat_map
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.matching import evaluate
from milopyp_shared.picks import Picks
from running import run_line
from toys import DIAMETER, TOY, VOXEL_SIZE, ball_centres, balls, scaled_toy, write_tomogram

CASES = [
    (0.5, (64, 160, 200)),
    (0.5, (61, 141, 197)),  # which half a voxel is lost of
    (0.7, (45, 90, 131)),
    (1.6, (24, 48, 56)),
]
HALVED = ((64, 120, 140), 2 * DIAMETER)
LEFT = 58  # voxels: between two columns of particles


def of_small(shape: tuple[int, int, int], centres_zyx: np.ndarray, scale: float) -> Picks:
    """What the model that sees tomograms as they are finds in the same specimen, recorded as the other one sees it."""
    seen = tuple(round(size * scale) for size in shape)
    small = balls((seen[0], seen[1], seen[2]), (centres_zyx + 0.5) * scale - 0.5)
    picks = pick(small, TOY)
    return Picks((picks.xyz + 0.5) / scale - 0.5, picks.score)


@pytest.mark.parametrize(("scale", "shape"), CASES)
def test_to_a_hundredth_of_a_voxel(tmp_path: Path, scale: float, shape: tuple[int, int, int]) -> None:
    diameter = DIAMETER / scale
    centres = ball_centres(shape, diameter)
    picks = pick(balls(shape, centres, diameter), scaled_toy(tmp_path / "toy.onnx", scale))
    result = evaluate(picks, centres[:, ::-1], diameter / 2)
    assert (len(picks), result.n_hits) == (len(centres), len(centres))
    assert np.abs(result.mean_offset).max() < 0.05
    expected = of_small(shape, centres, scale).xyz
    distance = np.linalg.norm(picks.xyz[:, None] - expected, axis=2)
    assert distance.min(axis=1).max() < 0.01


@pytest.fixture(scope="module")
def picked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A tomogram in the order of IMOD's ``tilt``, a mask of its left part, and a model that sees it half as large."""
    folder = tmp_path_factory.mktemp("scaled")
    shape, diameter = HALVED
    centres = ball_centres(shape, diameter)
    write_tomogram(folder / "a.mrc", balls(shape, centres, diameter), "xzy", voxel_size=VOXEL_SIZE)
    left = np.zeros(shape, np.int8)
    left[:, :, :LEFT] = 1
    write_tomogram(folder / "left.mrc", left, "xzy")
    scaled_toy(folder / "toy.onnx", 0.5)
    return folder, centres[:, ::-1]


def infer(folder: Path, *more: object) -> tuple[Picks, dict[str, float]]:
    """All candidates above a half, and the record."""
    out = folder / f"picks{len(list(folder.glob('picks*')))}"
    outcome = run_line("milopyp-infer", folder / "a.mrc", "--model", folder / "toy.onnx", "--out", out, *more)
    assert (outcome.code, outcome.doubts) == (0, []), outcome.err
    found = read_candidates(out / "a.candidates.csv")
    return found[found.score > 0.5], json.loads((out / "records" / "a.json").read_text()) | {"out": str(out)}


def test_files_of_the_command(picked: tuple[Path, np.ndarray]) -> None:
    folder, truth = picked
    found, record = infer(folder)
    assert evaluate(found, truth, DIAMETER).n_hits == len(found) == len(truth) == record["picks"]
    assert (record["diameter"], record["suppression_distance"]) == (20.0, 12.0)
    with mrcfile.open(Path(str(record["out"])) / "a_hm.mrc") as heat, mrcfile.open(folder / "a.mrc") as source:
        assert heat.data.shape == tuple(size // 4 for size in source.data.shape)
        assert [heat.voxel_size[axis] for axis in "xyz"] == pytest.approx([4 * VOXEL_SIZE] * 3, rel=1e-5)
        corner = [float(heat.header.origin[axis]) - 2 * VOXEL_SIZE for axis in "xyz"]
        assert corner == pytest.approx([float(source.header.origin[axis]) - VOXEL_SIZE / 2 for axis in "xyz"])
        # the brightest voxel of the heat map is the one that the best pick lies in
        brightest = np.unravel_index(heat.data.argmax(), heat.data.shape)
        best = found.xyz[0][[1, 2, 0]]  # of the file's axes, slowest first: y, z, x
        assert np.abs((np.array(brightest) + 0.5) * 4 - 0.5 - best).max() < 4


def test_a_mask_is_one_of_the_tomogram(picked: tuple[Path, np.ndarray]) -> None:
    folder, truth = picked
    found, _ = infer(folder, "--mask", folder / "left.mrc")
    inside = truth[truth[:, 0] < LEFT]
    assert 0 < len(inside) < len(truth)
    assert evaluate(found, inside, DIAMETER).n_hits == len(inside) == len(found)


@pytest.mark.parametrize("rescaled", [2.0, 1.25])
def test_together_with_rescale(picked: tuple[Path, np.ndarray], rescaled: float) -> None:
    """Voxels that are larger than those of the training, and a model that sees these smaller: both at once."""
    folder, _ = picked
    shape, diameter = tuple(round(size / rescaled) for size in HALVED[0]), HALVED[1] / rescaled
    centres = ball_centres((shape[0], shape[1], shape[2]), diameter)
    volume = balls((shape[0], shape[1], shape[2]), centres, diameter)
    write_tomogram(folder / "b" / "a.mrc", volume, voxel_size=rescaled * VOXEL_SIZE)
    scaled_toy(folder / "b" / "toy.onnx", 0.5)
    found, record = infer(folder / "b", "--rescale")
    assert evaluate(found, centres[:, ::-1], diameter / 2).n_hits == len(found) == len(centres)
    assert record["diameter"] == pytest.approx(20.0 / rescaled)
    with mrcfile.open(Path(str(record["out"])) / "a_hm.mrc") as heat:
        assert [heat.voxel_size[axis] for axis in "xyz"] == pytest.approx([4 * VOXEL_SIZE] * 3, rel=1e-5)
    from_python = pick(volume, folder / "b" / "toy.onnx", rescale=True, voxel_size=rescaled * VOXEL_SIZE)
    assert from_python.xyz == pytest.approx(found.xyz, abs=0.01)


def test_it_needs_the_memory_of_what_it_sees(picked: tuple[Path, np.ndarray]) -> None:
    """A bound that its tiles fit into, and those of the tomogram itself do not: 70 x 60 pixels a section, not 140."""
    folder, _ = picked
    outcome = run_line(
        "milopyp-infer --memory 300050KB", folder / "a.mrc", "--model", folder / "toy.onnx", "--out", folder / "none"
    )
    assert outcome.code == 2 and "70 x 60 pixels" in outcome.err


def test_it_says_so(picked: tuple[Path, np.ndarray]) -> None:
    folder, _ = picked
    shown = run_line("milopyp show", folder / "toy.onnx").out
    assert "picking     tomograms are seen at half their size; one pass; picks at least 12 voxels apart; " in shown
    assert "4 4 4 voxels (z y x) per heat-map voxel" in shown
    assert "particles   dark, 20 voxels across: 200 Angstrom at 10 per voxel" in shown


def test_heat_map_from_python(picked: tuple[Path, np.ndarray]) -> None:
    folder, _ = picked
    model = open_model(folder / "toy.onnx")
    assert model.recipe.voxel_per_output == (4.0, 4.0, 4.0)
    assert heat_map(folder / "a.mrc", model).shape == tuple(size // 4 for size in HALVED[0])
