"""Fibres as the published program traces them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milopyp_inference.decode import filaments
from milopyp_inference.decode.filaments import FibreOptions

Golden = dict[str, np.ndarray[Any, Any]]
ROUNDING = 1e-6


@pytest.fixture(scope="module")
def stored(golden: Path) -> Golden:
    with np.load(golden / "decode.npz") as file:
        return {name: file[name] for name in file.files}


def agrees(points: np.ndarray[Any, Any], options: FibreOptions, xzy: np.ndarray[Any, Any]) -> bool:
    """True when the points, cut to whole voxels, are these.

    A coordinate that is a whole number but for rounding may have been cut to that number or the one below: least
    squares round differently on different processors (test_published has the comparison to the byte).
    """
    chains = filaments.chains(points, options.distance_cutoff)
    floats = np.concatenate([np.empty((0, 3)), *(filaments.follow(chain, options) for chain in chains)])
    assert np.array_equal(filaments.trace(points, options), floats.astype(np.int64))
    above = floats[:, [0, 2, 1]] - xzy
    return bool((above > -ROUNDING).all() and (above < 1 + ROUNDING).all())


def test_fibres_of_a_heat_map(stored: Golden) -> None:
    points = stored["fiber_points_xyz"]
    assert agrees(points, FibreOptions(), stored["fiber_result_xzy"])
    for name in ("0.03", "loose", "tight"):
        options = FibreOptions(*stored[f"fiber_fit_{name}_params"].tolist())
        assert agrees(points, options, stored[f"fiber_fit_{name}_result_xzy"]), name


@pytest.mark.parametrize("cutoff", ["0.003", "0.03", "0.3"])
def test_fibres_of_drawn_points(cutoff: str, stored: Golden) -> None:
    options = FibreOptions(15, 30, float(cutoff), 2)
    assert agrees(stored["fiber_syn_points_xyz"], options, stored[f"fiber_syn_curv{cutoff}_xzy"])


def test_curvature(stored: Golden) -> None:
    x = np.linspace(0, 50, 26)
    found = [filaments.curvature(a, b, x) for a, b in ((0.01, 0.1), (-0.01, 0.1), (0, 1), (0.002, -0.3))]
    assert np.allclose(found, stored["kx_cases"], rtol=0, atol=1e-15)


def line(n: int, step: tuple[int, int, int] = (5, 0, 0), start: tuple[int, int, int] = (30, 40, 50)) -> Any:
    """``(n, 3)`` points at equal distances."""
    return np.array(start) + np.arange(n)[:, None] * np.array(step)


@pytest.mark.parametrize("n", range(8))
def test_few_points_are_no_fibre(n: int) -> None:
    points = line(n).reshape(-1, 3)
    traced = filaments.trace(points)
    assert traced.dtype == np.int64
    assert traced.shape[1:] == (3,)
    assert (len(traced) > 0) == (n == 7)


def test_a_straight_fibre_is_followed_one_voxel_beyond_its_points() -> None:
    traced = filaments.trace(line(9, (5, 2, 1)))
    assert len(traced) == 20  # 40 voxels, every 2
    assert traced[0].tolist() in ([29, 39, 49], [29, 40, 49])
    assert traced[-1, 0] == 71
    assert np.abs(np.diff(traced, axis=0)).max() <= 3


def test_links_reach_as_far_as_the_cutoff_and_no_farther() -> None:
    points = line(7, (9, 12, 0))  # steps of 15
    assert len(filaments.chains(points, 15.0)) == 1
    assert filaments.chains(points, 14.99) == []


def test_fibres_come_in_the_order_of_their_first_points() -> None:
    first, second = line(8, start=(30, 40, 50)), line(8, start=(30, 140, 50))
    mixed = np.stack([second, first], axis=1).reshape(-1, 3)
    found = filaments.chains(mixed, 15.0)
    assert [chain.tolist() for chain in found] == [second.tolist(), first.tolist()]


def test_a_fibre_along_y_is_lost() -> None:
    """As published: x is the free variable, and without an extent in x there is nothing to sample."""
    assert filaments.trace(line(20, (0, 5, 0))).shape == (0, 3)


def test_two_values_of_x_determine_no_parabola() -> None:
    points = np.concatenate([line(6, (0, 5, 0)), line(6, (0, 5, 0), (40, 40, 50))])
    assert len(filaments.chains(points, 15.0)) == 1
    assert filaments.trace(points, FibreOptions(r2_cutoff=1000, curvature_cutoff=10)).shape == (0, 3)


def test_a_larger_residual_needs_a_straighter_line() -> None:
    zigzag = line(21)
    zigzag[:, 1] += np.array([0, 9])[np.arange(21) % 2]  # mean squared residual 20
    assert len(filaments.trace(zigzag, FibreOptions(r2_cutoff=30, curvature_cutoff=0.01))) > 0
    for r2, curvature, kept in ((10, 0.1, True), (10, 0.001, False), (6, 0.1, False)):
        options = FibreOptions(r2_cutoff=r2, curvature_cutoff=curvature)
        assert (len(filaments.trace(zigzag, options)) > 0) == kept, options


def test_a_distance_larger_than_the_fibre_leaves_no_points() -> None:
    assert filaments.trace(line(9), FibreOptions(distance_scale=100)).shape == (0, 3)
