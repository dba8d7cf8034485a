"""The model file of a learned head: the shipped network with the head in it, proven to do what the head does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.onnx_head import picking_file
from milopyp_inference.engine.providers.cpu import CpuEngine
from milopyp_shared.atomic import atomic_write
from milopyp_shared.calibration import Threshold
from milopyp_shared.errors import CheckError
from milopyp_shared.head import Head
from milopyp_shared.pretrained_weights import FEATURE_BYTES
from milopyp_shared.recipe import Recipe
from milopyp_shared.tiles import Shape, Tiling, box_of, by_class, cut, cut_stream, grid_shape, plan_tiles
from milopyp_training.data.dataset import TrainingSet

PRESET = "learn"
LIMIT = 1e-4  # of the difference between the file and the head, of scores 0..1
_SHOWN: Shape = (22, 70, 62)  # random grey levels that both are shown


def recipe_of(network: FeatureNetwork, data: TrainingSet) -> Recipe:
    """The recipe of a head that is about to be learned; its threshold is not known yet."""
    description, facts = network.description, network.description.graph
    assert facts is not None
    sizes = [volume.voxel_size for volume in data.volumes if volume.voxel_size]
    options = {name: int(value) for name, value in asdict(description.options).items()}
    threshold = Threshold(0.5, "not determined")
    given_out = FEATURE_BYTES * description.options.features  # by the network, and not by one with a head
    return Recipe(
        architecture=description.architecture,
        architecture_options=options | ({"classes": len(data.particles)} if data.others else {}),
        preset=PRESET,
        grey=description.grey,
        contrast=data.contrast,
        geometry=facts.geometry,
        diameter=data.diameter,
        particle=data.particle,
        others=data.described_others(threshold),
        scale=data.scale,
        voxel_size=sizes[0] if sizes else None,
        levels=data.levels,
        threshold=threshold,
        labels=data.labels(),
        versions={"milopyp": version("milopyp")},
        chunks=facts.chunks,
        working_bytes=facts.working_bytes - given_out,
        tile_bytes=None if facts.tile_bytes is None else facts.tile_bytes - given_out,
    )


def write_model(path: Path, network: FeatureNetwork, heads: Sequence[Head], recipe: Recipe) -> Recipe:
    """Write the file of heads, one for each class; it is compared with them before it gets its name.

    Returns
    -------
    The recipe in the file, with the largest difference of both.

    Raises
    ------
    CheckError
        It does not do what the heads do; nothing is written.
    InputError
        The file cannot be written.
    """
    with atomic_write(path) as part:
        part.write_bytes(picking_file(network.file.graph, heads, recipe))
        found = largest_difference(part, network, heads)
        if not found <= LIMIT:
            raise CheckError(
                f"differs from its heads by {found:.2g}", where=path, expected=f"at most {LIMIT:g}",
                remedy="Report it, with what milopyp doctor says.",
            )  # fmt: skip
        recipe = replace(recipe, parity={"head_max_difference": found})
        part.write_bytes(picking_file(network.file.graph, heads, recipe))
    return recipe


def largest_difference(path: Path, network: FeatureNetwork, heads: Sequence[Head]) -> float:
    """Between a file's heat maps, in tiles and in chunks of sections, and the heads' on the network's features."""
    file, machine = read_model_file(path), Machine(threads=1)
    grey = np.random.default_rng(1).normal(127.5, 40, _SHOWN).clip(0, 255).astype(np.uint8)
    levels = (0.0, 255.0)
    features = np.empty((len(heads[0].weights), *grid_shape(_SHOWN, file.recipe.geometry)), np.float32)
    for place, piece in network.iter_features(box_of(grey), _SHOWN, levels):
        features[:, *place] = piece
    wanted = np.stack([1 / (1 + np.exp(-(np.tensordot(head.weights, features, 1) + head.bias))) for head in heads])
    engine, geometry, chunks = CpuEngine(file, machine, lambda text: None), file.recipe.geometry, file.recipe.chunks
    assert chunks is not None
    y, x = (cut(_SHOWN[axis], 1, geometry.halo[axis], geometry.alignment[axis]) for axis in (1, 2))
    stream = Tiling(cut_stream(_SHOWN[0], 2 * chunks.multiple, chunks.delay), y, x, streaming=True)
    found = 0.0
    for tiling in (plan_tiles(_SHOWN, geometry, math.prod(_SHOWN)), stream):
        pieces = engine.iter_heat_map(tiling, box_of(grey), np.array(levels, np.float32))
        for place, heat in pieces:
            found = max(found, float(np.abs(by_class(heat) - wanted[:, *place]).max()))
    return found
