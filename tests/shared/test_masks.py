"""Masks: which file belongs to a tomogram, and what of the tomogram they keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.errors import InputError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import find_mask, find_masks, open_mask
from milopyp_shared.tomogram import Tomogram, open_tomogram
from toys import noise, write_tomogram

SHAPE = (16, 40, 48)  # z, y, x


def tomogram(folder: Path, order: str = "xyz") -> Tomogram:
    return open_tomogram(write_tomogram(folder / "t.mrc", noise(SHAPE), order), order)


def blobs(shape: tuple[int, int, int], seed: int = 5) -> np.ndarray:
    """Ones and zeros without any pattern."""
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.int8)


@pytest.mark.parametrize("order", ["xyz", "xzy", "zyx"])
def test_keeps_the_voxels_that_are_set(tmp_path: Path, order: str) -> None:
    values = blobs(SHAPE)
    mask = open_mask(write_tomogram(tmp_path / "m.mrc", values, order), tomogram(tmp_path, order))
    zyx = np.argwhere(np.ones(SHAPE))
    kept = mask.keeps(zyx[:, ::-1] + np.array([0.4, -0.5, 0.2]))
    assert np.array_equal(kept.reshape(SHAPE), values == 1)


def test_a_mask_of_the_binned_tomogram(tmp_path: Path) -> None:
    """40 x 48 in bins of 3 is 13 x 16: the last row of the tomogram belongs to no bin and takes the nearest."""
    values = blobs((8, 13, 16))
    own = open_tomogram(write_tomogram(tmp_path / "t.mrc", noise((24, 40, 48))))
    mask = open_mask(write_tomogram(tmp_path / "m.mrc", values), own)
    assert mask.binning == 3
    whole = np.kron(values, np.ones((3, 3, 3), np.int8))
    z, y, x = whole.shape
    places = np.argwhere(np.ones(whole.shape))[:, ::-1]
    assert np.array_equal(mask.keeps(places).reshape(z, y, x), whole == 1)
    assert mask.keeps(np.array([[20, 39, 4]])) == mask.keeps(np.array([[20, 38, 4]]))


@pytest.mark.parametrize("voxels", [(1, 2, 2), (2, 2, 2)])
def test_grids(tmp_path: Path, voxels: tuple[int, int, int]) -> None:
    """A voxel of a coarser grid is kept when the tomogram's voxel at its middle is."""
    mask = open_mask(write_tomogram(tmp_path / "m.mrc", blobs(SHAPE)), tomogram(tmp_path))
    start, shape = (2, 3, 5), (4, 6, 7)
    box = mask.on_grid(start, shape, voxels)
    assert box.shape == shape and 0 < box.sum() < box.size
    for place in np.ndindex(shape):
        middle = [(first + own) * step + (step - 1) / 2 for first, own, step in zip(start, place, voxels, strict=True)]
        assert box[place] == mask.keeps(np.array([middle[::-1]]))[0]


def image(name: str, path: Path = Path("elsewhere.mrc")) -> ImageEntry:
    return ImageEntry(name, path)


def test_which_file_is_whose(tmp_path: Path) -> None:
    single = write_tomogram(tmp_path / "all.mrc", blobs(SHAPE))
    masks = tmp_path / "masks"
    for name in ("a.mrc", "b_mask.rec", "b_other.mrc", "d.mrc", "d_mask.mrc"):
        write_tomogram(masks / name, blobs(SHAPE))
    assert find_mask(single, image("anything")) == single
    assert find_mask(masks, image("a")) == masks / "a.mrc"
    assert find_mask(masks, image("b")) == masks / "b_mask.rec"
    assert find_mask(masks, image("c")) is None
    assert find_mask(masks, image("d")) == masks / "d_mask.mrc"
    write_tomogram(masks / "a.rec", blobs(SHAPE))
    with pytest.raises(InputError, match=r"several masks of a: a\.mrc, a\.rec"):
        find_mask(masks, image("a"))


def test_a_tomogram_is_not_its_own_mask(tmp_path: Path) -> None:
    path = write_tomogram(tmp_path / "a.mrc", noise(SHAPE))
    assert find_mask(tmp_path, image("a", path)) is None
    mask = write_tomogram(tmp_path / "a_mask.mrc", blobs(SHAPE))
    assert find_mask(tmp_path, image("a", path)) == mask


def test_tomograms_without_a_mask_are_said(tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a_mask.mrc", blobs(SHAPE))
    said: list[str] = []
    assert set(find_masks(tmp_path, [image("a"), image("b")], said.append)) == {"a"}
    assert said == [f"{tmp_path} has no mask of b: no part of it is left out"]
    with pytest.raises(InputError, match=r"no mask of b; expected files such as b_mask\.mrc"):
        find_masks(tmp_path, [image("b")], said.append)


@pytest.mark.parametrize(
    ("whole", "own", "binning"), [((24, 200, 200), (6, 50, 50), 4), ((95, 400, 400), (11, 50, 50), 8)]
)
def test_masks_of_few_sections(
    tmp_path: Path, whole: tuple[int, int, int], own: tuple[int, int, int], binning: int
) -> None:
    volume = open_tomogram(write_tomogram(tmp_path / "t.mrc", np.zeros(whole, np.int8) + 1))
    assert open_mask(write_tomogram(tmp_path / "m.mrc", blobs(own)), volume).binning == binning


@pytest.mark.parametrize("shape", [(16, 40, 47), (40, 16, 48), (8, 40, 48), (32, 80, 96)])
def test_a_mask_of_another_size(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    path = write_tomogram(tmp_path / "m.mrc", blobs(shape))
    with pytest.raises(InputError, match=r"expected the 48 x 40 x 16 of t\.mrc"):
        open_mask(path, tomogram(tmp_path))
