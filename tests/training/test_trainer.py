"""The training loop: repeatable, resumable, averaged, stopped by what is no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_shared.errors import CheckError, InputError, UsageError
from milopyp_shared.preprocessing import Preprocessing, grey_levels, published
from milopyp_shared.recipe import Geometry
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.data.dataset import LabelledVolume, TrainingSet
from milopyp_training.loop import checkpoint
from milopyp_training.loop.checkpoint import Provenance
from milopyp_training.loop.machine import Machine
from milopyp_training.loop.resume import restore
from milopyp_training.loop.state import TrainingState, new_state
from milopyp_training.loop.trainer import train_epoch
from milopyp_training.losses.published import PublishedLoss
from milopyp_training.methods.base import Method
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.default_patches import Batch
from milopyp_training.methods.presets import DefaultPreset, PublishedPreset
from milopyp_training.methods.published import PublishedMethod
from milopyp_training.methods.recipe import recipe_of
from milopyp_training.networks.registry import NETWORKS, NetworkSpec
from toy_network import ToyNetwork
from toys import noise, write_tomogram

DEVICE = torch.device("cpu")
MACHINE = Machine(DEVICE)
DIAMETER = 10.0
EPOCHS = 3
NO_DATA = TrainingSet([], [], DIAMETER, "dark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainer")
    write_tomogram(folder / "small.mrc", noise((8, 24, 24)))
    write_tomogram(folder / "wide.mrc", noise((12, 68, 68)))
    return folder


def volume(path: Path, parameters: Preprocessing, xyz: list[list[float]]) -> LabelledVolume:
    return LabelledVolume(path.stem, grey_levels(open_tomogram(path, "xyz"), parameters), np.array(xyz), 10.0)


class Remembering(DefaultMethod):
    """The default method, which notes the patches that it is trained on."""

    seen: list[bytes]

    def loss_terms(self, network: Callable[..., Any], batch: Batch) -> dict[str, torch.Tensor]:
        self.seen.append(batch.sections.tobytes())
        return super().loss_terms(network, batch)


def default_method(folder: Path, **numbers: Any) -> Remembering:
    torch.manual_seed(5)
    preset = DefaultPreset(steps=3, batch=2, patch=(4, 16, 16), **numbers)
    labelled = volume(folder / "small.mrc", preset.grey, [[8.2, 9.1, 3.3], [15.0, 14.6, 4.9]])
    method = Remembering(preset, [labelled], [DIAMETER], DEVICE)
    method.seen = []
    return method


def published_method(folder: Path) -> PublishedMethod:
    """With the sampled contrastive term, which draws from PyTorch's generator."""
    torch.manual_seed(5)
    preset = PublishedPreset(grey=published(), loss=PublishedLoss(contrastive=True), lr_step=(1,))
    labelled = volume(folder / "wide.mrc", preset.grey, [[33.0, 35.0, 5.0], [38.0, 30.0, 6.0]])
    return PublishedMethod(preset, [labelled], DIAMETER, DEVICE)


MAKERS = {"default": default_method, "published": published_method}


def trained(method: Method, epochs: int, seed: int = 7) -> TrainingState:
    state = new_state(method, EPOCHS)
    for _ in range(epochs):
        train_epoch(method, state, seed, MACHINE)
    return state


def assert_equal_states(ours: TrainingState, theirs: TrainingState) -> None:
    """Bit for bit: weights, averaged weights, buffers, the optimiser's memory, its schedule, losses."""
    for one, other in ((ours.network, theirs.network), (ours.ema_network, theirs.ema_network)):
        others = other.state_dict()
        assert all(torch.equal(value, others[name]) for name, value in one.state_dict().items())
    memory, others = ours.optimizer.state_dict()["state"], theirs.optimizer.state_dict()["state"]
    assert memory.keys() == others.keys()
    for number, entries in memory.items():
        assert all(torch.equal(value, others[number][name]) for name, value in entries.items())
    assert ours.scheduler.state_dict() == theirs.scheduler.state_dict()
    assert (ours.epoch, ours.history) == (theirs.epoch, theirs.history)


@pytest.mark.parametrize("preset", MAKERS)
def test_a_resumed_run_equals_one_that_never_stopped(preset: str, folder: Path, tmp_path: Path) -> None:
    method = MAKERS[preset](folder)
    state = trained(method, 1)
    state.validation.append({"epoch": 1.0, "loss": 2.0, "labels": 0.5, "auprc": 0.1, "f1": 0.2})
    path = tmp_path / "model_last_contrastive.pth"
    checkpoint.save(path, state, recipe_of(method, NO_DATA), Provenance(7))
    whole = state
    while whole.epoch < EPOCHS:
        train_epoch(method, whole, 7, MACHINE)

    again = MAKERS[preset](folder)
    torch.manual_seed(99)  # nothing may hang on what a generator happens to be at
    resumed = new_state(again, EPOCHS)
    restore(resumed, checkpoint.load(path), path)
    assert (resumed.epoch, resumed.validation) == (1, state.validation)
    while resumed.epoch < EPOCHS:
        train_epoch(again, resumed, 7, Machine(DEVICE, ahead=2))
    assert_equal_states(resumed, whole)
    assert len(resumed.history) == EPOCHS
    if preset == "published":  # lr_step=(1,): the schedule has crossed its milestone in the same place
        assert resumed.optimizer.param_groups[0]["lr"] == pytest.approx(5e-5)


@pytest.mark.parametrize("lost", ["epoch", "history", "validation", "optimizer", "training_state_dict"])
def test_a_checkpoint_that_cannot_be_resumed_is_refused(lost: str, folder: Path, tmp_path: Path) -> None:
    method = default_method(folder)
    state = trained(method, 1)
    path = tmp_path / "model.pth"
    checkpoint.save(path, state, recipe_of(method, NO_DATA), Provenance(7))
    stored = checkpoint.load(path)
    del stored.stored[lost]
    fresh = new_state(default_method(folder), EPOCHS)
    with pytest.raises(InputError, match=rf"model\.pth: is a run with other options \(it lacks {lost}\)"):
        restore(fresh, stored, path)


@pytest.mark.parametrize("preset", MAKERS)
def test_the_seed_decides_everything(preset: str, folder: Path) -> None:
    first = trained(MAKERS[preset](folder), 1)
    torch.manual_seed(1234)
    assert_equal_states(trained(MAKERS[preset](folder), 1), first)
    other = trained(MAKERS[preset](folder), 1, seed=8)
    assert other.history != first.history
    weights = other.ema_network.state_dict()
    changed = [name for name, value in first.ema_network.state_dict().items() if not torch.equal(value, weights[name])]
    assert len(changed) > len(weights) / 2


def test_no_epoch_repeats_the_patches_of_another(folder: Path) -> None:
    method = default_method(folder)
    trained(method, EPOCHS)
    assert len(set(method.seen)) == len(method.seen) == 3 * EPOCHS


def test_means_and_steps_of_an_epoch(folder: Path) -> None:
    method, told = default_method(folder), []
    state = new_state(method, EPOCHS)
    means = train_epoch(method, state, 7, MACHINE, lambda step, losses: told.append((step, losses["loss"])))
    assert [step for step, _ in told] == [1, 2, 3]
    assert means["loss"] == pytest.approx(np.mean([loss for _, loss in told]))
    assert state.history == [means]


def test_averaged_weights_are_the_documented_moving_average(folder: Path) -> None:
    """They begin with the weights after the first step; then each step keeps `averaging` of them."""
    decay = 0.8
    method = default_method(folder, averaging=decay, lr=0.05)
    state = new_state(method, EPOCHS)
    seen: list[dict[str, torch.Tensor]] = []
    for _ in range(2):
        train_epoch(
            method,
            state,
            7,
            MACHINE,
            lambda *_: seen.append({k: v.double() for k, v in state.network.state_dict().items()}),
        )
    assert len(seen) == 6
    expected = seen[0]
    for weights in seen[1:]:
        expected = {name: decay * expected[name] + (1 - decay) * value for name, value in weights.items()}
    found = state.ema_network.state_dict()
    moved = 0
    for name, value in found.items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
            moved += not torch.allclose(value.double(), seen[-1][name], rtol=1e-3)
    assert moved > len(found) / 3  # they are another network than the one in training
    assert state.ema_network is not state.network


def test_the_published_method_averages_nothing(folder: Path) -> None:
    state = new_state(published_method(folder), EPOCHS)
    assert state.averaged is None
    assert state.ema_network is state.network


def test_a_rate_that_makes_the_loss_no_number_is_a_failed_check(folder: Path) -> None:
    method = default_method(folder, lr=1e30)
    state = new_state(method, EPOCHS)
    with pytest.raises(CheckError) as stopped:
        trained_until_broken(method, state)
    text = str(stopped.value)
    assert text.startswith("training loss: the term 'loss' is nan at step ")
    assert f"of epoch {state.epoch + 1}" in text and "Lower --lr" in text
    # the broken epoch counts as not finished
    assert len(state.history) == state.epoch < EPOCHS


def trained_until_broken(method: Method, state: TrainingState) -> None:
    for _ in range(EPOCHS):
        train_epoch(method, state, 7, MACHINE)


def test_the_error_names_the_term_that_broke_and_not_the_sum_of_all(folder: Path) -> None:
    method = published_method(folder)
    with torch.no_grad():
        method.network.proj.weight[0] = torch.inf  # the embedding, which only the contrastive term sees
    with pytest.raises(CheckError, match=r"the term 'contrastive' is nan at step 1 of epoch 1"):
        train_epoch(method, new_state(method, EPOCHS), 7, MACHINE)


# ---------------------------------------------------------------- networks of another stride


class Coarse(ToyNetwork):
    """Its heat map has half of the sections, and a fourth of the pixels along y and x."""

    def forward(self, sections: torch.Tensor) -> torch.Tensor:
        return super().forward(sections)[..., ::2, ::2]

    def geometry(self) -> Geometry:
        return Geometry(halo=(5, 5, 5), alignment=(2, 4, 4), stride=(2, 4, 4))


def test_the_default_method_takes_the_stride_from_its_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "coarse", NetworkSpec("coarse", lambda grey, options: Coarse()))
    method = default_method(folder, architecture="coarse")
    labelled = volume(folder / "small.mrc", method.preset.grey, [[5.5, 9.5, 5.5]])
    assert np.argwhere(method.target(labelled) == 1.0).tolist() == [[1, 2, 1]]
    assert method.target(labelled).shape == (2, 6, 6)
    state = trained(method, 1)
    assert np.isfinite(state.history[0]["loss"])


def test_the_published_method_refuses_networks_of_another_stride(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its patches are of fixed size, and so are their heat maps."""
    monkeypatch.setitem(NETWORKS, "coarse", NetworkSpec("coarse", lambda grey, options: Coarse(), "published"))
    preset = PublishedPreset(architecture="coarse")
    labelled = volume(folder / "wide.mrc", preset.grey, [[33.0, 35.0, 5.0], [38.0, 30.0, 6.0]])
    with pytest.raises(UsageError, match=r"--arch: coarse, whose heat map has strides of \(2, 4, 4\)"):
        PublishedMethod(preset, [labelled], DIAMETER, DEVICE)
