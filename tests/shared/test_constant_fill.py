"""Constant fill: where it is found, and that neither it, outliers nor what a mask leaves out move the grey levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from milopyp_shared.constant_fill import SQUARE, constant_fill, find_fill
from milopyp_shared.masks import Mask
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from toys import tomogram_of

SHAPE = (24, 60, 70)
INSIDE = (slice(4, 20), slice(12, 48), slice(12, 58))  # out of reach of what is done at the faces


def sample(seed: int = 0) -> np.ndarray[Any, Any]:
    """Smooth noise with a mean of 100 and a standard deviation of 10, like a reconstruction."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.0)
    return (100 + 10 * noise / noise.std()).astype(np.float32)


def levels(volume: np.ndarray[Any, Any], mask: Mask | None = None, **parameters: Any) -> np.ndarray[Any, Any]:
    """Grey levels of the part that is the same in all volumes, as whole numbers."""
    grey = grey_levels(tomogram_of(volume), Preprocessing(**parameters), mask=mask)
    paired = (slice(INSIDE[0].start // 2, INSIDE[0].stop // 2), *INSIDE[1:])
    return grey.sections(0, grey.shape[0])[paired].astype(int)


def reference(section: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """By the definition: squares of equal voxels, grown from those that lie at the edge of the section."""
    reach = SQUARE // 2
    padded = np.pad(section, reach, mode="edge")
    covered = np.zeros(padded.shape, bool)
    for y in range(padded.shape[0] - SQUARE + 1):
        for x in range(padded.shape[1] - SQUARE + 1):
            if np.ptp(padded[y : y + SQUARE, x : x + SQUARE]) == 0:
                covered[y : y + SQUARE, x : x + SQUARE] = True
    covered = covered[reach:-reach, reach:-reach]
    found = covered.copy()
    found[1:-1, 1:-1] = False
    while True:
        grown = found.copy()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        grown &= covered
        if np.array_equal(grown, found):
            return found
        found = grown


@given(st.integers(0, 10**6))
@example(147224)  # reaches the edge with three voxels of a corner
@settings(max_examples=40)
def test_fill_is_found_by_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    section = rng.integers(0, rng.choice([2, 60]), (21, 17))
    for _ in range(rng.integers(4)):
        y, x = rng.integers(-3, 18, 2)
        height, width = rng.integers(1, 14, 2)
        section[max(y, 0) : y + height, max(x, 0) : x + width] = rng.integers(0, 3)
    found = constant_fill(section[None].astype(np.int16))
    expected = reference(section)
    assert np.array_equal(expected, np.zeros_like(expected) if found is None else found[0])


def test_saturated_gold_is_no_fill_but_a_border_of_three_voxels_is() -> None:
    section = np.random.default_rng(0).integers(-30, 30, (1, 50, 50)).astype(np.int8)
    section[0, 20:30, 20:30] = -127
    assert constant_fill(section) is None
    section[0, :, :3] = 0
    found = constant_fill(section)
    assert found is not None
    assert np.flatnonzero(found[0].all(axis=0)).tolist() == [0, 1, 2]
    assert not found[0, :, 3:].any()


def test_resampled_fill_is_found() -> None:
    section = sample()[:1]
    section[:, :, :6] = 7.3 * (1 + np.random.default_rng(0).uniform(-2e-7, 2e-7, (1, 60, 6)).astype(np.float32))
    found = constant_fill(section)
    assert found is not None
    assert found[:, :, :6].all()


def test_the_level_is_the_middle_of_the_rest_and_its_own_where_the_rest_has_it_too() -> None:
    volume = sample()
    volume[:, :10] = 0
    fill = find_fill(tomogram_of(volume))
    assert fill is not None
    assert fill.level == pytest.approx(100, abs=0.5)
    volume[:, :10] = 104
    fill = find_fill(tomogram_of(volume))
    assert fill is not None
    assert fill.level == 104
    assert find_fill(tomogram_of(np.full(SHAPE, 3.0, np.float32))) is None


def bordered(axis: int, side: int, part: float) -> np.ndarray[Any, Any]:
    volume = np.moveaxis(sample(), axis, 0).copy()
    width = round(part * len(volume))
    volume[slice(0, width) if side == 0 else slice(len(volume) - width, None)] = 0
    return np.moveaxis(volume, 0, axis)


def cornered() -> np.ndarray[Any, Any]:
    volume = sample()
    _, y, x = np.indices(SHAPE)
    volume[y + x < 18] = -500
    volume[(59 - y) + (69 - x) < 20] = -500
    return volume


def with_beads() -> np.ndarray[Any, Any]:
    volume = sample()
    place = np.indices(SHAPE)
    for y, x in ((6, 6), (6, 64), (54, 35)):
        volume[((place - np.array([12, y, x])[:, None, None, None]) ** 2).sum(axis=0) < 25] -= 80
    return volume


def with_a_hot_voxel() -> np.ndarray[Any, Any]:
    volume = sample()
    volume[12, 3, 3] = 20_000
    return volume


DISTURBED = {
    **{f"border of {part} at {'zyx'[axis]}, side {side}": (lambda a=axis, s=side, p=part: bordered(a, s, p))
       for axis in range(3) for side in (0, 1) for part in (0.05, 0.1)},
    "corners of a rotation": cornered,
    "gold": with_beads,
    "a hot voxel": with_a_hot_voxel,
}  # fmt: skip


@pytest.mark.parametrize("name", DISTURBED)
@pytest.mark.parametrize("contrast_and_type", [("dark", np.float32), ("bright", np.int16)], ids=["dark", "bright"])
def test_what_is_not_the_sample_does_not_move_the_levels(name: str, contrast_and_type: tuple[Any, type]) -> None:
    contrast, dtype = contrast_and_type
    clean, disturbed = (v.astype(dtype) for v in (sample(), DISTURBED[name]()))
    found, expected = (grey_levels(tomogram_of(v), Preprocessing(), contrast) for v in (disturbed, clean))
    # as far as the rest of a volume of this size tells
    assert found.unit == pytest.approx(expected.unit, rel=0.06)
    difference = found.sections(2, 10)[:, 12:48, 12:58].astype(int) - expected.sections(2, 10)[:, 12:48, 12:58]
    assert np.abs(difference.mean()) < 2
    assert np.abs(difference).max() <= 12


@pytest.mark.parametrize("name", ["border of 0.1 at y, side 0", "a hot voxel"])
def test_moments_are_moved(name: str) -> None:
    moved = levels(DISTURBED[name](), statistics="moments") - levels(sample(), statistics="moments")
    assert np.abs(moved).mean() > 10


def test_fill_itself_becomes_a_middle_grey() -> None:
    grey = grey_levels(tomogram_of(bordered(2, 0, 0.2)), Preprocessing())
    assert np.abs(grey.sections(0, 12)[:, 4:-4, :10].astype(int) - 128).max() <= 3


def test_only_what_the_mask_keeps_counts() -> None:
    volume, kept = sample(), np.zeros(SHAPE, np.bool_)
    kept[INSIDE] = True
    volume[~kept] += 400 * (np.random.default_rng(1).random(SHAPE) > 0.5)[~kept]  # carbon, say
    clean = levels(sample(), Mask(kept), sigma=(0.0, 0.0, 0.0))
    assert np.array_equal(levels(volume, Mask(kept), sigma=(0.0, 0.0, 0.0)), clean)
    assert np.abs(levels(volume, sigma=(0.0, 0.0, 0.0)) - clean).mean() > 20
    # half as fine: the same places
    coarse = kept[::2, ::2, ::2]
    assert np.abs(levels(volume, Mask(coarse, 2), sigma=(0.0, 0.0, 0.0)) - clean).max() <= 1


def test_a_sample_of_a_large_volume_says_what_all_voxels_say(monkeypatch: pytest.MonkeyPatch) -> None:
    from milopyp_shared import grey_statistics

    whole = grey_levels(tomogram_of(sample()), Preprocessing())
    monkeypatch.setattr(grey_statistics, "SAMPLE", 5000)
    part = grey_levels(tomogram_of(sample()), Preprocessing())
    assert part.centre == pytest.approx(whole.centre, abs=0.08 * whole.unit)
    assert part.unit == pytest.approx(whole.unit, rel=0.06)
    assert part.unit != whole.unit
