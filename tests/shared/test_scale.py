"""At which size a network sees tomograms, and that the places it answers with are those of the tomogram."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from milopyp_inference.engine.model import read_recipe
from milopyp_shared.errors import UsageError
from milopyp_shared.masks import Mask
from milopyp_shared.peaks import find_candidates
from milopyp_shared.scale import LARGEST, SMALLEST, describe_scale, scale_for
from toys import TOY

KNOWN = (8.0, 40.0)
RECIPE = read_recipe(TOY)


@pytest.mark.parametrize(
    ("diameter", "scale"),
    [
        (8, 1.0), (24, 1.0), (40, 1.0),  # known
        (50, 0.5), (41, 0.5), (80, 0.5), (81, 0.25), (120, 0.25), (200, 0.125), (320, 0.125),  # halved
        (7, 10 / 7), (6, 10 / 6), (5, 2.0), (4, 2.0),  # enlarged
    ],
)  # fmt: skip
def test_the_factor_of_a_diameter(diameter: float, scale: float) -> None:
    assert scale_for(diameter, KNOWN) == pytest.approx(scale)


@pytest.mark.parametrize(("diameter", "voxels"), [(3.9, "smaller"), (321, "larger")])
def test_what_no_factor_makes_known_is_refused(diameter: float, voxels: str) -> None:
    with pytest.raises(UsageError, match=rf"^--bbox: {diameter} voxels; expected 4 to 320: .* of {voxels} voxels"):
        scale_for(diameter, KNOWN)


@given(diameter=st.floats(2, 1000), low=st.floats(4, 20), ratio=st.floats(2.5, 8))
def test_what_is_seen_is_known(diameter: float, low: float, ratio: float) -> None:
    known = (low, low * ratio)
    try:
        scale = scale_for(diameter, known)
    except UsageError:
        assert not known[0] / LARGEST <= diameter <= known[1] / SMALLEST
    else:
        assert known[0] <= diameter * scale <= known[1]
        assert (scale == 1.0) == (known[0] <= diameter <= known[1])
        assert SMALLEST <= scale <= LARGEST


def test_in_words() -> None:
    assert [describe_scale(scale) for scale in (0.5, 0.25, 0.125, 2.0, 10 / 7)] == [
        "half their size", "a quarter of their size", "an eighth of their size", "twice their size",
        "1.43 times their size",
    ]  # fmt: skip


@given(scale=st.floats(SMALLEST, LARGEST), place=st.tuples(*[st.integers(0, 9)] * 3), paired=st.booleans())
def test_places_of_the_heat_map_are_those_of_the_tomogram(
    scale: float, place: tuple[int, int, int], paired: bool
) -> None:
    """A voxel of the heat map covers the same space as the voxels of the tomogram that it is made of."""
    recipe = replace(RECIPE, scale=scale, grey=replace(RECIPE.grey, pairing="mean" if paired else "none"))
    heat = np.zeros((10, 10, 10), np.float32)
    heat[place] = 1.0
    [found] = find_candidates(heat, recipe.voxel_per_output).xyz
    per_output = np.array([2 if paired else 1, 2, 2])  # voxels that the network sees
    seen = per_output * (np.array(place) + 0.5) - 0.5
    assert found[::-1] == pytest.approx((seen + 0.5) / scale - 0.5, abs=1e-9)


@given(scale=st.floats(SMALLEST, LARGEST), binning=st.sampled_from([1, 2, 4]))
def test_a_mask_keeps_the_same_space_at_every_scale(scale: float, binning: int) -> None:
    """On the grid of what is seen, of the resampled tomogram as of the one on disk."""
    rng = np.random.default_rng(1)
    mask = Mask(rng.random((6, 7, 8)) > 0.5, binning)
    shape = tuple(max(round(size * binning * scale), 1) for size in mask.zyx.shape)
    per_voxel = 1 / scale
    centres = (np.arange(max(shape)) + 0.5) * per_voxel / binning
    assume((np.abs(centres - np.rint(centres)) > 1e-6).all())  # on an edge of the mask's voxels either is right
    of_the_tomogram = mask.on_grid((0, 0, 0), shape, (per_voxel,) * 3)
    assert np.array_equal(of_the_tomogram, mask.rescaled(scale).on_grid((0, 0, 0), shape, (1, 1, 1)))
