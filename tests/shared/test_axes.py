"""Order words: round trips, the automatic choice, doubts, the published program's words, labels that fit."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_shared import axes
from milopyp_shared.errors import ContradictionError, InputError, UsageError

PUBLISHED_WORDS = ("xzy", "zxy", "xyz", "yxz")

order_words = st.sampled_from(axes.ORDERS)
sizes = st.tuples(*[st.integers(1, 7)] * 3)


def file_shape_of(order: str, zyx: tuple[int, int, int]) -> tuple[int, ...]:
    """Numpy shape of a file by the definition of order words: fastest axis first, numpy wants the slowest first."""
    size = dict(zip("zyx", zyx))
    return tuple(size[letter] for letter in reversed(order))


@given(order_words, sizes, st.data())
def test_arrays_and_columns_go_to_the_file_and_back(order: str, zyx: tuple[int, int, int], data: st.DataObject) -> None:
    volume = np.arange(np.prod(zyx)).reshape(zyx)
    stored = volume.transpose(axes.from_zyx(order))
    assert stored.shape == file_shape_of(order, zyx)
    assert np.array_equal(stored.transpose(axes.to_zyx(order)), volume)

    z, y, x = (data.draw(st.integers(0, size - 1)) for size in zyx)
    (columns,) = axes.xyz_to_columns(np.array([[x, y, z]]), order)
    fastest, middle, slowest = columns
    assert stored[slowest, middle, fastest] == volume[z, y, x]
    assert axes.columns_to_xyz(columns[None], order).tolist() == [[x, y, z]]


@pytest.mark.parametrize("word", PUBLISHED_WORDS)
def test_published_words_read_the_published_files(golden: Path, word: str) -> None:
    expected = np.load(golden / "preprocessed.npz")["volume_zyx_int16"]
    with mrcfile.open(golden / "volumes" / f"vol_{word}_int16.rec") as mrc:
        assert np.array_equal(mrc.data.transpose(axes.to_zyx(axes.from_published(word))), expected)


@pytest.mark.parametrize("word", ["zyx", "yzx", "auto", ""])
def test_words_the_published_program_does_not_know(word: str) -> None:
    with pytest.raises(InputError, match=r"one of xzy, zxy, xyz, yxz \(published meaning\)"):
        axes.from_published(word)


@pytest.mark.parametrize(
    ("file_shape", "word"),
    [
        ((64, 256, 200), "xyz"),
        ((200, 64, 256), "xzy"),
        ((256, 200, 64), "zxy"),
        ((74, 100, 300), "xyz"),  # just below 0.75 of the next
    ],
)
def test_auto_takes_the_clearly_thinnest_axis(file_shape: tuple[int, int, int], word: str) -> None:
    assert axes.resolve_order("auto", file_shape, "a.mrc") == word


@pytest.mark.parametrize("file_shape", [(75, 100, 300), (100, 75, 300), (300, 100, 75), (64, 64, 256), (90, 90, 90)])
def test_auto_is_refused_with_both_words_when_it_is_not_clear(file_shape: tuple[int, int, int]) -> None:
    with pytest.raises(ContradictionError) as caught:
        axes.resolve_order("auto", file_shape, "a.mrc")
    message = str(caught.value)
    slow, middle, fast = file_shape
    assert message.startswith(f"a.mrc: the thickness cannot be told from the size {fast} x {middle} x {slow};")
    assert "--order xyz" in message and "--order xzy" in message


@given(order_words, st.tuples(*[st.integers(8, 400)] * 3))
def test_an_explicit_word_always_wins(order: str, file_shape: tuple[int, int, int]) -> None:
    assert axes.resolve_order(order, file_shape, "a.mrc") == order


@pytest.mark.parametrize("word", ["", "xy", "xxz", "XYZ", "abc"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="expected auto or one of xyz, xzy, zyx, zxy, yxz, yzx"):
        axes.resolve_order(word, (64, 256, 200), "a.mrc")


@given(order_words, st.tuples(*[st.integers(8, 400)] * 3))
def test_doubt_only_about_a_thickness_that_is_not_the_thinnest(order: str, zyx: tuple[int, int, int]) -> None:
    doubt = axes.order_warning(order, file_shape_of(order, zyx))
    assert (doubt is not None) == (zyx[0] > min(zyx))
    if doubt:
        assert doubt.startswith(f"W04 --order {order} makes an axis of {zyx[0]} voxels the thickness")
        assert f"another has only {min(zyx)};" in doubt


def test_the_words_a_doubt_names_raise_no_doubt() -> None:
    for thin in range(3):
        shape = [200, 180, 160]
        shape[thin] = 60
        for order in axes.ORDERS:
            doubt = axes.order_warning(order, shape)
            named = [] if doubt is None else doubt.split("; ")[1].split(" would")[0].split(" or ")
            fits = [word for word in axes.ORDERS if axes.order_warning(word, shape) is None]
            assert sorted(named) == ([] if order in fits else sorted(fits))


@pytest.mark.parametrize(
    ("order", "thin", "published_is"),
    [
        ("xyz", 2, "zxy"),  # an old command line for a file whose fastest axis is z
        ("zxy", 0, "xyz"),  # the published word for a common file
        ("yxz", 2, "zyx"),
        ("xyz", 1, None),  # nobody's reading
        ("xzy", 0, None),  # means the same in both
        ("xzy", 2, None),
        ("zyx", 0, None),  # not a published word
    ],
)
def test_doubt_tells_when_the_published_reading_fits(order: str, thin: int, published_is: str | None) -> None:
    shape = [200, 180, 160]
    shape[thin] = 60
    doubt = axes.order_warning(order, shape)
    assert doubt is not None
    if published_is:
        assert doubt.endswith(f"(what the published program calls {order} is {published_is} here)")
    else:
        assert "published" not in doubt


def test_a_volume_ends_at_the_faces_of_its_outer_voxels() -> None:
    xyz = np.array([[-0.5, -0.5, -0.5], [29.5, 19.5, 9.5], [-0.51, 0, 0], [0, 19.51, 0], [0, 0, 9.51], [np.nan, 0, 0]])
    assert axes.inside(xyz, (10, 20, 30)).tolist() == [True, True, False, False, False, False]


@given(st.tuples(*[st.integers(1, 40)] * 3), st.lists(st.tuples(*[st.floats(-2, 42)] * 3), max_size=3))
def test_orders_that_fit_by_definition(shape: tuple[int, int, int], points: list[tuple[float, ...]]) -> None:
    table = np.array(points, dtype=float).reshape(-1, 3)

    def fits(of_letter: dict[str, int], letters: str) -> bool:
        """Whether all points, whose columns are the axes `letters`, lie in a volume of these sizes."""
        return all(-0.5 <= v <= of_letter[letter] - 0.5 for point in points for v, letter in zip(point, letters))

    fastest_first = shape[::-1]
    by_file = [order for order in axes.ORDERS if fits(dict(zip(order, fastest_first)), "xyz")]
    assert axes.file_orders_that_fit(table, shape) == by_file
    by_columns = [order for order in axes.ORDERS if fits(dict(zip("zyx", shape)), order)]
    assert axes.column_orders_that_fit(table, shape) == by_columns


def test_labels_in_the_far_corner_tell_the_order() -> None:
    zyx, corner = (20, 60, 90), np.array([[89.4, 59.4, 19.4], [1, 2, 3]])
    for order in axes.ORDERS:
        assert axes.file_orders_that_fit(corner, file_shape_of(order, zyx)) == [order]
        assert axes.column_orders_that_fit(axes.xyz_to_columns(corner, order), zyx) == [order]
