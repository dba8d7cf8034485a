"""Target maps against the published ones, and the default preset's against their definition."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_shared.errors import InputError, UsageError
from milopyp_training.data.targets import (
    gaussian_targets,
    nearest_voxels,
    published_grid_centres,
    published_kernel,
    published_radius,
    published_targets,
)

VOLUMES = {"tA": (21, 48, 56), "tB": (16, 40, 60)}
STRIDES = {False: (1, 2, 2), True: (2, 2, 2)}  # with --compress or without


def _grid(tomogram: str, compress: bool) -> tuple[int, int, int]:
    depth, height, width = VOLUMES[tomogram]
    return (-(-depth // 2) if compress else depth, height // 2, width // 2)


@pytest.fixture(scope="module")
def arrays(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "targets.npz"))


def test_all_published_maps(arrays: dict[str, np.ndarray]) -> None:
    compared = 0
    for tomogram, bbox, compress, fibre, pn in itertools.product(VOLUMES, (8, 16, 24, 32), (0, 1), (0, 1), (0, 1)):
        wanted = arrays[f"hm_{tomogram}_bbox{bbox}_compress{compress}_fiber{fibre}_pn{pn}"]
        centres = published_grid_centres(arrays[f"coords_{tomogram}"], STRIDES[bool(compress)])
        found = published_targets(
            centres, _grid(tomogram, bool(compress)), bbox, fibre=bool(fibre), unlabelled=0 if pn else -1
        )
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-7)
        assert np.array_equal(found == 1, wanted == 1) and np.array_equal(found == -1, wanted == -1)
        compared += 1
    assert compared == 64
    validation = published_targets(
        published_grid_centres(arrays["coords_tA"], STRIDES[True]), _grid("tA", True), 16, unlabelled=0.0
    )
    np.testing.assert_allclose(validation, arrays["hm_val_tA_bbox16_compress1"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("tomogram", list(VOLUMES))
def test_grid_centres(arrays: dict[str, np.ndarray], tomogram: str, compress: bool) -> None:
    centres = published_grid_centres(arrays[f"coords_{tomogram}"], STRIDES[compress])
    np.testing.assert_array_equal(centres, arrays[f"gtdet_{tomogram}_compress{int(compress)}"])
    flat = np.ravel_multi_index(tuple(centres[:, ::-1].T), _grid(tomogram, compress))
    np.testing.assert_array_equal(flat, arrays[f"flatindex_{tomogram}_compress{int(compress)}"])


def test_grid_centres_are_cut_toward_zero_first() -> None:
    assert published_grid_centres([[1.9, 2.99, 3.9], [-0.9, 5.0, 7.5]], (2, 2, 2)).tolist() == [[0, 1, 1], [0, 2, 3]]
    assert published_grid_centres([[1.9, 2.99, 3.9]], (1, 2, 2)).tolist() == [[0, 1, 3]]


def test_radius_and_kernels(arrays: dict[str, np.ndarray]) -> None:
    assert [published_radius(int(bbox)) for bbox in arrays["radius_bbox"]] == arrays["radius_int"].tolist()
    for radius in (0, 1, 2, 3, 4, 6):
        np.testing.assert_allclose(published_kernel(radius), arrays[f"kernel_r{radius}"], rtol=1e-14, atol=0)
        np.testing.assert_array_equal(published_kernel(radius, fibre=True), arrays[f"kernel_fiber_r{radius}"])
    assert int((published_kernel(7) == 1).sum()) == 7


def test_odd_sizes_follow_the_network() -> None:
    """A deviation: a label in the last row of an odd volume has a place on the network's map, rounded up."""
    centre = published_grid_centres([[56.0, 48.0, 20.0]], (2, 2, 2))
    target = published_targets(centre, (11, 25, 29), 16)
    assert target[10, 24, 28] == 1 and int((target == 1).sum()) == 1
    with pytest.raises(InputError, match="outside the map"):
        published_targets(centre, (11, 24, 28), 16)


def test_published_refusals() -> None:
    with pytest.raises(InputError, match="outside the map"):
        published_targets([[3, -1, 2]], (5, 5, 5), 16)
    with pytest.raises(InputError, match="fractions"):
        published_targets([[3, 1.5, 2]], (5, 5, 5), 16)
    with pytest.raises(InputError, match="three columns"):
        published_targets([[3, 1]], (5, 5, 5), 16)
    with pytest.raises(InputError, match="not finite"):
        published_grid_centres([[3, 1, np.nan]], (2, 2, 2))
    with pytest.raises(UsageError, match="--bbox"):
        published_targets([[3, 1, 1]], (5, 5, 5), 1)
    assert (published_targets([], (2, 3, 4), 16) == -1).all()


def _by_definition(centres: np.ndarray, shape: tuple[int, ...], sigma: np.ndarray) -> np.ndarray:
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    result = np.zeros(shape)
    for centre in centres:
        q = (((grid - centre) / sigma) ** 2).sum(-1)
        result = np.maximum(result, np.where(q <= 9.0, np.exp(-0.5 * q), 0.0))
    return result


@settings(max_examples=60)
@given(
    st.lists(st.tuples(*[st.floats(-6.0, 16.0)] * 3), max_size=4),
    st.tuples(*[st.integers(1, 11)] * 3),
    st.tuples(*[st.floats(0.3, 2.5)] * 3),
)
def test_gaussians_equal_their_definition(
    centres: list[tuple[float, float, float]], shape: tuple[int, int, int], sigma: tuple[float, float, float]
) -> None:
    table = np.asarray(centres, np.float64).reshape(-1, 3)
    found = gaussian_targets(table, shape, sigma)
    wanted = _by_definition(table, shape, np.asarray(sigma))
    assert found.dtype == np.float32
    # A voxel exactly on the cut may fall to either side.
    differs = np.abs(found - wanted) > 1e-6
    assert np.all(np.maximum(found, wanted)[differs] < np.exp(-4.5) * 1.0001)


def test_gaussian_peak_is_where_the_particle_is() -> None:
    """Three samples of a Gaussian give its centre exactly: no half-voxel and no rounding in the map."""
    centre = np.array([4.3, 5.8, 7.45])
    target = gaussian_targets([centre], (9, 12, 14), (0.8, 1.5, 1.5)).astype(np.float64)
    mark = nearest_voxels([centre], target.shape)
    assert np.argwhere(mark).tolist() == [[4, 6, 7]] and np.argmax(target) == np.argmax(mark)
    for axis in range(3):
        low, mid, high = (
            np.log(target[tuple(np.array([4, 6, 7]) + step * np.eye(3, dtype=int)[axis])]) for step in (-1, 0, 1)
        )
        offset = (low - high) / (2 * (low - 2 * mid + high))
        assert np.array([4, 6, 7])[axis] + offset == pytest.approx(centre[axis], abs=1e-4)


def test_nearest_voxels_drop_what_lies_outside() -> None:
    mark = nearest_voxels([[-0.4, 0, 0], [-0.6, 1, 1], [2.49, 1, 1], [2.5, 1, 2], [1.5, 0, 0]], (3, 2, 3))
    assert np.argwhere(mark).tolist() == [[0, 0, 0], [2, 0, 0], [2, 1, 1]]
    assert not nearest_voxels([], (2, 2, 2)).any()


def test_gaussian_refusals() -> None:
    with pytest.raises(UsageError, match="three positive"):
        gaussian_targets([[1, 1, 1]], (3, 3, 3), (1, 0, 1))
    with pytest.raises(InputError, match="not finite"):
        gaussian_targets([[1, np.inf, 1]], (3, 3, 3), (1, 1, 1))
