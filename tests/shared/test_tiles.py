"""Tiles: they cover the volume exactly, are read where the network needs them, and join without a seam."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from milopyp_shared.recipe import Geometry
from milopyp_shared.tiles import Span, Tile, Tiling, box_of, cut, cut_fixed, cut_stream, plan_tiles
from milopyp_shared.tta import heat_map

ALIGNMENTS = st.sampled_from([1, 2, 4, 8])


def along_z(halo: int, alignment: int) -> Geometry:
    return Geometry((halo, 0, 0), (alignment, 2, 2), (1, 2, 2))


def pooled(values: np.ndarray, axis: int) -> np.ndarray:
    """Means of blocks of four (the last one may be shorter), smoothed, plus a running mean of five; zeros around."""
    blocks = np.stack([np.take(values, range(k, min(k + 4, values.shape[axis])), axis).mean(axis=axis)
                       for k in range(0, values.shape[axis], 4)], axis)  # fmt: skip
    spread = np.repeat(uniform_filter1d(blocks, 3, axis=axis, mode="constant"), 4, axis=axis)
    return np.take(spread, range(values.shape[axis]), axis) + uniform_filter1d(values, 5, axis=axis, mode="constant")


def network(sections: np.ndarray) -> np.ndarray:
    """Pools and mixes along every axis, with a stride of 2 in the plane."""
    plane = np.pad(sections.astype(np.float64), ((0, 0), (0, sections.shape[1] % 2), (0, sections.shape[2] % 2)))
    plane = plane[:, ::2, ::2] + 0.5 * plane[:, 1::2, 1::2]
    for axis in range(3):
        plane = pooled(plane, axis)
    return plane.astype(np.float32)


# The first of a block reads the four before it and the seven after it; in the plane on the grid of stride 2.
GEOMETRY = Geometry((7, 14, 14), (4, 8, 8), (1, 2, 2))


@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 30), ALIGNMENTS)
def test_spans_cover_an_axis_and_are_read_where_needed(size: int, count: int, halo: int, alignment: int) -> None:
    spans = cut(size, count, halo, alignment)
    assert [i for span in spans for i in range(span.first, span.last)] == list(range(size))
    assert len(spans) <= count
    for span in spans:
        assert 0 <= span.read_first <= span.first < span.last <= span.read_last <= size
        assert span.read_first % alignment == 0
        assert span.read_first == 0 or span.first - halo - alignment < span.read_first <= span.first - halo
        assert span.read_last == min(span.last + halo, size)


@given(st.integers(1, 500), st.integers(1, 12), st.integers(0, 30), ALIGNMENTS)
def test_fixed_spans_have_one_length_but_for_the_last(size: int, more: int, halo: int, alignment: int) -> None:
    length = 2 * -(-halo // alignment) * alignment + more * alignment
    spans = cut_fixed(size, length, halo, alignment)
    assert [i for span in spans for i in range(span.first, span.last)] == list(range(size))
    for span in spans:
        assert span.read_first % alignment == 0
        assert span.read_first == 0 or span.read_first <= span.first - halo
        assert span.read_last == size or span.read_last >= span.last + halo
        assert span.read <= length
    assert all(span.read == length for span in spans[:-1])
    assert spans[-1].read > length - alignment or len(spans) == 1


@pytest.mark.parametrize(("length", "halo", "alignment"), [(10, 2, 4), (8, 4, 4), (8, 3, 4)])
def test_fixed_spans_need_room_between_their_halos(length: int, halo: int, alignment: int) -> None:
    with pytest.raises(ValueError, match="tiles of"):
        cut_fixed(100, length, halo, alignment)


@given(st.integers(1, 40), st.integers(1, 70), st.integers(1, 70), st.integers(1, 60_000))
def test_tiles_join_to_the_result_of_the_whole(depth: int, rows: int, columns: int, at_once: int) -> None:
    volume = np.random.default_rng(depth).integers(0, 256, (depth, rows, columns), np.uint8)

    joined = heat_map(box_of(volume), volume.shape, network, GEOMETRY, at_once=at_once)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, network(volume), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("halo", "alignment"), [(GEOMETRY.halo[0] - 1, 4), (GEOMETRY.halo[0], 1)])
def test_a_smaller_halo_or_alignment_shows(halo: int, alignment: int) -> None:
    volume = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    geometry = along_z(halo, alignment)

    assert len(plan_tiles(volume.shape, geometry, 19 * 16)) > 1
    joined = heat_map(box_of(volume), volume.shape, network, geometry, at_once=19 * 16)
    assert np.abs(joined - network(volume)).max() > 1


@given(st.integers(1, 200), st.integers(1, 600), st.integers(1, 600), st.integers(1, 10**7))
def test_planned_tiles_fit_or_are_the_smallest(depth: int, rows: int, columns: int, at_once: int) -> None:
    shape = (depth, rows, columns)
    tiles = plan_tiles(shape, GEOMETRY, at_once)
    for spans, size in zip((tiles.z, tiles.y, tiles.x), shape, strict=True):
        assert [i for span in spans for i in range(span.first, span.last)] == list(range(size))
    largest = math.prod(tiles.largest)
    if math.prod(shape) <= at_once:
        assert len(tiles) == 1
    if largest > at_once:
        smallest = [2 * halo + alignment for halo, alignment in zip(GEOMETRY.halo, GEOMETRY.alignment, strict=True)]
        assert all(size <= least + 8 for size, least in zip(tiles.largest, smallest, strict=True))


def test_the_axis_that_costs_least_is_cut() -> None:
    """A flat volume is cut in the plane, where the halo is small beside what is left."""
    tiles = plan_tiles((48, 512, 512), Geometry((20, 40, 40), (4, 8, 8), (1, 2, 2)), 48 * 300 * 520)
    assert {(tile.z.read, tile.start[0]) for tile in tiles} == {(48, 0)}
    assert len(tiles) == 2


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 30))
def test_what_passes_by_is_read_once_and_comes_out_once(size: int, length: int, delay: int) -> None:
    spans = cut_stream(size, length, delay)
    assert [i for span in spans for i in range(span.read_first, span.read_last)] == list(range(len(spans) * length))
    assert [i for span in spans for i in range(span.first, span.last)] == list(range(size))
    for span in spans:  # nothing comes out before what follows it, as far as the delay, has gone in
        assert span.last <= max(span.read_last - delay, 0)
        assert span.last == size or span.last == max(span.read_last - delay, 0)
    assert len(spans) == -(-(size + delay) // length)


@given(st.lists(st.integers(1, 9), min_size=3, max_size=3), st.booleans())
def test_what_a_tiling_says_is_what_its_tiles_are(counts: list[int], streaming: bool) -> None:
    spans = [cut(size, count, 3, 2) for size, count in zip((30, 40, 50), counts, strict=True)]
    tiling = Tiling(spans[0], spans[1], spans[2], streaming)
    tiles = list(tiling)
    assert len(set(tiles)) == len(tiles) == len(tiling)
    assert tiling.voxels == sum(math.prod(tile.size) for tile in tiles)
    assert tiling.largest == tuple(max(tile.size[axis] for tile in tiles) for axis in range(3))
    columns = [(tile.y, tile.x) for tile in tiles]
    if streaming:  # one column after the other, each from its first section to its last
        assert columns == [(y, x) for y in spans[1] for x in spans[2] for _ in spans[0]]
        assert [tile.z for tile in tiles] == [*spans[0]] * (len(spans[1]) * len(spans[2]))
    assert list(tiling) == tiles  # as often as one likes


def test_what_a_tile_says_of_itself() -> None:
    tile = Tile(Span(4, 9, 0, 12), Span(8, 13, 0, 13), Span(0, 8, 0, 16))
    assert (tile.start, tile.end, tile.size) == ((0, 0, 0), (12, 13, 16), (12, 13, 16))
    assert (tile.y.output(2), tile.y.own(2)) == (slice(4, 7), slice(4, 7))
    assert (tile.z.output(1), tile.z.own(1)) == (slice(4, 9), slice(4, 9))
