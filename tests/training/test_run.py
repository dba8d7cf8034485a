"""What a run keeps when the best epoch is not the last one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_shared.errors import InputError
from milopyp_shared.preprocessing import grey_levels
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.evaluation.plots import contact_sheet
from milopyp_training.evaluation.threshold import (
    OF_NETWORKS,
    suggested_score,
    threshold_of_labels,
    threshold_of_left_out,
)
from milopyp_training.evaluation.validation import predict_all
from milopyp_training.loop import checkpoint
from milopyp_training.loop.machine import Machine
from milopyp_training.methods.base import Method
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.presets import DefaultPreset, pretrained
from milopyp_training.networks.registry import build_network
from milopyp_training.run import TrainingRun
from milopyp_training.run_folder import RunFolder
from milopyp_training.schedule import Schedule
from toys import noise, write_tomogram

DEVICE, DIAMETER = torch.device("cpu"), 8.0
MACHINE = Machine(DEVICE)
PRESET = DefaultPreset(steps=4, batch=2, patch=(4, 16, 16), lr=0.01, averaging=0.2, epochs=6, folds=0)
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


def prepared(volumes: list[LabelledVolume], folder: Path, schedule: Schedule) -> TrainingRun:
    def make(volumes: Sequence[LabelledVolume]) -> Method:
        return DefaultMethod(PRESET, volumes, [DIAMETER], DEVICE)

    data = TrainingSet(volumes[:1], volumes[1:], DIAMETER, "dark")
    return TrainingRun(make, data, schedule, RunFolder(folder), MACHINE)


def best_epoch(run: TrainingRun) -> int:
    """The epoch of the lowest validation loss, of equal ones the later."""
    return int(max(run.state.validation, key=lambda row: (-row["loss"], row["epoch"]))["epoch"])


@pytest.fixture(scope="module")
def runs(volumes: list[LabelledVolume], tmp_path_factory: pytest.TempPathFactory) -> list[TrainingRun]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runs = []
    for seed in range(4):
        runs.append(prepared(volumes, tmp_path_factory.mktemp("seed"), replace(SCHEDULE, seed=seed)))
        runs[-1].train()
    torch.set_num_threads(threads)
    return runs


@pytest.fixture
def overfitted(runs: list[TrainingRun]) -> TrainingRun:
    """A run whose best epoch is neither the first nor the last."""
    found = [run for run in runs if 1 < best_epoch(run) < PRESET.epochs]
    if not found:  # which epoch is best depends on the processor's rounding
        pytest.skip(f"the best epochs were {[best_epoch(run) for run in runs]}: none is in the middle")
    return found[0]


def test_the_best_epoch_is_kept_whenever_it_comes(runs: list[TrainingRun], overfitted: TrainingRun) -> None:
    for run in runs:
        best = best_epoch(run)
        kept, last = checkpoint.load(run.folder.best), checkpoint.load(run.folder.last)
        assert (kept.stored["epoch"], last.stored["epoch"]) == (best, PRESET.epochs)
        for stored, epoch in ((kept, best), (last, PRESET.epochs)):
            of_epoch = checkpoint.load(run.folder.model(epoch))
            assert all(torch.equal(value, of_epoch.state_dict[name]) for name, value in stored.state_dict.items())
        assert f"Use `{run.folder.best.name}` (epoch {best})." in run.folder.model_selection.read_text()


@pytest.mark.parametrize("name", ["best", "last"])
def test_either_model_has_the_threshold_of_its_own_picks(
    name: str, overfitted: TrainingRun, volumes: list[LabelledVolume]
) -> None:
    """Found as it will pick: over as many mirrored copies as its recipe says."""
    stored = checkpoint.load(getattr(overfitted.folder, name))
    network = build_network(stored.recipe)
    network.load_state_dict(stored.state_dict)
    found = predict_all(overfitted.method, network, volumes[1:], stored.recipe, stored.recipe.flips)
    assert stored.recipe.threshold == threshold_of_labels(found, DIAMETER / 2, "validation")


def test_pictures_of_sections_are_kept_for_the_best_and_the_last_epoch(
    overfitted: TrainingRun, volumes: list[LabelledVolume], tmp_path: Path
) -> None:
    run = prepared(volumes, tmp_path, replace(overfitted.schedule, pictures=True))
    run.train()
    best = best_epoch(run)
    assert best == best_epoch(overfitted)
    found = sorted(path.name for path in (tmp_path / "debug").glob("*_pred_hm*.png"))
    assert found == sorted(f"{epoch}_noise2_pred_hm{z}.png" for epoch in (best, PRESET.epochs) for z in range(4))
    sheets = {path.name for path in (tmp_path / "debug").glob("*_noise2.png")}
    assert sheets == {f"{epoch}_noise2.png" for epoch in range(1, PRESET.epochs + 1)}


def test_a_run_that_goes_on_remembers_its_best_epoch(
    overfitted: TrainingRun, volumes: list[LabelledVolume], tmp_path: Path
) -> None:
    """As if it had died just after its best epoch: a worse one in the second part does not take its place."""
    best = best_epoch(overfitted)
    run = prepared(volumes, tmp_path, overfitted.schedule)
    for path in (run.folder.last, run.folder.best):
        shutil.copyfile(overfitted.folder.model(best), path)
    run.resume(run.folder.last)
    run.train()
    np.testing.assert_equal(run.state.validation, overfitted.state.validation)  # NaN equals NaN
    assert checkpoint.load(run.folder.best).stored["epoch"] == best
    for name in ("model_selection.md", "summary.png"):
        assert (tmp_path / name).read_bytes() == (overfitted.folder.path / name).read_bytes()
    for name in ("last", "best"):
        ours, theirs = (checkpoint.load(getattr(folder, name)) for folder in (run.folder, overfitted.folder))
        assert ours.recipe == theirs.recipe
        assert all(torch.equal(value, theirs.state_dict[key]) for key, value in ours.state_dict.items())


LABELS = np.array([[4.0, 4.0, 2.0], [18.0, 4.0, 3.0], [4.0, 18.0, 4.0], [18.0, 18.0, 5.0]])
CHECKED = replace(PRESET, epochs=2, folds=2)


def checked(
    volumes: list[LabelledVolume],
    folder: Path,
    empty: Sequence[LabelledVolume] = (),
    preset: DefaultPreset = CHECKED,
) -> TrainingRun:
    """A run with cross-validation on eight labels; tomograms without particles are trained on and judged, too."""

    def make(volumes: Sequence[LabelledVolume]) -> Method:
        return DefaultMethod(preset, volumes, [DIAMETER], DEVICE)

    many = [replace(volume, xyz=LABELS + number) for number, volume in enumerate(volumes)]
    data = TrainingSet([*empty, *many], [*empty, *many[:1]] if empty else [], DIAMETER, "dark")
    schedule = Schedule(epochs=2, seed=4, fully_labelled=bool(empty))
    return TrainingRun(make, data, schedule, RunFolder(folder), MACHINE)


def test_nothing_is_asked_of_an_empty_tomogram(volumes: list[LabelledVolume], tmp_path: Path) -> None:
    """What is in it is neither ignored nor suggested nor expected; all of it is background, and judged as such."""
    empty = replace(volumes[0], name="empty", xyz=np.empty((0, 3)))
    run = checked(volumes, tmp_path, [empty])
    recipe = run.train()
    assert recipe.labels == {"empty": 0, "noise1": 4, "noise2": 4}
    assert run.state.cross_validated is not None
    [found] = run.state.cross_validated
    assert set(found.ignored_candidates) == {"noise1", "noise2"}
    assert [volume.name for volume in run.volumes if len(volume.ignored)] == [
        name for name, xyz in found.ignored_candidates.items() if len(xyz)
    ]
    table = tmp_path / "debug" / "next_labels.tsv"
    assert {line.split()[0] for line in table.read_text().splitlines()[1:]} <= {"noise1", "noise2"}
    assert np.isfinite([value for row in run.state.validation for value in row.values()]).all()
    [prediction] = predict_all(run.method, run.state.ema_network, [empty], recipe)
    assert not prediction.target.any()
    contact_sheet(tmp_path / "sheet.png", prediction, prediction.picks, DIAMETER / 2, "empty")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    again = checked(volumes, tmp_path, [empty])
    again.resume(again.folder.last)
    assert again.train() == recipe
    with pytest.raises(InputError, match=r"empty 0 labels .*, now not there"):
        other = checked(volumes, tmp_path)
        other.resume(other.folder.last)


def test_what_knew_particles_before_takes_the_score_of_labels_that_were_left_out(
    volumes: list[LabelledVolume], tmp_path: Path
) -> None:
    """Of the networks that missed them, whatever the last network says of its own labels."""
    preset = replace(pretrained(), steps=1, batch=1, patch=(8, 24, 24), epochs=1, folds=2, flips=1)
    run = checked(volumes, tmp_path, preset=preset)
    recipe = run.train()
    assert run.state.cross_validated is not None
    [found] = run.state.cross_validated
    assert recipe.threshold == threshold_of_left_out(found.label_scores, OF_NETWORKS, recipe.calibration)
    assert recipe.threshold.score == suggested_score(found.label_scores, OF_NETWORKS)


def test_a_run_with_cross_validation_goes_on_as_if_nothing_had_happened(
    volumes: list[LabelledVolume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = checked(volumes, tmp_path / "whole")
    recipe = whole.train()
    stored = checkpoint.load(whole.folder.last)
    stored_found = checkpoint.cross_validated(stored, whole.folder.last)
    assert stored_found is not None
    [found] = stored_found
    assert set(found.ignored_candidates) == {volume.name for volume in volumes}
    assert 0 < sum(map(len, found.ignored_candidates.values())) <= CHECKED.ignored_per_label * len(LABELS) * 2
    assert len(found.label_scores) == 8
    assert [volume.ignored.tolist() for volume in whole.volumes] == [
        found.ignored_candidates[volume.name].tolist() for volume in whole.volumes
    ]
    assert recipe == stored.recipe
    assert recipe.labels == {volume.name: 4 for volume in volumes}

    broken, epoch = checked(volumes, tmp_path / "broken"), TrainingRun._epoch

    def interrupted(run: TrainingRun, *rest: Any) -> Any:
        if run.state.epoch == 1:
            raise KeyboardInterrupt
        return epoch(run, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "_epoch", interrupted)
        broken.train()
    resumed = checked(volumes, tmp_path / "broken")
    resumed.resume(resumed.folder.last)
    assert resumed.state.epoch == 1
    resumed.train()
    again = checkpoint.load(resumed.folder.last)
    assert again.recipe == stored.recipe
    assert all(torch.equal(value, again.state_dict[name]) for name, value in stored.state_dict.items())
