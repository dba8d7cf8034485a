"""CSV of napari and of spreadsheets: columns by name, and what is refused because it can mean two things.

napari's file as its builtin writer has it (``napari_write_points``): index, then one column per axis of the array in
the array's order, then the features of the points. Its pixel 0 has its centre at 0 (napari#1660).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from format_toys import setting
from milopyp import read_picks
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.formats.spreadsheet import read_points
from prepare_toys import POINTS, labels, prepare
from running import run_line
from toys import write_tomogram

DOT = np.zeros((16, 24, 40), dtype=np.float32)  # z, y, x
PLACE = {"x": 30, "y": 5, "z": 9}
DOT[PLACE["z"], PLACE["y"], PLACE["x"]] = 1.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "content",
    [
        "x,y,z\n1.5,2,3\n",
        "X;Y;Z\n1,5;2;3\n",
        "X;Y;Z\n1.5;2;3\n",
        "x\ty\tz\n1,5\t2\t3\n",
        "\ufeffx;y;z;\r\n1,5;2;3;\r\n;;;\r\n",
        "z;x;y\n3;1,5;2\n",
        ",x,y,z\n0,1.5,2,3\n",
        "Index,X,Y,Z\n0,1.5,2,3\n",
        "# from the microscope\n\n x , y , z \n 1.5 , 2 , 3 \n",
        '"x","y","z"\n"1.5","2","3"\n',
        '"X";"Y";"Z"\n"1,50";"2,00";"3,00"\n',
        "x,y,z\n1.5e0,+2.0,3\n",
    ],
)
def test_columns_are_found_by_their_names(content: str) -> None:
    Path("a.csv").write_text(content)
    picks = read_picks("a.csv")
    assert (picks.xyz.tolist(), picks.score.tolist()) == ([[1.5, 2, 3]], [1])


@pytest.mark.parametrize(
    ("content", "scores"),
    [
        ("x,y,z,score\n1,2,3,0.25\n1,2,3,0.5\n", [0.5, 0.25]),
        ("SCORE;x;y;z\n0,25;1;2;3\n;1;2;3\n", [1, 0.25]),
        ("x,y,z,score\n1,2,3,NaN\n1,2,3,0.5\n", [1, 0.5]),
        ("x,y,z,score\n1,2,3,0\n1,2,3,0\n", [1, 1]),
        ("index,axis-0,axis-1,axis-2,score\n0,1,2,3,0.5\n", [0.5]),
    ],
)
def test_scores_are_kept(content: str, scores: list[float]) -> None:
    Path("a.csv").write_text(content)
    assert FORMATS["csv"].read(Path("a.csv"), setting()).score.tolist() == scores


def test_a_table_names_tomograms_and_classes() -> None:
    """As Excel saves it in many languages: names keep their commas, numbers have decimal ones."""
    Path("all.csv").write_text("Tomogram;X;Y;Z;Class\nTS_01,5;1,5;2;3;big\nb;4;5;6;big\nb;7;8;9;small\n")
    assert run_line("milopyp convert all.csv big.tsv --class big").code == 0
    found = {name: xyz.tolist() for name, xyz in read_coordinate_list("big.tsv").items()}
    assert found == {"TS_01,5": [[1.5, 2, 3]], "b": [[4, 5, 6]]}
    assert read_picks("all.csv", name="b", class_="small").xyz.tolist() == [[7, 8, 9]]
    assert read_picks("all.csv", name="TS_01,5", class_="big").xyz.tolist() == [[1.5, 2, 3]]


def test_features_of_napari_are_none_of_these() -> None:
    Path("a.csv").write_text("index,axis-0,axis-1,axis-2,tomogram,class\n0,3,2,1,../x,\n")
    assert read_picks("a.csv", order="xyz").xyz.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("order", ["xyz", "xzy", "zyx", "yxz"])
def test_napari_counts_along_the_array(order: str) -> None:
    """A point on the brightest voxel of the array as mrcfile gives it, which is what napari is shown."""
    import mrcfile

    write_tomogram(Path("t.mrc"), DOT, order)
    array = mrcfile.read("t.mrc")
    first, second, third = np.unravel_index(int(array.argmax()), array.shape)
    Path("t.csv").write_text(f"index,axis-0,axis-1,axis-2,label\n0.0,{first}.0,{second}.0,{third}.25,vesicle\n")
    outcome = run_line(f"milopyp convert t.csv back.csv --tomogram t.mrc --order {order}")
    assert outcome.code == 0, outcome.err
    [found] = read_picks("back.csv").xyz.tolist()
    assert found == [PLACE[axis] + (0.25 if axis == order[0] else 0) for axis in "xyz"]


def test_labels_from_napari(folder: Path) -> None:
    """The array of a file in the order xzy is (y, z, x)."""
    write_tomogram(folder / "data/a.rec", DOT, "xzy")
    rows = "".join(f"{n},{y},{z},{x}\n" for n, (x, y, z) in enumerate(POINTS))
    Path("data/a.csv").write_text(f"index,axis-0,axis-1,axis-2\n{rows}")
    prepare(folder / "data", "--order xzy")
    assert labels(folder / "data")["a"].tolist() == POINTS.tolist()


def test_napari_needs_the_order_and_spreadsheets_do_not() -> None:
    Path("a.csv").write_text("index,axis-0,axis-1,axis-2\n0,1,2,3\n")
    with pytest.raises(UsageError, match="--order WORD"):
        read_picks("a.csv")
    assert read_picks("a.csv", order="zyx").xyz.tolist() == [[1, 2, 3]]
    Path("a.csv").write_text("x;y;z\n1;2;3\n")
    assert read_picks("a.csv", order="zyx").xyz.tolist() == [[1, 2, 3]]


numbers = st.lists(st.tuples(*[st.integers(-(10**7), 10**7)] * 3), min_size=1, max_size=8)


@settings(max_examples=60)
@given(
    thousandths=numbers,
    separator=st.sampled_from(["; .", "; ,", "\t .", "\t ,", ", ."]),
    order=st.permutations(["x", "Y", "z", "index"]),
    quote=st.sampled_from(["", '"']),
)
def test_any_table(thousandths: list[tuple[int, ...]], separator: str, order: list[str], quote: str) -> None:
    """Written as a spreadsheet would: the same numbers whatever the separator, the decimal sign and the order."""
    between, decimal = separator.split(" ")
    lines = [between.join(order)]
    for row in thousandths:
        cells = {
            name: f"{'-' * (n < 0)}{abs(n) // 1000}{decimal}{abs(n) % 1000:03d}"
            for name, n in zip("xYz", row, strict=True)
        }
        lines.append(between.join(f"{quote}{cells.get(name, '7')}{quote}" for name in order))
    Path("any.csv").write_text("\n".join(lines))
    np.testing.assert_allclose(read_points("any.csv").columns, np.array(thousandths) / 1000, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a first line that names the columns x, y, z"),
        ("1,2,3\n4,5,6\n", "columns 1, 2, 3; expected .* z along the thickness"),
        ("1;2;3\n", "columns 1, 2, 3"),
        ("a,b,c\n1,2,3\n", "columns a, b, c"),
        ("x,y\n1,2\n", "columns x, y;"),
        ("x,y,z,x\n1,2,3,4\n", "columns x, y, z, x;"),
        ("name,x,y,z\nTS_01,1,2,3\n", "columns name, x, y, z"),
        ("tomogram,x,y,z,tomogram\na,1,2,3,b\n", "columns tomogram, x, y, z, tomogram"),
        ("tomogram,x,y,z\na,1,2,3\n../b,1,2,3\n", "line 3: image name '../b'"),
        ("tomogram,x,y,z\n,1,2,3\n", "line 2: image name ''"),
        ("x,y,z,class\n1,2,3,big\n1,2,3,Big\n", "the classes 'big' and 'Big'"),
        ("x,y,z,class\n1,2,3,big\n1,2,3,\n", "the class name ''"),
        ("x y z\n1 2 3\n", "columns x y z"),
        ("x (nm),y (nm),z (nm)\n1,2,3\n", "columns x"),
        ("index,axis-0,axis-1\n0,1,2\n", r"points with 2 axes \(axis-0, axis-1\); expected axis-0, axis-1 and axis-2"),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,1,2,3,4\n", "points with 4 axes"),
        ("index,shape-type,vertex-index,axis-0,axis-1,axis-2\n0,path,0,1,2,3\n", "is a shapes layer of napari"),
        ("x,y,z\n1,5,2,3\n", "line 2: 4 cells; expected 3, as in the first line. .* with ; between cells"),
        ("x,y,z\n1,2\n", "line 2: 2 cells"),
        ("x;y;z\n1;2\n", r"line 2: 2 cells; expected 3, as in the first line$"),
        ('x,y,z\n"1,5",2,3\n', "line 2, x: '1,5'"),
        ("x;y;z\n1,5;2.5;3\n", "line 2: decimal commas, and a point in line 2"),
        ("x;y;z\n1.5;2;3\n1,5;2;3\n", "line 3: decimal commas, and a point in line 2"),
        ("x;y;z\n1.234,5;2;3\n", "line 2: decimal commas, and a point in line 2"),
        ("x,y,z\n1,,3\n", "line 2, y: ''"),
        ("x,y,z\n1,nan,3\n", "line 2, y: 'nan'"),
        ("x,y,z,score\n1,2,3,best\n", "line 2, score: 'best'"),
        ('x,y,z\n1,2,"3\n4,5,6\n', "a quoted cell does not end in its line"),
        (f"x,y,z\n1,2,{'3' * 200_000}\n", "is no CSV"),
    ],
)
def test_what_can_mean_two_things_is_refused(content: str, message: str) -> None:
    Path("a.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_points("a.csv")


def test_points_of_a_scaled_layer_lie_outside() -> None:
    """A CSV of napari does not say the layer's scale; Angstrom are found where they leave the tomogram."""
    write_tomogram(Path("t.mrc"), DOT, "xyz", voxel_size=10.0)
    Path("t.csv").write_text("index,axis-0,axis-1,axis-2\n0,90,50,300\n")
    outcome = run_line("milopyp convert t.csv b.csv --tomogram t.mrc")
    assert outcome.code == 2 and "1 of 1 pick outside the tomogram" in outcome.err
