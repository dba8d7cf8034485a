"""Phantoms: exact centres, reproducible files, lists that fit, refusals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import fft, ndimage
from scipy.spatial.distance import pdist

from milopyp.commands.phantom import phantom as command
from milopyp_shared import axes, lists
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.errors import UsageError
from milopyp_simulation.phantom import PhantomSettings, draw_labels, make_phantom, missing_wedge, numbered
from milopyp_simulation.phantom_files import write_phantoms

SMALL = PhantomSettings(shape_zyx=(40, 96, 80), n_particles=8, n_distractors=5, diameter=12.0, seed=3)
CLEAN = replace(SMALL, noise=0.0, background=0.0, missing_wedge_degrees=None)


def centre_of_mass(volume: np.ndarray, near: np.ndarray, radius: float) -> np.ndarray:
    """Centre of mass (x, y, z) of what is darker than the background within `radius` of `near`."""
    weight = np.median(volume) - volume.astype(float)
    z, y, x = np.indices(volume.shape)
    places = np.stack([x, y, z], axis=-1)
    weight[((places - near) ** 2).sum(axis=-1) > radius**2] = 0
    return np.tensordot(weight, places, axes=3) / weight.sum()


@pytest.mark.parametrize("diameter", [8.0, 18.0])
def test_centres_are_exact(diameter: float) -> None:
    settings = replace(CLEAN, shape_zyx=(40, 64, 56), n_particles=1, n_distractors=0, diameter=diameter)
    for seed in range(3):
        made = make_phantom(replace(settings, seed=seed))
        (centre,) = made.particles_xyz
        assert np.abs(centre_of_mass(made.volume, centre, diameter) - centre).max() < 0.01
        made = make_phantom(replace(settings, n_particles=0, n_distractors=1, seed=seed))
        (centre,) = made.distractors_xyz
        assert np.abs(centre_of_mass(made.volume, centre, diameter) - centre).max() < 0.01


def test_centres_among_neighbours() -> None:
    made = make_phantom(CLEAN)
    for centre in np.concatenate([made.particles_xyz, made.distractors_xyz]):
        assert np.abs(centre_of_mass(made.volume, centre, 0.7 * CLEAN.diameter) - centre).max() < 0.15


@pytest.mark.parametrize("change", [{}, {"noise": 0.0}, {"noise": 0.0, "background": 0.0}], ids=str)
def test_wedge_noise_and_background_do_not_move_particles(change: dict[str, Any]) -> None:
    """The cross-correlation with the clean phantom of the same seed has its peak at no shift."""
    settings = PhantomSettings(**change)
    clean = make_phantom(replace(settings, noise=0.0, background=0.0, missing_wedge_degrees=None)).volume
    spectra = [fft.rfftn(volume.astype(np.float32)) for volume in (make_phantom(settings).volume, clean)]
    correlation = fft.irfftn(spectra[0] * spectra[1].conj(), clean.shape)
    assert correlation.argmax() == 0
    for axis in range(3):
        before, after = (np.roll(correlation, step, axis).flat[0] for step in (1, -1))
        offset = 0.5 * (before - after) / (before + after - 2 * correlation.flat[0])
        assert abs(offset) < 0.1


def test_particles_are_not_round() -> None:
    settings = replace(CLEAN, shape_zyx=(40, 40, 40), n_particles=1, n_distractors=0)
    made = make_phantom(settings)
    weight = np.maximum(np.median(made.volume) - made.volume.astype(float), 0)
    places = np.stack(np.indices(weight.shape)[::-1], axis=-1) - made.particles_xyz[0]
    moments = np.einsum("zyx,zyxi,zyxj->ij", weight, places, places) / weight.sum()
    axes_lengths = np.sqrt(np.linalg.eigvalsh(moments))
    assert axes_lengths[2] > 1.2 * axes_lengths[0]
    # the diameter is that of the ball with the same radius of gyration
    assert 2 * np.sqrt(5 / 3 * np.trace(moments)) == pytest.approx(settings.diameter, rel=0.01)


def test_look_alikes_weigh_the_same() -> None:
    masses = []
    for counts in ({"n_particles": 1, "n_distractors": 0}, {"n_particles": 0, "n_distractors": 1}):
        made = make_phantom(replace(CLEAN, **counts))
        weight = np.median(made.volume) - made.volume.astype(float)
        masses.append(weight.sum() / np.sqrt((weight**2).sum()))
    assert masses[0] == pytest.approx(masses[1], rel=0.1)


def test_counts_places_and_grey_values() -> None:
    made = make_phantom(SMALL)
    assert made.volume.shape == SMALL.shape_zyx
    assert made.volume.dtype == np.int16
    assert abs(made.volume.mean()) < 1
    assert made.volume.std() == pytest.approx(1000, abs=2)
    assert made.particles_xyz.shape == (8, 3)
    assert made.distractors_xyz.shape == (5, 3)
    everything = np.concatenate([made.particles_xyz, made.distractors_xyz])
    assert pdist(everything).min() > 1.1 * SMALL.diameter
    high = np.array(SMALL.shape_zyx[::-1]) - 1
    assert np.minimum(everything, high - everything).min() > 0.5 * SMALL.diameter
    x, y, z = np.rint(made.particles_xyz).astype(int).T
    smooth = ndimage.gaussian_filter(made.volume.astype(float), 3)
    assert smooth[z, y, x].mean() < -smooth.std(), "protein is dark"


def test_seeds() -> None:
    made = make_phantom(SMALL)
    again, other = make_phantom(SMALL), make_phantom(replace(SMALL, seed=4))
    assert np.array_equal(made.volume, again.volume)
    assert not np.array_equal(made.particles_xyz, other.particles_xyz)
    assert np.array_equal(made.particles_xyz, make_phantom(CLEAN).particles_xyz), "places do not depend on noise"
    seeds = {numbered(replace(SMALL, seed=seed), number).seed for seed in range(5) for number in range(5)}
    assert len(seeds) == 25


def test_empty_phantom_has_no_density() -> None:
    made = make_phantom(replace(CLEAN, n_particles=0, n_distractors=0))
    assert not made.volume.any()
    assert made.particles_xyz.shape == (0, 3)


@pytest.mark.parametrize("shape", [(8, 10, 12), (9, 11, 13)])
def test_missing_wedge_is_symmetric_and_lies_about_the_beam(shape: tuple[int, int, int]) -> None:
    z, y, x = shape
    weights = missing_wedge(shape, 60.0)
    assert weights.shape == (z, 1, x // 2 + 1)
    mirrored = np.roll(weights[::-1], 1, axis=0)
    assert np.array_equal(weights, mirrored)
    assert weights[0].min() == 1, "everything at right angles to the beam is measured"
    assert weights[1:, 0, 0].max() == 0, "nothing along the beam is"
    point = np.zeros(shape, np.float32)
    point[z // 2, y // 2, x // 2] = 1
    seen = fft.irfftn(fft.rfftn(point) * weights, shape)
    around = np.roll(seen, (-(z // 2), -(y // 2), -(x // 2)), axis=(0, 1, 2))
    assert np.allclose(around, np.roll(np.flip(around), 1, axis=(0, 1, 2)), atol=1e-6)


def test_wedge_is_missing_from_the_tomogram() -> None:
    def along_beam(settings: PhantomSettings) -> float:
        # a window keeps the edges of the field from leaking into the wedge
        volume = make_phantom(settings).volume * np.hanning(SMALL.shape_zyx[0])[:, None, None]
        volume = volume * np.hanning(SMALL.shape_zyx[1])[:, None] * np.hanning(SMALL.shape_zyx[2])
        power = np.abs(fft.rfftn(volume)) ** 2
        return float(power[8:20, :, :3].mean() / power[:3, :, 8:20].mean())

    assert along_beam(replace(SMALL, missing_wedge_degrees=None)) > 0.3
    assert along_beam(SMALL) < 0.01


def test_draw_labels() -> None:
    xyz = np.arange(60.0).reshape(20, 3)
    drawn = draw_labels(xyz, 0.3, np.random.default_rng(1))
    assert drawn.shape == (6, 3)
    assert np.all(np.diff(drawn[:, 0]) > 0)
    assert all(point in xyz.tolist() for point in drawn.tolist())
    assert len(draw_labels(xyz, 0.001, np.random.default_rng(1))) == 1
    assert np.array_equal(draw_labels(xyz, 1.0, np.random.default_rng(1)), xyz)
    assert len(draw_labels(xyz[:0], 0.5, np.random.default_rng(1))) == 0
    for fraction in (0.0, 1.01, float("nan")):
        with pytest.raises(UsageError):
            draw_labels(xyz, fraction, np.random.default_rng(1))


@pytest.mark.parametrize("order", ["xyz", "xzy", "zyx"])
def test_written_files(order: str, tmp_path: Path) -> None:
    settings = replace(SMALL, voxel_size=7.5)
    files = write_phantoms(tmp_path / "a", 2, settings, order)
    write_phantoms(tmp_path / "b", 2, settings, order)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["coords.txt", "images.txt", "phantom_1.mrc", "phantom_2.mrc"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    images = lists.read_image_list(files.images)
    labels = read_coordinate_list(files.coordinates)
    assert [image.name for image in images] == list(labels) == ["phantom_1", "phantom_2"]
    assert files.images.read_text().splitlines()[1] == "phantom_1\tphantom_1.mrc"
    for number, image in enumerate(images, start=1):
        made = make_phantom(numbered(settings, number))
        assert mrcfile.validate(image.path)
        with mrcfile.open(image.path) as file:
            assert file.header.mode == 1
            assert file.voxel_size.tolist() == (7.5, 7.5, 7.5)
            assert np.array_equal(file.data.transpose(axes.to_zyx(order)), made.volume)
        assert np.abs(labels[image.name] - made.particles_xyz).max() < 0.00501


BAD: list[dict[str, Any]] = [
    {"n_particles": 5000},
    {"shape_zyx": (10, 96, 96)},
    {"shape_zyx": (0, 96, 96)},
    {"n_distractors": -1},
    {"diameter": 5.0},
    {"noise": -1.0},
    {"noise": float("nan")},
    {"background": float("inf")},
    {"voxel_size": 0.0},
    {"missing_wedge_degrees": 91.0},
    {"seed": -1},
]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_impossible_settings(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_phantoms(tmp_path, 1, replace(SMALL, **change))
    assert not list(tmp_path.iterdir())


def test_impossible_sets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="number of phantoms"):
        write_phantoms(tmp_path, 0, SMALL)
    with pytest.raises(UsageError, match="order"):
        write_phantoms(tmp_path, 1, SMALL, "xxz")


def test_command(tmp_path: Path) -> None:
    words = "--count 1 --particles 4 --distractors 2 --size 32,64,48 --diameter 10 --noise 1 --order xzy --seed 7"
    result = CliRunner().invoke(command, ["--out", str(tmp_path / "toy"), *words.split()], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with mrcfile.open(tmp_path / "toy" / "phantom_1.mrc") as file:
        assert file.data.shape == (64, 32, 48)
    assert len(read_coordinate_list(tmp_path / "toy" / "coords.txt")["phantom_1"]) == 4
    assert "4 particles, 2 look-alikes" in result.output
    assert "coords.txt" in result.output


@pytest.mark.parametrize("size", ["64,64", "a,b,c", "1.5,2,3"])
def test_command_refuses_odd_sizes(size: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--out", str(tmp_path), "--size", size])
    assert result.exit_code == 2
    assert "64,192,192" in result.output
