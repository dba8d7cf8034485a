"""Two processes that train together, started as a person would start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_shared import cpu
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.loading import load_volumes
from milopyp_training.loop.machine import mixed_precision_pays
from milopyp_training.loop.state import TrainingState, new_state
from milopyp_training.methods.base import WorldInfo
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.presets import DefaultPreset, PublishedPreset
from milopyp_training.methods.published import PublishedMethod
from toys import noise, write_tomogram

DIAMETER, EPOCHS, SEED = 8.0, 2, 11
LAST = "model_last_contrastive.pth"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    settings = PhantomSettings((16, 48, 52), n_particles=5, n_distractors=0, diameter=DIAMETER, noise=0.3, background=0)
    files = write_phantoms(folder, 2, settings)
    truth = read_coordinate_list(files.coordinates)
    for name, part in (("train", "phantom_1"), ("val", "phantom_2")):
        write_coordinate_list(folder / f"{name}.txt", {part: truth[part]})
    write_image_list(folder / "images_val.txt", [ImageEntry("phantom_2", files.tomograms[1])])
    return folder


@pytest.fixture(scope="module")
def ended(folder: Path) -> subprocess.CompletedProcess[str]:
    words = (
        f"{sys.executable} -m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 "
        f"--master-port {free_port()} -m milopyp_training.cli --train-img-txt images.txt --train-coord-txt train.txt "
        f"--val-img-txt images_val.txt --val-coord-txt val.txt --bbox {DIAMETER} --preset scratch --batch-size 2 "
        f"--seed {SEED} --num-epochs {EPOCHS} --exp-id together --gpus -1 --threads 1 --quick"
    )
    surroundings = {name: value for name, value in os.environ.items() if name not in ("WORLD_SIZE", "RANK")}
    return subprocess.run(
        words.split(), cwd=folder, env=surroundings | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip


def test_two_processes_finish_and_leave_one_set_of_files(ended: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == "warning: phantom_2: W05 has no labels and is left out\n"  # said once
    said = [line.split(":")[0] for line in ended.stdout.splitlines()]
    assert said[:4] == ["phantom_1", "phantom_2", "epoch 1/2", "epoch 2/2"]  # training, validation, and then
    assert [line.split()[0] for line in said[4:]] == ["looking", "suggested", "wrote", "next"]
    assert {path.name for path in (folder / "exp/semi").iterdir()} == {"together"}
    experiment = folder / "exp/semi/together"
    [logs] = experiment.glob("logs_*")
    assert len(list(logs.glob("events.*"))) == 1
    assert len((logs / "losses.csv").read_text().splitlines()) == len(
        (logs / "validation.csv").read_text().splitlines()
    )
    assert {path.name for path in experiment.iterdir()} - {logs.name} == {
        LAST, LAST.replace(".pth", ".onnx"), "model_best_contrastive.pth", "model_selection.md", "opt.txt",
        "status.json", "summary.png",
    }  # fmt: skip


def together(folder: Path) -> list[TrainingState]:
    """The same training in this process: two networks, each with its own batches, gradients averaged by hand."""
    preset = DefaultPreset(batch=2, epochs=EPOCHS)
    volumes = load_volumes(
        read_image_list(folder / "images.txt"),
        read_coordinate_list(folder / "train.txt"),
        preset.grey,
        diameter=DIAMETER,
    )
    worlds = [WorldInfo(rank, 2) for rank in (0, 1)]
    methods = []
    for _ in worlds:
        torch.manual_seed(SEED)
        methods.append(DefaultMethod(preset, volumes, [DIAMETER], torch.device("cpu")))
    states = [new_state(method, EPOCHS, world) for method, world in zip(methods, worlds, strict=True)]
    for epoch in range(EPOCHS):
        drawn = [
            method.batches(np.random.default_rng([SEED, epoch]), world)
            for method, world in zip(methods, worlds, strict=True)
        ]
        for batches in zip(*drawn, strict=True):
            assert not np.array_equal(batches[0].sections, batches[1].sections)
            for method, state, batch in zip(methods, states, batches, strict=True):
                state.network.train()
                state.optimizer.zero_grad()
                method.loss_terms(state.network, batch)["loss"].backward()
            for one, other in zip(*(state.network.parameters() for state in states), strict=True):
                assert one.grad is not None and other.grad is not None
                mean = (one.grad + other.grad) / 2
                one.grad, other.grad = mean, mean.clone()
            for state in states:
                state.optimizer.step()
                state.scheduler.step()
                assert state.averaged is not None
                state.averaged.update_parameters(state.network)
    return states


def test_they_train_one_model_on_the_mean_of_their_gradients(
    ended: subprocess.CompletedProcess[str], folder: Path
) -> None:
    """What the first process leaves is the result of both only if the other held the same weights at every step."""
    assert ended.returncode == 0, ended.stderr
    stored: dict[str, Any] = torch.load(folder / "exp/semi/together" / LAST, weights_only=True)
    first, second = together(folder)
    assert stored["averaged_steps"] == EPOCHS * 25  # fifty steps an epoch, shared
    for name, value in first.network.named_parameters():
        assert torch.equal(value, second.network.get_parameter(name))
    for found, wanted in (
        (stored["training_state_dict"], first.network.state_dict()),
        (stored["state_dict"], first.ema_network.state_dict()),
    ):
        for name, value in wanted.items():
            torch.testing.assert_close(
                found[name], value, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_where_bfloat16_is_used_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never of itself in the published preset or with patches that are cut down or shallow: see `bfloat16_on_cpu`."""
    grey = {
        shape: grey_levels(
            open_tomogram(write_tomogram(tmp_path / f"{shape[0]}.mrc", noise(shape)), "xyz"), Preprocessing()
        )
        for shape in ((32, 68, 68), (16, 64, 64))
    }
    cpu_device, gpu_device = torch.device("cpu"), torch.device("cuda", 0)
    deep, shallow = ([LabelledVolume("a", levels, np.full((2, 3), 8.0), None)] for levels in grey.values())
    whole, cut_down = (DefaultMethod(DefaultPreset(), volumes, [8.0], cpu_device) for volumes in (deep, shallow))
    small = DefaultMethod(DefaultPreset(patch=(8, 32, 32)), deep, [8.0], cpu_device)
    published = PublishedMethod(PublishedPreset(), deep, 8.0, cpu_device)
    for can in (True, False):
        monkeypatch.setattr(cpu, "bfloat16_pays", lambda can=can: can)
        assert mixed_precision_pays(cpu_device, whole) is can
        assert not mixed_precision_pays(cpu_device, cut_down)
        assert not mixed_precision_pays(cpu_device, small)
        assert not mixed_precision_pays(cpu_device, published)
        assert mixed_precision_pays(gpu_device, cut_down) and mixed_precision_pays(gpu_device, published)


def test_cross_validation_in_two_processes(folder: Path) -> None:
    """Both go on from the places that the first has found: their networks stay the same to the last bit."""
    settings = PhantomSettings((16, 64, 64), n_particles=9, n_distractors=0, diameter=DIAMETER, noise=0.3, background=0)
    files = write_phantoms(folder / "half", 2, settings)
    truth = read_coordinate_list(files.coordinates)
    write_coordinate_list(folder / "half.txt", {name: xyz[:5] for name, xyz in truth.items()})
    program = folder / "both.py"
    program.write_text(
        "import os, sys, numpy, torch\n"
        "from pathlib import Path\n"
        "from dataclasses import replace\n"
        "from milopyp_training import run, train\n"
        "from milopyp_training.cli import train_command\n"
        "chosen, whole = train.choose_preset, run.TrainingRun.train\n"
        "train.choose_preset = lambda options: replace(chosen(options), steps=20, folds=2)\n"  # enough to find places
        "def and_tell(self):\n"
        "    recipe = whole(self)\n"
        "    weights = torch.cat([p.detach().flatten() for p in self.method.network.parameters()])\n"
        "    places = numpy.concatenate([volume.ignored.ravel() for volume in self.volumes])\n"
        "    numpy.savez(f'rank_{self.machine.world.rank}.npz', weights=weights.numpy(), places=places)\n"
        "    return recipe\n"
        "run.TrainingRun.train = and_tell\n"
        "train_command(sys.argv[1:], standalone_mode=False)\n"
        "threads = [(task / 'comm').read_text() for task in Path('/proc/self/task').glob('*')]\n"
        "Path('threads_' + os.environ['RANK']).write_text(''.join(threads))\n"
    )
    words = (
        f"{sys.executable} -m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 "
        f"--master-port {free_port()} both.py --train-img-txt half/images.txt --train-coord-txt half.txt "
        f"--bbox {DIAMETER} --batch-size 2 --num-epochs 1 --exp-id both --gpus -1 --threads 1 --no-export"
    )
    surroundings = {name: value for name, value in os.environ.items() if name not in ("WORLD_SIZE", "RANK")}
    ended = subprocess.run(
        words.split(), cwd=folder, env=surroundings | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=550, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("not background, since it looks like particles") == 1
    first, second = (np.load(folder / f"rank_{rank}.npz") for rank in (0, 1))
    assert len(first["places"]) > 0
    for name in ("places", "weights"):
        assert np.array_equal(first[name], second[name])
    for rank in (0, 1):  # threads of a group that has not ended may abort the interpreter's end
        assert "gloo" not in (folder / f"threads_{rank}").read_text()
