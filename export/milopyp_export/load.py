"""Checkpoints, ours and published ones: network and recipe. Needs PyTorch, but no onnx."""

from __future__ import annotations

from pathlib import Path

from milopyp_shared.errors import InputError
from milopyp_shared.recipe import Recipe
from milopyp_training.loop.checkpoint import interpret, read_plain
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.registry import build_network

from . import published_checkpoint
from .published_options import TrainingFacts, reconcile


def load_model(path: Path, facts: TrainingFacts | None = None) -> tuple[PickingNetwork, Recipe]:
    """Network (in evaluation mode) and recipe of a checkpoint, ours or a published one.

    Raises
    ------
    InputError
        It cannot be used, or a published one does not say enough.
    ContradictionError
        `facts` contradicts it.
    """
    facts = facts or TrainingFacts()
    stored = read_plain(path)
    if "format" not in stored:
        return published_checkpoint.read(stored, path, facts)
    loaded = interpret(stored, path)
    recipe = reconcile(loaded.recipe, facts, path)
    network = build_network(recipe, path)
    try:
        network.load_state_dict(loaded.state_dict)
    except RuntimeError as error:
        raise InputError(
            f"the weights do not fit {recipe.architecture} ({str(error).splitlines()[-1].strip()[:100]})",
            where=path,
            expected="the weights of the network its recipe names",
        ) from error
    return network.eval(), recipe


def summarise(path: Path) -> Recipe | published_checkpoint.Partial:
    """The recipe of a checkpoint, or what is known of a published one that nothing completes.

    Raises
    ------
    InputError
        It cannot be used.
    """
    stored = read_plain(path)
    if "format" in stored:
        return interpret(stored, path).recipe
    partial = published_checkpoint.summarise(stored, path)
    return published_checkpoint.complete(partial, path) if not partial.unknown else partial
