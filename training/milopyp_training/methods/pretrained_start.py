"""How fine-tuning begins: the shipped weights, and a head that is fitted to the labels before any of them changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import pretrained_weights
from milopyp_shared.head import Head, fit_head
from milopyp_shared.tiles import Tile, iter_heat_map, plan_tiles

from ..data.dataset import LabelledVolume
from ..data.head_examples import Part, anywhere, gather
from ..data.target_map import TargetMap
from ..networks.base import PickingNetwork
from ..networks.precision import bfloat16_pays
from ..networks.pretrained import features_of, load_pretrained, set_head
from ..networks.unet3d import UNet3d

AT_ONCE = 4_000_000  # voxels that go through the network
LOOKED_AT = 25_000_000  # voxels at most, of eight tomograms of 256 x 256 x 96
SEED = 0  # of what is drawn; equal labels give equal heads

_weights = cache(pretrained_weights.read_pretrained)  # every network of a cross-validation begins with them


def begin_pretrained(network: PickingNetwork, volumes: Sequence[LabelledVolume], target_map: TargetMap) -> None:
    """Give `network` the shipped weights, and the head that tells these labels from everything else.

    Raises
    ------
    InputError
        The weights are missing, altered or those of another network, or what is looked at holds no label.
    """
    assert isinstance(network, UNet3d)
    load_pretrained(network, _weights(pretrained_weights.FOLDER))
    set_head(network.head, fit_to_labels(network, volumes, target_map))


def fit_to_labels(network: UNet3d, volumes: Sequence[LabelledVolume], target_map: TargetMap) -> Head:
    """The best head on the features that `network` has of the tomograms."""
    rng, geometry = np.random.default_rng(SEED), network.geometry()
    tiles = _tiles(volumes, network, rng)
    places = sum(np.prod([span.last - span.first for span in (tile.z, tile.y, tile.x)]) for _, tile in tiles)
    in_bfloat16 = bfloat16_pays(next(network.parameters()).device)

    def parts() -> Iterator[Part]:
        for volume, tile in tiles:
            run = partial(features_of, network, input_range=volume.grey.input_range, mixed_precision=in_bfloat16)
            for place, found in iter_heat_map([tile], volume.grey.box, run, geometry):
                yield volume, place, partial(_taken, found)

    examples = gather(parts(), target_map, anywhere(float(places / np.prod(geometry.stride)), rng))
    return fit_head(examples.features, examples.target, examples.positive)


def _taken(found: NDArray[np.float32], kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    return found[:, kept].T


def _tiles(
    volumes: Sequence[LabelledVolume], network: UNet3d, rng: np.random.Generator
) -> list[tuple[LabelledVolume, Tile]]:
    """What is looked at: everything, or as much as there is time for, tiles with labels first."""
    geometry = network.geometry()
    tiles = [(volume, tile) for volume in volumes for tile in plan_tiles(volume.grey.shape, geometry, AT_ONCE)]
    labelled = np.array([_holds_label(volume, tile, network) for volume, tile in tiles])
    order = rng.permutation(len(tiles))
    order = order[np.argsort(~labelled[order], kind="stable")]
    seen = np.cumsum([np.prod(tiles[i][1].size) for i in order])
    chosen = order[: max(int(np.searchsorted(seen, LOOKED_AT, side="right")), 1)]
    return [tiles[i] for i in np.sort(chosen)]


def _holds_label(volume: LabelledVolume, tile: Tile, network: UNet3d) -> bool:
    stride, spans = network.geometry().stride, (tile.z, tile.y, tile.x)
    zyx = volume.grid_zyx(stride) * stride
    inside = (zyx >= [span.first for span in spans]) & (zyx < [span.last for span in spans])
    return bool(inside.all(axis=1).any())
