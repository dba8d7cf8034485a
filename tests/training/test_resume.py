"""Which run a checkpoint belongs to: what decides its weights, whatever the version calls it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from experiments import LAST, SMALL, trained
from milopyp_shared.calibration import Threshold
from milopyp_shared.errors import InputError
from milopyp_shared.particles import Particle
from milopyp_shared.preprocessing import Preprocessing, published
from milopyp_shared.recipe import Geometry, Recipe
from milopyp_training.data.dataset import TrainingSet
from milopyp_training.loop.checkpoint import Checkpoint
from milopyp_training.loop.resume import identity_of, refuse_other_run
from milopyp_training.methods.presets import DefaultPreset, Preset, PublishedPreset

OLD = Path(__file__).parents[1] / "data" / "before_regrouping" / "identities.json"
PATH = Path("model.pth")
VOLUME: Any = SimpleNamespace(  # all that is asked of it
    name="a.rec",
    xyz=np.array([[33.0, 35.0, 5.0], [38.5, 30.0, 6.0]]),
    grey=SimpleNamespace(shape=(8, 68, 72), centre=1.5, unit=233.25),
    mask=None,
    rejected=np.empty((0, 3)),
    kind=0,
)
RECIPE = Recipe("", "default", Preprocessing(), Geometry((0, 0, 0), (1, 1, 1), (1, 1, 1)), 10.0, Threshold(0.5, "none"))


def other(**changes: Any) -> Any:
    return SimpleNamespace(**vars(VOLUME) | changes)


def identity(preset: Preset, **changes: Any) -> dict[str, str]:
    method: Any = SimpleNamespace(preset=preset)
    data = replace(TrainingSet([VOLUME], [], 10.0, "dark"), **changes)
    return identity_of(method, data, 317)


def stored(preset: str) -> Checkpoint:
    """A checkpoint of the version before the packages were regrouped, as far as its identity goes."""
    return Checkpoint({}, RECIPE, {"identity": json.loads(OLD.read_text())[preset]})


BEFORE = DefaultPreset(grey=Preprocessing(statistics="moments"))  # what the default preset was then


@pytest.mark.parametrize(("name", "preset"), [("default", BEFORE), ("published", PublishedPreset())])
def test_a_run_of_the_version_before_is_the_same_run(name: str, preset: Preset) -> None:
    before = stored(name)
    refuse_other_run(before, identity(preset), PATH)
    # its class of preprocessing had another name; the numbers count
    assert before.stored["identity"]["grey"].startswith("GreyParameters(")
    grey = replace(published(gauss=2.0), stretch=name == "default")
    for changed in (replace(preset, grey=grey), replace(preset, epochs=3)):
        with pytest.raises(InputError, match="is a run with other options"):
            refuse_other_run(before, identity(changed), PATH)


def test_a_run_of_the_first_formula_of_grey_levels_is_refused_in_one_line() -> None:
    with pytest.raises(
        InputError, match=r"is a run with grey levels by moments; expected by quantiles.*Begin anew"
    ) as caught:
        refuse_other_run(stored("default"), identity(DefaultPreset()), PATH)
    assert "\n" not in str(caught.value)


def test_labels_diameter_and_contrast_decide() -> None:
    before = stored("default")
    moved = other(xyz=VOLUME.xyz + 0.5)
    for name, changes in (
        ("a.rec", {"volumes": [moved]}),
        ("--bbox", {"diameter": 11.0}),
        ("--contrast", {"contrast": "bright"}),
        ("a.rec", {"volumes": []}),
    ):
        with pytest.raises(InputError, match=f"other options .{name} "):
            refuse_other_run(before, identity(BEFORE, **changes), PATH)


def test_rejected_places_and_every_class_decide() -> None:
    """Tomograms of several classes are there once for each: none of them may stand for the others."""
    small = Particle("small", 7.0)
    both: dict[str, Any] = {"volumes": [VOLUME, other(kind=1)], "particle": "big", "others": (small,)}
    preset, rejected = DefaultPreset(), np.array([[1.0, 2.0, 3.0]])
    run = Checkpoint({}, RECIPE, {"identity": identity(preset, **both)})
    refuse_other_run(run, identity(preset, **both), PATH)
    for name, changes in (
        ("big of a.rec", {"volumes": [other(xyz=VOLUME.xyz[:1]), other(kind=1)]}),
        ("small of a.rec", {"volumes": [VOLUME, other(kind=1, xyz=VOLUME.xyz[:1])]}),
        ("big of a.rec", {"volumes": [other(rejected=rejected), other(kind=1)]}),
        ("--bbox", {"others": (Particle("small", 8.0),)}),
    ):
        with pytest.raises(InputError, match=f"other options .{name} "):
            refuse_other_run(run, identity(preset, **both | changes), PATH)


@pytest.mark.usefixtures("work")
def test_the_command_goes_on_with_a_run_of_the_version_before() -> None:
    line = f"{SMALL} --num-epochs 1 --quick --exp-id older"
    path = trained(line).folder / LAST
    content = torch.load(path, weights_only=True)
    content["identity"]["grey"] = content["identity"]["grey"].replace("Preprocessing(", "GreyParameters(")
    assert "GreyParameters(" in content["identity"]["grey"]
    torch.save(content, path)
    assert "going on after epoch 1" in trained(f"{line} --resume").outcome.out
