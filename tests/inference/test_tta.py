"""Mirrored copies: averaged heat maps, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest

from milopyp_shared.recipe import Geometry
from milopyp_shared.tiles import box_of
from milopyp_shared.tta import SETS, heat_map

POINTWISE = Geometry((0, 0, 0), (1, 2, 2), (1, 2, 2))


def blocks(sections: np.ndarray) -> np.ndarray:
    """Heat map of a network that weights the two voxels of a block and the two sides of a section differently."""
    even = np.pad(sections.astype(np.float32), ((0, 0), (0, sections.shape[1] % 2), (0, sections.shape[2] % 2)), "edge")
    left, right = even[:, :, 0::2], even[:, :, 1::2]
    columns = 0.75 * left + 0.25 * right
    rows: np.ndarray = 0.75 * columns[:, 0::2] + 0.25 * columns[:, 1::2]
    return rows


@pytest.mark.parametrize("shape", [(6, 8, 10), (5, 7, 10), (4, 9, 11)])
@pytest.mark.parametrize("flips", SETS)
def test_the_mean_over_all_copies(flips: int, shape: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)

    found = heat_map(box_of(volume), shape, blocks, POINTWISE, flips=flips, at_once=2 * 6 * 6)
    even = np.pad(volume, ((0, 0), (0, shape[1] % 2), (0, shape[2] % 2)), "edge")
    wanted = np.mean([np.flip(blocks(np.flip(even, axes)), axes) for axes in SETS[flips]], axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("stride", [(1, 4, 4), (2, 3, 1)])
@pytest.mark.parametrize("flips", SETS)
def test_copies_coincide_whatever_the_stride(flips: int, stride: tuple[int, int, int]) -> None:
    """Sizes are filled up to whole voxels of the heat map."""
    shape = (5, 9, 10)
    volume = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)

    def first_voxels(sections: np.ndarray) -> np.ndarray:
        return sections[tuple(slice(None, None, step) for step in stride)].astype(np.float32)

    geometry = Geometry((0, 0, 0), stride, stride)
    found = heat_map(box_of(volume), shape, first_voxels, geometry, flips=flips, at_once=2 * 8 * 8)
    filled = np.pad(volume, [(0, -size % step) for size, step in zip(shape, stride, strict=True)], "edge")
    wanted = np.mean([np.flip(first_voxels(np.flip(filled, axes)), axes) for axes in SETS[flips]], axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("flips", [2, 4])
def test_no_direction_of_an_axis_is_preferred(flips: int) -> None:
    for axis in range(3):
        mirrored = sum(axis in axes for axes in SETS[flips])
        assert mirrored == flips / 2
