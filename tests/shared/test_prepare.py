"""`milopyp prepare`: where picks land in the lists, and what is said of them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milopyp import read_picks
from milopyp_shared import axes
from milopyp_shared.coordinate_lists import read_classes, read_coordinate_list
from milopyp_shared.formats.mod import PointObject, write_mod, write_objects
from milopyp_shared.lists import read_image_list
from prepare_toys import HALF, POINTS, SHAPE, columns, labels, prepare, save_text, table
from running import run_line, tree
from toys import clean_phantom, noise, placed, write_tomogram


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("order", axes.ORDERS)
@pytest.mark.parametrize("coords", ["model2point", "voxel"])
def test_columns_follow_the_axes_of_the_file(order: str, coords: str, folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE), order)
    save_text(folder / "a.txt", columns(order) + (HALF if coords == "model2point" else 0))
    outcome = prepare(folder, f"--ord {order} --coords {coords}")
    assert outcome.err == ""
    assert f"(order {order})" in outcome.out
    assert labels(folder)["a"] == pytest.approx(POINTS)


@pytest.mark.parametrize("order", ["xyz", "xzy"])
def test_models_drawn_on_a_volume_with_an_origin(order: str, folder: Path) -> None:
    """What picking writes comes back as the same labels, wherever the volume's header puts its corner."""
    origin = (-270.0, 33.7, 1000.0)
    tomogram = write_tomogram(folder / "a.rec", noise(SHAPE), order, voxel_size=13.48, origin=origin)
    before = tomogram.read_bytes()
    size = columns(order, np.array([SHAPE[::-1]]))[0]
    write_mod(
        folder / "a.mod",
        columns(order),
        size_xyz=(int(size[0]), int(size[1]), int(size[2])),
        radius=5.0,
        placement=placed(13.48, origin),
    )
    outcome = prepare(folder)  # the order is found from the size
    assert f"order {order}" in outcome.out
    assert labels(folder)["a"] == pytest.approx(POINTS, abs=0.006)  # two decimals in the list
    assert tomogram.read_bytes() == before


def test_a_model_drawn_on_the_whole_of_a_trimmed_volume(folder: Path) -> None:
    """Volume and model agree in space: the header says where the crop begins, the model where the whole did."""
    size, begin = 10.0, np.array([5.0, 3.0, 2.0])
    write_tomogram(folder / "a.rec", noise(SHAPE), voxel_size=size, origin=tuple(begin * size))
    write_mod(folder / "a.mod", POINTS + begin, size_xyz=(60, 40, 30), radius=5.0, placement=placed(size))
    prepare(folder)
    assert labels(folder)["a"] == pytest.approx(POINTS, abs=0.006)


def test_a_word_that_stands_the_volume_on_its_side_is_doubted(folder: Path) -> None:
    """The published program calls this file zxy; its word xyz means another turn."""
    write_tomogram(folder / "a.rec", noise(SHAPE), "zxy")
    save_text(folder / "a.txt", columns("xyz", np.array([[3.0, 4.0, 5.0]])))
    outcome = prepare(folder, "-r xyz")
    assert outcome.err.startswith("warning: a.rec: W04 --order xyz makes an axis of 24 voxels the thickness, although ")
    assert "what the published program calls xyz is zxy here" in outcome.err


def test_lists_of_tomograms_to_pick(folder: Path) -> None:
    for name in ("b", "a"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    write_tomogram(folder / "other.mrc", noise(SHAPE))
    save_text(folder / "a.txt", POINTS)
    before = tree(folder)
    outcome = prepare(folder, "--inference")
    assert "2 tomograms" in outcome.out
    after = tree(folder)
    assert set(after) - set(before) == {"run_test_imgs.txt"}
    assert [image.name for image in read_image_list(folder / "run_test_imgs.txt")] == ["a", "b"]
    prepare(folder, "--inference -e .mrc")
    assert [image.name for image in read_image_list(folder / "run_test_imgs.txt")] == ["other"]


def test_tomograms_that_lie_in_a_folder_each(folder: Path) -> None:
    """As AreTomo and etomo leave them; their picks are called as the files are, or as the folders."""
    for name in ("TS_01", "TS_02"):
        write_tomogram(folder / name / "tomogram.rec", noise(SHAPE))
    save_text(folder / "TS_01/tomogram_coord.txt", POINTS + HALF)
    save_text(folder / "TS_02/TS_02.txt", POINTS[:2] + HALF)
    outcome = prepare(folder, "--name-from parent")
    assert "TS_01/tomogram.rec (order xyz): 3 labels from tomogram_coord.txt\n" in outcome.out
    assert {name: len(xyz) for name, xyz in labels(folder).items()} == {"TS_01": 3, "TS_02": 2}
    images = read_image_list(folder / "run_train_imgs.txt")
    assert [image.path.parent.name for image in images] == [image.name for image in images] == ["TS_01", "TS_02"]
    write_tomogram(folder / "TS_02/even.rec", noise(SHAPE))
    prepare(folder, "--name-from parent --inference")
    names = [image.name for image in read_image_list(folder / "run_test_imgs.txt")]
    assert names == ["TS_01", "TS_02_even", "TS_02_tomogram"]


def test_the_lists_move_with_their_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", POINTS + HALF)
    prepare(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    monkeypatch.chdir("/")
    [image] = read_image_list(moved / "run_train_imgs.txt")
    assert image.path == moved / "a.rec"


def test_lists_that_are_moved_to_data_as_the_manual_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training finds lists there by their bare names, and the tomograms where they have always been."""
    monkeypatch.chdir(tmp_path)
    tomogram = write_tomogram(tmp_path / "sample_data/a.rec", noise(SHAPE))
    save_text(tmp_path / "sample_data/a_coord.txt", POINTS + HALF)
    assert run_line("milopyp prepare -e .rec -d sample_data -o sample_run -r xyz --no-pictures").code == 0
    assert run_line("milopyp prepare -e .rec -d sample_data -o sample_run --inference").code == 0
    (tmp_path / "data").mkdir()
    for path in (tmp_path / "sample_data").glob("sample_run_*.txt"):
        path.rename(tmp_path / "data" / path.name)
    for name in ("sample_run_train_imgs.txt", "sample_run_test_imgs.txt"):
        [image] = read_image_list(name)
        assert image.path == tomogram
    assert np.array_equal(read_coordinate_list("sample_run_train_coords.txt")["a"], POINTS)
    lists = "--train_img_txt sample_run_train_imgs.txt --train_coord_txt sample_run_train_coords.txt"
    outcome = run_line(f"milopyp-train semi {lists} --bbox 400 --exp_id sample --no-export")
    assert outcome.out.startswith(f"sample_run_train_imgs.txt is {tmp_path}/data/sample_run_train_imgs.txt\n")
    assert outcome.code == 2 and "400" in outcome.err  # both lists and the header were read before that


@pytest.mark.parametrize("species", ["ribosome70S", "proteasome26S", "thyroglobulin"])
def test_model2point_text_of_the_reference_data(species: str, reference: Path, folder: Path) -> None:
    """IMOD's raw reconstruction (xzy) and the text of model2point give back the integers that were clicked."""
    data = reference / "data" / "dev"
    folder.mkdir()
    (folder / "dev01.rec").symlink_to((data / "dev01.rec").resolve())
    (folder / "dev01_coord.txt").write_bytes((data / "model2point" / f"dev01_{species}.txt").read_bytes())
    outcome = prepare(folder)
    assert "dev01.rec (order xzy)" in outcome.out
    clicked = read_coordinate_list(data / "lists" / species / "coords_train_30pct_seed1.tsv")["dev01"]
    assert np.array_equal(labels(folder)["dev01"], clicked)
    # written as whole numbers, as they were clicked
    assert "." not in (folder / "run_train_coords.txt").read_text()


FORMATS = ["relion4", "relion5", "warp", "tbl", "copick", "ndjson", "csv"]


@pytest.mark.parametrize("order", ["xyz", "xzy"])
@pytest.mark.parametrize("word", FORMATS)
def test_picks_of_other_programs(word: str, order: str, folder: Path, tmp_path: Path) -> None:
    """Written by `milopyp convert`, which tests of its own compare with independent readers."""
    write_tomogram(folder / "a.rec", noise(SHAPE), order, voxel_size=10.0)
    suffix = {"tbl": "tbl", "copick": "json", "ndjson": "ndjson", "csv": "csv"}.get(word, "star")
    (tmp_path / "points.csv").write_text("x,y,z,score\n" + "".join(f"{x},{y},{z},1\n" for x, y, z in POINTS))
    told = f"--to {word} --tomogram {folder}/a.rec --order {order}"
    assert run_line(f"milopyp convert {tmp_path}/points.csv {folder}/a.{suffix} {told}").code == 0
    prepare(folder, f"--from {word} --order {order}")
    assert labels(folder)["a"] == pytest.approx(POINTS, abs=0.011)


def test_a_fourth_column_and_one_object_of_a_model(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", np.column_stack([columns("xyz") + HALF, [1, 1, 2]]))
    outcome = run_line("milopyp prepare -o run --overwrite --no-pictures", "-d", folder)
    assert (outcome.code, "4 columns" in outcome.err) == (2, True)
    prepare(folder, "--fourth-column contour")
    assert labels(folder)["a"] == pytest.approx(POINTS)
    (folder / "a.txt").unlink()
    write_mod(folder / "a.mod", POINTS, size_xyz=SHAPE[::-1], radius=5.0)
    prepare(folder, "--object 1")
    assert labels(folder)["a"] == pytest.approx(POINTS, abs=0.006)


def objects(path: Path, *named: tuple[str, np.ndarray]) -> None:
    """A model with these objects, as one may click them in 3dmod."""
    made = [PointObject(xyz, np.ones(len(xyz)), 5.0, name, (1.0, 1.0, 1.0)) for name, xyz in named]
    write_objects(path, made, size_xyz=SHAPE[::-1])


def test_objects_of_a_model_are_classes_by_their_names(folder: Path) -> None:
    """Whatever their numbers; several of one name are one class, and an empty one says that there is none."""
    for name in "ab":
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    objects(folder / "a.mod", ("80S", POINTS[:1]), ("26S", POINTS[1:2]), ("80S", POINTS[2:]))
    objects(folder / "b.mod", ("26S", POINTS), ("80S", POINTS[:0]))
    outcome = prepare(folder, "--labels ribosome=#80S --labels 26S=#26S")
    assert "several objects" not in outcome.err and "b.rec: ribosome: b.mod holds no picks of it" in outcome.err
    for said in ("a.rec (order xyz): 2 ribosome labels from a.mod", "b.rec (order xyz): 3 26S labels from b.mod"):
        assert said in outcome.out
    classes = read_classes(folder / "run_train_coords.txt")
    assert classes["ribosome"]["a"] == pytest.approx(POINTS[[0, 2]], abs=0.006)
    assert classes["26S"]["a"] == pytest.approx(POINTS[[1]], abs=0.006)
    assert (len(classes["ribosome"]["b"]), len(classes["26S"]["b"])) == (0, 3)


def test_objects_of_models_in_a_folder_of_their_own(folder: Path) -> None:
    """By name or number, or by the name of the class alone; other programs' formats get one of them, too."""
    write_tomogram(folder / "a.rec", noise(SHAPE))
    (folder / "models").mkdir()
    model = folder / "models" / "a.mod"
    objects(model, ("80S", POINTS[:1]), ("26S", POINTS[1:2]), ("80S", POINTS[2:]))
    for ribosome, proteasome in (("models#80S", "models#2"), ("models/*.mod#80S", "models/*.mod#26S")):
        outcome = prepare(folder, f"--labels 80S={folder}/{ribosome} --labels 26S={folder}/{proteasome}")
        assert "several objects" not in outcome.err
        classes = read_classes(folder / "run_train_coords.txt")
        assert classes["80S"]["a"] == pytest.approx(POINTS[[0, 2]], abs=0.006)
        assert classes["26S"]["a"] == pytest.approx(POINTS[[1]], abs=0.006)
    outcome = prepare(folder, f"--labels 80S={folder}/models --labels 26S={folder}/models")
    assert "several objects" not in outcome.err
    assert read_classes(folder / "run_train_coords.txt")["26S"]["a"] == pytest.approx(POINTS[[1]], abs=0.006)
    done = run_line(f"milopyp convert {model} {folder}/a.csv --class 26S --tomogram {folder}/a.rec")
    assert (done.code, len(read_picks(folder / "a.csv"))) == (0, 1)


def test_what_is_doubtful_in_labels_is_said_of_their_class(folder: Path) -> None:
    """A file may lack one class of a tomogram and have another."""
    for name in "ab":
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    rows = [f"{name}\t20\t10\t8\t{kind}" for name, kind in (("a", "big"), ("a", "big"), ("a", "small"), ("b", "small"))]
    (folder / "all.tsv").write_text("\n".join(["image_name\tx_coord\ty_coord\tz_coord\tclass", *rows]))
    outcome = prepare(folder, f"--labels big={folder}/all.tsv --labels small={folder}/all.tsv --bbox big=8,small=6")
    assert "b.rec has no picks of big in all.tsv" in outcome.err and "of small in" not in outcome.err
    assert "a.rec: big: 1 label within a quarter of a particle of another one" in outcome.err
    objects(folder / "a.mod", ("big", POINTS[:1]), ("small", POINTS[1:]))
    outcome = prepare(folder, "--labels big=#1 --labels small=#2")
    assert "big: b.rec has no picks (" in outcome.err and "small: b.rec has no picks (" in outcome.err


def test_objects_of_several_names_are_said(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    objects(folder / "a.mod", ("80S", POINTS[:1]), ("26S", POINTS[1:]))
    said = "warning: a.mod has several objects, of which all are taken: 1 80S, 2 26S; --class of milopyp convert"
    ways = {"": " or of this command", "--labels ribosome=.mod": " or --labels NAME=PICKS#CLASS of this command"}
    for words, way in (ways | {f"--picks {folder}": ways[""]}).items():
        assert prepare(folder, words).err.count(f"{said}{way} takes one\n") == 1
    for words in ("--object 26S", f"--picks {folder} --object 26S", f"--picks {folder}/*.mod --class 2"):
        outcome = prepare(folder, words)
        assert "several objects" not in outcome.err
        assert labels(folder)["a"] == pytest.approx(POINTS[1:], abs=0.006)
    objects(folder / "a.mod", ("80S", POINTS[:1]), ("80S", POINTS[1:]), ("26S", POINTS[:0]))
    assert "several objects" not in prepare(folder).err


def test_double_labels_are_counted(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", np.concatenate([columns("xyz"), columns("xyz") + np.array([0.4, 0.0, 0.3])])[:5] + HALF)
    outcome = prepare(folder, "--bbox 8")
    assert "warning: a.rec: 2 labels within a quarter of a particle of another one\n" in outcome.err


def test_the_diameter_in_angstrom_is_one_of_each_tomogram(folder: Path) -> None:
    """A quarter of 80 A is 2 voxels of 10 A, and 4 of 5 A: there a label that is 3 voxels away is a double one."""
    for name, size in (("a", 10.0), ("b", 5.0)):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE), voxel_size=size)
        save_text(folder / f"{name}.txt", np.array([[20.0, 10.0, 8.0], [23.0, 10.0, 8.0], [5.0, 5.0, 5.0]]) + HALF)
    double = "label within a quarter of a particle of another one"
    outcome = prepare(folder, "--bbox 80A")
    assert f"b.rec: 1 {double}" in outcome.err and f"a.rec: 1 {double}" not in outcome.err
    # 16 voxels are all that the tomogram is thick
    assert "W12 --bbox is more than half of the thinnest axis of b (16 voxels)" in outcome.err
    assert outcome.err.count("W12") == 1
    refused = run_line("milopyp prepare -o run --overwrite --no-pictures --bbox 80", "-d", folder)
    assert refused.errors == [
        "error: --bbox: 80 voxels; expected at most 16, the thinnest axis of a.rec. Did you mean 8? Or give it in "
        "Angstrom: 80A."
    ]


def test_pictures_of_the_labels(folder: Path) -> None:
    """One per tomogram with labels; wrong places show as such, which no test can see."""
    for name in ("a", "b", "c"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE), "xzy")
    save_text(folder / "a.txt", columns("xzy") + HALF)
    save_text(folder / "b.txt", columns("xzy", POINTS[:1]) + HALF)
    outcome = prepare(folder, "--order xzy --bbox 6 --pictures")
    assert "_labels.png" in outcome.out
    assert sorted(path.name for path in folder.glob("*.png")) == ["a_labels.png", "b_labels.png"]
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 20


def test_a_picture_of_a_tomogram_without_particles(folder: Path) -> None:
    for name in ("a", "b"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    save_text(folder / "a.txt", columns("xyz") + HALF)
    (folder / "b.txt").touch()
    prepare(folder, "--pictures")
    with Image.open(folder / "a_labels.png") as with_labels, Image.open(folder / "b_labels.png") as without:
        assert np.asarray(without.convert("L")).std() > 20
        assert without.size[1] < with_labels.size[1]


@pytest.mark.parametrize(
    ("cell_z", "said"),
    [
        (160.0, None),
        (166.0, "milopyp-train and milopyp-infer take 10 without --voxel-size"),
        (80.0, "milopyp-train and milopyp-infer refuse them without --voxel-size"),
    ],
)
def test_doubts_of_a_header_are_said_once(cell_z: float, said: str | None, folder: Path, tmp_path: Path) -> None:
    """By prepare for every tomogram with picks, and by convert for its one; neither refuses what it can read."""
    write_tomogram(folder / "a.rec", noise(SHAPE), voxel_size=10.0)
    data = bytearray((folder / "a.rec").read_bytes())
    struct.pack_into("<f", data, 48, cell_z)
    (folder / "a.rec").write_bytes(data)
    save_text(folder / "a.txt", columns("xyz") + HALF)
    outcome = prepare(folder)
    converted = run_line(
        f"milopyp convert {folder}/a.txt {tmp_path}/a.csv --coords model2point --tomogram {folder}/a.rec"
    )
    for done in (outcome, converted):
        assert (done.code, done.err.count("W09")) == (0, int(said is not None))
        if said is not None:
            size = f"10 x 10 x {cell_z / 16:.4g}"
            assert done.err == f"warning: a.rec: W09 voxels of {size} A: each axis counts by its own; {said}\n"
    assert labels(folder)["a"] == pytest.approx(POINTS)
    all_of_one = run_line(
        f"milopyp prepare -o other --overwrite --no-pictures --picks {folder}/run_train_coords.txt", "-d", folder
    )
    assert all_of_one.err == outcome.err


def test_lists_of_images_only(folder: Path) -> None:
    for name in ("a", "b"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    prepare(folder, "--img-only")
    assert [entry.name for entry in read_image_list(folder / "run_train_imgs.txt")] == ["a", "b"]
    assert not (folder / "run_train_coords.txt").exists()


def test_the_hint_speaks_of_the_columns_of_a_list(folder: Path) -> None:
    phantom = clean_phantom(2, (40, 80, 80), particles=8)
    write_tomogram(folder / "a.rec", phantom.volume, "xzy")
    rows = "".join(f"a {y} {x} {z}\n" for x, y, z in phantom.particles_xyz)
    (folder / "all.txt").write_text("image_name x_coord y_coord z_coord\n" + rows)
    outcome = prepare(folder, f"--order xzy --bbox 10 --picks {folder / 'all.txt'}")
    assert "with their columns taken as y x z they lie on particles" in outcome.err


def test_labels_outside_name_the_columns_that_fit(folder: Path) -> None:
    """Positions of a table that were counted along other axes; another --order would only make W04 doubt that."""
    write_tomogram(folder / "a.rec", noise(SHAPE))
    path = table(folder, name=["a"], coord=[[30.0, 4.0, 20.0]])
    before = tree(folder)
    outcome = run_line(f"milopyp prepare -o run --overwrite --picks {path}", "-d", folder)
    assert outcome.code == 2 and "when their columns are taken as x z y" in outcome.err and "--order" not in outcome.err
    assert tree(folder) == before


def test_labels_in_a_wrong_order_that_fits_are_found_by_their_density(folder: Path) -> None:
    """A volume stored as xzy, and labels as x y z that all lie inside it: nothing but the density tells."""
    phantom = clean_phantom(2, (40, 48, 80), particles=8)
    write_tomogram(folder / "a.rec", phantom.volume, "xzy")
    low = phantom.particles_xyz[phantom.particles_xyz[:, 1] < 39]  # y would do as z
    assert len(low) >= 5
    save_text(folder / "a.txt", low)
    wrong = prepare(folder, "--order xzy --coords voxel --bbox 10")
    assert "W03 labels lie on empty density" in wrong.err and "with --columns xyz they lie on particles" in wrong.err
    assert prepare(folder, "--order xzy --coords voxel --bbox 10 --columns xyz").err == ""
    save_text(folder / "a.txt", low[:, [0, 2, 1]])
    assert prepare(folder, "--order xzy --coords voxel --bbox 10").err == ""


@pytest.mark.parametrize("order", ["xyz", "xzy", "zyx"])
def test_what_the_columns_are_and_what_the_file_is_are_two_things(order: str, folder: Path) -> None:
    """A first hint is followed to the end; half voxels are those of the file's axes."""
    write_tomogram(folder / "a.rec", noise(SHAPE), order)
    indices = axes.columns_to_xyz(columns(order) + HALF, order)
    save_text(folder / "a.txt", axes.xyz_to_columns(indices, "yzx"))
    refused = run_line(f"milopyp prepare -o run --overwrite --no-pictures --order {order}", "-d", folder)
    assert refused.code == 2
    words = refused.err.split("with --columns ")[1].rstrip(".\n").split(" or ")
    assert "yzx" in words
    prepare(folder, f"--order {order} --columns yzx")
    assert labels(folder)["a"] == pytest.approx(POINTS)


def test_lists_go_where_out_says(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is one in the folder of the tomograms, as it has always been."""
    monkeypatch.chdir(tmp_path)
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", POINTS + HALF)
    for out, place in (("ribo", "data"), ("lists/new/ribo", "lists/new"), ("./ribo", "."), (f"{tmp_path}/x/ribo", "x")):
        outcome = run_line(f"milopyp prepare -d data -o {out} --overwrite --no-pictures")
        assert outcome.code == 0, outcome.err
        assert {"ribo_train_imgs.txt", "ribo_train_coords.txt"} <= {path.name for path in Path(place).iterdir()}
        assert read_image_list(f"{place}/ribo_train_imgs.txt")[0].path == folder / "a.rec"


def test_bright_particles_are_noticed(folder: Path) -> None:
    phantom = clean_phantom(2, (40, 48, 80), particles=8)
    write_tomogram(folder / "a.rec", -phantom.volume)
    save_text(folder / "a.txt", phantom.particles_xyz)
    outcome = prepare(folder, "--order xyz --coords voxel --bbox 10")
    assert "a.rec: W01 labels lie on bright density" in outcome.err and "--contrast bright" in outcome.err
