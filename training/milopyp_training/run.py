"""A training run from lists to checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from milopyp_shared.console import Console
from milopyp_shared.grey import Contrast
from milopyp_shared.recipe import Recipe, Threshold

from . import checkpoint
from .data import LabelledVolume
from .method import Method
from .outputs import Log
from .trainer import TrainingState, new_state, train_epoch
from .validation import candidates, predict, threshold_of_labels

LAST = "model_last_contrastive.pth"

# Whole-tomogram predictions for the suggested threshold: enough to be stable, few enough to be quick.
TOMOGRAMS_FOR_THRESHOLD = 4


def recipe_of(method: Method, volumes: Sequence[LabelledVolume], diameter: float, contrast: Contrast) -> Recipe:
    """The recipe of a model that is about to be trained; its threshold is not known yet."""
    sizes = [volume.voxel_size for volume in volumes if volume.voxel_size]
    return Recipe(
        architecture=method.preset.architecture,
        architecture_options=method.architecture_options,
        preset=method.preset.name,
        grey=method.preset.grey,
        contrast=contrast,
        geometry=method.geometry,
        diameter=diameter,
        voxel_size=sizes[0] if sizes else None,
        threshold=Threshold(0.25, "not determined: training had not ended"),
        labels={volume.name: len(volume.xyz) for volume in volumes},
        versions={"milopyp": version("milopyp"), "torch": torch.__version__},
    )


def train(
    method: Method,
    volumes: Sequence[LabelledVolume],
    recipe: Recipe,
    folder: Path,
    *,
    epochs: int,
    seed: int,
    save_all: bool,
    device: torch.device,
    options: dict[str, Any],
    console: Console,
    resume: Path | None = None,
) -> Recipe:
    """Train, leaving checkpoints and logs in `folder`; returns the final recipe.

    The last checkpoint is written after every epoch, so that a run that dies can be resumed.
    """
    state = new_state(method, epochs)
    if resume is not None:
        checkpoint.restore(state, checkpoint.load(resume))
        console.say(f"going on after epoch {state.epoch} of {resume}")
    with Log(folder) as log, console.progress("epoch", epochs - state.epoch) as progress:
        while state.epoch < epochs:
            terms = train_epoch(method, state, seed)
            log.losses(state.epoch, terms)
            if state.epoch == epochs:
                recipe = replace(recipe, threshold=suggest_threshold(state, volumes, recipe, device))
            for name in [LAST, f"model_{state.epoch}.pth"] if save_all else [LAST]:
                checkpoint.save(folder / name, state, recipe, options, seed)
            progress.step(", ".join(f"{name} {value:.4g}" for name, value in terms.items()))
    return recipe


def suggest_threshold(
    state: TrainingState, volumes: Sequence[LabelledVolume], recipe: Recipe, device: torch.device
) -> Threshold:
    """The score that finds 90 % of the labels of the first few training tomograms."""
    used = volumes[:TOMOGRAMS_FOR_THRESHOLD]
    heats = (predict(state.picking_network, volume, recipe.geometry, device) for volume in used)
    found = [candidates(heat, recipe) for heat in heats]
    return threshold_of_labels(found, [volume.xyz for volume in used], recipe.diameter / 2)
