"""Tomograms of another voxel size, resampled while they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.resample import ResampledTomogram, resampled, resampled_shape, scale_to
from toys import tomogram_of


def waves(shape: tuple[int, int, int], scale: float = 1.0) -> np.ndarray:
    """A smooth volume, sampled where the voxels of a rescaled one lie."""
    z, y, x = ((np.arange(size) + 0.5) / scale - 0.5 for size in shape)
    return np.sin(z / 5)[:, None, None] + np.cos(y / 7)[:, None] + np.sin(x / 6)


@pytest.mark.parametrize(("scale", "tolerance"), [(1.2, 0.001), (2.3, 0.001), (0.8, 0.01), (0.4, 0.01)])
def test_values_are_those_of_the_same_places(scale: float, tolerance: float) -> None:
    volume = ResampledTomogram(tomogram_of(waves((30, 40, 50))), scale)
    found = volume.sections(0, volume.shape[0])
    assert found.shape == volume.shape == tuple(round(size * scale) for size in (30, 40, 50))
    inside = (slice(4, -4),) * 3
    assert np.abs(found - waves(volume.shape, scale))[inside].max() < tolerance


@given(scale=st.floats(0.26, 3.9), cut=st.integers(1, 40))
@settings(max_examples=25)
def test_sections_do_not_depend_on_how_they_are_asked_for(scale: float, cut: int) -> None:
    volume = ResampledTomogram(tomogram_of(np.random.default_rng(1).normal(size=(12, 9, 10))), scale)
    depth = volume.shape[0]
    cut = min(cut, depth - 1)
    parts = np.concatenate([volume.sections(0, cut), volume.sections(cut, depth)])
    assert np.array_equal(parts, volume.sections(0, depth))
    # a constant stays one, at the faces too, where half of the kernel is outside
    constant = ResampledTomogram(tomogram_of(np.full((12, 9, 10), 3.0)), scale)
    assert constant.sections(0, depth) == pytest.approx(3.0, abs=1e-5)


@given(scale=st.floats(0.26, 3.9), place=st.floats(0, 100))
def test_positions_go_back(scale: float, place: float) -> None:
    here = (place + 0.5) * scale - 0.5
    assert ResampledTomogram(tomogram_of(np.zeros((9, 9, 9))), scale).back(np.full((1, 3), here)) == pytest.approx(
        place
    )


def test_what_has_the_voxel_size_already_is_left_alone() -> None:
    tomogram = tomogram_of(np.zeros((9, 9, 9)), 10.01)
    assert scale_to(tomogram, 10.0) == 1.0
    assert resampled(tomogram, 1.0) is tomogram


@pytest.mark.parametrize("scale", [1.0, 1.34, 0.5, 0.03])
def test_the_shape_is_known_before(scale: float) -> None:
    tomogram = tomogram_of(np.zeros((9, 11, 14)))
    assert resampled_shape(tomogram.shape, scale) == resampled(tomogram, scale).shape


@pytest.mark.parametrize(("here", "trained", "kind"), [
    (None, 10.0, InputError), (10.0, None, InputError), (2.0, 10.0, ContradictionError),
    (50.0, 10.0, ContradictionError),
])  # fmt: skip
def test_refused(here: float | None, trained: float | None, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        scale_to(tomogram_of(np.zeros((9, 9, 9)), here), trained)
