"""Distances from a mask's surface and its normals, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from milopyp_shared import axes, surface
from milopyp_shared.axes import TURNS
from milopyp_shared.masks import Mask
from milopyp_shared.orientations import DYNAMO, RELION, angles_of, in_axes, matrices, of_normals
from milopyp_shared.picks import Picks
from milopyp_shared.surface import normals, signed_distances
from milopyp_shared.tomogram import Frame
from milopyp_shared.turns import turned_frame, turned_picks
from vesicles import from_membrane, vesicle

SHAPE, CENTRE, RADIUS, HALF = (60, 70, 80), np.array([41.3, 33.7, 29.2]), 18.0, 2.5
REACH = 12.0


def places(count: int = 400, seed: int = 1) -> np.ndarray:
    """Positions within `REACH` of the membrane, on both sides and in it."""
    rng = np.random.default_rng(seed)
    away = rng.normal(size=(count, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    xyz: np.ndarray = CENTRE + away * (RADIUS + rng.uniform(-9, 9, (count, 1)))
    return xyz


def angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(np.degrees(np.arccos(np.clip(np.sum(one * other, axis=1), -1, 1))))


def test_a_vesicle() -> None:
    mask, xyz = Mask(vesicle(SHAPE, CENTRE, RADIUS, HALF) > 0), places()
    distance, facing = from_membrane(xyz, CENTRE, RADIUS, HALF)
    error = signed_distances(mask, xyz, REACH) - distance
    assert np.abs(error).max() < 1.1 and np.median(np.abs(error)) < 0.25 and abs(error.mean()) < 0.2
    assert np.abs(error[np.abs(distance) > 1]).max() < 0.5
    clear = distance > -1  # of 2.5 to the middle
    found = normals(mask, xyz, REACH, 4.0)
    assert angle(found[clear], facing[clear]).max() < 8
    assert np.median(angle(found[clear], facing[clear])) < 2


def test_the_middle_of_a_sheet_faces_neither_side() -> None:
    sheet = np.zeros((40, 40, 40), bool)
    sheet[18:23] = True
    xyz = np.array([[20.0, 20.0, 20.0], [20.0, 20.0, 22.0], [20.0, 20.0, 25.0], [20.0, 20.0, 12.0]])
    assert np.allclose(signed_distances(Mask(sheet), xyz, 10.0), [-2.5, -0.5, 2.5, 5.5], atol=0.3)
    found = normals(Mask(sheet), xyz, 10.0, 3.0)
    assert np.isnan(found[0]).all()
    assert np.allclose(found[1:], [[0, 0, 1], [0, 0, 1], [0, 0, -1]], atol=1e-9)


def test_faces_of_the_tomogram_are_no_surface_and_beyond_the_reach_nothing_is_known() -> None:
    organelle = np.zeros((20, 20, 40), bool)
    organelle[:, :, :10] = True
    xyz = np.array([[0.0, 10.0, 10.0], [5.0, 0.0, 0.0], [14.0, 19.0, 19.0], [30.0, 10.0, 10.0]])
    found = signed_distances(Mask(organelle), xyz, 12.0)
    assert np.allclose(found[:3], [-9.5, -4.5, 4.5], atol=0.1)
    assert np.isinf(found[3])
    assert np.isnan(normals(Mask(organelle), xyz[3:], 12.0, 3.0)).all()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    mask, xyz = Mask(vesicle(SHAPE, CENTRE, RADIUS, HALF) > 0), places()
    whole = signed_distances(mask, xyz, REACH)
    monkeypatch.setattr(surface, "BLOCK", 9)
    assert np.array_equal(signed_distances(mask, xyz, REACH), whole)


def test_a_binned_mask() -> None:
    """Of half the size: voxel k of it covers voxels 2k and 2k + 1."""
    coarse = Mask(vesicle((30, 35, 40), (CENTRE - 0.5) / 2, RADIUS / 2, 2.0) > 0, binning=2)
    distance, facing = from_membrane(xyz := places(), CENTRE, RADIUS, 4.0)
    assert np.abs(signed_distances(coarse, xyz, REACH) - distance).max() < 2.2
    clear = distance > 0
    assert np.median(angle(normals(coarse, xyz[clear], REACH, 4.0), facing[clear])) < 3


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("order", axes.ORDERS)
def test_a_normal_stays_one_along_other_axes(order: str, turn: str) -> None:
    """A place a step along the normal is turned to one a step along the turned normal, whatever mirrors."""
    rng = np.random.default_rng(2)
    frame = Frame(order, (30, 40, 50), (10.0, 10.0, 10.0))
    facing = rng.normal(size=(20, 3))
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    picks = Picks(rng.uniform(8, 20, (20, 3)), np.ones(20), angles=of_normals(facing, rng))
    ahead = Picks(picks.xyz + 3 * facing, picks.score)
    one, other = (turned_picks(each, frame, turn) for each in (picks, ahead))
    there = turned_frame(frame, turn).order
    assert one.angles is not None
    rotations = in_axes(one.angles, ["xyz".index(letter) for letter in there])
    step = axes.xyz_to_columns(other.xyz - one.xyz, there) / 3
    assert np.allclose(rotations[:, :, 2], step, atol=1e-6)
    assert np.allclose(np.linalg.det(rotations), 1.0)


def test_angles_are_those_of_an_independent_package() -> None:
    package = pytest.importorskip("eulerangles")
    rng = np.random.default_rng(3)
    relion = np.column_stack([rng.uniform(-180, 180, 50), rng.uniform(0, 180, 50), rng.uniform(-180, 180, 50)])
    rotations = matrices(relion)
    inverse = package.euler2matrix(relion, axes="zyz", intrinsic=True, right_handed_rotation=True)
    assert np.allclose(rotations, np.linalg.inv(inverse))
    dynamo = package.convert_eulers(relion, source_meta="relion", target_meta="dynamo")
    again = package.euler2matrix(dynamo, axes="zxz", intrinsic=False, right_handed_rotation=True)
    ours = package.euler2matrix(angles_of(rotations, DYNAMO), axes="zxz", intrinsic=False, right_handed_rotation=True)
    assert np.allclose(again, ours)


def test_where_z_points_by_hand() -> None:
    """RELION's and Dynamo's own formulas for the particle's z axis; and a particle that is not tilted."""
    facing = np.array([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [np.nan] * 3])
    angles = of_normals(facing, np.random.default_rng(4))
    _, tilt, psi = np.radians(angles[:4].T)
    relion = np.column_stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)])
    assert np.allclose(relion, facing[:4])
    assert np.allclose(matrices(angles)[:4, :, 2], facing[:4])
    tdrot, tilt, _ = np.radians(angles_of(matrices(angles), DYNAMO)[:4].T)
    dynamo = np.column_stack([np.sin(tdrot) * np.sin(tilt), np.cos(tdrot) * np.sin(tilt), np.cos(tilt)])
    assert np.allclose(dynamo, facing[:4])
    assert np.allclose(angles_of(matrices(angles), RELION)[:2], angles[:2])
    assert np.isnan(angles[4]).all() and np.isnan(angles_of(matrices(angles), DYNAMO)[4]).all()
