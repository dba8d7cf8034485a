"""`milopyp phantom --realistic` and `--template`: tomograms, lists and the truth they write."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from click.testing import CliRunner, Result

from milopyp.commands.phantom import phantom as command
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lists import read_image_list
from milopyp_shared.mrc import write_mrc
from milopyp_simulation.maps import read_map
from specimens import lopsided

WORDS = "--count 2 --size 40,64,72 --particles 3 --distractors 4 --diameter 12"


def run(line: str) -> Result:
    return CliRunner().invoke(command, line.split(), catch_exceptions=False)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_a_random_shape(tmp_path: Path) -> None:
    for name in "ab":
        result = run(f"--realistic {WORDS} --out {tmp_path / name} --voxel-size 8 --seed 5")
        assert result.exit_code == 0, result.output
    names = ["coords.txt", "images.txt", "phantom_1.mrc", "phantom_2.mrc", "truth.txt"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "3 particles, 4 look-alikes" in result.output and "truth.txt" in result.output

    images = read_image_list(tmp_path / "a/images.txt")
    labels = read_coordinate_list(tmp_path / "a/coords.txt")
    assert [image.name for image in images] == list(labels) == ["phantom_1", "phantom_2"]
    rows = table(tmp_path / "a/truth.txt")
    for image in images:
        assert mrcfile.validate(image.path)
        with mrcfile.open(image.path) as file:
            assert file.data.shape == (40, 64, 72) and file.voxel_size.tolist() == (8.0, 8.0, 8.0)
            assert 700 < file.data.std() < 1500
        xyz = labels[image.name]
        assert len(xyz) == 3 and np.all(xyz > -0.5) and np.all(xyz < [71.5, 63.5, 39.5])
        ours = [row for row in rows if row["image_name"] == image.name]
        places = [[float(row[axis]) for axis in "xyz"] for row in ours if row["species"] == "particle"]
        np.testing.assert_allclose(places, xyz, atol=0.006)
        assert sum(row["species"].startswith("distractor") for row in ours) == 4
        for row in ours:
            rotation = np.array([[float(row[f"r{i}{j}"]) for j in "123"] for i in "123"])
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
            assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-5)


def test_maps(tmp_path: Path) -> None:
    """Two maps of 5 A in a tomogram of 10 A, in an order of its own; each has its list, and one has all."""
    for name, turned in (("one", lopsided().array), ("two", lopsided().array[:, ::-1])):
        write_mrc(tmp_path / f"{name}.mrc", 40 * turned, 5.0)
    maps = " ".join(f"--template {tmp_path}/{name}.mrc" for name in ("one", "two"))
    result = run(f"{maps} --count 1 --size 40,64,72 --particles 3 --order xzy --out {tmp_path / 'a'}")
    assert result.exit_code == 0, result.output
    assert "wrote " + str(tmp_path / "a/coords_two.txt") in result.output
    everything = read_coordinate_list(tmp_path / "a/coords.txt")["phantom_1"]
    each = [read_coordinate_list(tmp_path / f"a/coords_{name}.txt")["phantom_1"] for name in ("one", "two")]
    np.testing.assert_array_equal(np.concatenate(each), everything)
    assert [len(xyz) for xyz in each] == [3, 3]
    assert {row["species"] for row in table(tmp_path / "a/truth.txt")} >= {"one", "two", "distractor_1"}
    with mrcfile.open(tmp_path / "a/phantom_1.mrc") as file:
        assert file.data.shape == (64, 40, 72)


def test_a_map_is_read_whatever_its_scale_and_solvent(tmp_path: Path) -> None:
    write_mrc(tmp_path / "a.mrc", 1000 * lopsided().array - 300, 4.0)
    density = read_map(tmp_path / "a.mrc")
    assert density.voxel_size == 4.0
    assert density.centre_xyz == pytest.approx(lopsided().centre_xyz, abs=0.1)
    assert read_map(tmp_path / "a.mrc", 2.0).voxel_size == 2.0


@pytest.mark.parametrize("voxel_size", [2.0, 5.0, 10.0])
def test_the_mass_of_a_map_is_that_of_a_solid_particle(tmp_path: Path, voxel_size: float) -> None:
    """A ball of protein: whatever the voxels, a filled one of them is protein."""
    radius = 50 / voxel_size
    half = math.ceil(radius) + 4
    z, y, x = np.ogrid[-half : half + 1, -half : half + 1, -half : half + 1]
    write_mrc(tmp_path / "a.mrc", (z**2 + y**2 + x**2 <= radius**2).astype(np.float32), voxel_size)
    cubic = read_map(tmp_path / "a.mrc").mass * voxel_size**3
    assert cubic == pytest.approx(4 / 3 * math.pi * 50**3, rel=0.1)
    # 1.21 cubic nanometres per kilodalton
    assert read_map(tmp_path / "a.mrc", mass_kda=200).mass * voxel_size**3 == pytest.approx(200 * 1210, rel=0.01)
