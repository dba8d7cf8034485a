"""The committed toy model: what its script makes today, and a detector that finds every particle of a clean phantom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest

from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.pipeline import prepare, run_network
from milopyp_shared.matching import evaluate
from milopyp_shared.peaks import above_threshold, nms
from milopyp_shared.recipe import METADATA_KEY, Recipe
from milopyp_shared.tomogram import open_tomogram
from toys import DIAMETER, TOY, clean_phantom, write_tomogram


@pytest.fixture(scope="module")
def remade(toy_maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model exported anew."""
    path = tmp_path_factory.mktemp("toy") / "toy.onnx"
    toy_maker.make(path)
    return path


def heat_of(path: Path, sections: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {"sections": sections[None], "levels": np.array(levels, np.float32)}
    heat: np.ndarray = session.run(["heatmap"], inputs)[0][0]
    return heat


def recipe_of(path: Path) -> Recipe:
    properties = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    return Recipe.from_json(properties[METADATA_KEY], path)


@pytest.mark.parametrize("shape", [(16, 32, 40), (9, 33, 47), (1, 16, 17)])
def test_the_committed_file_does_what_its_script_makes(remade: Path, shape: tuple[int, int, int]) -> None:
    sections = np.random.default_rng(1).normal(127.5, 40, shape).clip(0, 255).astype(np.uint8)
    sections[:, 4:12, 5:14] //= 8  # something to find
    committed, new = (heat_of(path, sections, (3.0, 250.0)) for path in (TOY, remade))
    assert committed.shape == (shape[0], -(-shape[1] // 2), -(-shape[2] // 2))
    assert np.ptp(committed) > 0.02  # not a constant, which would agree with anything
    assert np.abs(committed - new).max() < 1e-5


def test_the_committed_recipe_is_what_its_script_writes(remade: Path) -> None:
    committed, new = recipe_of(TOY), recipe_of(remade)
    # of other versions of the libraries
    assert replace(committed, versions={}, parity={}) == replace(new, versions={}, parity={})
    assert committed.parity.keys() == new.parity.keys()
    assert committed.versions.keys() == new.versions.keys()
    assert 0 < committed.parity["max_difference"] < committed.parity["limit"]


def test_an_exported_file_says_nothing_of_the_machine_it_was_made_on(remade: Path) -> None:
    here = Path(__file__).parents[2]
    for path in (TOY, remade):
        content = path.read_bytes()
        assert len(content) < 200_000
        assert str(here).encode() not in content
        assert b".py" not in content
        assert onnx.load(str(path)).functions == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_finds_the_particles_of_a_clean_phantom_and_nothing_else(seed: int, tmp_path: Path) -> None:
    phantom = clean_phantom(seed)
    tomogram = open_tomogram(write_tomogram(tmp_path / "a.mrc", phantom.volume))
    model = open_model(TOY, Machine(threads=1))
    [result] = run_network(prepare(tomogram, model.recipe), model)
    candidates = result.candidates
    picks = above_threshold(nms(candidates, model.recipe.suppression_distance), model.recipe.threshold.score)
    result = evaluate(picks, phantom.particles_xyz, DIAMETER / 2)
    assert (result.n_hits, result.n_picks) == (10, 10)
    assert result.rmse < 1.0
    assert np.abs(result.mean_offset).max() < 0.3
