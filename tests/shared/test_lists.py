"""Image and coordinate lists: the layouts people write, where files are looked for, what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp_shared import coordinate_lists, lists
from milopyp_shared.errors import InputError
from milopyp_shared.lists import ImageEntry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list folder with two tomograms, one of them with spaces in its path; the working directory is elsewhere."""
    for name in ("project/a.rec", "project/my tomograms/b 2.rec", "work/c.rec"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "project"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_reference_lists(reference: Path) -> None:
    folder = reference / "data" / "dev" / "lists" / "ribosome70S"
    images = lists.read_image_list(folder / "images_train.tsv")
    assert [(image.name, image.path.resolve()) for image in images] == [
        (name, (reference / "data" / "dev" / f"{name}.rec").resolve()) for name in ("dev01", "dev02")
    ]
    labels = coordinate_lists.read_coordinate_list(folder / "coords_train_all.tsv")
    assert {name: len(xyz) for name, xyz in labels.items()} == {"dev01": 43, "dev02": 46}
    test = coordinate_lists.read_coordinate_list(folder / "coords_test.tsv")["dev04"]
    assert test.dtype == np.float64
    assert test[:2].tolist() == [[146, 163, 26], [147, 253, 64]]


@pytest.mark.parametrize(
    "content",
    [
        "image_name\trec_path\nA\ta.rec\nB\tmy tomograms/b 2.rec\nC\tc.rec\n",
        "\ufeff# by hand\r\n\r\nimage_name\trec_path\r\nA\ta.rec\r\n# B is bad\r\nB\tmy tomograms/b 2.rec\r\nC\tc.rec",
        "rec_path\tgood\tImage_Name\n a.rec \tyes\tA\nmy tomograms/b 2.rec\t\tB\nc.rec\tno\tC\n",
        "image_name\trec_path\nA\ta.rec\nB\tmy tomograms/b 2.rec\nC c.rec\nA\t../project/a.rec\n",
    ],
)
def test_image_list_layouts(folder: Path, content: str) -> None:
    images = lists.read_image_list(write(folder / "images.txt", content))
    assert [image.name for image in images] == ["A", "B", "C"]
    # c.rec does not lie beside the list but in the working directory
    expected = [folder / "a.rec", folder / "my tomograms" / "b 2.rec", folder.parent / "work" / "c.rec"]
    assert [image.path.resolve() for image in images] == expected


def test_the_list_s_folder_comes_before_the_working_directory(folder: Path) -> None:
    (Path.cwd() / "a.rec").touch()
    [image] = lists.read_image_list(write(folder / "images.txt", "image_name rec_path\nA a.rec\n"))
    assert image.path == folder / "a.rec"


def test_absolute_paths_that_are_gone_are_looked_for_by_their_ends(folder: Path) -> None:
    gone = "image_name\trec_path\nA\t/old/project/a.rec\nB\t/old/my tomograms/b 2.rec\nC\t/old/elsewhere/c.rec\n"
    said: list[str] = []
    images = lists.read_image_list(write(folder / "images.txt", gone), said.append)
    work = folder.parent / "work"
    assert [image.path.resolve() for image in images] == [
        folder / "a.rec",
        folder / "my tomograms/b 2.rec",
        work / "c.rec",
    ]
    assert said == [
        f"{folder}/images.txt: /old/project/a.rec is not there any more, {folder}/a.rec is read (3 tomograms)"
    ]


def test_other_files_that_could_be_meant_are_named(folder: Path) -> None:
    (Path.cwd() / "a.rec").touch()
    said: list[str] = []
    for own in ("a.rec", Path.cwd() / "a.rec"):
        lists.read_image_list(write(folder / "images.txt", f"image_name rec_path\nA {own}\n"), said.append)
    (folder / "images.txt").unlink()
    places = [folder / "a.rec", Path.cwd() / "a.rec"]
    assert said == [f"{folder}/images.txt: {a} is read, and not {b}" for a, b in (places, reversed(places))]


@pytest.mark.parametrize(
    "content",
    [
        "image_name x_coord y_coord z_coord\nA 1 2 3\nB 1.5 -2 1e2\nA 4 5 6\n",
        "image_name\tx_coord\ty_coord\tz_coord\nA\t1\t2\t3\nB\t1.5\t-2\t100\nA\t4\t5\t6\n",
        "z_coord y_coord x_coord score image_name\n3 2 1 high A\n100 -2 1.5 low B\n6 5 4 high A\n",
        "image_name\tx_coord\ty_coord\tz_coord\tnote\nA\t1\t2\t3\nB\t1.5\t-2\t100\tlast one\nA 4 5 6 clear\n",
    ],
)
def test_coordinate_list_layouts(tmp_path: Path, content: str) -> None:
    labels = coordinate_lists.read_coordinate_list(write(tmp_path / "coords.txt", content))
    assert list(labels) == ["A", "B"]
    assert labels["A"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert labels["B"].tolist() == [[1.5, -2, 100]]


@pytest.mark.parametrize(
    "content",
    [
        "image_name x_coord y_coord z_coord\nA none none none\nB 1 2 3\nnone NONE None none\nA none none none\n",
        "image_name\tx_coord\ty_coord\tz_coord\nA\tnone\t none\tnone\nB\t1\t2\t3\nnone none none none\n",
        "z_coord y_coord x_coord score image_name\nnone none none - A\n3 2 1 0.5 B\nnone none none 0.1 none\n",
    ],
)
def test_a_list_may_say_that_a_tomogram_holds_no_particle(tmp_path: Path, content: str) -> None:
    labels = coordinate_lists.read_coordinate_list(write(tmp_path / "coords.txt", content))
    assert {name: xyz.tolist() for name, xyz in labels.items()} == {"A": [], "B": [[1, 2, 3]], "none": []}
    assert list(labels) == ["A", "B", "none"] and {xyz.shape[1] for xyz in labels.values()} == {3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected the header 'image_name rec_path'"),
        ("# nothing\n", "is empty"),
        ("image_name rec_path\n", "a header and no rows"),
        ("A a.rec\n", "line 1: column image_name, rec_path is missing.* expected the header 'image_name rec_path'"),
        ("# list\nimage_name path\nA a.rec\n", "line 2: column rec_path is missing"),
        ("image_name,rec_path\nA,a.rec\n", "column image_name, rec_path is missing"),
        ("image_name rec_path rec_path\nA a.rec a.rec\n", "rec_path is missing or there twice"),
        (
            "image_name rec_path\n\nA nowhere.rec\n",
            "line 3: there is no tomogram nowhere.rec .looked for nowhere.rec in .*project and",
        ),
        ("image_name rec_path\nA /nowhere/b.rec\n", "line 2: there is no tomogram /nowhere/b.rec .looked for b.rec in"),
        ("image_name rec_path\nA " + "x" * 5000 + "\n", "line 2: there is no tomogram"),
        ("image_name rec_path\nA .\n", "line 2: there is no tomogram"),
        ("image_name rec_path\nB my tomograms/b 2.rec\n", "line 2: 4 values for 2 columns.* tabs"),
        ("image_name\trec_path\nA\t\n", "line 2: 1 value for 2 columns"),
        ("image_name\trec_path\nA\ta.rec\nA\tc.rec\n", "line 3: two tomograms of one name: 'A'"),
        ("image_name\trec_path\n../A\ta.rec\n", "line 2: image name '../A'"),
        ("image_name\trec_path\na/b\ta.rec\n", "line 2: image name 'a/b'"),
        ("image_name\trec_path\na\\b\ta.rec\n", "line 2: image name"),
        ("image_name\trec_path\nA\x07\ta.rec\n", "line 2: image name"),
        (b"image_name\trec_path\n\xe4\ta.rec\n", "not UTF-8 text"),
    ],
)
def test_bad_image_lists(folder: Path, content: str | bytes, message: str) -> None:
    path = write(folder / "images.txt", content)
    with pytest.raises(InputError, match=message) as caught:
        lists.read_image_list(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A 1 2 three", "line 3: 'three'; expected a finite number"),
        ("A 1 nan 3", "line 3: 'nan'"),
        ("A 1 -inf 3", "line 3: '-inf'"),
        ("A 1 2", "line 3: 3 values for 4 columns"),
        ("A 1 2 3 4", "line 3: 5 values for 4 columns"),
        ("A 1 2\t3 4", "line 3: 5 values for 4 columns"),
        ("A none 2 3", "line 3: 'none 2 3'; expected three numbers, or none in place of each"),
        ("A none none nan", "line 3: 'none none nan'; expected three numbers, or none"),
        ("A none", "line 3: 2 values for 4 columns"),
        ("A nothing nothing nothing", "line 3: 'nothing'; expected a finite number"),
        ("A 1 2 3\nA none none none\nA 4 5 6", "line 4: A holds no particle by this row, and 2 by others"),
        ("A none none none\nB 1 2 3\nA 4 5 6", "line 3: A holds no particle by this row, and 1 by others"),
        (".. 1 2 3", "line 3: image name '..'"),
    ],
)
def test_bad_coordinate_rows(tmp_path: Path, row: str, message: str) -> None:
    path = write(tmp_path / "coords.txt", f"# labels\nimage_name x_coord y_coord z_coord\n{row}\n")
    with pytest.raises(InputError, match=message):
        coordinate_lists.read_coordinate_list(path)


def test_find_list_looks_in_data_as_the_manual_does(folder: Path) -> None:
    work = Path.cwd()
    (work / "data").mkdir()
    in_data = write(work / "data" / "train.txt", "")
    said: list[str] = []
    assert lists.find_list("train.txt", said.append).samefile(in_data)
    here = write(work / "train.txt", "")
    assert lists.find_list("train.txt", said.append).samefile(here)
    assert said == [f"train.txt is {in_data}", f"train.txt is {here}, and not data/train.txt"]
    assert lists.find_list("../project/a.rec").samefile(folder / "a.rec")
    with pytest.raises(InputError, match=re.escape(f"{work / 'other.txt'} and {work / 'data/other.txt'}")):
        lists.find_list("other.txt")
    with pytest.raises(InputError, match=re.escape(f"looked for {work / 'sub/train.txt'})")):
        lists.find_list("sub/train.txt")


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
numbers = st.floats(-1e5, 1e5) | st.integers(-5000, 5000).map(float)
labels = st.dictionaries(names, st.lists(st.tuples(numbers, numbers, numbers), max_size=4), max_size=4)


@settings(max_examples=150)
@given(labels)
def test_coordinates_read_back_or_are_refused(tmp_path: Path, coordinates: dict[str, list[tuple[float, ...]]]) -> None:
    path = tmp_path / "coords.txt"
    try:
        coordinate_lists.write_coordinate_list(path, coordinates)
    except InputError as error:
        assert "image name" in str(error)
        return
    if coordinates:
        back = coordinate_lists.read_coordinate_list(path)
        assert list(back) == list(coordinates)
        for name, xyz in coordinates.items():
            table = np.array(xyz).reshape(-1, 3)
            assert back[name].shape == table.shape
            assert (np.abs(back[name] - table) <= 0.005 + 1e-9).all()
            whole = table % 1 == 0
            assert (back[name][whole] == table[whole]).all()


def test_written_lists(folder: Path) -> None:
    entries = [ImageEntry("A", Path("../project/a.rec")), ImageEntry("B b", folder / "my tomograms" / "b 2.rec")]
    entries[0] = ImageEntry("A", folder / "a.rec")
    outside = ImageEntry("C", Path("c.rec"))
    lists.write_image_list(folder / "images.txt", [*entries, outside])
    absolute = Path("c.rec").absolute()
    assert (folder / "images.txt").read_text() == (
        f"image_name\trec_path\nA\ta.rec\nB b\tmy tomograms/b 2.rec\nC\t{absolute}\n"
    )
    assert lists.read_image_list(folder / "images.txt") == [*entries, ImageEntry("C", absolute)]
    coordinate_lists.write_coordinate_list(
        folder / "coords.txt", {"A": np.array([[1, 2.5, -0.001]]), "B": np.empty((0, 3))}
    )
    assert (folder / "coords.txt").read_text() == (
        "image_name\tx_coord\ty_coord\tz_coord\nA\t1\t2.50\t0.00\nB\tnone\tnone\tnone\n"
    )


@pytest.mark.parametrize("name", ["", " A", "A\tB", "A\nB", "#A", "a/b", "..", "x..y"])
def test_names_that_would_not_read_back_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="image name"):
        coordinate_lists.write_coordinate_list(tmp_path / "coords.txt", {name: np.zeros((1, 3))})
    with pytest.raises(InputError, match="image name"):
        lists.write_image_list(tmp_path / "images.txt", [ImageEntry(name, tmp_path)])
    assert not list(tmp_path.iterdir())


def test_values_that_would_not_read_back_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finite"):
        coordinate_lists.write_coordinate_list(tmp_path / "coords.txt", {"A": [[1, 2, np.inf]]})
    with pytest.raises(InputError, match="path"):
        lists.write_image_list(tmp_path / "images.txt", [ImageEntry("A", tmp_path / "tab\t.rec")])
    assert not list(tmp_path.iterdir())
