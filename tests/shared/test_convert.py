"""`milopyp convert`: real command lines, and the examples of its help."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest
import starfile

from milopyp.commands.convert import convert
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.conventions import read_csv
from running import Outcome, run_line, tree
from toys import noise, write_tomogram

CSV = "x,y,z,score\n30,20,10,0.9\n4.5,3.25,7,0.5\n"
POINTS = [[30, 20, 10], [4.5, 3.25, 7]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two candidates, and a tomogram of 48 x 32 x 16 voxels in two orders."""
    monkeypatch.chdir(tmp_path)
    Path("picks").mkdir()
    Path("picks/TS_01.candidates.csv").write_text(CSV)
    volume = noise((16, 32, 48))
    write_tomogram(tmp_path / "TS_01.mrc", volume, "xyz", voxel_size=10.0)
    write_tomogram(tmp_path / "TS_02.mrc", volume, "xzy", voxel_size=10.0)
    return tmp_path


def done(words: str) -> Outcome:
    outcome = run_line(f"milopyp convert {words}")
    assert outcome.code == 0, outcome.err
    return outcome


def points_of(path: str) -> Any:
    return read_csv(Path(path), FormatContext()).xyz.tolist()


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("a.txt", "--coords voxel"),
        ("a.txt", "--coords model2point --with-score"),
        ("a.mod", ""),
        ("a.star --to relion4", "--binning 4"),
        ("a.star --to relion5", ""),
        ("a.star --to warp", ""),
        ("a.tbl", "--dynamo-zero 0"),
        ("a.json", ""),
        ("a.ndjson", "--binning 2"),
    ],
)
@pytest.mark.parametrize("tomogram", ["TS_01.mrc", "TS_02.mrc"])
def test_there_and_back(target: str, options: str, tomogram: str) -> None:
    options += f" --tomogram {tomogram}"
    there = done(f"picks/TS_01.candidates.csv {target} {options}")
    path, _, name = target.partition(" --to ")
    source = "copick" if path == "a.json" else name
    back = done(f"{path} back.csv {f'--from {source}' if source else ''} {options}")
    assert points_of("back.csv") == POINTS
    assert f"wrote {path}" in there.out
    assert "2 picks of TS_0" in there.out
    assert f"order {'xyz' if tomogram == 'TS_01.mrc' else 'xzy'}" in back.out
    turned = tomogram == "TS_02.mrc" and path in ("a.star", "a.json", "a.ndjson")
    assert ("along the axes of the tomogram's file" in there.err) is turned


def test_without_a_tomogram() -> None:
    done("picks/TS_01.candidates.csv a.star --to relion5 --shape 48 32 16 --voxel-size 10")
    table = starfile.read("a.star")
    assert set(table["rlnTomoName"]) == {"TS_01"}
    assert table["rlnCenteredCoordinateXAngst"].tolist() == [60, -195]
    assert table["rlnCenteredCoordinateZAngst"].tolist() == [20, -10]
    done("a.star a.mod --from relion5 --shape 48 32 16 --voxel-size 10 --order xyz --radius 7")
    model = imodmodel.read("a.mod")
    np.testing.assert_allclose(model[["x", "y", "z"]] - [0.5, 0.5, 0], POINTS)
    done("a.mod back.csv --order auto --shape 48 32 16")
    assert Path("back.csv").read_text().splitlines()[3:] == [
        "30.000,20.000,10.000,0.900000",
        "4.500,3.250,7.000,0.500000",
    ]


def test_the_radius_of_a_model_in_angstrom() -> None:
    """Of the tomogram's voxel size, whoever says it."""
    source = "picks/TS_01.candidates.csv"
    done(f"{source} a.mod --tomogram TS_01.mrc --radius 7")
    done(f"{source} b.mod --tomogram TS_01.mrc --radius 70A")
    done(f"{source} c.mod --tomogram TS_01.mrc --voxel-size 5 --radius 35A")
    assert Path("a.mod").read_bytes() == Path("b.mod").read_bytes() == Path("c.mod").read_bytes()
    done(f"{source} d.mod --tomogram TS_01.mrc")
    assert Path("d.mod").read_bytes() != Path("a.mod").read_bytes()


def test_a_tomogram_of_a_star_file() -> None:
    rows = "TS_01.tomostar 1 2 3\nTS_02.tomostar 4 5 6\nTS_02.tomostar 7 8 9\n"
    labels = "_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"
    Path("all.star").write_text(f"data_particles\nloop_\n{labels}{rows}")
    done("all.star two.csv --from warp --name TS_02")
    assert points_of("two.csv") == [[4, 5, 6], [7, 8, 9]]
    done("all.star one.json --from warp --name TS_01 --voxel-size 10 --particle ribosome")
    content = json.loads(Path("one.json").read_text())
    assert (content["run_name"], content["pickable_object_name"]) == ("TS_01", "ribosome")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("", "a.mrc"),
        ("--name other", "other"),
        ("--tomogram TS_01.mrc --name a.mrc", "a.mrc"),
    ],
)
def test_the_name_of_a_star_file_stays(options: str, name: str) -> None:
    how = "--shape 48 32 16 --voxel-size 10"
    done(f"picks/TS_01.candidates.csv a.star --to relion4 --name a.mrc {how}")
    if "--name other" in options:
        Path("a.star").write_text(Path("a.star").read_text().replace("a.mrc", "other.mrc"))
    done(f"a.star b.star --from relion4 --to relion5 {options} {how}")
    assert set(starfile.read("b.star")["rlnTomoName"]) == {name}
    done(f"b.star c.star --from relion5 --to warp {how}")
    assert set(starfile.read("c.star")["rlnMicrographName"]) == {f"{name}.tomostar"}
    done("c.star d.star --from warp --to relion4")
    assert set(starfile.read("d.star")["rlnTomoName"]) == {name}


@pytest.mark.parametrize("words", ["--to relion4", "--to copick"])
def test_whose_picks_they_are_is_told_by_the_tomogram(words: str) -> None:
    """By the one rule of names; a stranger's picks are taken only when --name says so."""
    Path("TS_01.mrc").rename("TS_01_10.00Apx.mrc")
    table = "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n_rlnTomoName\n"
    Path("two.star").write_text(f"{table}1 2 3 TS_01\n4 5 6 TS_02\n")
    done("two.star a.csv --from relion4 --tomogram TS_01_10.00Apx.mrc")
    assert Path("a.csv").read_text().splitlines()[-1].startswith("1.000,2.000,3.000")
    done(f"two.star one.file {words} --from relion4 --name TS_02 --tomogram TS_01_10.00Apx.mrc")
    back = words.split()[1]
    stranger = run_line(f"milopyp convert one.file b.csv --from {back} --tomogram TS_01_10.00Apx.mrc")
    assert stranger.code == 2 and "has picks of TS_02, which fit none of the tomograms TS_01_10.00Apx" in stranger.err
    done(f"one.file b.csv --from {back} --name TS_02 --tomogram TS_01_10.00Apx.mrc")
    assert Path("b.csv").read_text().splitlines()[-1].startswith("4.000,5.000,6.000")


def test_a_table_of_candidates_says_the_whole_name() -> None:
    Path("picks/TS_01.candidates.csv").rename("picks/TS_01_10.00Apx.candidates.csv")
    how = "--to relion4 --shape 48 32 16 --voxel-size 10"
    for words, name in (("", "TS_01_10.00Apx"), ("--names series", "TS_01")):
        done(f"picks/TS_01_10.00Apx.candidates.csv a{name}.star {how} {words}")
        assert set(starfile.read(f"a{name}.star")["rlnTomoName"]) == {name}


def test_a_star_file_without_names_gets_one() -> None:
    Path("a.star").write_text("data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n1 2 3\n")
    done("a.star b.star --from warp --to relion4 --name TS_07")
    assert starfile.read("b.star")["rlnTomoName"].tolist() == ["TS_07"]


def test_upper_case_suffixes() -> None:
    done("picks/TS_01.candidates.csv a.TBL")
    done("a.TBL back.csv")
    assert points_of("back.csv") == POINTS


def test_evaluate_reads_what_convert_writes() -> None:
    Path("truth.txt").write_text("image_name x_coord y_coord z_coord\nTS_01 30 20 10\nTS_01 4.5 3.25 7\n")
    done("picks/TS_01.candidates.csv TS_01.mod --tomogram TS_01.mrc")
    done("TS_01.mod found/TS_01.candidates.csv --tomogram TS_01.mrc")
    outcome = run_line("milopyp evaluate found --truth truth.txt --radius 1")
    assert outcome.code == 0, outcome.err
    assert "AUPRC       1.000" in outcome.out


def test_a_refused_conversion_leaves_what_was_there(folder: Path) -> None:
    Path("b.mod").write_text("before")
    Path("a.csv").write_text(CSV.replace("30,", "50,"))
    before = tree(folder)
    assert run_line("milopyp convert a.csv b.mod --tomogram TS_01.mrc --overwrite").code == 2
    assert tree(folder) == before


def test_examples_of_the_help() -> None:
    done("picks/TS_01.candidates.csv picks/TS_01.mod --tomogram TS_01.mrc")
    done("picks/TS_01.candidates.csv particles.star --to relion5 --name TS_01 --tomogram TS_01.mrc")
    Path("clicks.txt").write_text("10 12 8\n")
    examples = re.findall(r"^ +milopyp convert (.*)$", convert.help or "", re.MULTILINE)
    assert len(examples) == 7
    for example in examples[:4]:  # the others want a run: tests/end_to_end
        done(example)


def test_of_a_tomogram_only_the_header_is_read(folder: Path) -> None:
    """A packed one that is cut off says its order, size and voxel size all the same."""
    done("picks/TS_01.candidates.csv whole.star --to relion5 --tomogram TS_02.mrc")
    packed = gzip.compress((folder / "TS_02.mrc").read_bytes())
    (folder / "TS_02.mrc").write_bytes(packed[: len(packed) // 2])
    done("picks/TS_01.candidates.csv half.star --to relion5 --tomogram TS_02.mrc")
    assert (folder / "half.star").read_bytes() == (folder / "whole.star").read_bytes()


SAVED = (
    "# picks above 0.5 and by hand\nimage_name\tx_coord\ty_coord\tz_coord\tscore\n"
    "TS_01\t30.00\t20.00\t10.00\t0.900000\nTS_02\t4.50\t3.25\t7.00\t0.500000\nTS_02\t40.00\t30.00\t2.00\t1.000000\n"
    "TS_03\tnone\tnone\tnone\tnone\n"
)
SEVERAL = {"TS_01": [[30, 20, 10, 0.9]], "TS_02": [[40, 30, 2, 1.0], [4.5, 3.25, 7, 0.5]]}


def rows_of(path: Path) -> Any:
    picks = read_csv(path, FormatContext())
    return np.column_stack([picks.xyz, picks.score]).tolist()


@pytest.mark.parametrize(
    ("word", "suffix"), [("mod", ".mod"), ("relion5", ".star"), ("copick", ".json"), ("csv", ".csv")]
)
def test_a_list_of_several_tomograms_is_a_file_of_each_in_a_folder(word: str, suffix: str) -> None:
    """With scores; models and STAR files on tomograms of two axis orders, and back."""
    Path("saved.tsv").write_text(SAVED)
    outcome = done(f"saved.tsv out --to {word} --tomogram 'TS_*.mrc'")
    assert "3 picks of 2 tomograms" in outcome.out
    assert "picks of TS_03 are left out, which --tomogram does not name" in outcome.err
    assert sorted(path.name for path in Path("out").iterdir()) == [f"TS_01{suffix}", f"TS_02{suffix}"]
    for name, rows in SEVERAL.items():
        done(f"out/{name}{suffix} {name}_back.csv --from {word} --tomogram {name}.mrc")
        np.testing.assert_allclose(rows_of(Path(f"{name}_back.csv")), rows, atol=0.001)
    assert "exists already" in run_line(f"milopyp convert saved.tsv out --to {word} --tomogram 'TS_*.mrc'").err


@pytest.mark.parametrize("word", ["relion4", "relion5", "warp"])
def test_a_list_of_several_tomograms_is_one_star_file(word: str) -> None:
    Path("saved.tsv").write_text(SAVED)
    done(f"saved.tsv all.star --to {word} --tomogram TS_01.mrc --tomogram TS_02.mrc")
    assert len(starfile.read("all.star")) == 3
    done(f"all.star back.tsv --from {word} --tomogram 'TS_0?.mrc'")
    assert Path("back.tsv").read_text().splitlines() == [
        "image_name\tx_coord\ty_coord\tz_coord\tscore",
        "TS_01\t30\t20\t10\t0.900000",
        "TS_02\t40\t30\t2\t1.000000",
        "TS_02\t4.50\t3.25\t7\t0.500000",
    ]


def test_a_list_without_frames_keeps_a_tomogram_that_holds_none() -> None:
    Path("saved.tsv").write_text(SAVED)
    done("saved.tsv out --to csv")
    assert rows_of(Path("out/TS_03.csv")) == []
    done("saved.tsv again.tsv")
    assert Path("again.tsv").read_text().endswith("TS_03\tnone\tnone\tnone\tnone\n")
    done("saved.tsv one.csv --name TS_02")
    assert rows_of(Path("one.csv")) == SEVERAL["TS_02"]
