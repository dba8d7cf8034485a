"""Checkpoints: plain types and tensors only, read without running code from the file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from milopyp_shared.atomic import atomic_write
from milopyp_shared.errors import InputError
from milopyp_shared.files import missing_file_error
from milopyp_shared.recipe import Recipe

from ..data.cross_validated import CrossValidated
from .state import TrainingState

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


@dataclass(frozen=True)
class Provenance:
    """What a checkpoint says of the run that wrote it.

    Attributes
    ----------
    options
        Of the command, as text; for people.
    identity
        What decides the weights, see `milopyp_training.loop.resume.identity_of`; None: not told.
    """

    seed: int
    options: Mapping[str, str] = field(default_factory=dict)
    identity: Mapping[str, str] | None = None


def save(path: Path, state: TrainingState, recipe: Recipe, provenance: Provenance) -> None:
    """Write a checkpoint in one step: the old file or the new one, never half of it."""
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "epoch": state.epoch,
        "state_dict": state.ema_network.state_dict(),
        "training_state_dict": None if state.averaged is None else state.network.state_dict(),
        "averaged_steps": 0 if state.averaged is None else int(state.averaged.n_averaged),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict(),
        "rng": {"seed": provenance.seed},
        "recipe": recipe.to_json(),
        "options": dict(provenance.options),
        "identity": None if provenance.identity is None else dict(provenance.identity),
        "history": state.history,
        "validation": state.validation,
        "cross_validated": None if state.cross_validated is None else _stored(state.cross_validated),
    }
    write_plain(path, content)


def replace_recipe(path: Path, checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Write a loaded checkpoint again with another recipe."""
    write_plain(path, checkpoint.stored | {"recipe": recipe.to_json()})


def write_plain(path: Path, content: dict[str, Any]) -> None:
    """Write what `read_plain` reads, in one step.

    Through memory: where a disk is full, PyTorch's own writer raises what does not say so.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_write(path) as part:
        part.write_bytes(buffer.getbuffer())


def load(path: Path) -> Checkpoint:
    """Read a checkpoint of milopyp.

    Raises
    ------
    InputError
        No such file, not a checkpoint, one with code in it, or one of a newer schema.
    """
    return interpret(read_plain(path), path)


def interpret(stored: dict[str, Any], path: Path) -> Checkpoint:
    """The checkpoint of milopyp that `read_plain` has read from `path`; raises as `load` does."""
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
    for name, kind in (("state_dict", dict), ("recipe", str)):
        if name not in stored:
            raise InputError(f"the checkpoint lacks {name!r}", where=path, expected="a complete checkpoint")
        if not isinstance(stored[name], kind):
            found = f"the checkpoint's {name} is a {type(stored[name]).__name__}"
            raise InputError(found, where=path, expected="a complete checkpoint")
    return Checkpoint(stored["state_dict"], Recipe.from_json(stored["recipe"], path), stored)


def read_plain(path: Path) -> dict[str, Any]:
    """Read a file of ``torch.save`` that holds tensors and plain types only; code in it is never run.

    Raises
    ------
    InputError
        No such file, not such a file, or one that wants to run code.
    """
    if not path.is_file():
        raise missing_file_error(path, "a checkpoint (.pth)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are refused anyway
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make the unpickler raise anything
        reason = _reason(error)
        raise InputError(
            f"cannot be read as a checkpoint ({reason})",
            where=path,
            expected="tensors and plain types written by torch.save",
            remedy="Copy it again; files with code in them are never loaded.",
        ) from error
    if not isinstance(stored, dict):
        raise InputError(f"holds a {type(stored).__name__}", where=path, expected="a checkpoint's dictionary")
    return stored


def load_initial_weights(network: nn.Module, path: Path) -> None:
    """Begin with the weights of a checkpoint of milopyp or of the published program.

    Raises
    ------
    InputError
        The file is no checkpoint, or one of another network.
    """
    stored = read_plain(path)
    weights = stored.get("training_state_dict") or stored.get("state_dict")
    if not isinstance(weights, dict):
        raise InputError("has no state_dict", where=path, expected="a checkpoint")
    weights = {str(name).removeprefix("module."): value for name, value in weights.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"does not fit the network ({what_differs(error)})",
            where=path,
            expected=f"the {len(network.state_dict())} entries of the network that --preset and --arch name",
            remedy="Give the --preset and --arch that the checkpoint was trained with.",
        ) from error


def cross_validated(checkpoint: Checkpoint, path: Path) -> list[CrossValidated] | None:
    """What the stored run had found of each class before its first epoch.

    Raises
    ------
    InputError
        It is damaged.
    """
    found = checkpoint.stored.get("cross_validated")
    if found is None:
        return None
    try:
        stored = found if isinstance(found, list) else [found]
        return [_from_tensors(one) for one in stored]
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"what its cross-validation found is damaged ({what_differs(error)})",
            where=path,
            expected="a complete checkpoint",
        ) from error


def _from_tensors(found: dict[str, Any]) -> CrossValidated:
    places = {name: xyz.numpy().astype(float).reshape(-1, 3) for name, xyz in found["lookalikes"].items()}
    scores = found["label_scores"].numpy().astype(float).ravel()
    return CrossValidated(places, float(found["unlabelled"]), scores)


def _stored(found: Sequence[CrossValidated]) -> dict[str, Any] | list[dict[str, Any]]:
    """That of one class is as earlier versions wrote it."""
    each = [_as_tensors(one) for one in found]
    return each[0] if len(each) == 1 else each


def _as_tensors(found: CrossValidated) -> dict[str, Any]:
    """In plain types, under the names that the files have."""
    return {
        "lookalikes": {name: torch.from_numpy(xyz) for name, xyz in found.ignored_candidates.items()},
        "unlabelled": found.unlabelled,
        "label_scores": torch.from_numpy(found.label_scores),
    }


def _reason(error: Exception) -> str:
    """What PyTorch says of a file that it does not read, without its advice to read it unsafely."""
    said = (str(error).splitlines() or [""])[0]
    if type(error).__name__ == "UnpicklingError" or isinstance(error, KeyError) or "weights_only" in said:
        return "no list of tensors and plain types"
    return said.split(". ")[0][:80] or type(error).__name__


def what_differs(error: Exception) -> str:
    """What an error of loading says in its last line: PyTorch's first one names the network only."""
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:100]
