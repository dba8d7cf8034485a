"""Finished trainings and the files they left."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.preprocessing import grey_levels
from milopyp_shared.recipe import Recipe
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.networks.registry import build_network
from running import Outcome, run_line

DIAMETER = 8
HERE = "--threads 1 --gpus -1 --no-export"
# The manual's sample command with fewer epochs and the smaller network.
MANUAL = (
    "milopyp-train semi --down_ratio 2 --num_epochs 1 --bbox 16 --exp_id sample_refinement --dataset semi "
    "--arch unet_4 --save_all --debug 4 --val_interval 1 --thresh 0.85 --cr_weight 0.1 --temp 0.07 --tau 0.01 "
    "--lr 5e-4 --train_img_txt sample_train_explore_img.txt --train_coord_txt training_coordinates.txt "
    "--val_img_txt sample_val_img.txt --val_coord_txt val_coordinates.txt --K 900 --compress --order xzy --gauss 0.8 "
    "--contrastive --last_k 3"
)
THICK = (
    "warning: W12 --bbox is more than half of the thinnest axis of {} (16 voxels): it counts voxels, or Angstrom with "
    "an A (210A)\n"
)
PUBLISHED_LISTS = "--train-img-txt sample_train_explore_img.txt --train-coord-txt training_coordinates.txt --bbox 16"
SMALL = (
    "milopyp-train --train-img-txt small/train_img.txt --train-coord-txt small/train_coord.txt "
    f"--bbox {DIAMETER} --preset scratch --batch-size 2 {HERE}"
)
VALIDATED = f"{SMALL} --val-img-txt small/val_img.txt --val-coord-txt small/val_coord.txt"
LAST, BEST = "model_last_contrastive.pth", "model_best_contrastive.pth"
# Steps too small to be seen in a weight: what training leaves is what it began with.
STANDSTILL = "--num-epochs 1 --lr 1e-30"


@dataclass(frozen=True)
class Experiment:
    """A finished run and the files it left."""

    outcome: Outcome
    folder: Path

    @cached_property
    def names(self) -> set[str]:
        """Files and folders directly in it, the folder of logs aside."""
        return {path.name for path in self.folder.iterdir()} - {self.logs.name}

    @cached_property
    def logs(self) -> Path:
        [logs] = self.folder.glob("logs_*")
        return logs

    def table(self, name: str) -> list[dict[str, float]]:
        with (self.logs / name).open() as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]

    def events(self) -> dict[str, list[tuple[int, float]]]:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(self.logs))
        events.Reload()
        return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    def options(self) -> dict[str, tuple[str, str]]:
        """Value and source of every line of ``opt.txt``."""
        lines = (self.folder / "opt.txt").read_text().splitlines()[1:]
        found = [re.fullmatch(r"  (\S+): (.*)  # (given|preset|default)", line) for line in lines]
        assert all(found)
        return {match[1]: (match[2], match[3]) for match in found if match}

    def checkpoint(self, name: str = LAST) -> dict[str, Any]:
        stored: dict[str, Any] = torch.load(self.folder / name, weights_only=True)
        return stored

    def recipe(self, name: str = LAST) -> Recipe:
        return Recipe.from_json(self.checkpoint(name)["recipe"], name)


def trained(line: str, warned: str = "") -> Experiment:
    """Run a command line that must succeed with these words on standard error, by default none."""
    outcome = run_line(line)
    assert (outcome.code, outcome.doubts) == (0, warned.splitlines()), outcome.err
    match = re.search(r"--exp[_-]id (\S+)", line)
    assert match
    folder = Path("exp/semi") / match[1]
    assert not list(folder.rglob("*.part"))
    return Experiment(outcome, folder)


def lists(folder: Path, phantoms: Any, names: tuple[str, str, str, str]) -> None:
    """Training on the first tomogram, validation on the second: image and coordinate list of each."""
    truth = read_coordinate_list(phantoms.coordinates)
    for path, image_list, coordinate_list in zip(phantoms.tomograms, names[::2], names[1::2], strict=True):
        write_image_list(folder / image_list, [ImageEntry(path.stem, path)])
        write_coordinate_list(folder / coordinate_list, {path.stem: truth[path.stem]})


def heat_of(experiment: Experiment, name: str, tomogram: Path, order: str) -> np.ndarray:
    """Heat map of a whole tomogram by the network in a checkpoint, in one piece."""
    recipe = experiment.recipe(name)
    network = build_network(recipe)
    network.load_state_dict(experiment.checkpoint(name)["state_dict"])
    network.eval()
    volume = grey_levels(open_tomogram(tomogram, order), recipe.grey, recipe.contrast)
    low, high = volume.input_range
    levels = torch.from_numpy(volume.sections(0, volume.shape[0]).astype(np.float32))[None]
    with torch.inference_mode():
        return torch.sigmoid(network.picking_logits((levels - low) / (high - low)))[0].numpy()
