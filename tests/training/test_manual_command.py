"""The manual's sample command: what it leaves is what the manual names, and it is the published method."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from experiments import (
    BEST,
    LAST,
    MANUAL,
    THICK,
    Experiment,
    heat_of,
    trained,
)
from milopyp_inference.engine.model import read_recipe
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.preprocessing import published
from milopyp_training.data.targets import published_grid_centres, published_targets

pytestmark = pytest.mark.usefixtures("work")


@pytest.fixture(scope="module")
def manual() -> Experiment:
    return trained(f"{MANUAL} --threads 1 --gpus -1", THICK.format("phantom_1, phantom_2"))  # said once


def test_the_manuals_command_leaves_what_the_manual_names(manual: Experiment) -> None:
    assert "published preset, selected by its options" in manual.outcome.out
    exported = LAST.replace(".pth", ".onnx")
    assert f"next: milopyp-infer TOMOGRAM... --model exp/semi/sample_refinement/{exported}" in manual.outcome.out
    made_from = read_recipe(manual.folder / exported).checkpoint_sha256
    assert made_from == hashlib.sha256((manual.folder / LAST).read_bytes()).hexdigest()
    models = {"model_1.pth", BEST, LAST}
    assert manual.names == models | {exported, "opt.txt", "debug", "summary.png", "model_selection.md", "status.json"}
    assert {path.name.split(".")[0] for path in manual.logs.iterdir()} == {"events", "losses", "validation", "log"}
    # one epoch: all three are the same network
    weights = [manual.checkpoint(name)["state_dict"] for name in sorted(models)]
    assert all(torch.equal(value, other[name]) for other in weights[1:] for name, value in weights[0].items())
    assert {manual.checkpoint(name)["epoch"] for name in models} == {1}


def test_opt_txt_holds_every_option_and_its_source(manual: Experiment) -> None:
    words = MANUAL.split("semi", 1)[1].split()
    given: dict[str, str] = {}
    for index, word in enumerate(words):
        if word.startswith("--"):
            flag = index + 1 == len(words) or words[index + 1].startswith("--")
            given[word[2:]] = "True" if flag else words[index + 1]
    assert len(given) == 24
    options = manual.options()
    for name, value in given.items():
        found, source = options[name]
        assert source == "given", name
        assert found == value or float(found) == float(value), name
    assert options["seed"] == ("317", "default") and options["contrast"] == ("dark", "default")
    # numbers that no option names
    assert options["preset.name"] == ("published", "preset") and options["preset.lr_step"][1] == "preset"


def test_the_recipe_is_the_published_one(manual: Experiment) -> None:
    recipe = manual.recipe()
    assert (recipe.architecture, recipe.architecture_options) == ("unet_4", {"last_k": 3})
    assert recipe.grey == published(0.8, compress=True)
    assert (recipe.diameter, recipe.voxel_size, recipe.labels) == (16.0, 10.0, {"phantom_1": 4})
    assert "validation" in recipe.threshold.method and not recipe.threshold.calibrated


def test_every_loss_term_is_logged_as_table_text_and_events(manual: Experiment) -> None:
    [row] = manual.table("losses.csv")
    assert row.keys() == {"epoch", "loss", "heat_map", "contrastive", "consistency"}
    assert row["loss"] == pytest.approx(row["heat_map"] + 0.1 * row["contrastive"] + row["consistency"])
    [judged] = manual.table("validation.csv")
    assert judged.keys() == {"epoch", "loss", "labels", "auprc", "f1"}
    assert math.isnan(judged["auprc"]) and math.isnan(judged["f1"])  # nobody said that all particles are labelled
    events = manual.events()
    logged = {name: row[name] for name in row} | {f"validation/{name}": judged[name] for name in judged}
    expected = {name: value for name, value in logged.items() if "epoch" not in name}
    assert events.keys() == expected.keys()
    for name, value in expected.items():
        assert events[name] == [(1, pytest.approx(value, rel=1e-6, nan_ok=True))]
    text = (manual.logs / "log.txt").read_text()
    for name, value in expected.items():
        assert f"{name.replace('/', ' ')} {value:.5g}" in text


def test_the_validation_loss_is_that_of_the_saved_network(manual: Experiment) -> None:
    """Recomputed from the checkpoint, on the whole tomogram at once, by the loss's formula."""
    tomogram = Path("data/phantom_2.mrc")
    p = heat_of(manual, "model_1.pth", tomogram, "xzy").astype(np.float64).clip(1e-4, 1 - 1e-4)
    xyz = read_coordinate_list("data/val_coordinates.txt")["phantom_2"]
    t = published_targets(published_grid_centres(xyz, (2, 2, 2)), p.shape, 16, unlabelled=0.0)
    hit, rest = t == 1, t < 1
    loss = -((1 - p[hit]) ** 2 * np.log(p[hit])).sum() - ((1 - t[rest]) ** 4 * p[rest] ** 2 * np.log(1 - p[rest])).sum()
    assert manual.table("validation.csv")[0]["loss"] == pytest.approx(loss / hit.sum(), rel=1e-4)


def test_debug_holds_a_picture_of_every_section_a_sheet_and_the_picks(manual: Experiment) -> None:
    debug = manual.folder / "debug"
    sections = {f"1_phantom_2_pred_{kind}{section}.png" for kind in ("hm", "out") for section in range(8)}
    assert {path.name for path in debug.iterdir()} == sections | {"1_phantom_2.png", "1_phantom_2.txt"}
    pictures = {path.name: imread(path) for path in debug.glob("*.png")}
    for picture in pictures.values():
        assert picture.std() > 0.05 and min(picture.shape[:2]) > 300
    # every section has a picture of its own
    assert len({picture.tobytes() for picture in pictures.values()}) == len(pictures)
    assert imread(manual.folder / "summary.png").std() > 0.05


def test_which_model_to_use(manual: Experiment) -> None:
    text = (manual.folder / "model_selection.md").read_text()
    assert f"Use `{BEST}` (epoch 1)." in text
    assert "how early the validation labels come" in text and "| 1 | 1 | - | - |" in text
