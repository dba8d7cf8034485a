"""What a run keeps when the best epoch is not the last one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from milopyp_shared.console import Console
from milopyp_shared.grey import grey_levels
from milopyp_shared.tomogram import open_tomogram
from milopyp_training import checkpoint
from milopyp_training.data import LabelledVolume
from milopyp_training.default_method import DefaultMethod
from milopyp_training.presets import DefaultPreset
from milopyp_training.run import BEST, LAST, Run, Schedule, recipe_of
from toys import noise, write_tomogram

DEVICE, DIAMETER = torch.device("cpu"), 8.0
PRESET = DefaultPreset(steps=2, batch=2, patch=(4, 16, 16), lr=0.1, epochs=6)
SCHEDULE = Schedule(epochs=PRESET.epochs, seed=0, metric="loss", save_all=True)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledVolume]:
    """Two volumes of noise with two labels each: what is learned on one says little about the other."""
    made = []
    for seed in (1, 2):
        path = write_tomogram(tmp_path_factory.mktemp("run") / f"noise{seed}.mrc", noise((8, 24, 24), seed))
        grey = grey_levels(open_tomogram(path, "xyz"), PRESET.grey)
        made.append(LabelledVolume(path.stem, grey, np.array([[8.2, 9.1, 3.3], [15.0, 14.6, 4.9]]), 10.0))
    return made


def train(volumes: list[LabelledVolume], folder: Path, schedule: Schedule) -> Run:
    torch.manual_seed(schedule.seed)
    method = DefaultMethod(PRESET, volumes[:1], DIAMETER, DEVICE)
    recipe = recipe_of(method, volumes[:1], DIAMETER, "dark")
    run = Run(method, volumes[:1], volumes[1:], recipe, folder, schedule, {}, DEVICE, Console(quiet=True))
    run.train()
    return run


def test_the_best_epoch_is_kept_whenever_it_comes(volumes: list[LabelledVolume], tmp_path: Path) -> None:
    """Runs with several seeds; at a high rate the validation loss rises and falls."""
    places = {}
    for seed in range(8):
        folder = tmp_path / str(seed)
        run = train(volumes, folder, replace(SCHEDULE, seed=seed))
        losses = {int(row["epoch"]): row["loss"] for row in run.state.validation}
        best = min(losses, key=lambda epoch: (losses[epoch], -epoch))
        places[best] = seed
        stored = checkpoint.load(folder / BEST)
        assert stored.stored["epoch"] == best
        of_epoch = checkpoint.load(folder / f"model_{best}.pth")
        assert all(torch.equal(value, of_epoch.state_dict[name]) for name, value in stored.state_dict.items())
        assert checkpoint.load(folder / LAST).stored["epoch"] == PRESET.epochs
        assert f"Use `{BEST}` (epoch {best})." in (folder / "model_selection.md").read_text()
    between = [epoch for epoch in places if 1 < epoch < PRESET.epochs]
    assert between, f"the best epochs were {sorted(places)}"

    # pictures of sections are kept for the best and the last epoch, a sheet for every one
    train(volumes, tmp_path / "drawn", replace(SCHEDULE, seed=places[between[0]], pictures=True))
    debug = tmp_path / "drawn" / "debug"
    pictured = [path.name.split("_")[0] for path in debug.glob("*_noise2_pred_hm*.png")]
    assert {int(epoch) for epoch in pictured} == {between[0], PRESET.epochs}
    assert len(pictured) == 2 * 4
    assert {path.name for path in debug.glob("*_noise2.png")} == {f"{n}_noise2.png" for n in range(1, 7)}


def test_a_validated_run_that_was_interrupted_remembers_its_best_epoch(
    volumes: list[LabelledVolume], tmp_path: Path
) -> None:
    """The first part's figures count in the second: a worse epoch there does not take the best one's place."""
    for seed in range(8):
        whole = train(volumes, tmp_path / f"whole{seed}", replace(SCHEDULE, seed=seed))
        losses = [row["loss"] for row in whole.state.validation]
        best = len(losses) - int(np.argmin(losses[::-1]))
        if not 1 < best < PRESET.epochs:
            continue
        folder = tmp_path / "parts"
        # as if the first part had died after its best epoch
        folder.mkdir()
        (folder / LAST).write_bytes((tmp_path / f"whole{seed}" / f"model_{best}.pth").read_bytes())
        (folder / BEST).write_bytes((tmp_path / f"whole{seed}" / BEST).read_bytes())
        torch.manual_seed(99)
        method = DefaultMethod(PRESET, volumes[:1], DIAMETER, DEVICE)
        recipe = recipe_of(method, volumes[:1], DIAMETER, "dark")
        schedule = replace(SCHEDULE, seed=seed)
        run = Run(method, volumes[:1], volumes[1:], recipe, folder, schedule, {}, DEVICE, Console(quiet=True))
        run.resume(folder / LAST)
        run.train()
        assert run.state.validation == whole.state.validation
        assert checkpoint.load(folder / BEST).stored["epoch"] == best
        for name in ("model_selection.md", "summary.png"):
            assert (folder / name).read_bytes() == (tmp_path / f"whole{seed}" / name).read_bytes()
        return
    pytest.fail("no run had its best epoch in the middle")
