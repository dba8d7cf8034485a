"""Lengths in voxels or in Angstrom: how they are written, what they are, and when one asks back."""

from __future__ import annotations

import click
import pytest

from milopyp_shared.errors import ContradictionError, UsageError
from milopyp_shared.lengths import Length, common, diameter_in_voxels, refuse_larger, wide_warning
from milopyp_shared.option_types import Angstrom, LengthRange


@pytest.mark.parametrize(
    ("word", "value", "angstrom"),
    [
        ("21", 21.0, False),
        (" 10.5 ", 10.5, False),
        ("210A", 210.0, True),
        ("107.5a", 107.5, True),
        ("210 A", 210.0, True),
        ("2.1e2A", 210.0, True),
        ("210\u00c5", 210.0, True),  # one character, in three ways that keyboards and Unicode have
        ("210\u00e5", 210.0, True),
        ("210\u212b", 210.0, True),
    ],
)
def test_how_a_length_is_written(word: str, value: float, angstrom: bool) -> None:
    length = LengthRange().convert(word, None, None)
    assert length == Length(value, angstrom)
    assert LengthRange().convert(str(length), None, None) == length
    assert LengthRange().convert(length, None, None) is length


@pytest.mark.parametrize("word", ["", "A", "21B", "21nm", "nan", "nanA", "infA", "1e999", "0A", "-5A", "1", "1001"])
def test_what_is_no_length(word: str) -> None:
    with pytest.raises(click.BadParameter):
        LengthRange(min=2, max=1000).convert(word, None, None)


@pytest.mark.parametrize("word", ["150", "150A", " 150 A ", "1.5e2\u00c5"])
def test_angstrom_may_have_their_letter(word: str) -> None:
    assert Angstrom(min=0).convert(word, None, None) == 150.0


@pytest.mark.parametrize("word", ["", "A", "150AA", "150nm", "-1A", "nanA"])
def test_what_is_no_number_of_angstrom(word: str) -> None:
    with pytest.raises(click.BadParameter):
        Angstrom(min=0).convert(word, None, None)


def test_the_range_is_one_of_voxels() -> None:
    assert LengthRange(min=2, max=1000).convert("5000A", None, None).voxels(10.0, "--bbox", "") == 500.0
    with pytest.raises(UsageError, match=r"--bbox: 5A, which is 0\.5 voxels; expected a diameter of 2 to 1000 voxels"):
        diameter_in_voxels(Length(5.0, angstrom=True), 10.0, "")


def test_voxels_stay_what_they_are() -> None:
    assert Length(16.0).voxels(13.48, "--bbox", "") == Length(16.0).voxels(None, "--bbox", "") == 16.0
    assert Length(215.68, angstrom=True).voxels(13.48, "--bbox", "") == pytest.approx(16.0)
    with pytest.raises(UsageError) as refused:
        Length(210.0, angstrom=True).voxels(None, "--bbox", "a header that says it")
    assert str(refused.value).startswith("--bbox: 210A is in Angstrom, and the voxel size is not known; expected a hea")


@pytest.mark.parametrize(
    ("sizes", "one"),
    [([10.0], 10.0), ([10.0, 10.0005], 10.0), ([10.0, 10.1], None), ([10.0, None], None), ([None], None), ([], None)],
)
def test_one_size_of_several(sizes: list[float | None], one: float | None) -> None:
    assert common(sizes) == one


@pytest.mark.parametrize(
    ("voxels", "most", "size", "asked"),
    [
        (210.0, 48.0, 10.0, "Did you mean 21? Or give it in Angstrom: 210A."),
        (210.0, 48.0, 10.05, "Did you mean 21? Or give it in Angstrom: 210A."),
        (105.0, 21.0, 10.0, "Did you mean 10.5? Or give it in Angstrom: 105A."),
        (210.0, 48.0, None, ""),  # nothing to go by
        (210.0, 48.0, 2.1, ""),  # 100 voxels do not fit either
        (60.0, 48.0, 100.0, ""),  # half a voxel is nothing
    ],
)
def test_angstrom_for_voxels_are_noticed(voxels: float, most: float, size: float | None, asked: str) -> None:
    refuse_larger(most, most, "--bbox", than="the thinnest axis of a.mrc", voxel_size=size)
    with pytest.raises(ContradictionError) as refused:
        refuse_larger(voxels, most, "--bbox", than="the thinnest axis of a.mrc", voxel_size=size)
    error = refused.value
    assert (error.found, error.where) == (f"{voxels:g} voxels", "--bbox")
    assert error.expected == f"at most {most:g}, the thinnest axis of a.mrc"
    assert error.remedy == asked


def test_particles_of_more_than_half_the_thickness() -> None:
    assert wide_warning({}) is None
    assert wide_warning({"a": (16.0, 32)}) is None
    sentence = wide_warning({"a": (16.5, 32), "b": (16.5, 40), "c": (16.5, 24)})
    assert sentence is not None
    assert sentence.startswith("W12 --bbox is more than half of the thinnest axis of a, c (24 voxels)")
