"""Checkpoints: plain types and tensors only, read without running code from the file."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from milopyp_shared.atomic import replacing
from milopyp_shared.errors import InputError
from milopyp_shared.recipe import Recipe

from .trainer import TrainingState

FORMAT = "milopyp-checkpoint"
SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's content.

    Attributes
    ----------
    state_dict
        The weights that pick (averaged, where the method averages).
    recipe
        What the model says of itself.
    stored
        Everything in the file, for resuming.
    """

    state_dict: dict[str, torch.Tensor]
    recipe: Recipe
    stored: dict[str, Any]


def save(path: Path, state: TrainingState, recipe: Recipe, options: dict[str, Any], seed: int) -> None:
    """Write a checkpoint in one step: the old file or the new one, never half of it."""
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "epoch": state.epoch,
        "state_dict": state.picking_network.state_dict(),
        "training_state_dict": None if state.averaged is None else state.network.state_dict(),
        "averaged_steps": 0 if state.averaged is None else int(state.averaged.n_averaged),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict(),
        "rng": {"seed": seed},
        "recipe": recipe.to_json(),
        "options": options,
        "history": state.history,
    }
    with replacing(path) as part:
        torch.save(content, part)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint of milopyp.

    Raises
    ------
    InputError
        No such file, not a checkpoint, one with code in it, or one of a newer schema.
    """
    stored = read_plain(path)
    if stored.get("format") != FORMAT:
        raise InputError(
            "is no checkpoint of milopyp", where=path, expected=f"format {FORMAT!r}", remedy="Give a model_*.pth."
        )
    if not isinstance(stored.get("schema"), int) or stored["schema"] > SCHEMA:
        raise InputError(
            f"checkpoint schema {stored.get('schema')}",
            where=path,
            expected=f"{SCHEMA} or older",
            remedy="Update milopyp.",
        )
    try:
        return Checkpoint(stored["state_dict"], Recipe.from_json(stored["recipe"], path), stored)
    except KeyError as error:
        raise InputError(f"the checkpoint lacks {error}", where=path, expected="a complete checkpoint") from error


def read_plain(path: Path) -> dict[str, Any]:
    """Read a file of ``torch.save`` that holds tensors and plain types only; code in it is never run.

    Raises
    ------
    InputError
        No such file, not such a file, or one that wants to run code.
    """
    if not path.is_file():
        raise InputError("no such file", where=path, expected="a checkpoint (.pth)")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise InputError(
            f"cannot be read as a checkpoint ({reason})",
            where=path,
            expected="tensors and plain types written by torch.save",
            remedy="Copy it again; files with code in them are never loaded.",
        ) from error
    if not isinstance(stored, dict):
        raise InputError(f"holds a {type(stored).__name__}", where=path, expected="a checkpoint's dictionary")
    return stored


def restore(state: TrainingState, checkpoint: Checkpoint) -> None:
    """Put a stored run back into a fresh state, so that training goes on where it stopped."""
    stored = checkpoint.stored
    if state.averaged is None:
        state.network.load_state_dict(checkpoint.state_dict)
    else:
        state.network.load_state_dict(stored["training_state_dict"])
        state.averaged.module.load_state_dict(checkpoint.state_dict)
        state.averaged.n_averaged.fill_(stored["averaged_steps"])
    state.optimizer.load_state_dict(stored["optimizer"])
    state.scheduler.load_state_dict(stored["scheduler"])
    state.epoch, state.history = stored["epoch"], list(stored["history"])
