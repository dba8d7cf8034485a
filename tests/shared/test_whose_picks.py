"""`milopyp prepare`: which files hold the picks of which tomogram."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas
import pytest
import starfile

from milopyp_shared.formats.mod import write_mod
from milopyp_shared.lists import read_image_list
from prepare_toys import HALF, POINTS, SHAPE, columns, labels, prepare, save_text, table
from running import run_line, tree
from toys import noise, write_tomogram


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


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


def test_one_star_file_may_hold_other_tomograms_too(folder: Path) -> None:
    write_tomogram(folder / "a.rec", noise(SHAPE))
    rows = "".join(f"{name}.tomostar {x} {y} {z}\n" for name in ("a", "b") for x, y, z in POINTS)
    (folder / "a.star").write_text(
        "data_\n\nloop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n" + rows
    )
    prepare(folder, "--from warp")
    assert labels(folder)["a"] == pytest.approx(POINTS)


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
    assert run_line(f"milopyp prepare -o run --overwrite --picks {star} --from warp", "-d", folder).code == 2
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
    """An empty file holds none, whatever it says; one with the picks of another run is refused."""
    point = {"location": {"x": 10.0, "y": 20.0, "z": 30.0}, "score": None}
    for name, points in (("TS_01", [point]), ("TS_02", [])):
        write_tomogram(folder / f"{name}.rec", noise(SHAPE), voxel_size=10.0)
        (folder / f"{name}.json").write_text(json.dumps({"run_name": "TS_01", "points": points}))
    outcome = prepare(folder, "--from copick")
    assert "TS_02.rec: TS_02.json holds no picks of it: it counts as a tomogram without particles" in outcome.err
    assert "1 label in 1 tomogram, none in 1" in outcome.out
    assert {name: xyz.tolist() for name, xyz in labels(folder).items()} == {"TS_01": [[1.0, 2.0, 3.0]], "TS_02": []}
    (folder / "TS_02.json").write_text(json.dumps({"run_name": "TS_01", "points": [point]}))
    refused = run_line("milopyp prepare -o run --overwrite --from copick", "-d", folder)
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
    assert "clusters.parquet names 1 tomogram outside the folder: gone" in outcome.err
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
    refused = run_line(
        f"milopyp prepare -o run --overwrite --picks {table(folder, name=['b'], coord=['1 2 3'])}", "-d", folder
    )
    assert refused.code == 2 and "b.rec: cannot be unpacked" in refused.err


STAR_HEAD = "data_\n\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "x,y,z,score\n", ""),
        ("a.txt", "", ""),
        ("a_coord.txt", "# looked at, nothing there\n\n", ""),
        ("a.json", '{"run_name": "a", "voxel_spacing": 10.0, "points": []}', "--from copick"),
        ("a.ndjson", "", ""),
        ("a.tbl", "", ""),
        ("a.star", STAR_HEAD, "--from relion4"),
    ],
)
def test_files_without_a_pick(name: str, content: str, words: str, folder: Path) -> None:
    """A file that holds none says that there are none; without a file nothing is said of a tomogram."""
    for own in "abc":
        write_tomogram(folder / f"{own}.rec", noise(SHAPE), voxel_size=10.0)
    (folder / name).write_text(content)
    save_text(folder / "b.txt", columns("xyz") + HALF)
    if words:  # the same format for all
        target = folder / f"b.{name.split('.')[1]}"
        told = f"--to {words.split()[1]} --tomogram {folder}/b.rec --order xyz --coords model2point"
        assert run_line(f"milopyp convert {folder}/b.txt {target} {told}").code == 0
    outcome = prepare(folder, words)
    assert f"a.rec: {name} holds no picks of it: it counts as a tomogram without particles" in outcome.err
    assert "c.rec has no picks" in outcome.err
    found = labels(folder)
    assert {own: len(xyz) for own, xyz in found.items()} == {"a": 0, "b": 3}
    assert "a\tnone\tnone\tnone\n" in (folder / "run_train_coords.txt").read_text()
    assert [image.name for image in read_image_list(folder / "run_train_imgs.txt")] == ["a", "b"]
    assert outcome.out.endswith("3 labels in 1 tomogram, none in 1\n")


def test_a_model_without_a_point(folder: Path) -> None:
    for own in "ab":
        write_tomogram(folder / f"{own}.rec", noise(SHAPE))
        points = POINTS if own == "b" else POINTS[:0]
        write_mod(folder / f"{own}.mod", points, size_xyz=SHAPE[::-1], radius=5.0)
    prepare(folder)
    assert {own: len(xyz) for own, xyz in labels(folder).items()} == {"a": 0, "b": 3}


def test_a_list_that_says_none_is_read_as_one(folder: Path) -> None:
    """Of the tomograms that a list names, those without particles keep their row; the others are not labelled."""
    for own in "abc":
        write_tomogram(folder / f"{own}.rec", noise(SHAPE))
    (folder / "all.tsv").write_text("image_name x_coord y_coord z_coord\na none none none\nb 1 2 3\n")
    outcome = prepare(folder, f"--picks {folder}/all.tsv")
    assert {own: xyz.tolist() for own, xyz in labels(folder).items()} == {"a": [], "b": [[1.0, 2.0, 3.0]]}
    assert "a.rec: all.tsv holds no picks of it" in outcome.err and "c.rec has no picks in all.tsv" in outcome.err


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
