"""Pre-training: a world that depends on its seed only, patches that show the truth, a run that can be killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_shared.console import Console
from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.pretrained_weights import ARRAYS, DESCRIPTION, read_pretrained
from milopyp_training.losses.focal import soft_focal_loss
from milopyp_training.networks.pretrained import load_pretrained
from milopyp_training.networks.unet3d import UNet3d
from milopyp_training.pretraining import patches, pretrain
from milopyp_training.pretraining.batches import as_batch, batches
from milopyp_training.pretraining.domain import LARGEST, SMALLEST, draw_group
from milopyp_training.pretraining.heads import SpeciesHeads
from milopyp_training.pretraining.library import SimulatedLevels, make_tomograms, missing_jobs, read_group
from milopyp_training.pretraining.patches import Patch, draw_patches
from milopyp_training.pretraining.settings import PretrainingSettings
from milopyp_training.pretraining.ship import ship

SMALL = PretrainingSettings(channels=2, coarse=0, features=4, groups=1, steps=6, patch=(8, 32, 32))
CPU = torch.device("cpu")
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tomograms of one group."""
    folder = tmp_path_factory.mktemp("pretraining")
    made = list(make_tomograms(missing_jobs(folder / "tomograms", SMALL), workers=1))
    assert made == ["group_0000_0.npz", "group_0000_1.npz"]
    return folder


@pytest.fixture
def run_folder(library: Path, tmp_path: Path) -> Path:
    """A folder for a run, with the tomograms in it."""
    (tmp_path / "tomograms").symlink_to(library / "tomograms")
    return tmp_path


def test_the_world_depends_on_its_seed_and_number_only() -> None:
    first, again, other = draw_group(1, 3), draw_group(1, 3), draw_group(1, 4)
    assert first.settings == again.settings != other.settings
    for name, density in first.densities.items():
        assert np.array_equal(density.array, again.densities[name].array)


def test_the_world_is_as_wide_as_it_says() -> None:
    groups = [draw_group(5, number) for number in range(12)]
    sizes = [2 * one.radius for group in groups for one in group.densities.values()]
    # a shape is kept to its size within a tenth
    assert SMALLEST * 0.85 < min(sizes) < 12 < 30 < max(sizes) < LARGEST * 1.15
    settings = [one for group in groups for one in group.settings]
    assert {one.microscope.tilt_axis for one in settings} == {"x", "y"}
    assert {one.reconstruction.ctf_correction for one in settings} == {"none", "phase_flip", "deconvolve"}
    assert any(one.reconstruction.sirt_iterations for one in settings)
    assert any(density.membrane_z is not None for group in groups for density in group.densities.values())
    assert max(one.voxel_size for one in settings) > 1.5 * min(one.voxel_size for one in settings)


def test_only_missing_tomograms_are_made(library: Path) -> None:
    assert missing_jobs(library / "tomograms", SMALL) == []
    more = missing_jobs(library / "tomograms", replace(SMALL, groups=2))
    assert [(job.group, job.member) for job in more] == [(1, 0), (1, 1)]


def test_particles_are_dark_where_the_truth_says(library: Path) -> None:
    means = []
    for own in read_group(library / "tomograms", 0):
        assert own.levels.dtype == np.uint8
        z, y, x = np.indices(own.levels.shape, dtype=np.float32)
        for (a, b, c), species in zip(own.xyz, own.species, strict=True):
            inside = (2 * z + 0.5 - c) ** 2 + (y - b) ** 2 + (x - a) ** 2 < (0.8 * own.radii[species]) ** 2
            if inside.any() and np.ptp(own.levels[inside]):  # not under the border
                means.append(own.levels[inside].mean() - np.median(own.levels))
    assert np.mean(np.array(means) < 0) > 0.8
    assert np.median(means) < -8


def test_a_damaged_tomogram_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "group_0000_0.npy", np.zeros((4, 8, 8), np.uint8))
    (tmp_path / "group_0000_0.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"group_0000_0\.npz.*Remove it"):
        read_group(tmp_path, 0)


def test_a_tomogram_that_was_cut_short_is_refused(library: Path, tmp_path: Path) -> None:
    for path in (library / "tomograms").iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[:-100] if path.name == "group_0000_1.npy" else content)
    with pytest.raises(InputError, match=r"group_0000_1\.npz.*Remove it"):
        read_group(tmp_path, 0)


def test_processes_draw_the_batches_that_a_thread_draws(library: Path) -> None:
    settings = replace(SMALL, steps=4)
    one, other = (list(batches(library / "tomograms", settings, 1, workers)) for workers in (0, 2))
    assert len(one) == len(other) == 3
    for mine, theirs in zip(one, other, strict=True):
        for name, part in vars(mine).items():
            assert torch.equal(part, getattr(theirs, name)), name


def ball(shape: tuple[int, int, int], xyz: Sequence[tuple[float, float, float]], radius: float) -> SimulatedLevels:
    """Dark balls on a bright ground; `shape` of the levels, whose sections are pairs."""
    z, y, x = np.indices(shape)
    levels = np.full(shape, 200, np.uint8)
    for a, b, c in xyz:
        levels[((2 * z + 0.5 - c) ** 2 + (y - b) ** 2 + (x - a) ** 2) < radius**2] = 50
    return SimulatedLevels(levels, np.zeros(len(xyz), np.int64), np.array(xyz), np.array([radius, 9.0]))


def test_targets_lie_on_the_particles_however_a_patch_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "augment", lambda sections, limits, rng: sections)
    settings = replace(SMALL, patch=(12, 40, 32), worlds=1, patches=8)
    volume = ball((20, 90, 80), [(20.3, 31.7, 18.2), (55.1, 60.2, 22.8), (60.0, 20.0, 12.0)], 5.0)
    drawn = draw_patches([[volume, volume]], settings, np.random.default_rng(0))
    assert len(drawn) == 8
    with_particle = 0
    for patch in drawn:
        assert patch.sections.shape == (12, 40, 32)
        assert patch.target.shape == (2, 12, 20, 16)
        assert not patch.target[1].any()
        seen = patch.sections.reshape(12, 20, 2, 16, 2).mean(axis=(2, 4)) < 0.5
        found = patch.target[0] > 0.5
        if found.sum() > 4 and patch.target[0].max() > 0.9:
            with_particle += 1
            assert seen[patch.positive[0]].all()
            assert seen[found].mean() > 0.8
    assert with_particle >= 4


def test_a_thin_tomogram_ends_in_middle_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "augment", lambda sections, limits, rng: sections)
    volume = ball((5, 64, 64), [(30.0, 30.0, 5.0)], 4.0)
    (patch,) = draw_patches([[volume]], replace(SMALL, worlds=1, patches=1), np.random.default_rng(3))
    outside = np.sort(patch.sections.reshape(8, -1).std(axis=1))[:3]
    assert (outside == 0).all()
    assert np.count_nonzero((patch.sections == 0.5).all(axis=(1, 2))) == 3


def test_the_loss_is_the_focal_loss_of_every_species(library: Path) -> None:
    torch.manual_seed(0)
    heads = SpeciesHeads([2, 3], 4)
    rng = np.random.default_rng(0)
    grid = (3, 4, 5)

    def made(group: int, species: int) -> Patch:
        target = rng.random((species, *grid)).astype(np.float32)
        return Patch(group, np.zeros(grid, np.float32), target, target > 0.9)

    drawn = [made(1, 3), made(0, 2), made(1, 3)]
    features = torch.randn(3, 4, *grid)
    logits = []
    for own, patch in zip(features, drawn, strict=True):
        species = {0: slice(0, 2), 1: slice(2, 5)}[patch.group]
        bias = heads.bias[species, None, None, None]
        logits.append(torch.einsum("sd,dzyx->szyx", heads.weight[species], own) + bias)
    flat, target, positive = (
        torch.cat([torch.as_tensor(part).flatten() for part in parts])
        for parts in (logits, [patch.target for patch in drawn], [patch.positive for patch in drawn])
    )
    wanted = soft_focal_loss(flat, target, positive)
    torch.testing.assert_close(heads.loss(features, as_batch(drawn, [2, 3])), wanted, rtol=1e-5, atol=1e-6)


def state_of(network: UNet3d) -> dict[str, Any]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def test_a_run_that_is_stopped_goes_on_as_if_nothing_had_happened(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "EVERY", 2)
    whole = state_of(pretrain.pretrain(run_folder, SMALL, CPU, 1, QUIET))
    (run_folder / "pretraining.pth").unlink()

    class Killed(Exception):
        pass

    step = pretrain._step

    def killed(state: Any, *rest: Any) -> torch.Tensor:
        if state.step == 5:
            raise Killed
        return step(state, *rest)

    monkeypatch.setattr(pretrain, "_step", killed)
    with pytest.raises(Killed):
        pretrain.pretrain(run_folder, SMALL, CPU, 1, QUIET)
    monkeypatch.setattr(pretrain, "_step", step)
    resumed = state_of(pretrain.pretrain(run_folder, SMALL, CPU, 1, QUIET))
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert np.array_equal(value, resumed[name]), name
    with pytest.raises(ContradictionError, match="other settings"):
        pretrain.pretrain(run_folder, replace(SMALL, lr=1e-3), CPU, 1, QUIET)
    content = torch.load(run_folder / "pretraining.pth", weights_only=True)
    torch.save(content | {"network": {}}, run_folder / "pretraining.pth")
    with pytest.raises(InputError, match=r"pretraining\.pth: is damaged .*training begins anew"):
        pretrain.pretrain(run_folder, SMALL, CPU, 1, QUIET)


def test_shipped_weights_come_back_and_altered_ones_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = UNet3d(2, 3, 4, 1).eval()
    ship(network, SMALL, tmp_path)
    weights = read_pretrained(tmp_path)
    assert asdict(weights.description.options) == network.architecture_options
    assert not any(name.startswith("head.") for name in weights.arrays)
    other = UNet3d(2, 3, 4, 1).eval()
    load_pretrained(other, weights)
    grey = torch.rand(1, 4, 16, 16)
    torch.testing.assert_close(other.features(grey), network.features(grey), rtol=2e-2, atol=5e-3)  # half precision
    with pytest.raises(InputError, match="do not fit the network"):
        load_pretrained(UNet3d(3, 3, 4, 1), weights)

    content = bytearray((tmp_path / ARRAYS).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / ARRAYS).write_bytes(content)
    with pytest.raises(InputError, match=r"features\.npz: has been altered.*Install milopyp again"):
        read_pretrained(tmp_path)
    (tmp_path / ARRAYS).unlink()
    with pytest.raises(InputError, match=r"features\.npz: no such file"):
        read_pretrained(tmp_path)
    described = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps(described | {"colour": 1}))
    with pytest.raises(InputError, match="colour"):
        read_pretrained(tmp_path)
    (tmp_path / DESCRIPTION).unlink()
    with pytest.raises(InputError, match=r"features\.json: no such file"):
        read_pretrained(tmp_path)
