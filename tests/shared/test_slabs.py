"""Slabs: they cover the volume exactly, are read where the network needs them, and join without a seam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from milopyp_shared.recipe import Geometry
from milopyp_shared.slabs import VOXELS_AT_ONCE, default_own_sections, heat_map, plan_slabs


def along_z(halo: int, alignment: int) -> Geometry:
    return Geometry((halo, 0, 0), (alignment, 2, 2), (1, 2, 2))


def pooling_network(sections: np.ndarray) -> np.ndarray:
    """Means of blocks of four sections (the last one may be shorter) plus a running mean of five; zeros around."""
    depth, rows, columns = sections.shape
    plane = np.pad(sections.astype(np.float64), ((0, 0), (0, rows % 2), (0, columns % 2)))[:, ::2, ::2]
    blocks = np.stack([plane[k : k + 4].mean(axis=0) for k in range(0, depth, 4)])
    pooled = np.repeat(uniform_filter1d(blocks, 3, axis=0, mode="constant"), 4, axis=0)[:depth]
    return (pooled + uniform_filter1d(plane, 5, axis=0, mode="constant")).astype(np.float32)


POOLING = along_z(halo=7, alignment=4)  # the first section of a block reads the four before it and the seven after it


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 30), st.sampled_from([1, 2, 3, 4, 8]))
def test_slabs_cover_the_volume_and_are_read_where_needed(depth: int, own: int, halo: int, alignment: int) -> None:
    slabs = plan_slabs(depth, own, along_z(halo, alignment))
    assert [z for slab in slabs for z in range(slab.first, slab.last)] == list(range(depth))
    assert all(slab.last - slab.first == own for slab in slabs[:-1])
    for slab in slabs:
        assert 0 <= slab.read_first <= slab.first < slab.last <= slab.read_last <= depth
        assert slab.read_first % alignment == 0
        assert slab.read_first == 0 or slab.first - halo - alignment < slab.read_first <= slab.first - halo
        assert slab.read_last == min(slab.last + halo, depth)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 70))
def test_slabs_join_to_the_result_of_the_whole(depth: int, rows: int, columns: int, own: int) -> None:
    volume = np.random.default_rng(depth).integers(0, 256, (depth, rows, columns), np.uint8)
    asked = []

    def sections(first: int, last: int) -> np.ndarray:
        asked.append(last - first)
        return volume[first:last]

    joined = heat_map(sections, volume.shape, pooling_network, POOLING, own)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, pooling_network(volume), rtol=1e-6, atol=1e-4)
    assert max(asked) <= own + 2 * POOLING.halo[0] + POOLING.alignment[0] - 1


@pytest.mark.parametrize("geometry", [along_z(POOLING.halo[0] - 1, 4), along_z(POOLING.halo[0], 1)])
def test_a_smaller_halo_or_alignment_shows(geometry: Geometry) -> None:
    volume = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    joined = heat_map(lambda first, last: volume[first:last], volume.shape, pooling_network, geometry, 5)
    assert np.abs(joined - pooling_network(volume)).max() > 1


def test_own_sections_bound_what_goes_through_the_network_at_once() -> None:
    geometry = along_z(halo=21, alignment=4)
    assert default_own_sections((128, 256, 256), geometry) == 128  # at once
    for shape in ((400, 400, 400), (512, 256, 256), (2000, 300, 300)):
        own = default_own_sections(shape, geometry)
        assert 8 <= own < shape[0]
        assert (own + 2 * geometry.halo[0]) * shape[1] * shape[2] <= VOXELS_AT_ONCE
    assert default_own_sections((300, 2048, 2048), geometry) == 8  # no less, whatever it takes


def test_sections_per_slab_are_chosen_when_not_given() -> None:
    shape = (30, 2100, 1900)  # 6 sections fit in at once
    values = np.arange(30, dtype=np.uint8)
    reads = []

    def sections(first: int, last: int) -> np.ndarray:
        reads.append((first, last))
        return np.broadcast_to(values[first:last, None, None], (last - first, *shape[1:]))

    joined = heat_map(sections, shape, lambda s: s[:, ::2, ::2].astype(np.float32), along_z(0, 1))
    assert reads == [(0, 8), (8, 16), (16, 24), (24, 30)]
    assert joined.shape == (30, 1050, 950)
    assert np.array_equal(joined[:, 0, 0], values)
