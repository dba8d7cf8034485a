"""Densities, random shapes, membrane proteins, filaments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from milopyp_shared.errors import InputError
from milopyp_simulation.densities import density_of_map, make_stencil, read_template
from milopyp_simulation.filaments import ACTIN, MICROTUBULE
from milopyp_simulation.random_shapes import random_density
from milopyp_simulation.tomogram import fill, simulate
from specimens import SMALL, lopsided, standing, with_specimen

WIDE = replace(SMALL, shape_zyx=(80, 128, 128))


def test_sizes_of_a_ball() -> None:
    z, y, x = np.indices((41, 41, 41)) - 20.0
    density = density_of_map((x**2 + y**2 + z**2 < 12**2).astype(np.float32), 5.0)
    assert density.centre_xyz == pytest.approx((20, 20, 20))
    assert density.radius == pytest.approx(12, abs=0.1)
    assert density.max_radius == pytest.approx(12, abs=0.1)
    assert density.radius_in(10.0) == pytest.approx(6, abs=0.05)
    assert density.mass == pytest.approx(0.9 * np.pi * 4 / 3 * 12**3, rel=0.02)
    heavy = density_of_map(7 * density.array, 5.0, mass_kda=500.0)
    assert heavy.mass * 0.5**3 == pytest.approx(500 * 1.21, rel=1e-4)  # cubic nanometres


@pytest.mark.parametrize("voxel_size", [10.0, 14.0, 6.0])
def test_resampling_keeps_mass_and_centre(voxel_size: float) -> None:
    density, scale = lopsided(10.0), 10.0 / voxel_size
    stencil = make_stencil(density, voxel_size)
    assert stencil.array.sum() / 8 == pytest.approx(density.mass * scale**3, rel=2e-3)
    weight = np.where(stencil.array > 0.2 * stencil.array.max(), stencil.array, 0)
    centre = [(weight * index).sum() / weight.sum() for index in np.indices(weight.shape)[::-1]]
    assert np.abs(np.array(centre) - stencil.own_centre).max() < 0.15


def test_a_template_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    array = (lopsided().array / lopsided().array.max() * 255).astype(np.uint8)
    np.savez(path, density=array, voxel_size=np.float32(10), integral=300.0, membrane_z=4.5)
    density = read_template(path)
    assert density.mass == pytest.approx(300, rel=1e-4)
    assert density.membrane_z == 4.5 and density.voxel_size == 10
    np.savez(path, density=array)
    with pytest.raises(InputError, match="voxel_size"):
        read_template(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(InputError, match="archive"):
        read_template(path)


def test_random_shapes_are_as_large_as_asked_for_and_all_different() -> None:
    rng = np.random.default_rng(1)
    shapes = [random_density(rng, (6.0, 12.0)) for _ in range(20)]
    radii = np.array([shape.radius for shape in shapes])
    assert radii.min() > 6 * 0.8 and radii.max() < 12 * 1.1 and pdist(radii[:, None]).min() > 0
    fill_of_box = [shape.mass / (4 / 3 * np.pi * shape.max_radius**3) for shape in shapes]
    assert max(fill_of_box) > 2 * min(fill_of_box)
    again = random_density(np.random.default_rng(1), (6.0, 12.0))
    np.testing.assert_array_equal(again.array, shapes[0].array)


def test_random_membrane_proteins_stand_outside_of_their_membrane() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        shape = random_density(rng, (6.0, 9.0), membrane=True)
        assert shape.membrane_z is not None
        assert shape.centre_xyz[2] - shape.membrane_z > 4
        assert shape.array[: int(shape.membrane_z)].sum() < 0.2 * shape.mass


def test_membrane_proteins_point_outwards() -> None:
    settings = with_specimen(
        WIDE, ice_thickness=(700.0, 700.0), counts={"m": 6}, vesicles=(2, 2), vesicle_radius=(250.0, 280.0)
    )
    specimen, vesicles, _ = fill(settings, settings.shape_zyx, {"m": standing()}, np.random.SeedSequence(1))
    placed = specimen.poses["m"]
    assert len(placed) >= 6 and vesicles
    for centre, rotation in placed:
        own = min(vesicles, key=lambda vesicle: abs(vesicle.distance(centre[None])[0]))
        # the density's +z is the membrane's outward normal; its foot is in the middle of the bilayer
        offset = standing().centre_xyz[2] - 5.0
        assert own.distance(centre[None])[0] == pytest.approx(offset, abs=1.0)
        assert own.distance((centre - offset * rotation[:, 2])[None])[0] == pytest.approx(0, abs=0.1)
        assert own.distance((centre + 3 * rotation[:, 2])[None])[0] > own.distance(centre[None])[0]


def test_particles_do_not_overlap_and_stay_in_the_ice() -> None:
    settings = with_specimen(SMALL, counts={"a": 60})
    truth = simulate(settings, {"a": lopsided()}, 1).truth["a"]
    assert len(truth) > 30
    assert pdist(truth.xyz).min() > 5
    z = truth.xyz[:, 2]
    assert z.min() > 40 / 2 - 15 and z.max() < 40 / 2 + 15
    # orientations are uniform: no direction is preferred
    assert np.abs(truth.rotations.mean(axis=0)).max() < 0.35


def test_filaments_lie_in_the_field_and_are_drawn() -> None:
    settings = with_specimen(WIDE, ice_thickness=(700.0, 700.0), microtubules=(2, 2), actin=(3, 3))
    specimen, _, filaments = fill(settings, settings.shape_zyx, {}, np.random.SeedSequence(1))
    assert {one.kind for one in filaments} == {MICROTUBULE.name, ACTIN.name}
    for one in filaments:
        assert one.axis_xyz.min() >= -0.5 and one.axis_xyz[:, :2].max() < 127.5
        steps = np.linalg.norm(np.diff(one.axis_xyz, axis=0), axis=1)
        np.testing.assert_allclose(steps, 0.5, rtol=0.01)
        middle = one.axis_xyz[len(one.axis_xyz) // 2] + [specimen.field_yx[1].start, specimen.field_yx[0].start, 0]
        x, y, z = np.rint(middle).astype(int)
        around = specimen.density[z - 14 : z + 15, y - 14 : y + 15, x - 14 : x + 15]
        assert around.max() > 0.5
        hollow = specimen.density[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3].max()
        assert (hollow < 0.1) == (one.kind == MICROTUBULE.name)
