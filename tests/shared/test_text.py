"""Coordinate text: what model2point and people write, round trips, bad lines."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from milopyp_shared.errors import InputError
from milopyp_shared.formats.text import read_points, write_points


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_published_picks_with_scores(golden: Path) -> None:
    table = read_points(golden / "published_dev04_picks.txt", extra="score")
    assert table.shape == (79, 4)
    assert table[0].tolist() == [162, 20, 184, 0.24383072555065155]
    assert (read_points(golden / "published_dev04_picks.txt", extra="ignore") == table[:, :3]).all()


def test_model2point_text(reference: Path) -> None:
    """The columns are file-axis order (x z y) in model coordinates of the integer labels in the coordinate list."""
    dev = reference / "data" / "dev"
    points = read_points(dev / "model2point" / "dev01_ribosome70S.txt")
    rows = (dev / "lists" / "ribosome70S" / "coords_train_30pct_seed1.tsv").read_text().splitlines()[1:]
    labels = np.array([row.split("\t")[1:] for row in rows if row.startswith("dev01\t")], dtype=float)
    assert (points - [0.5, 0.5, 0.0] == labels[:, [0, 2, 1]]).all()


def test_words_behind_the_numbers_can_be_ignored(reference: Path) -> None:
    points = read_points(reference / "data" / "real" / "13pf_MT_axis_points_xyz_px.txt", extra="ignore")
    assert points[0].tolist() == [27.557, 180.608, 18.032]


@pytest.mark.parametrize(
    "content",
    [
        "1 2 3\n4 5 6\n",
        "1\t2\t3\r\n4\t5\t6",
        "\ufeff1 2 3\n\n4 5 6\n",
        "# x y z\n  1.0   2e0 +3. # a comment\r4 5 6\r",
        "1 2\f3\n\t4 5 6 \n \n",
    ],
)
def test_layouts_that_mean_the_same(tmp_path: Path, content: str) -> None:
    assert read_points(write(tmp_path / "points.txt", content)).tolist() == [[1, 2, 3], [4, 5, 6]]


XYZ = [[14.5, 12.5, 9.0], [40.5, 14.5, 12.0]]
# As model2point.f90 of IMOD writes them: numbers i6, coordinates 3f12.2 or with -integer 3i7, values g16.6.
PLAIN = "       14.50       12.50        9.00\n       40.50       14.50       12.00\n"
MODEL2POINT = {
    "": PLAIN,
    "-contour": "     1       14.50       12.50        9.00\n     2       40.50       14.50       12.00\n",
    "-contour -zero": "     0       14.50       12.50        9.00\n     1       40.50       14.50       12.00\n",
    "-object": "     1     1       14.50       12.50        9.00\n     1     2       40.50       14.50       12.00\n",
    "-object -values 1": "     1     1       14.50       12.50        9.00        0.900000\n"
    "     1     2       40.50       14.50       12.00        0.100000E-03\n",
}


@pytest.mark.parametrize("options", MODEL2POINT)
@pytest.mark.parametrize("extra", [None, "contour"])
def test_what_model2point_writes_tells_itself(tmp_path: Path, options: str, extra) -> None:
    path = write(tmp_path / "points.txt", MODEL2POINT[options])
    if options or extra is None:
        assert read_points(path, extra=extra).tolist() == XYZ


def test_values_of_model2point_stand_last(tmp_path: Path) -> None:
    path = write(tmp_path / "points.txt", MODEL2POINT["-object -values 1"])
    assert read_points(path, extra="score").tolist() == [[*XYZ[0], 0.9], [*XYZ[1], 0.0001]]


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        ("     1     15     13      9\n     2     41     15     12\n", "contour"),
        ("     1     1     15     13      9\n     1     2     41     15     12\n", "object"),
        ("15 13 9 0.5\n41 15 12 0.7\n", "ignore"),
        ("15.0 13.0 9.0 1\n41.0 15.0 12.0 2\n", "contour"),
    ],
)
def test_numbers_beside_whole_coordinates_must_be_said(tmp_path: Path, content: str, extra) -> None:
    path = write(tmp_path / "points.txt", content)
    assert read_points(path, extra=extra).tolist() == [[15, 13, 9], [41, 15, 12]]
    with pytest.raises(InputError, match="--fourth-column"):
        read_points(path)


def test_a_first_coordinate_that_is_whole_is_no_contour(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 columns"):
        read_points(write(tmp_path / "points.txt", "14 12.5 9.25 0.9\n16 12.5 9.25 0.9\n"))


@pytest.mark.parametrize(
    ("content", "extra", "message"),
    [
        ("1 2 3\n\n1 2 x\n", None, "line 3: 'x'; expected a finite number"),
        ("1 2 nan\n", None, "line 1: 'nan'"),
        ("1 2 1e999\n", None, "line 1: '1e999'"),
        ("1 2 1_0\n", None, "line 1: '1_0'"),
        ("1 2 ３\n", None, "line 1: '３'"),
        ("1,2,3\n", None, "line 1: 1 column; expected 3 numbers separated by spaces or tabs"),
        ("1 2 3\n1 2\n", None, "line 2: 2 columns; expected 3 numbers"),
        ("1 2 3 0.5\n", None, "4 columns; expected 3 numbers .* Is the last column a score"),
        ("1 14.5 x.5 9.0\n", None, "line 1: 'x.5'"),
        ("1 1 1 2 3\n", None, "5 columns; expected 3 numbers .* -object"),
        ("1 2 3 0.5\n1 2 3\n", "score", "line 2: 3 columns; expected 4 numbers"),
        ("1 2 3 0.5 7\n", "score", "line 1: 5 columns; expected 4 numbers"),
        ("1 2 3 high\n", "score", "line 1: 'high'"),
        (b"1 2 3\n\xff\xfe\n", None, "not UTF-8 text"),
        ("1 2 3\n".encode("utf-16"), None, "not UTF-8 text"),
        (b"IMODV1.2\0\0\0\0", None, "not UTF-8 text"),
        (b"1 2 3\n" * 2000 + b"\0", None, "not UTF-8 text"),
    ],
)
def test_bad_text_is_refused_with_its_place(tmp_path: Path, content, extra, message: str) -> None:
    path = write(tmp_path / "points.txt", content)
    with pytest.raises(InputError, match=message) as caught:
        read_points(path, extra=extra)
    assert str(caught.value).startswith(str(path))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_points(path)


coordinates = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.floats(-1e6, 1e6))


@settings(max_examples=60)
@given(coordinates, st.integers(0, 6))
def test_round_trip(tmp_path: Path, xyz: np.ndarray, decimals: int) -> None:
    path = tmp_path / "points.txt"
    scores = np.linspace(1, 0, len(xyz))
    write_points(path, xyz, scores, decimals)
    table = read_points(path, extra="score")
    assert np.abs(table[:, :3] - xyz).max() <= 0.5 * 10.0**-decimals + 1e-9
    assert np.abs(table[:, 3] - scores).max() <= 5e-7
    assert "-0.0 " not in path.read_text()


def test_written_form(tmp_path: Path) -> None:
    path = tmp_path / "points.txt"
    write_points(path, [[1, 2.345678, -0.0001]], [0.25])
    assert path.read_text() == "1.00\t2.35\t0.00\t0.250000\n"
    write_points(path, [[1, 2.5, 3.7]], decimals=0)
    assert path.read_text() == "1\t2\t4\n"
    write_points(path, np.empty((0, 3)))
    assert path.read_text() == ""


def test_values_that_cannot_be_written_leave_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "points.txt", "1 2 3\n")
    for xyz, scores in ([[1, 2, np.nan]], None), ([[1, 2, 3]], [np.inf]), ([[1, 2, 3]], [1, 2]), ([[1, 2]], None):
        with pytest.raises(InputError, match=r"finite|cannot be written"):
            write_points(path, xyz, scores)
    assert [file.name for file in tmp_path.iterdir()] == ["points.txt"]
    assert path.read_text() == "1 2 3\n"
