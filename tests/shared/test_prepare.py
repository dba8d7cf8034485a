"""`milopyp prepare`: which picks belong to which tomogram, and where they land in the lists."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas
import pytest
import starfile
from PIL import Image

from milopyp_shared import axes
from milopyp_shared.formats.mod import write_mod
from milopyp_shared.lists import read_coordinate_list, read_image_list
from running import Outcome, run_line, tree
from toys import clean_phantom, noise, placed, write_tomogram

SHAPE = (16, 24, 40)  # z, y, x
POINTS = np.array([[30.25, 20.5, 4.0], [1.0, 2.0, 15.0], [39.0, 23.0, 0.0]])  # x, y, z, inside frame
HALF = np.array([0.5, 0.5, 0.0])  # of IMOD's model coordinates, along the file's axes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def columns(order: str, points: np.ndarray = POINTS) -> np.ndarray:
    """Voxel indices along the axes of a file, by the letters of the order word alone."""
    column = dict(zip("xyz", points.T, strict=True))
    return np.stack([column[letter] for letter in order], axis=1)


def save_text(path: Path, table: np.ndarray) -> None:
    np.savetxt(path, table, fmt="%12.2f")


def prepare(folder: Path, words: str = "") -> Outcome:
    """Pictures are left out: they take most of the time."""
    outcome = run_line(f"milopyp prepare -o run --no-pictures {words}", "-d", folder)
    assert outcome.code == 0, outcome.err
    return outcome


def labels(folder: Path) -> dict[str, np.ndarray]:
    return read_coordinate_list(folder / "run_train_coords.txt")


def test_picks_are_found_by_the_tomogram_s_name(folder: Path) -> None:
    """The manual's name comes first; each of the three kinds gives the same labels."""
    for name in ("a", "b", "c", "d", "without"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    save_text(folder / "a_coord.txt", columns("xyz") + HALF)
    save_text(folder / "a.txt", columns("xyz", POINTS[:1]))  # the other name counts
    save_text(folder / "b.txt", columns("xyz") + HALF)
    write_mod(folder / "b.mod", POINTS[:1], size_xyz=SHAPE[::-1], radius=5.0)
    os.utime(folder / "b.mod", (1, 1))  # the text is newer, as that which model2point has written
    write_mod(folder / "c.mod", POINTS, size_xyz=SHAPE[::-1], radius=5.0)
    save_text(folder / "d.txt", columns("xyz", POINTS[1:]) + HALF)
    outcome = prepare(folder)
    assert outcome.err.splitlines() == [
        "warning: a_coord.txt is read, and not a.txt (--from says which format to read)",
        "warning: b.txt is read, and not b.mod (--from says which format to read)",
        "warning: without.rec has no picks (without_coord.txt, without.txt, without.coords, without.mod, ...)",
    ]
    assert "11 labels in 4 tomograms" in outcome.out
    for name in ("a_coord.txt", "b.txt", "c.mod", "d.txt"):
        assert f"labels from {name}" in outcome.out
    found = labels(folder)
    assert list(found) == ["a", "b", "c", "d"]
    for name in "abc":
        assert np.abs(found[name] - POINTS).max() < 1e-6
    assert np.abs(found["d"] - POINTS[1:]).max() < 1e-6
    images = read_image_list(folder / "run_train_imgs.txt")
    assert [(image.name, image.path) for image in images] == [(name, folder / f"{name}.rec") for name in "abcd"]


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


def test_its_own_lists_are_never_picks(folder: Path) -> None:
    """A tomogram whose picks would be called as a list of an earlier run."""
    for name in ("a", "run_train_imgs", "run_train_coords", "run_test_imgs"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    save_text(folder / "a.txt", POINTS + HALF)
    write_mod(folder / "run_train_coords.mod", POINTS[:1], size_xyz=SHAPE[::-1], radius=5.0)
    prepare(folder, "--inference")
    prepare(folder)
    first = tree(folder)
    assert {name: len(xyz) for name, xyz in labels(folder).items()} == {"a": 3, "run_train_coords": 1}
    prepare(folder)
    assert tree(folder) == first


def test_the_lists_move_with_their_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", POINTS + HALF)
    prepare(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    monkeypatch.chdir("/")
    [image] = read_image_list(moved / "run_train_imgs.txt")
    assert image.path.is_file()


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


def test_one_star_file_may_hold_other_tomograms_too(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    rows = "".join(f"{name}.tomostar {x} {y} {z}\n" for name in ("a", "b") for x, y, z in POINTS)
    (folder / "a.star").write_text(
        "data_\n\nloop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n" + rows
    )
    prepare(folder, "--from warp")
    assert labels(folder)["a"] == pytest.approx(POINTS)


def test_a_fourth_column_and_one_object_of_a_model(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", np.column_stack([columns("xyz") + HALF, [1, 1, 2]]))
    outcome = run_line("milopyp prepare -o run --no-pictures", "-d", folder)
    assert (outcome.code, "4 columns" in outcome.err) == (2, True)
    prepare(folder, "--fourth-column contour")
    assert labels(folder)["a"] == pytest.approx(POINTS)
    (folder / "a.txt").unlink()
    write_mod(folder / "a.mod", POINTS, size_xyz=SHAPE[::-1], radius=5.0)
    prepare(folder, "--object 1")
    assert labels(folder)["a"] == pytest.approx(POINTS, abs=0.006)


def test_whose_picks_is_asked_of_the_names(folder: Path, tmp_path: Path) -> None:
    """By the rule, by a map, or by what ``*`` stands for in a pattern; a stranger's are refused."""
    for name in ("TS_01_10.00Apx", "rec_TS_02"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    head = "data_\n\nloop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"
    star = tmp_path / "all.star"
    star.write_text(head + "TS_02.mrc.tomostar 5 6 7\nTS_01.tomostar 1 2 3\n")
    wanted = {"TS_01_10.00Apx": [[1.0, 2.0, 3.0]], "rec_TS_02": [[5.0, 6.0, 7.0]]}
    prepare(folder, f"--picks {star} --from warp")
    assert {name: xyz.tolist() for name, xyz in labels(folder).items()} == wanted
    star.write_text(head + "mouse 1 2 3\nrat 5 6 7\n")
    assert run_line(f"milopyp prepare -o run --picks {star} --from warp", "-d", folder).code == 2
    (tmp_path / "map.txt").write_text("TS_01_10.00Apx\tmouse\nrec_TS_02\trat\n")
    prepare(folder, f"--picks {star} --from warp --name-map {tmp_path}/map.txt")
    assert {name: xyz.tolist() for name, xyz in labels(folder).items()} == wanted
    for name, rows in (("TS_01", "1 2 3\n"), ("TS_02", "5 6 7\n")):
        (folder / f"{name}_ribo.txt").write_text(rows)
    prepare(folder, f"--picks {folder}/*_ribo.txt --from txt --coords voxel")
    assert {name: xyz.tolist() for name, xyz in labels(folder).items()} == wanted


@pytest.mark.parametrize(
    ("newer", "words", "read"),
    [
        ("a.mod", "", "a.mod"),
        ("a.txt", "", "a.txt"),
        ("a.txt", "--from mod", "a.mod"),
        ("a.mod", "--from txt", "a.txt"),
    ],
)
def test_clicks_are_not_overruled_in_silence(newer: str, words: str, read: str, folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", POINTS[:1] + HALF)
    write_mod(folder / "a.mod", POINTS[1:], size_xyz=SHAPE[::-1], radius=5.0)
    for name in ("a.txt", "a.mod"):
        os.utime(folder / name, (2, 2) if name == newer else (1, 1))
    outcome = prepare(folder, words)
    assert "a.txt" in outcome.err and "a.mod" in outcome.err
    assert labels(folder)["a"] == pytest.approx(POINTS[:1] if read == "a.txt" else POINTS[1:], abs=0.006)


@pytest.mark.parametrize("name", ["a.txt", "a.coords"])
def test_a_log_of_the_same_name_is_no_text(name: str, folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    (folder / name).write_text("Tilt series a\nvoltage 300\n")
    write_mod(folder / "a.rec.MOD", POINTS, size_xyz=SHAPE[::-1], radius=5.0)
    outcome = prepare(folder)
    assert outcome.err == f"warning: a.rec.MOD is read, and not {name} (--from says which format to read)\n"
    assert labels(folder)["a"] == pytest.approx(POINTS, abs=0.006)


def test_copick_says_whose_picks_a_file_holds(folder: Path) -> None:
    """An empty file takes nobody's; one with the picks of another run is refused."""
    point = {"location": {"x": 10.0, "y": 20.0, "z": 30.0}, "score": None}
    for name, points in (("TS_01", [point]), ("TS_02", [])):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE), voxel_size=10.0)
        (folder / f"{name}.json").write_text(json.dumps({"run_name": "TS_01", "points": points}))
    outcome = prepare(folder, "--from copick")
    assert "TS_02.rec: TS_02.json holds no picks of it" in outcome.err
    assert {name: xyz.tolist() for name, xyz in labels(folder).items()} == {"TS_01": [[1.0, 2.0, 3.0]]}
    (folder / "TS_02.json").write_text(json.dumps({"run_name": "TS_01", "points": [point]}))
    refused = run_line("milopyp prepare -o run --from copick", "-d", folder)
    assert refused.code == 2 and "has picks of TS_01, which fit none of the tomograms TS_02" in refused.err


def test_one_file_of_many_tomograms_is_opened_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"TS_{number:02}" for number in range(5)]
    for name in names:
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    head = "data_\n\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"
    (folder / "all.star").write_text(head + "".join(f"{name} 1 2 {row}\n" for row in range(9) for name in names))
    opened, plain = [], Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args, **more: opened.append(path) or plain(path, *args, **more))
    prepare(folder, f"--picks {folder}/all.star --from relion4")
    assert {name: len(xyz) for name, xyz in labels(folder).items()} == dict.fromkeys(names, 9)
    assert [path.name for path in opened].count("all.star") == 1


def test_double_labels_are_counted(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    save_text(folder / "a.txt", np.concatenate([columns("xyz"), columns("xyz") + np.array([0.4, 0.0, 0.3])])[:5] + HALF)
    outcome = prepare(folder, "--bbox 8")
    assert "warning: a.rec: 2 labels lie within a quarter of a particle of another one\n" in outcome.err


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


def test_lists_of_images_only(folder: Path) -> None:
    for name in ("a", "b"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    prepare(folder, "--img-only")
    assert [entry.name for entry in read_image_list(folder / "run_train_imgs.txt")] == ["a", "b"]
    assert not (folder / "run_train_coords.txt").exists()


def table(folder: Path, **columns: list[object]) -> Path:
    """A parquet file as pandas writes it."""
    path = folder / "clusters.parquet"
    pandas.DataFrame(columns).to_parquet(path)
    return path


SPELLINGS = {
    "plain": "{} {} {}", "list": "[{}, {}, {}]", "array": "array([{}, {}, {}], dtype=float32)",
    "numpy 2": "[np.float64({}), np.float64({}), np.float64({})]", "tensor": "tensor([{}, {}, {}], device='cuda:0')",
}  # fmt: skip


@pytest.mark.parametrize("spelling", [*SPELLINGS, ""])
@pytest.mark.parametrize("double", [True, False])
def test_tables_of_the_exploration_module(folder: Path, spelling: str, double: bool) -> None:
    """Positions as numbers and in the ways in which Python prints them; names with folders; z in sections of two."""
    for name, order in (("a", "xyz"), ("b", "xzy"), ("c", "xyz")):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE), order)
    written = POINTS * (1, 1, 0.5 if double else 1) - (0, 0, 0.25 if double else 0)
    rows = [SPELLINGS[spelling].format(*row) if spelling else row for row in written.tolist()]
    path = table(folder, name=["a", "b", "data/b.rec", "gone"], coord=[*rows, rows[0]], cluster=[1, 2, 3, 4])
    outcome = prepare(folder, f"--picks {path}" + " --double-z" * double)
    found = labels(folder)
    np.testing.assert_allclose(found["a"], POINTS[:1])
    np.testing.assert_allclose(found["b"], POINTS[1:])
    assert set(found) == {"a", "b"} == {entry.name for entry in read_image_list(folder / "run_train_imgs.txt")}
    assert "clusters.parquet: 1 of its tomograms are not in the folder: gone" in outcome.err
    assert "c.rec has no picks in clusters.parquet" in outcome.err


def test_tables_under_other_names(folder: Path, tmp_path: Path) -> None:
    """What that program calls its file, names with dots, bytes for texts, and a folder of tables."""
    for name in ("TS_01_13.48Apx", "7"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    path = table(folder, name=["TS_01_13.48Apx", b"7"], coord=["1 2 3", b"4 5 6"])
    other = path.rename(folder / "interactive_info_parquet.gzip")
    prepare(folder, f"--picks {other}")
    wanted = {"TS_01_13.48Apx": [[1.0, 2.0, 3.0]], "7": [[4.0, 5.0, 6.0]]}
    assert {name: xyz.tolist() for name, xyz in labels(folder).items()} == wanted
    tables = tmp_path / "tables"
    tables.mkdir()
    for number, row in enumerate(("1 2 3", "2 3 4")):
        table(folder, name=["7"], coord=[row]).rename(tables / f"{number}.parquet")
    prepare(folder, f"--picks {tables}")
    assert labels(folder)["7"].tolist() == [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]


def test_tomograms_without_labels_are_not_unpacked(folder: Path) -> None:
    """Only their headers are read: one that is cut off is no obstacle until its labels are to be looked at."""
    for name in ("a", "b"):
        path = write_tomogram(folder / f"{name}.rec", noise(SHAPE))
        packed = gzip.compress(path.read_bytes())
        path.write_bytes(packed if name == "a" else packed[: len(packed) // 2])
    outcome = prepare(folder, f"--picks {table(folder, name=['a'], coord=['1 2 3'])}")
    assert "b.rec has no picks in clusters.parquet" in outcome.err
    assert set(labels(folder)) == {"a"}
    refused = run_line(f"milopyp prepare -o run --picks {table(folder, name=['b'], coord=['1 2 3'])}", "-d", folder)
    assert refused.code == 2 and "b.rec: cannot be unpacked" in refused.err


def test_files_without_a_pick(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    write_tomogram(folder / "b.rec", noise(SHAPE))
    (folder / "a.csv").write_text("x,y,z,score\n")
    save_text(folder / "b.txt", columns("xyz") + HALF)
    outcome = prepare(folder)
    assert set(labels(folder)) == {"b"} and "a.rec: a.csv holds no picks of it" in outcome.err


def test_the_hint_speaks_of_the_columns_of_a_list(folder: Path) -> None:
    phantom = clean_phantom(2, (40, 80, 80), particles=8)
    write_tomogram(folder / "a.rec", phantom.volume, "xzy")
    rows = "".join(f"a {y} {x} {z}\n" for x, y, z in phantom.particles_xyz)
    (folder / "all.txt").write_text("image_name x_coord y_coord z_coord\n" + rows)
    outcome = prepare(folder, f"--order xzy --bbox 10 --picks {folder / 'all.txt'}")
    assert "with their columns taken as y x z they lie on particles" in outcome.err


def test_one_star_file_for_all_tomograms(folder: Path) -> None:
    """As RELION keeps particles, written by an independent library."""
    for name in ("a", "b"):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE))
    names = ["a", "b", "b"]
    columns = {f"rlnCoordinate{axis.upper()}": POINTS[:, number] for number, axis in enumerate("xyz")}
    starfile.write(pandas.DataFrame({"rlnTomoName": names, **columns}), folder / "particles.star")
    prepare(folder, f"--picks {folder / 'particles.star'} --from relion4")
    np.testing.assert_allclose(labels(folder)["a"], POINTS[:1])
    np.testing.assert_allclose(labels(folder)["b"], POINTS[1:])


def test_labels_outside_name_the_order_that_fits(folder: Path) -> None:
    """Positions of a table that were counted along the axes of a file in another order."""
    write_tomogram(folder / "a.rec", noise(SHAPE))
    path = table(folder, name=["a"], coord=[[30.0, 4.0, 20.0]])
    before = tree(folder)
    outcome = run_line(f"milopyp prepare -o run --picks {path}", "-d", folder)
    assert outcome.code == 2 and "xzy" in outcome.err
    assert tree(folder) == before


def test_labels_in_a_wrong_order_that_fits_are_found_by_their_density(folder: Path) -> None:
    """A volume stored as xzy, and labels as x y z that all lie inside it: nothing but the density tells."""
    phantom = clean_phantom(2, (40, 48, 80), particles=8)
    write_tomogram(folder / "a.rec", phantom.volume, "xzy")
    low = phantom.particles_xyz[phantom.particles_xyz[:, 1] < 39]  # y would do as z
    assert len(low) >= 5
    save_text(folder / "a.txt", low)
    wrong = prepare(folder, "--order xzy --coords voxel --bbox 10")
    assert (
        "W03 labels lie on empty density" in wrong.err
        and "with their columns taken as x y z they lie on particles" in wrong.err
    )
    save_text(folder / "a.txt", low[:, [0, 2, 1]])
    assert prepare(folder, "--order xzy --coords voxel --bbox 10").err == ""


def test_bright_particles_are_noticed(folder: Path) -> None:
    phantom = clean_phantom(2, (40, 48, 80), particles=8)
    write_tomogram(folder / "a.rec", -phantom.volume)
    save_text(folder / "a.txt", phantom.particles_xyz)
    outcome = prepare(folder, "--order xyz --coords voxel --bbox 10")
    assert "a.rec: W01 labels lie on bright density" in outcome.err and "--contrast bright" in outcome.err
