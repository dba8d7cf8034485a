"""Training on tomograms that are seen at another size: labels, pictures and picks stay in the tomogram's voxels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_inference import heat_map, pick
from milopyp_inference.engine.model import read_recipe
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.matching import evaluate
from milopyp_shared.peaks import find_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Preprocessing
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.data.loading import load_volumes
from milopyp_training.data.targets import IGNORED, gaussian_targets
from milopyp_training.evaluation import label_suggestions, plots
from milopyp_training.evaluation.picking import picks_of
from milopyp_training.evaluation.validation import Prediction, predict
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.presets import DefaultPreset
from milopyp_training.methods.recipe import recipe_of
from running import Outcome, run_line
from toy_checkpoint import toy_maker
from toys import ball_centres, balls, scaled_toy, write_tomogram

SHAPE, DIAMETER = (61, 121, 142), 20.0
PRESET = DefaultPreset(patch=(8, 32, 32), batch=4, steps=12, epochs=2)
CPU = torch.device("cpu")
NO_PICKS = Picks(np.zeros((0, 3)), np.zeros(0))


def load(
    folder: Path,
    scale: float,
    *,
    noise: float = 0.2,
    diameter: float = DIAMETER,
    shift: float = 0.0,
    grey: Preprocessing = PRESET.grey,
    **options: Any,
) -> tuple[LabelledVolume, list[str]]:
    """A labelled tomogram of particles of twice the toy's diameter, and what was warned of."""
    centres = ball_centres(SHAPE, diameter)
    volume = balls(SHAPE, centres, diameter) + np.random.default_rng(1).normal(0, noise, SHAPE).astype(np.float32)
    images = [ImageEntry("a", write_tomogram(folder / "a.mrc", volume, voxel_size=10.0))]
    warned: list[str] = []
    [loaded] = load_volumes(
        images, {"a": centres[:, ::-1] + shift}, grey, diameter=diameter, scale=scale, warn=warned.append,
        **options,
    )  # fmt: skip
    return loaded, warned


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.7, 1.4])
def test_what_is_wanted_lies_where_the_labels_are(tmp_path: Path, scale: float) -> None:
    """The target, decoded as picks are with the recipe that is stored, gives the labels back."""
    volume, warned = load(tmp_path, scale)
    assert warned == []
    seen = [round(size * scale) for size in SHAPE]
    assert volume.grey.shape == (-(-seen[0] // 2), seen[1], seen[2])
    method = DefaultMethod(PRESET, [volume], [DIAMETER], CPU)
    recipe = recipe_of(method, TrainingSet([volume], [], DIAMETER, "dark"))
    assert (recipe.scale, recipe.diameter, recipe.voxel_size) == (scale, DIAMETER, 10.0)
    stride = recipe.geometry.stride
    sigma = [0.2 * DIAMETER / step for step in volume.voxel_per_output(stride)]
    heat = gaussian_targets(volume.grid_zyx(stride), volume.grid_shape(stride), sigma)
    found = find_candidates(heat, recipe.voxel_per_output)
    assert len(found) == len(volume.xyz)
    assert np.linalg.norm(found.xyz[:, None] - volume.xyz, axis=2).min(axis=1).max() < 0.05 / scale
    target = method.target(volume)
    assert target[target < 1].tolist() == heat[target < 1].tolist()
    marked = (np.argwhere(target == 1.0) + 0.5) * recipe.voxel_per_output - 0.5
    off = np.abs(marked[:, None, ::-1] - volume.xyz).min(axis=1)
    assert (off <= np.array(recipe.voxel_per_output)[::-1] / 2 + 1e-9).all()


@pytest.mark.parametrize("scale", [0.5, 0.7])
def test_grey_levels_lie_where_the_labels_are(tmp_path: Path, scale: float) -> None:
    """A network of known weights, asked as in validation, finds the particles where it finds them in picking."""
    recipe = read_recipe(scaled_toy(tmp_path / "toy.onnx", scale))
    volume, _ = load(tmp_path, scale, noise=0.0, diameter=recipe.diameter, grey=recipe.grey)
    picks = picks_of(predict(toy_maker().toy_network(), volume), volume, recipe)
    assert evaluate(picks, volume.xyz, recipe.diameter / 2).n_hits == len(picks) == len(volume.xyz)
    picked = pick(tmp_path / "a.mrc", tmp_path / "toy.onnx", threshold=0.0)
    assert len(picked) == len(picks)
    assert np.linalg.norm(picked.xyz[:, None] - picks.xyz, axis=2).min(axis=1).max() < 0.01


def test_labels_beside_particles_are_noticed(tmp_path: Path) -> None:
    _, warned = load(tmp_path, 0.5, shift=DIAMETER / 2 + 4)
    assert [text[:7] for text in warned] == ["a: W03 "]


def test_masks_are_those_of_the_tomogram(tmp_path: Path) -> None:
    left = np.zeros(SHAPE, np.int8)
    left[:, :, :58] = 1
    write_tomogram(tmp_path / "masks" / "a.mrc", left)
    volume, [warned] = load(tmp_path, 0.5, masks=tmp_path / "masks")
    assert "labels outside the mask" in warned
    assert len(volume.xyz) > 0 and (volume.xyz[:, 0] < 57.5).all()
    target = DefaultMethod(PRESET, [volume], [DIAMETER], CPU).target(volume)
    assert (target[:, :, 15:] == IGNORED).all()  # a voxel of the heat map covers four: 60 and more
    assert (target[:, :, :14] >= 0).all()


def test_pictures_are_in_voxels_of_the_tomogram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections and heat maps span the tomogram, so that circles lie around particles."""
    volume, _ = load(tmp_path, 0.5)
    kept: list[Any] = []
    monkeypatch.setattr(plots, "save", lambda figure, path: kept.append(figure))
    heat = np.zeros(volume.grid_shape((1, 2, 2)), np.float32)
    plots.contact_sheet(tmp_path / "a.png", Prediction(volume, heat, heat, NO_PICKS), NO_PICKS, DIAMETER / 2, "a")
    panels = kept[0].axes
    assert len(panels) == 4 * plots.SHEET_SECTIONS
    for panel in panels:
        assert panel.images[0].get_extent() == [-0.5, 141.5, -0.5, 119.5]
    heights = [float(panel.get_title().removeprefix("z = ")) for panel in panels[: plots.SHEET_SECTIONS]]
    assert (heights[0], heights[-1]) == (9.5, 49.5)  # of 15 sections of four voxels the third and the 13th


def test_places_worth_a_look_are_shown_in_the_middle(tmp_path: Path) -> None:
    volume, _ = load(tmp_path, 0.5, noise=0.0)
    for xyz in volume.xyz[:6]:
        for view, middle in label_suggestions._views(label_suggestions.Spot(volume, xyz, 0.0), DIAMETER / 2):
            # grey levels are scaled to white at 255; the particle is what is dark
            dark = np.clip(np.median(view) - 10.0 - view, 0, None)
            rows, columns = np.indices(view.shape)
            near = np.hypot(columns - middle[0], rows - middle[1]) < DIAMETER / 4
            centre = [(places * dark)[near].sum() / dark[near].sum() for places in (columns, rows)]
            assert centre == pytest.approx(middle, abs=0.5)


def train(monkeypatch: pytest.MonkeyPatch, bbox: float, known: tuple[float, float]) -> Outcome:
    """``milopyp-train`` with a network that knows particles of these sizes, as the pre-trained one does."""
    volume, _ = load(Path(), 1.0, noise=0.1)
    write_image_list(Path("images.txt"), [ImageEntry("a", Path("a.mrc"))])
    write_coordinate_list(Path("coords.txt"), {"a": volume.xyz})
    preset = replace(PRESET, steps=2, epochs=1, folds=2, flips=1, diameters=known)
    monkeypatch.setattr("milopyp_training.train.choose_preset", lambda options: preset)
    return run_line(
        f"milopyp-train --train-img-txt images.txt --train-coord-txt coords.txt --bbox {bbox:g} --exp-id a --threads 1 "
        "--gpus -1 --no-export"
    )


def test_from_labels_to_picks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained with cross-validation, exported and compared with PyTorch on the tomogram, picked: all at half size."""
    monkeypatch.chdir(tmp_path)
    outcome = train(monkeypatch, DIAMETER, (6.0, 15.0))
    assert (outcome.code, outcome.doubts) == (0, []), outcome.err
    assert outcome.out.count("20 voxels across: tomograms are seen at half their size\n") == 1
    suggested = read_coordinate_list("exp/semi/a/debug/next_labels.tsv")["a"]
    assert (suggested.max(axis=0) > np.array(SHAPE[::-1]) / 2).all()  # not in voxels of half the size
    outcome = run_line("milopyp-export exp/semi/a/model_last_contrastive.pth -o a.onnx --verify-on images.txt")
    assert outcome.code == 0, outcome.err
    shown = json.loads(run_line("milopyp show --json a.onnx").out)
    assert (shown["scale"], shown["diameter"], shown["parity"]["pick_agreement"]) == (0.5, DIAMETER, 1.0)
    assert heat_map("a.mrc", "a.onnx").shape == (15, 30, 36)


def test_a_particle_that_no_size_makes_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = train(monkeypatch, DIAMETER, (50.0, 90.0))
    assert outcome.code == 2
    [error] = outcome.errors
    assert error.startswith("error: --bbox: 20 voxels; expected 25 to 720: ")
    assert not Path("exp").exists()
