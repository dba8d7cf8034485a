"""Checkpoint in, proven ONNX file out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx

from milopyp_shared.atomic import replacing
from milopyp_shared.errors import InputError
from milopyp_shared.recipe import METADATA_KEY, Recipe
from milopyp_training.checkpoint import load
from milopyp_training.networks import build_network

from . import parity
from .graph import OPSET, PickingGraph, write_graph


def export(checkpoint: Path, output: Path) -> Recipe:
    """Export a checkpoint of ``milopyp-train``.

    The file is compared with PyTorch under a temporary name and gets its own only when it agrees.

    Returns
    -------
    The recipe in the file, parity figures included.

    Raises
    ------
    InputError
        The checkpoint cannot be used.
    CheckError
        The exported network does not do what the PyTorch network does.
    """
    loaded = load(checkpoint)
    recipe = loaded.recipe
    network = build_network(recipe, checkpoint)
    try:
        network.load_state_dict(loaded.state_dict)
    except RuntimeError as error:
        raise InputError(
            f"the weights do not fit {recipe.architecture} ({str(error).splitlines()[-1].strip()[:100]})",
            where=checkpoint,
            expected="the weights of the network its recipe names",
        ) from error
    graph = PickingGraph(network, clamp=1e-4 if recipe.preset == "published" else 0.0).eval()
    recipe = replace(
        recipe,
        checkpoint_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        versions=recipe.versions | {name: version(name) for name in ("onnx", "onnxruntime", "onnxscript")},
    )
    with replacing(output) as part:
        write_graph(graph, recipe, part)
        recipe = replace(recipe, parity=parity.check(graph, part, recipe.geometry) | {"opset": float(OPSET)})
        model = onnx.load(str(part))
        next(entry for entry in model.metadata_props if entry.key == METADATA_KEY).value = recipe.to_json()
        onnx.save(model, str(part))
    return recipe
