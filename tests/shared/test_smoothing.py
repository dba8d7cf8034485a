"""The Gaussian filter against scipy's, whose sums it repeats."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from milopyp_shared.smoothing import mirrored, reach, smoothed

#: Elsewhere scipy's compiler may join a product and a sum, which are then rounded once.
LAST_PLACES = 0 if platform.machine() in ("x86_64", "AMD64") else 1


@pytest.mark.parametrize("sigma", [0.1, 0.4, 0.8, 1.5, 4.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (9, 40, 33), (3, 700, 300), (200, 9, 90)], ids=str)
def test_equals_scipy(shape: tuple[int, int, int], sigma: float) -> None:
    block = (np.random.default_rng(1).normal(0, 1000, shape) + 30_000).astype(np.float32)
    before = block.copy()
    for axis in range(3):
        expected = gaussian_filter1d(block, sigma, axis=axis, mode="reflect", truncate=4.0)
        found = smoothed(block, sigma, axis)
        assert found.dtype == np.float32
        np.testing.assert_array_max_ulp(found, expected, LAST_PLACES)
    assert np.array_equal(block, before)


@pytest.mark.parametrize("sigma", [0.4, 2.0])
def test_a_part_is_filtered_as_in_the_whole(sigma: float) -> None:
    volume = np.random.default_rng(2).normal(0, 1, (20, 6, 7)).astype(np.float32)
    whole, radius = smoothed(volume, sigma, 0), reach(sigma)
    for first, last in ((0, 3), (7, 8), (15, 20), (0, 20)):
        low, high = max(first - radius, 0), min(last + radius, 20)
        seen = mirrored(first - radius, last + radius, 20) - low
        assert np.array_equal(smoothed(volume[low:high], sigma, 0, seen), whole[first:last])


def test_positions_beyond_the_ends_are_mirrored() -> None:
    assert mirrored(-4, 6, 3).tolist() == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0]
