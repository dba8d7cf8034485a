"""Truth is exact: centres, orientations, tilt axes, voxel sizes; and what a tomogram depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from milopyp_shared.errors import UsageError
from milopyp_simulation.densities import Density, make_density
from milopyp_simulation.settings import SimulationSettings
from milopyp_simulation.specimen import Poses
from milopyp_simulation.tomogram import SimulatedTomogram, fill, simulate
from specimens import CLEAN, SMALL, ball, lopsided, with_microscope, with_reconstruction, with_specimen

FIVE = with_reconstruction(with_specimen(CLEAN, counts={"a": 5}), ramp_end=0.5)


def made(settings: SimulationSettings, seed: int = 1, density: Density | None = None) -> SimulatedTomogram:
    return simulate(settings, {"a": lopsided() if density is None else density}, seed)


def measured_centre(weight: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of mass, x, y, z, of what is above a fifth of the highest weight within 8 voxels of `near`."""
    places = np.stack(np.indices(weight.shape)[::-1], axis=-1)
    weight = np.where(((places - near) ** 2).sum(axis=-1) < 8**2, weight, 0)
    weight = np.where(weight > 0.2 * weight.max(), weight, 0)
    return np.tensordot(weight, places, axes=3) / weight.sum()


def wholly_inside(poses: Poses, shape_zyx: tuple[int, int, int]) -> list[int]:
    high = np.array(shape_zyx[::-1]) - 1.0
    return [i for i, centre in enumerate(poses.xyz) if np.minimum(centre, high - centre).min() > 8]


def test_centres_are_those_in_the_specimen() -> None:
    specimen, _, _ = fill(FIVE, FIVE.shape_zyx, {"a": lopsided()}, np.random.SeedSequence(1))
    assert len(specimen.poses["a"]) > 10
    for centre, _ in specimen.poses["a"]:
        assert np.abs(measured_centre(specimen.density, centre) - centre).max() < 0.1


@pytest.mark.parametrize("axis", ["x", "y"])
def test_centres_are_those_in_the_volume(axis: str) -> None:
    """Balls, whose centre of mass does not depend on the rays that are missing."""
    tomogram = made(with_microscope(FIVE, tilt_axis=axis), density=ball())
    truth = tomogram.truth["a"]
    whole = wholly_inside(truth, FIVE.shape_zyx)
    assert len(truth) == 5 and len(whole) >= 2
    weight = np.median(tomogram.volume) - tomogram.volume.astype(float)
    for i in whole:
        assert np.abs(measured_centre(weight, truth.xyz[i]) - truth.xyz[i]).max() < 0.05


@pytest.mark.parametrize("axis", ["x", "y"])
def test_rotations_take_the_density_to_the_volume(axis: str) -> None:
    """Where the rotations put the density's two arms, it is dark; where their inverses would, it is not."""
    density = lopsided()
    tomogram = made(with_specimen(with_microscope(FIVE, tilt_axis=axis), counts={"a": 12}), density=density)
    truth = tomogram.truth["a"]
    arms = np.array([[16.0, 12.0, 12.5], [10.0, 9.5, 7.0]]) - density.centre_xyz
    np.testing.assert_allclose(np.linalg.det(truth.rotations), 1)
    whole = wholly_inside(truth, FIVE.shape_zyx)
    assert len(whole) >= 4
    right, wrong = [], []
    for i in whole:
        for rotation, values in ((truth.rotations[i], right), (truth.rotations[i].T, wrong)):
            places = truth.xyz[i] + arms @ rotation.T
            values += ndimage.map_coordinates(tomogram.volume, places.T[::-1], order=1).tolist()
    assert max(right) < 0.3 * tomogram.volume.min()
    assert np.mean(right) < 2 * np.mean(wrong)


def test_tilt_axis_x_is_tilt_axis_y_turned_by_a_quarter() -> None:
    """With another size the field is another one, so both are square."""
    settings = with_specimen(replace(SMALL, shape_zyx=(40, 64, 64)), counts={"a": 5}, gold=(2, 2))
    along_x, along_y = (made(with_microscope(settings, tilt_axis=axis)) for axis in "xy")
    np.testing.assert_array_equal(along_y.volume, along_x.volume.transpose(0, 2, 1)[:, ::-1])
    for name in ("a", "gold"):
        x, y, z = along_x.truth[name].xyz.T
        np.testing.assert_allclose(along_y.truth[name].xyz, np.column_stack([y, 63 - x, z]))


def test_all_that_matters_is_settings_and_seed() -> None:
    settings = with_specimen(SMALL, counts={"a": 5}, gold=(2, 2), crowder_fraction=0.05)
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    first = made(settings)
    np.random.seed(2)  # noqa: NPY002
    again, other = made(settings), made(settings, seed=2)
    np.testing.assert_array_equal(first.volume, again.volume)
    np.testing.assert_array_equal(first.truth["a"].xyz, again.truth["a"].xyz)
    np.testing.assert_array_equal(first.truth["a"].rotations, again.truth["a"].rotations)
    assert np.abs(first.volume - other.volume).max() > 1


def test_dose_and_crowders_leave_the_particles_where_they_are() -> None:
    first = made(with_specimen(SMALL, counts={"a": 5}))
    second = made(with_microscope(with_specimen(SMALL, counts={"a": 5}, crowder_fraction=0.08), dose=200.0))
    np.testing.assert_array_equal(first.truth["a"].xyz, second.truth["a"].xyz)


def test_an_empty_field_is_noise() -> None:
    tomogram = simulate(SMALL, {}, 1)
    assert set(tomogram.truth) == {"gold"} and len(tomogram.truth["gold"]) == 0
    assert tomogram.volume.dtype == np.float32 and tomogram.volume.shape == SMALL.shape_zyx
    assert tomogram.volume.std() == pytest.approx(1, rel=0.05)


def test_particles_of_a_finer_map_are_as_large_in_angstrom() -> None:
    """A density of 5 A voxels in a tomogram of 10 A has half the radius and an eighth of the mass."""
    coarse, fine = lopsided(10.0), lopsided(5.0)
    assert fine.radius_in(10.0) == pytest.approx(coarse.radius_in(10.0) / 2)
    for density, part in ((coarse, 1), (fine, 8)):
        specimen, _, _ = fill(
            with_specimen(SMALL, counts={"a": 5}), SMALL.shape_zyx, {"a": density}, np.random.SeedSequence(1)
        )
        mass = specimen.density.sum(dtype=float) / len(specimen.poses["a"])
        assert mass == pytest.approx(lopsided().mass / part, rel=0.01)


def test_no_more_than_there_is_room_for() -> None:
    crowded = made(with_specimen(SMALL, counts={"a": 2000}))
    assert 20 < len(crowded.truth["a"]) < 2000


def test_gold_is_in_the_truth() -> None:
    tomogram = made(with_specimen(SMALL, gold=(2, 2), gold_radius=(40.0, 40.0)))
    assert len(tomogram.truth["gold"]) == 2
    for centre in tomogram.truth["gold"].xyz:
        x, y, z = np.rint(centre).astype(int)
        assert tomogram.volume[z, y, x] < -5


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(UsageError, match="no density for the species 'b'"):
        simulate(with_specimen(SMALL, counts={"b": 1}), {"a": lopsided()}, 1)
    with pytest.raises(UsageError, match="name 'gold'"):
        simulate(with_specimen(SMALL, counts={"gold": 1}), {"gold": lopsided()}, 1)
    with pytest.raises(UsageError, match="seed is -1"):
        simulate(SMALL, {}, -1)
    with pytest.raises(UsageError, match="highest density is 0"):
        make_density(np.zeros((4, 4, 4), np.float32), None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (replace(SMALL, shape_zyx=(4, 64, 64)), "shape_zyx"),
        (with_specimen(SMALL, crowder_fraction=0.9), "crowder_fraction"),
        (with_specimen(SMALL, gold=(3, 1)), "gold"),
        (with_microscope(SMALL, tilt_max=90.0), "tilt_min"),
        (with_microscope(SMALL, tilt_axis="z"), "tilt_axis"),
        (with_microscope(SMALL, dose=0.0), "dose"),
        (with_reconstruction(SMALL, ctf_correction="maybe"), "ctf_correction"),
        (with_reconstruction(SMALL, border=((0, 0), (0, -1), (0, 0))), "border"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_out_of_range_are_refused(settings: SimulationSettings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(settings, {}, 1)
