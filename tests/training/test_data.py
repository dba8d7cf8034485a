"""Tomograms and their labels together: what is loaded, and what looks wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.preprocessing import Preprocessing
from milopyp_simulation.phantom import Phantom, PhantomSettings, make_phantom
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.loading import check_diameter, first_voxel_size, load_volumes
from toys import noise, write_tomogram

DIAMETER = 10.0
GREY = Preprocessing()


def phantom(seed: int = 1, shape_zyx: tuple[int, int, int] = (32, 64, 80), particles: int = 10) -> Phantom:
    """Noisy, with the missing wedge and other proteins between the particles."""
    settings = PhantomSettings(
        shape_zyx=shape_zyx,
        n_particles=particles,
        n_distractors=0,
        diameter=DIAMETER,
        noise=1.0,
        background=0.5,
        seed=seed,
    )
    return make_phantom(settings)


def load(
    volumes: dict[str, Any], labels: dict[str, np.ndarray], folder: Path, order: str = "xyz", **options: Any
) -> tuple[list[LabelledVolume], list[str], list[str]]:
    """Volumes, what was said, what was warned of."""
    said: list[str] = []
    warned: list[str] = []
    images = []
    for name, zyx in volumes.items():
        header = {"voxel_size": options.pop(f"size_of_{name}", 10.0)}
        images.append(ImageEntry(name, write_tomogram(folder / f"{name}.mrc", zyx, order, **header)))
    options = {"diameter": DIAMETER, "where": "labels.txt", "say": said.append, "warn": warned.append} | options
    return load_volumes(images, labels, GREY, **options), said, warned


def random_places(count: int, away_from: np.ndarray, shape: tuple[int, int, int], seed: int = 4) -> np.ndarray:
    """Places at which there is no particle."""
    rng, places = np.random.default_rng(seed), []
    while len(places) < count:
        place = rng.uniform(4, np.array(shape[::-1]) - 5)
        if np.linalg.norm(away_from - place, axis=1).min() > DIAMETER:
            places.append(place)
    return np.array(places)


@pytest.mark.parametrize("order", ["xyz", "xzy"])
def test_good_labels_are_loaded_without_a_warning(tmp_path: Path, order: str) -> None:
    made = phantom()
    [volume], said, warned = load({"a": made.volume}, {"a": made.particles_xyz}, tmp_path, order)
    assert warned == []
    assert said == [f"a: 80 x 64 x 32 voxels, order {order}, 10 labels"]
    assert (volume.name, volume.voxel_size, volume.grey.shape) == ("a", 10.0, (16, 64, 80))
    np.testing.assert_array_equal(volume.xyz, made.particles_xyz)


def test_a_few_clicks_are_enough_to_be_believed(tmp_path: Path) -> None:
    """No warning about one, two or three good labels, whichever they are."""
    made = phantom()
    for first in range(9):
        for count in (1, 2, 3):
            labels = {"a": made.particles_xyz[first : first + count]}
            assert load({"a": made.volume}, labels, tmp_path)[2] == []


def test_places_of_labels_on_the_grid(tmp_path: Path) -> None:
    """The first heat-map voxel covers voxels 0 and 1 along x and y, and z with pairing: its centre is at 0.5."""
    made = phantom()
    [volume], _, _ = load({"a": made.volume}, {"a": np.array([[0.5, 2.5, 6.5], [10.0, 7.0, 3.0]])}, tmp_path)
    np.testing.assert_allclose(volume.grid_zyx((1, 2, 2)), [[3.0, 1.0, 0.0], [1.25, 3.25, 4.75]])
    np.testing.assert_allclose(volume.grid_zyx((2, 1, 4)), [[1.25, 2.5, -0.25], [0.375, 7.0, 2.125]])
    plain = replace(GREY, pairing="none")
    images = [ImageEntry("a", tmp_path / "a.mrc")]
    [volume] = load_volumes(images, {"a": np.array([[0.5, 2.5, 6.5]])}, plain, diameter=DIAMETER, order="xyz")
    np.testing.assert_allclose(volume.grid_zyx((1, 2, 2)), [[6.5, 1.0, 0.0]])


def test_inverted_contrast(tmp_path: Path) -> None:
    made = phantom()
    bright = {"a": -made.volume}
    _, _, [warning] = load(bright, {"a": made.particles_xyz}, tmp_path)
    assert warning.startswith("a: W01 labels lie on bright density (+")
    assert "--contrast bright" in warning
    [as_bright], _, warned = load(bright, {"a": made.particles_xyz}, tmp_path, contrast="bright")
    assert warned == []
    # to the network both are the same tomogram
    [dark], _, _ = load({"a": made.volume}, {"a": made.particles_xyz}, tmp_path)
    np.testing.assert_array_equal(as_bright.grey.sections(0, 16), dark.grey.sections(0, 16))
    _, _, [wrong] = load({"a": made.volume}, {"a": made.particles_xyz}, tmp_path, contrast="bright")
    assert "W01" in wrong


def test_labels_on_empty_density(tmp_path: Path) -> None:
    made = phantom()
    places = random_places(12, made.particles_xyz, made.volume.shape)
    _, _, [warning] = load({"a": made.volume}, {"a": places}, tmp_path)
    assert warning.startswith("a: W03 labels lie on empty density (")
    assert "order, binning and origin" in warning


def test_labels_of_another_binning_and_of_another_order(tmp_path: Path) -> None:
    """Both lie inside the volume, so only the density can tell."""
    made = phantom(1, (40, 96, 96), 30)
    for wrong in (made.particles_xyz / 2, made.particles_xyz[:, [1, 0, 2]]):
        _, _, [warning] = load({"a": made.volume}, {"a": wrong}, tmp_path)
        assert "W03" in warning
    assert load({"a": made.volume}, {"a": made.particles_xyz}, tmp_path)[2] == []


def test_two_or_three_labels_are_too_few_to_call_density_empty(tmp_path: Path) -> None:
    made = phantom()
    for seed in range(5):
        places = random_places(3, made.particles_xyz, made.volume.shape, seed)
        assert load({"a": made.volume}, {"a": places}, tmp_path)[2] == []


def test_voxel_sizes_that_differ(tmp_path: Path) -> None:
    first, second = phantom(1), phantom(2)
    both = {"a": first.volume, "b": second.volume}
    labels = {"a": first.particles_xyz, "b": second.particles_xyz}
    _, _, warned = load(both, labels, tmp_path, size_of_a=10.0, size_of_b=10.4)
    assert warned == []
    volumes, _, [warning] = load(both, labels, tmp_path, size_of_a=10.0, size_of_b=13.5)
    assert warning.startswith("W02 voxel sizes from 10 to 13.5 A")
    assert [volume.voxel_size for volume in volumes] == pytest.approx([10.0, 13.5])


def test_the_particle_must_fit_into_the_tomogram(tmp_path: Path) -> None:
    """Half of the thinnest axis is as much as goes without a word; of all tomograms in one sentence."""
    images = [
        ImageEntry(name, write_tomogram(tmp_path / f"{name}.mrc", noise((32, 40, 44)), voxel_size=10.0))
        for name in ("a", "b")
    ]
    warned: list[str] = []
    check_diameter(16.0, images, "xyz", None, warned.append)
    assert warned == []
    check_diameter(16.5, images, "xyz", None, warned.append)
    assert len(warned) == 1 and warned[0].startswith("W12 ") and "axis of a, b (32 voxels)" in warned[0]
    check_diameter(32.0, images, "xyz", None, warned.append)
    with pytest.raises(ContradictionError, match=r"at most 32, the thinnest axis of a\.mrc\. Did you mean 10\.5\?"):
        check_diameter(105.0, images, "xyz", None, warned.append)
    with pytest.raises(ContradictionError, match=r"at most 32, the thinnest axis of a\.mrc$"):
        check_diameter(105.0, images, "xyz", None, warned.append, guess=False)


def test_the_voxel_size_that_a_diameter_in_angstrom_counts_by(tmp_path: Path) -> None:
    """That of the recipe: of the first labelled tomogram that has one."""
    sizes = {"none": 4.0, "unsaid": None, "first": 10.0, "second": 13.5}
    images = [
        ImageEntry(name, write_tomogram(tmp_path / f"{name}.mrc", noise(), voxel_size=size))
        for name, size in sizes.items()
    ]
    assert first_voxel_size(images, {"unsaid", "second", "first"}, "xyz") == pytest.approx(10.0)
    assert first_voxel_size(images, {"unsaid"}, "xyz") is None


def test_a_tomogram_without_labels_is_left_out(tmp_path: Path) -> None:
    first, second = phantom(1), phantom(2)
    both = {"a": first.volume, "b": second.volume}
    volumes, said, [warning] = load(both, {"b": second.particles_xyz}, tmp_path)
    assert [volume.name for volume in volumes] == ["b"]
    assert warning == "a: W05 has no labels and is left out"
    assert len(said) == 1 and said[0].startswith("b: ")
    with pytest.raises(InputError, match=r"labels\.txt: no tomogram has labels"):
        load(both, {}, tmp_path)


NOTHING = np.empty((0, 3))


def test_a_tomogram_without_particles_is_background(tmp_path: Path) -> None:
    first, second = phantom(1), phantom(2)
    both = {"a": first.volume, "b": second.volume}
    volumes, said, warned = load(both, {"a": NOTHING, "b": second.particles_xyz}, tmp_path)
    assert [(volume.name, volume.is_empty, volume.xyz.shape) for volume in volumes] == [
        ("a", True, (0, 3)), ("b", False, (10, 3)),
    ]  # fmt: skip
    assert warned == []
    assert said[0] == "a: 80 x 64 x 32 voxels, order xyz, no particles: all of it is background"
    with pytest.raises(InputError, match=r"labels\.txt: no tomogram has labels"):
        load(both, {"a": NOTHING, "b": NOTHING}, tmp_path)


def test_a_mask_does_not_make_a_tomogram_empty(tmp_path: Path) -> None:
    """Of one that has lost all labels to its mask nothing is known; one that is said to hold none keeps its mask."""
    first, second = phantom(1), phantom(2)
    mask = np.zeros(first.volume.shape, np.int8)
    mask[:4, :4, :4] = 1
    masks = tmp_path / "masks"
    for name in "ab":
        write_tomogram(masks / f"{name}.mrc", mask)
    volumes = {"a": first.volume, "b": second.volume, "c": second.volume}
    labels = {"a": first.particles_xyz, "b": NOTHING, "c": second.particles_xyz}
    found, _, warned = load(volumes, labels, tmp_path, masks=masks)
    assert [volume.name for volume in found] == ["b", "c"]
    assert found[0].mask is not None and found[0].mask.keeps(np.array([[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]])).tolist() == [
        True, False,
    ]  # fmt: skip
    assert [text[:6] for text in warned] == ["a: W08"]


def test_labels_of_unknown_names(tmp_path: Path) -> None:
    made = phantom()
    labels = dict.fromkeys(("a", "B", "c", "d", "e"), made.particles_xyz)
    with pytest.raises(InputError) as refused:
        load({"a": made.volume, "b": made.volume}, labels, tmp_path)
    text = str(refused.value)
    assert text.startswith("labels.txt: labels of B, c, d ..., which the image list does not name")
    assert "image names such as a, b" in text


def test_labels_outside_the_volume(tmp_path: Path) -> None:
    made = phantom()
    faces = np.array([[-0.5, -0.5, -0.5], [79.5, 63.5, 31.5]])
    assert len(load({"a": made.volume}, {"a": faces}, tmp_path)[0]) == 1
    labels = np.concatenate([made.particles_xyz, [[79.51, 10, 10], [10, 64, 10]]])
    with pytest.raises(ContradictionError) as refused:
        load({"a": made.volume}, {"a": labels}, tmp_path)
    text = str(refused.value)
    assert text.startswith("labels.txt: 2 of 12 labels outside a.mrc, the first at x, y, z = 79.51, 10, 10;")
    assert "80 x 64 x 32 voxels (order xyz)" in text


def test_a_doubtful_order_is_doubted(tmp_path: Path) -> None:
    made = phantom()
    labels = made.particles_xyz[:, [0, 2, 1]]  # as if y were the thickness
    path = write_tomogram(tmp_path / "a.mrc", made.volume, voxel_size=10.0)
    warned: list[str] = []
    load_volumes([ImageEntry("a", path)], {"a": labels}, GREY, diameter=DIAMETER, order="xzy", warn=warned.append)
    assert len(warned) == 1
    assert warned[0].startswith("a: W04 --order xzy makes an axis of 64 voxels the thickness")
