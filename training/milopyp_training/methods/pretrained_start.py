"""How fine-tuning begins: the shipped weights, and heads that are fitted to the labels before any of them changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import pretrained_weights
from milopyp_shared.head import Head, fit_head
from milopyp_shared.tiles import Tile, iter_heat_map, plan_tiles

from ..data.dataset import LabelledVolume, by_tomogram
from ..data.head_examples import Examples, Part, anywhere, examples_of, joined, rejected_of
from ..data.target_map import TargetMap
from ..networks.base import PickingNetwork
from ..networks.precision import bfloat16_pays
from ..networks.pretrained import features_of, load_pretrained, set_head
from ..networks.unet3d import UNet3d

AT_ONCE = 4_000_000  # voxels that go through the network
LOOKED_AT = 25_000_000  # voxels at most, of eight tomograms of 256 x 256 x 96
SEED = 0  # of what is drawn; equal labels give equal heads

_Looked: TypeAlias = tuple[list[LabelledVolume], Tile]
"""A tomogram as each class has it, and a part of it."""

_weights = cache(pretrained_weights.read_pretrained)  # every network of a cross-validation begins with them


def begin_pretrained(
    network: PickingNetwork, volumes: Sequence[LabelledVolume], target_maps: Sequence[TargetMap]
) -> None:
    """Give `network` the shipped weights, and the heads that tell the labels of each class from everything else.

    Parameters
    ----------
    target_maps
        Of each class.

    Raises
    ------
    InputError
        The weights are missing, altered or those of another network, or what is looked at holds no label.
    """
    assert isinstance(network, UNet3d)
    load_pretrained(network, _weights(pretrained_weights.FOLDER))
    set_head(network.head, fit_to_labels(network, volumes, target_maps))


def fit_to_labels(network: UNet3d, volumes: Sequence[LabelledVolume], target_maps: Sequence[TargetMap]) -> list[Head]:
    """The best heads, one for each class, on the features that `network` has of the tomograms."""
    rng, geometry = np.random.default_rng(SEED), network.geometry()
    tiles = _tiles(volumes, network, rng)
    in_bfloat16 = bfloat16_pays(next(network.parameters()).device)
    gathered: list[list[Examples]] = [[] for _ in target_maps]
    choices = [anywhere(_places(tiles, kind) / math.prod(geometry.stride), rng) for kind in range(len(target_maps))]
    for views, tile in tiles:
        grey = views[0].grey
        run = partial(features_of, network, input_range=grey.input_range, mixed_precision=in_bfloat16)
        for place, found in iter_heat_map([tile], grey.box, run, geometry):
            for volume in views:
                part: Part = volume, place, partial(_taken, found)
                target_map, own = target_maps[volume.kind], gathered[volume.kind]
                own.append(examples_of(part, target_map, choices[volume.kind]))
                if len(volume.rejected):
                    own.append(rejected_of(part, target_map))
    examples = [joined(own) for own in gathered]
    return [fit_head(own.features, own.target, own.positive) for own in examples]


def _taken(found: NDArray[np.float32], kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    return found[:, kept].T


def _tiles(volumes: Sequence[LabelledVolume], network: UNet3d, rng: np.random.Generator) -> list[_Looked]:
    """What is looked at: everything, or as much as there is time for, tiles with labels first."""
    geometry = network.geometry()
    tomograms = [list(views.values()) for views in by_tomogram(volumes).values()]
    tiles = [(views, tile) for views in tomograms for tile in plan_tiles(views[0].grey.shape, geometry, AT_ONCE)]
    labelled = np.array([any(_holds_label(volume, tile, network) for volume in views) for views, tile in tiles])
    order = rng.permutation(len(tiles))
    order = order[np.argsort(~labelled[order], kind="stable")]
    seen = np.cumsum([np.prod(tiles[i][1].size) for i in order])
    chosen = order[: max(int(np.searchsorted(seen, LOOKED_AT, side="right")), 1)]
    return [tiles[i] for i in np.sort(chosen)]


def _places(tiles: Sequence[_Looked], kind: int) -> int:
    """Voxels in which a class was labelled or not, of all that are looked at."""
    own = [tile for views, tile in tiles if any(volume.kind == kind for volume in views)]
    return sum(math.prod(span.last - span.first for span in (tile.z, tile.y, tile.x)) for tile in own)


def _holds_label(volume: LabelledVolume, tile: Tile, network: UNet3d) -> bool:
    stride, spans = network.geometry().stride, (tile.z, tile.y, tile.x)
    zyx = volume.grid_zyx(stride) * stride
    inside = (zyx >= [span.first for span in spans]) & (zyx < [span.last for span in spans])
    return bool(inside.all(axis=1).any())
