"""Slices are the mean of the tomogram's voxels, up to how grey levels are chosen, before and after the copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labelling.asking import Page, labelling
from milopyp.labelling import blocks
from milopyp.labelling.slices import AXES, Axis, Slices, SliceShelf
from milopyp_shared.errors import InputError, MilopypError
from milopyp_shared.tomogram import open_tomogram
from running import wait_for
from toys import write_tomogram

SHAPE = (21, 70, 133)


def smooth(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """Waves of another length along each axis: no two slices are alike."""
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return (np.sin(z / 5 + x / 30) + np.cos(y / 9) + x / 200 + 0.02 * (z % 3)).astype(np.float32)


def sliced(path: Path, zyx: NDArray[Any], order: str = "xyz", copied: bool = True) -> Slices:
    """Slices of a file."""
    slices = Slices(open_tomogram(write_tomogram(path, zyx, order), order))
    if copied:
        slices.copy()
        assert slices.error is None
    return slices


def mean(zyx: NDArray[Any], axis: Axis, at: int, thick: int) -> NDArray[np.float64]:
    """Rows and columns as the page draws them: z and y up."""
    number = AXES.index(axis)
    first = min(max(at - thick // 2, 0), zyx.shape[number] - 1)
    last = min(max(at - thick // 2 + thick, first + 1), zyx.shape[number])
    found = zyx.astype(np.float64).take(range(first, last), number).mean(axis=number)
    return found.T if axis == "x" else found


def assert_shows(grey: NDArray[np.uint8], values: NDArray[np.float64], levels: float = 2.0) -> None:
    """One straight line leads from values to levels, but where they are all black or all white."""
    assert grey.shape == values.shape
    inside = (grey > 0) & (grey < 255)
    assert inside.mean() > 0.5
    slope, offset = np.polyfit(values[inside], grey[inside], 1)
    assert slope > 0
    assert np.abs(np.clip(slope * values + offset, 0, 255) - grey).max() <= levels


@pytest.mark.parametrize("order", ["xyz", "xzy", "zyx"])
@pytest.mark.parametrize("axis", AXES)
def test_every_slice_of_every_direction(tmp_path: Path, axis: Axis, order: str) -> None:
    volume = smooth()
    slices = sliced(tmp_path / "a.mrc", volume, order)
    for at in range(SHAPE[AXES.index(axis)]):
        picture = slices.get(axis, at, 1)
        assert picture is not None
        assert_shows(picture.grey, mean(volume, axis, at, 1))
        assert picture.covers == picture.grey.shape[::-1]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("thick", [2, 3, 10, 64, 200])
def test_thick_slices_near_and_beyond_the_ends(tmp_path: Path, axis: Axis, thick: int) -> None:
    volume = smooth()
    slices = sliced(tmp_path / "a.mrc", volume)
    size = SHAPE[AXES.index(axis)]
    for at in (-100, -1, 0, 1, size // 2, size - 2, size - 1, size, size + 100):
        picture = slices.get(axis, at, thick)
        assert picture is not None
        assert_shows(picture.grey, mean(volume, axis, at, thick))


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint16, np.float32])
def test_before_and_after_the_copy(tmp_path: Path, kind: type) -> None:
    """XY is there at once, and hardly changes; XZ and YZ are promised."""
    volume = (40 * smooth() + 100 * (kind is np.uint16)).astype(kind)
    slices = sliced(tmp_path / "a.mrc", volume, copied=False)
    early = [slices.get("z", at, thick) for at in (0, 9, 20) for thick in (1, 5)]
    assert slices.get("y", 5, 1) is None
    assert slices.get("x", 5, 1) is None
    assert slices.close_ups(np.array([[5.0, 5, 5]]), 4, 8) is None
    slices.copy()
    late = [slices.get("z", at, thick) for at in (0, 9, 20) for thick in (1, 5)]
    for before, after, at, thick in zip(early, late, (0, 0, 9, 9, 20, 20), (1, 5) * 3, strict=True):
        assert before is not None and after is not None
        assert_shows(before.grey, mean(volume, "z", at, thick), 1.0)
        assert np.abs(before.grey.astype(int) - after.grey).max() <= 2


@pytest.mark.parametrize("shape", [(8, 8, 8), (64, 64, 64), (65, 64, 63), (9, 129, 8)])
def test_sizes_around_those_of_blocks(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)
    slices = sliced(tmp_path / "a.mrc", volume)
    for axis in AXES:
        for at in (0, shape[AXES.index(axis)] - 1):
            picture = slices.get(axis, at, 1)
            assert picture is not None
            assert_shows(picture.grey, mean(volume, axis, at, 1))


def test_boxes_of_blocks(tmp_path: Path) -> None:
    """Any box, across blocks and at faces, is what is in the volume."""
    volume = np.random.default_rng(1).integers(0, 250, (70, 66, 131)).astype(np.int16)
    tomogram = open_tomogram(write_tomogram(tmp_path / "a.mrc", volume), "xyz")
    whole = blocks.Blocks(tomogram, blocks.limits(tomogram), lambda share: None)
    kept = whole.box((0, 0, 0), whole.shape)
    line = (volume - whole.low) * 255 / (whole.high - whole.low)
    assert np.abs(kept - np.clip(line, 0, 255)).max() <= 1.0
    rng = np.random.default_rng(2)
    for _ in range(40):
        corners = np.sort([rng.choice(size + 1, 2, replace=False) for size in volume.shape])
        first, last = (tuple(corner.tolist()) for corner in corners.T)
        there = tuple(slice(*span) for span in corners.tolist())
        np.testing.assert_array_equal(whole.box(first, last), kept[there])


def test_of_large_tomograms_every_second_voxel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LARGEST", 50_000)
    volume = smooth()
    slices = sliced(tmp_path / "a.mrc", volume)
    for axis, at in (("z", 6), ("y", 40), ("x", 88)):
        picture = slices.get(axis, at, 1)  # type: ignore[arg-type]
        assert picture is not None
        values = mean(volume, axis, at, 1)[::2, ::2]  # type: ignore[arg-type]
        assert_shows(picture.grey, values)
        assert picture.covers == (2 * values.shape[1], 2 * values.shape[0])


def test_levels_use_all_of_the_grey(tmp_path: Path) -> None:
    """A voxel of gold a hundred times as dark leaves the rest its contrast; averages keep theirs."""
    volume = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    volume[10, 30:33, 30:33] = -500
    slices = sliced(tmp_path / "a.mrc", volume)
    for axis in AXES:
        for thick in (1, 10):
            picture = slices.get(axis, 10, thick)
            assert picture is not None
            assert 25 < picture.grey.std() < 110


@pytest.mark.parametrize("value", [0.0, 7.0, -1e-30, 1e30])
def test_a_tomogram_of_one_value(tmp_path: Path, value: float) -> None:
    slices = sliced(tmp_path / "a.mrc", np.full((9, 20, 20), value, np.float32))
    for axis in AXES:
        picture = slices.get(axis, 4, 3)
        assert picture is not None
        assert np.ptp(picture.grey) == 0
    found = slices.close_ups(np.array([[5.0, 5, 5]]), 4, 8)
    assert found is not None
    assert np.ptp(found) == 0


@pytest.mark.filterwarnings("ignore:.*NaN.*:RuntimeWarning")  # of the writer
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("all_of_it", [False, True])
def test_voxels_that_are_no_numbers(tmp_path: Path, wrong: float, all_of_it: bool) -> None:
    """They are drawn somehow; the others are drawn as ever."""
    volume = smooth()
    volume[(slice(None) if all_of_it else 9), 30:40, 50:60] = wrong
    if all_of_it:
        volume[:] = wrong
    slices = sliced(tmp_path / "a.mrc", volume, copied=False)
    for _ in range(2):
        picture = slices.get("z", 9, 1)
        assert picture is not None
        if not all_of_it:
            assert_shows(picture.grey[:30], mean(volume, "z", 9, 1)[:30])
        slices.copy()
        assert slices.error is None


def ball(place: tuple[float, float, float], shape: tuple[int, int, int] = (30, 50, 60)) -> NDArray[np.float32]:
    """A dark ball at x, y, z."""
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    away = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2
    return (-np.exp(-away / (2 * 3.0**2))).astype(np.float32)


@pytest.mark.parametrize("place", [(30, 25, 15), (29.6, 24.3, 15.4), (0, 0, 0), (59, 49, 29), (2, 47, 28)])
def test_close_ups_have_their_place_in_the_middle(tmp_path: Path, place: tuple[float, float, float]) -> None:
    """At borders, too, where what is outside is grey."""
    slices = sliced(tmp_path / "a.mrc", ball(place))
    found = slices.close_ups(np.array([place, place]), 8, 64)
    assert found is not None
    assert found.shape == (2, 64, 64)
    np.testing.assert_array_equal(found[0], found[1])
    dark = 255.0 - found[0]
    dark[dark < 128] = 0
    y, x = np.meshgrid(*[np.arange(64) + 0.5] * 2, indexing="ij")
    if place in ((30, 25, 15), (29.6, 24.3, 15.4)):  # else a part of it is missing
        assert abs((dark * x).sum() / dark.sum() - 32) < 1.5
        assert abs((dark * y).sum() / dark.sum() - 32) < 1.5
    assert found[0, 31, 31] < 10


def test_close_ups_are_not_turned(tmp_path: Path) -> None:
    """A ball that is to the right and above: larger x, larger y, in later columns and rows."""
    slices = sliced(tmp_path / "a.mrc", ball((34, 29, 15)))
    found = slices.close_ups(np.array([[30.0, 25, 15]]), 8, 64)
    assert found is not None
    row, column = np.argwhere(found[0] < 10).mean(axis=0)
    assert abs(column - 48) <= 3
    assert abs(row - 48) <= 3


def cut(path: Path) -> None:
    os.truncate(path, 5000)


def touched(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(3000)
        stream.write(b"\1\2\3")
    os.utime(path, (1, 1))


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("change", [cut, touched, Path.unlink], ids=["cut", "touched", "deleted"])
def test_files_that_change_while_they_are_open(tmp_path: Path, change: Any, copied: bool) -> None:
    """Said of one that is not what it was; a deleted one is as it was as long as it is open."""
    path = tmp_path / "a.mrc"
    slices = sliced(path, smooth(), copied=copied)
    change(path)
    if change is Path.unlink:
        assert slices.get("z", 3, 1) is not None
    else:
        with pytest.raises(InputError, match=r"a\.mrc"):
            slices.get("z", 3, 1)


def test_a_copy_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    slices = sliced(tmp_path / "a.mrc", smooth(), copied=False)
    cut(tmp_path / "a.mrc")
    slices.copy()
    with pytest.raises(MilopypError, match=r"a\.mrc"):
        slices.get("y", 3, 1)
    with pytest.raises(MilopypError, match=r"a\.mrc"):
        slices.close_ups(np.array([[5.0, 5, 5]]), 4, 8)


def test_two_copies_at_a_time(tmp_path: Path) -> None:
    """That of the tomogram that was looked at longest ago goes, and comes again."""
    paths = [write_tomogram(tmp_path / f"{name}.mrc", smooth()) for name in "abc"]
    shelf = SliceShelf([open_tomogram(path) for path in paths], most=2)
    for index in (0, 1, 2, 0):
        shelf.look_at(index)
        wait_for(lambda index=index: shelf[index].is_copied)
    assert [shelf[index].is_copied for index in range(3)] == [True, False, True]
    assert shelf[1].share == 0.0
    assert shelf[1].get("z", 3, 1) is not None


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Page]:
    write_tomogram(tmp_path / "odd.mrc", smooth(), "xzy")
    with labelling("odd.mrc --order xzy --bbox 8", tmp_path) as page:
        yield page


def test_over_the_wire(odd: Page) -> None:
    """Bytes row by row with their size; 202 until the copy is there; pictures for slow lines."""
    wait_for(lambda: odd.ask("slice?tomogram=0&axis=y&at=3").status == 200)
    for axis, at in (("z", 3), ("y", 60), ("x", 100)):
        answer = odd.ask(f"slice?tomogram=0&axis={axis}&at={at}&thick=3")
        width, height = map(int, answer.headers["x-size"].split(","))
        assert answer.headers["x-covers"] == answer.headers["x-size"]
        grey = np.frombuffer(answer.body, np.uint8).reshape(height, width)
        assert_shows(grey, mean(smooth(), axis, at, 3))  # type: ignore[arg-type]
        packed = odd.ask(f"slice?tomogram=0&axis={axis}&at={at}&thick=3&as=jpeg")
        assert packed.headers["content-type"] == "image/jpeg"
        assert packed.body.startswith(b"\xff\xd8")
    ups = odd.ask("closeups", {"tomogram": 0, "places": [[5, 5, 5], [60, 30, 10]], "reach": 6, "pixels": 16})
    assert len(ups.body) == 2 * 16 * 16
    cut(odd.out.parent / "odd.mrc")
    for path, body in (("slice?tomogram=0&axis=z&at=3", None), ("slice?tomogram=0&axis=x&at=3", None)):
        answer = odd.ask(path, body)
        assert answer.status == 409
        assert "odd.mrc" in answer.json["error"]
    assert odd.edit("add", tomogram=0, xyz=[5, 5, 5], snap=False)["xyz"] == [5, 5, 5]
