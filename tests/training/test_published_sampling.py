"""Training patches: the published distribution of positions, and what is cut there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from milopyp_shared.errors import InputError
from milopyp_training.methods.published_patches import PatchPair, clip_centre, cut_pair, cut_patch, draw_pair

SHAPE = (60, 200, 240)
DRAWS = 6000


def _draws(annotations: np.ndarray, seed: int, **options: bool | int) -> np.ndarray:
    """Columns as in the reference: annotation, flip along y, first x, y, z, second x, y, z."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(DRAWS):
        index = i % len(annotations)
        pair = draw_pair(index, annotations[:, :3], annotations[:, 3], [SHAPE], rng, **options)  # type: ignore[arg-type]
        assert pair.first == index != pair.second
        rows.append((pair.first, pair.flip_y, *pair.first_centre, *pair.second_centre))
    return np.array(rows)


def _assert_same_distribution(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """Two-sample chi-square test; rare values are pooled, values the reference never takes are refused."""
    values, counts = np.unique(wanted, return_counts=True)
    assert set(np.unique(found)) <= set(values), name
    table = np.stack([[(found == value).sum() for value in values], counts])
    rare = table.sum(0) < 40
    table = np.concatenate([table[:, ~rare], table[:, rare].sum(1, keepdims=True)], axis=1)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] > 1:
        assert chi2_contingency(table).pvalue > 1e-4, name


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("pu_bbox16", {"bbox": 16}),
        ("pu_bbox32", {"bbox": 32}),
        ("pu_border", {"bbox": 16}),
        ("pn_bbox16", {"bbox": 16, "pn": True, "fix_background_range": False}),
    ],
)
def test_distribution_is_the_published_one(golden: Path, case: str, options: dict[str, int]) -> None:
    arrays = np.load(golden / "sampling.npz")
    wanted, annotations = arrays[case].astype(int), arrays[f"{case}_annotations"]
    found = _draws(annotations, 11, **options)
    names = ("annotation", "flip", "first x", "first y", "first z", "second x", "second y", "second z")
    for column, name in enumerate(names[1:], start=1):
        _assert_same_distribution(found[:, column], wanted[:, column], f"{case} {name}")
    # Shifts belong to their own annotation, and x and y are drawn independently of each other.
    for column in (2, 3):
        for index in range(len(annotations)):
            _assert_same_distribution(
                found[found[:, 0] == index, column], wanted[wanted[:, 0] == index, column], f"{case} of {index}"
            )
    both = [(rows[:, 5] // 3) * 100 + rows[:, 6] // 3 for rows in (found, wanted)]
    shared = np.isin(both[0], both[1])
    assert shared.mean() > 0.98
    _assert_same_distribution(both[0][shared], both[1], f"{case} second x and y together")


def test_background_with_the_range_fixed_covers_the_tomogram_evenly(golden: Path) -> None:
    annotations = np.load(golden / "sampling.npz")["pn_bbox16_annotations"]
    found = _draws(annotations, 12, bbox=16, pn=True)
    # Half of the second patches are background; a sixth to a fifth of those is clipped to each end.
    for column, size in ((5, 120), (6, 100)):
        for end in (17, size - 17):
            assert np.mean(found[:, column] == end) == pytest.approx(0.5 * 17.5 / size, abs=0.015)
    away = (found[:, 5] < 48) | (found[:, 5] > 70)
    inside = found[away & (found[:, 5] > 17) & (found[:, 5] < 103), 5]
    assert abs(np.histogram(inside, [18, 33, 48])[0] / len(inside) - 15 / 62).max() < 0.04


@settings(max_examples=200)
@given(
    st.tuples(st.integers(6, 40), st.integers(68, 150), st.integers(68, 150)),
    st.lists(st.tuples(*[st.integers(-5, 100)] * 3), min_size=2, max_size=5),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_patches_always_lie_inside(
    shape: tuple[int, int, int], centres: list[tuple[int, int, int]], pn: bool, fixed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pair = draw_pair(0, centres, [0] * len(centres), [shape], rng, bbox=24, pn=pn, fix_background_range=fixed)
    volume = np.broadcast_to(np.float32(0), shape)
    target = np.broadcast_to(np.float32(0), (shape[0], shape[1] // 2, shape[2] // 2))
    batch = cut_pair(pair, (volume, volume), (target, target))
    assert batch.volume.shape == batch.flipped.shape == (2, 6, 64, 64) and batch.target.shape == (2, 6, 32, 32)


def test_cut_positions_and_mirror_images() -> None:
    shape = (20, 160, 180)
    codes = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    target = np.zeros((20, 80, 90), np.float32)
    target[9, 41, 52] = 1.0  # annotation at x 52, y 41, z 9, patch shifted by (+3, -2)
    target[12, 30, 40] = 0.5
    for flip_y in (False, True):
        pair = PatchPair(0, 1, flip_y, (55, 39, 9), (40, 30, 12))
        batch = cut_pair(pair, (codes, codes + 1), (target, target))
        np.testing.assert_array_equal(batch.volume[0], codes[6:12, 46:110, 78:142].astype(np.float32))
        np.testing.assert_array_equal(batch.volume[1], (codes + 1)[9:15, 28:92, 48:112].astype(np.float32))
        mirrored = batch.volume[:, :, ::-1] if flip_y else batch.volume[..., ::-1]
        np.testing.assert_array_equal(batch.flipped, mirrored)
        assert np.argwhere(batch.target[0] == 1).tolist() == [[3, 16 + 2, 16 - 3]]
        assert batch.target[1][3, 16, 16] == 0.5
        assert batch.volume.dtype == batch.flipped.dtype == np.float32 and batch.flip_y == flip_y


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    two = [[40, 40, 10], [50, 50, 12]]
    for shape in ((5, 200, 200), (20, 67, 200), (20, 200, 67)):
        with pytest.raises(InputError, match="at least 6 sections of 68 x 68"):
            draw_pair(0, two, [0, 0], [shape], rng, bbox=16)
    assert clip_centre((0, 99, 1), (6, 68, 69)) == (17, 17, 3)
    with pytest.raises(InputError, match="at least two"):
        draw_pair(0, two[:1], [0], [SHAPE], rng, bbox=16)
    with pytest.raises(InputError, match="one number from 0 to 0"):
        draw_pair(0, two, [0, 1], [SHAPE], rng, bbox=16)
    with pytest.raises(InputError, match="clip_centre"):
        cut_patch(np.zeros((20, 160, 160)), np.zeros((20, 80, 80), np.float32), (15, 40, 9))
