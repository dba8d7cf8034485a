"""Memory: what fits is taken, the cheapest way, and the result does not depend on it."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model, read_recipe
from milopyp_inference.engine.planning import OWN_BYTES, STATE_COST, parse_memory, plan, plan_for_gpu
from milopyp_shared.errors import UsageError
from milopyp_shared.recipe import Recipe
from milopyp_shared.tiles import Span, Tile, Tiling, box_of, plan_tiles
from milopyp_shared.tta import SETS, averaged_heat_map
from toys import TOY

LEVELS = (0.0, 255.0)
SIZES = st.tuples(st.integers(1, 300), st.integers(8, 1200), st.integers(8, 1200))
# What the default network says of itself in a file for CPUs.
DEFAULT = ((20, 40, 40), (4, 8, 8), 240, 132)


@cache
def recipe_like_the_default() -> Recipe:
    halo, alignment, working, in_tiles = DEFAULT
    recipe = read_recipe(TOY)
    assert recipe.chunks is not None
    return replace(
        recipe,
        geometry=replace(recipe.geometry, halo=halo, alignment=alignment),
        working_bytes=working,
        tile_bytes=in_tiles,
        chunks=replace(recipe.chunks, delay=19, multiple=4, states=((2, 16, 1), (16, 16, 1), (2, 64, 3))),
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("800mb", 8 * 10**8), ("1e", None), ("4000000000", 4 * 10**9)],
)
def test_sizes_as_people_write_them(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(UsageError, match="a size like 2GB"):
            parse_memory(text)
    else:
        assert parse_memory(text) == size


def needed(tiling: Tiling, recipe: Recipe) -> int:
    """Bytes that the network takes."""
    largest = max(math.prod(tile.size) for tile in tiling)
    assert recipe.chunks is not None
    states = 3 * recipe.chunks.state_bytes(*tiling.largest[1:]) if tiling.streaming else 0
    return largest * (recipe.working_bytes if tiling.streaming else recipe.tile_bytes or recipe.working_bytes) + states


def cost(tiling: Tiling) -> float:
    """Voxels that go through the network, and what the states cost."""
    voxels = sum(math.prod(tile.size) for tile in tiling)
    return voxels * (1 + STATE_COST / tiling.largest[0]) if tiling.streaming else voxels


def own(tiling: Tiling) -> int:
    """Voxels that are computed once."""
    return sum(math.prod(span.last - span.first for span in (tile.z, tile.y, tile.x)) for tile in tiling)


@settings(max_examples=40)
@given(SIZES, st.integers(400, 4000))
def test_what_is_planned_fits_and_covers_the_volume(shape: tuple[int, int, int], megabytes: int) -> None:
    recipe, memory = recipe_like_the_default(), megabytes * 10**6
    try:
        tiling = plan(shape, recipe, memory)
    except UsageError as error:
        assert "at least" in str(error)
        return
    assert OWN_BYTES + needed(tiling, recipe) <= memory
    for spans, size in zip((tiling.z, tiling.y, tiling.x), shape, strict=True):
        assert [i for span in spans for i in range(span.first, span.last)] == list(range(size))
    assert own(tiling) == math.prod(shape)
    if tiling.streaming:
        assert {span.read % 4 for span in tiling.z} == {0}
        assert tiling.voxels == -(-(shape[0] + 19) // tiling.z[0].read) * math.prod(
            (tiling.z[0].read, sum(span.read for span in tiling.y), sum(span.read for span in tiling.x))
        )
    assert cost(plan(shape, recipe, 2 * memory)) <= cost(tiling)


def test_a_small_volume_goes_through_in_one_piece_and_a_large_one_in_chunks() -> None:
    recipe = recipe_like_the_default()
    small, large = plan((48, 200, 200), recipe, 10**9), plan((128, 512, 512), recipe, 10**9)
    assert not small.streaming and len(small) == 1
    assert large.streaming and (len(large.y), len(large.x)) == (1, 1)
    assert cost(large) < 1.45 * 128 * 512 * 512
    without = replace(recipe, chunks=None)  # tiles compute much more
    assert cost(plan((128, 512, 512), without, 10**9)) > 2 * 128 * 512 * 512


def test_memory_that_is_too_small_says_what_would_do() -> None:
    recipe = recipe_like_the_default()
    with pytest.raises(UsageError, match=r"at least (\d+) MB") as caught:
        plan((256, 2000, 2000), recipe, OWN_BYTES + 10**6)
    said = int(str(caught.value).split("at least ")[1].split()[0])
    plan((256, 2000, 2000), recipe, said * 10**6)


def test_a_plan_makes_no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four million tiles, which is what the smallest ones would be, none is made, whatever comes of the plan."""
    recipe, made, make = recipe_like_the_default(), [], Tile.__init__

    def counted(tile: Tile, z: Span, y: Span, x: Span) -> None:
        made.append((z, y, x))
        make(tile, z, y, x)

    monkeypatch.setattr(Tile, "__init__", counted)
    assert len(plan_tiles((256, 2000, 2000), recipe.geometry, 1)) == 64 * 250 * 250
    with pytest.raises(UsageError, match="at least"):
        plan((256, 2000, 2000), recipe, OWN_BYTES + 10**6)
    tilings = plan((256, 2000, 2000), recipe, 10**9), plan_for_gpu((256, 2000, 2000), recipe)
    assert [tiling.streaming for tiling in tilings] == [True, False]
    assert min(len(tiling) * tiling.voxels for tiling in tilings) > 256 * 2000 * 2000
    assert made == []
    next(iter(tilings[0]))
    assert len(made) == 1


def test_a_plan_takes_little_memory() -> None:
    recipe = recipe_like_the_default()
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="at least"):
            plan((256, 2000, 2000), recipe, OWN_BYTES + 10**6)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 2**20


@settings(max_examples=40)
@given(SIZES)
def test_tiles_of_a_gpu_have_one_size(shape: tuple[int, int, int]) -> None:
    recipe = recipe_like_the_default()
    tiles = plan_for_gpu(shape, recipe, 2 * 10**9)
    assert own(tiles) == math.prod(shape)
    for axis in range(3):
        lengths = {tile.size[axis] for tile in tiles}
        assert len(lengths) <= 2
        assert max(lengths) - min(lengths) < recipe.geometry.alignment[axis]


@settings(max_examples=25)
@given(
    st.integers(1, 40), st.integers(20, 90), st.integers(20, 90), st.sampled_from(sorted(SETS)), st.integers(20, 2000)
)
def test_heat_maps_do_not_depend_on_the_memory(depth: int, rows: int, columns: int, flips: int, kilobytes: int) -> None:
    """Whole, in tiles, in chunks, in chunks of columns: the same, in the middle and at every face."""
    volume = np.random.default_rng(depth).integers(0, 256, (depth, rows, columns), np.uint8)
    heats = []
    for memory in (None, OWN_BYTES + 1000 * kilobytes):
        model = open_model(TOY, Machine("cpu", threads=1, memory=memory))
        heat = np.full((depth, -(-rows // 2), -(-columns // 2)), np.nan, np.float32)
        try:
            averaged_heat_map(
                box_of(volume), volume.shape, lambda read, shape, model=model: model.iter_heat_map(read, shape, LEVELS),
                heat, flips, stride=(1, 2, 2),
            )  # fmt: skip
        except UsageError:
            return  # not even the smallest tile
        heats.append(heat)
    assert np.isfinite(heats[0]).all() and heats[0].std() > 0
    np.testing.assert_allclose(heats[1], heats[0], rtol=0, atol=1e-5)
