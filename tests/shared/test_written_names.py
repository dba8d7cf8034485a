"""What tomograms are called inside files for other programs, by picking, thresholding, converting and from Python."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile

import milopyp
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.names import of_file
from milopyp_shared.written_names import KnownTomogram, Naming, read_tomograms
from running import Outcome, outputs, run_line
from toys import TOY, clean_phantom, write_tomogram

WARP = ("TS_01_10.00Apx", "TS_02_10.00Apx")
INFER = "milopyp-infer --model toy.onnx --threads 1 --out"
# the columns of RELION 5's tomograms.star that are read
GLOBAL = ("rlnTomoName", "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning", "rlnTomoSizeX", "rlnTomoSizeY",
          "rlnTomoSizeZ")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tomograms as Warp calls them, 80 x 64 x 32 voxels of 10 A, and the toy model."""
    folder = tmp_path_factory.mktemp("names")
    shutil.copy(TOY, folder / "toy.onnx")
    for seed, name in enumerate(WARP, start=1):
        write_tomogram(folder / f"{name}.mrc", clean_phantom(seed).volume, voxel_size=10.0)
    return folder


@pytest.fixture(autouse=True)
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def tomograms_star(rows: Sequence[Sequence[Any]], labels: Sequence[str] = GLOBAL, path: str = "tomograms.star") -> None:
    """RELION's list of tomograms, and a table of one of them below, as RELION 4 has it."""
    lines = ["data_global", "", "loop_", *(f"_{label} #{number}" for number, label in enumerate(labels, start=1))]
    lines += [" ".join(map(str, row)) for row in rows]
    lines += ["", f"data_{rows[0][0]}", "", "loop_", "_rlnTomoProjX #1", "[1,0,0,0]", ""]
    Path(path).write_text("\n".join(lines))


def named(path: str) -> str:
    """The only name in a file of picks."""
    if path.endswith(".json"):
        return str(json.loads(Path(path).read_text())["run_name"])
    labels = ["rlnMicrographName", "rlnTomoName"]
    table = starfile.read(path, parse_as_string=labels)
    [name] = set(table[next(label for label in labels if label in table)])
    return str(name)


RULE = [  # file, name of the tilt series, what Warp calls it
    ("TS_01_10.00Apx", "TS_01", "TS_01.tomostar"),  # Warp
    ("L02_ts_005.mrc_10.00Apx", "L02_ts_005.mrc", "L02_ts_005.mrc.tomostar"),  # of stacks that are called .mrc
    ("nasal_01.st_10.00Apx", "nasal_01.st", "nasal_01.st.tomostar"),
    ("rec_TS_01", "TS_01", "TS_01.tomostar"),  # RELION 5
    ("TS_01_Vol", "TS_01", "TS_01.tomostar"),  # AreTomo
    ("TS_01_full_rec", "TS_01", "TS_01.tomostar"),  # IMOD's etomo
    ("TS_01__bin4", "TS_01", "TS_01.tomostar"),  # EMAN2
    ("00255", "00255", "00255.tomostar"),
]


@pytest.mark.parametrize(("file", "series", "warp"), RULE)
def test_the_rule_backwards(file: str, series: str, warp: str) -> None:
    assert Naming("series").call({file: file}, "") == {file: series}
    assert Naming("file").call({file: "other"}, "") == {file: file}
    Path("a.csv").write_text("x,y,z,score\n1,2,3,0.5\n")
    done(f"milopyp convert a.csv a.star --to relion4 --names series --name {file}")
    assert named("a.star") == series
    done(f"milopyp convert a.csv b.star --to warp --names series --name {file}")
    assert named("b.star") == warp
    done(f"milopyp convert a.csv c.star --to warp --name {file}")
    assert named("c.star") == f"{file}.tomostar"


def test_picking_and_thresholding_write_the_names_of_the_series() -> None:
    line = f"{INFER} picks {' '.join(f'{name}.mrc' for name in WARP)} --format warp,copick"
    done(f"{line} --names series")
    assert [named(f"picks/{name}.star") for name in WARP] == ["TS_01.tomostar", "TS_02.tomostar"]
    assert [named(f"picks/{name}.json") for name in WARP] == ["TS_01", "TS_02"]
    # a cut keeps the names of the run, unless it says others
    done("milopyp threshold picks --count 3 --format relion5,copick")
    assert [named(f"picks/{name}.star") for name in WARP] == ["TS_01", "TS_02"]
    done("milopyp threshold picks --names file --out other")
    assert [named(f"other/{name}.star") for name in WARP] == list(WARP)
    done("milopyp threshold picks --names file")
    assert [named(f"picks/{name}.json") for name in WARP] == list(WARP)
    done("milopyp threshold picks --count 2")
    assert [named(f"picks/{name}.json") for name in WARP] == list(WARP)


def test_names_that_the_next_program_may_not_know_are_said() -> None:
    said = "picks are of TS_01_10.00Apx, as its file is called; with --names series they are of TS_01"
    line = f"{INFER} picks {WARP[0]}.mrc"
    assert said not in done(line).out  # no format with names
    assert said in done(f"{line} --format relion5").out
    assert said not in done(f"{line} --format relion5 --names file").out
    assert said in done("milopyp threshold picks --count 2").out
    assert said not in done("milopyp threshold picks --names series").out
    assert said not in done("milopyp threshold picks --count 1").out


def test_names_count_for_what_is_done_already() -> None:
    line = f"{INFER} picks {WARP[0]}.mrc --format copick"
    done(line)
    assert "already done" in done(f"{line} --names file").out
    assert "already done" not in done(f"{line} --names series").out
    assert named(f"picks/{WARP[0]}.json") == "TS_01"
    assert "already done" in done(f"{line} --names series").out
    record = json.loads(Path(f"picks/records/{WARP[0]}.json").read_text())
    assert (record["name"], record["tomo_name"], record["dynamo_tomogram"]) == (WARP[0], "TS_01", None)
    # what an older version has picked is called as its files are
    del record["tomo_name"], record["dynamo_tomogram"]
    Path(f"picks/records/{WARP[0]}.json").write_text(json.dumps(record))
    assert "already done" in done(line).out


def test_workers_and_parts_write_the_names_of_the_whole_list() -> None:
    """The closest name decides, so that a part of the list alone would not tell which name is whose."""
    names = {"TS_01_Vol": "ts_01_full", "TS_01": "TS_01"}
    tomograms_star([("TS_01",), ("ts_01_full",)], GLOBAL[:1])
    Path("list.txt").write_text(f"image_name rec_path\nTS_01_Vol {WARP[0]}.mrc\nTS_01 {WARP[1]}.mrc\n")
    line = "list.txt --format copick,tbl --tomograms tomograms.star"
    done(f"{INFER} whole {line}")
    for words in ("--shard 2/2", "--workers 2"):  # the workers get what is left
        done(f"{INFER} parts {line} {words}")
    assert {name: named(f"parts/{name}.json") for name in names} == names
    assert outputs(Path("parts")) == outputs(Path("whole"))
    done(f"{INFER} cluster {line} --slurm --dry-run")
    assert "--tomograms" not in Path("cluster/slurm/milopyp-infer.sbatch").read_text()
    listed = read_image_list("cluster/slurm/tomograms.tsv")
    assert {image.name: image.label for image in listed} == names
    assert Path("cluster/tomograms.doc").read_text() == Path("whole/tomograms.doc").read_text()


def test_names_of_relion_s_own_list(here: Path) -> None:
    tomograms_star([("TS_02", 2.5, 4, 320, 256, 128), ("ts_01", 2.5, 4, 320, 256, 128), ("TS_99", 2.5, 4, 9, 9, 9)])
    done(f"{INFER} picks {WARP[0]}.mrc {WARP[1]}.mrc --format relion5 --tomograms tomograms.star")
    assert [named(f"picks/{name}.star") for name in WARP] == ["ts_01", "TS_02"]
    (here / "frames").mkdir()
    for name in ("TS_01", "TS_02", "nasal_01.st"):
        (here / "frames" / f"{name}.tomostar").touch()
    done("milopyp threshold picks --format warp --tomograms frames")
    assert [named(f"picks/{name}.star") for name in WARP] == ["TS_01.tomostar", "TS_02.tomostar"]
    how = f"--tomogram {WARP[1]}.mrc --tomograms tomograms.star"
    done(f"milopyp convert picks/{WARP[1]}.candidates.csv two.star --to relion5 {how}")
    assert named("two.star") == "TS_02"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (("TS_01", 2.5, 8, 640, 512, 256), "160 x 128 x 64 voxels of 10 A, and not 80 x 64 x 32"),
        (("TS_01", 2.5, 4, 400, 400, 128), "100 x 100 x 32 voxels of 10 A, and not 80 x 64 x 32"),
        (("TS_01", 2.5, 4, 320, 128, 256), "80 x 32 x 64 voxels of 10 A, and not 80 x 64 x 32"),  # not turned
    ],
)
def test_a_list_that_contradicts_the_headers(row: tuple[Any, ...], found: str) -> None:
    tomograms_star([row, ("TS_02", 2.5, 4, 320, 256, 128)])
    done(f"{INFER} picks {WARP[0]}.mrc {WARP[1]}.mrc")
    lines = [
        f"{INFER} none {WARP[0]}.mrc {WARP[1]}.mrc --format relion5",
        "milopyp threshold picks --format relion5 --out none",
        f"milopyp convert picks/{WARP[0]}.candidates.csv none --to relion5 --tomogram {WARP[0]}.mrc",
    ]
    for line in lines:
        outcome = run_line(f"{line} --tomograms tomograms.star")
        assert isinstance(outcome.error, ContradictionError) and outcome.code == 2
        assert f"tomograms.star: says of {WARP[0]} {found}; " in outcome.err
        assert not Path("none").exists()


@pytest.mark.parametrize(
    ("known", "voxel_size", "doubt"),
    [
        (KnownTomogram(), 10.0, None),
        (KnownTomogram((320.0, 256.0, 130.0)), None, None),
        (KnownTomogram((320.0, 256.0, 128.0), 2.5), 10.4, None),
        (KnownTomogram((640.0, 512.0, 256.0), 1.25, 4.0), 10.0, None),  # binned more than the list's own tomogram
        (KnownTomogram((320.0, 256.0, 128.0), None, 2.0), 10.0, None),
        (KnownTomogram(None, 2.5, 4.0), None, None),
        (KnownTomogram(None, 2.5, 4.0), 10.4, None),
        (KnownTomogram(None, 2.5, 4.0), 10.6, "voxels of 10 A, and not of 10.6 A"),
        (KnownTomogram((320.0, 256.0, 128.0), 2.5), 5.0, "160 x 128 x 64 voxels of 5 A, and not 80 x 64 x 32"),
        (KnownTomogram((320.0, 256.0, 256.0)), None, "80 x 64 x 64 voxels, and not 80 x 64 x 32"),
    ],
)
def test_a_list_is_held_against_what_is_known(
    known: KnownTomogram, voxel_size: float | None, doubt: str | None
) -> None:
    assert known.doubt((80, 64, 32), voxel_size) == doubt


def test_turned_tomograms_are_compared_as_they_are_turned() -> None:
    write_tomogram(Path("TS_03.mrc"), clean_phantom(3).volume, "xzy", voxel_size=10.0)
    tomograms_star([("TS_03", 2.5, 4, 320, 256, 128)])
    line = f"{INFER} picks TS_03.mrc --format relion5 --tomograms tomograms.star"
    assert run_line(line).code == 2
    done(f"{line} --turn rotx")


def test_single_values_and_lists_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.star"
    path.write_text("data_global\n_rlnTomoName TS_01\n_rlnTomoTiltSeriesPixelSize 2.5\n")
    assert read_tomograms(path) == {"TS_01": KnownTomogram(pixel_size=2.5)}
    with pytest.raises(InputError, match=r"^gone: no such file"):
        read_tomograms(Path("gone"))


def test_folders_of_tilt_series_of_other_programs(tmp_path: Path) -> None:
    for name in ("TS_01.aln", "TS_02.aln", "TS_01_Vol.mrc", "TS_01_Imod/TS_01_st.edf"):
        (tmp_path / "aretomo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "aretomo" / name).touch()
    assert read_tomograms(tmp_path / "aretomo") == {"TS_01": KnownTomogram(), "TS_02": KnownTomogram()}
    for name, pixel in (("TS_01", "0.25"), ("TS_02", "")):
        (tmp_path / "imod" / name).mkdir(parents=True)
        (tmp_path / "imod" / name / f"{name}.edf").write_text(f"Setup.DatasetName={name}\nSetup.PixelSize={pixel}\n")
        (tmp_path / "imod" / name / f"{name}.edf~").touch()
    known = read_tomograms(tmp_path / "imod")
    assert known == {"TS_01": KnownTomogram(pixel_size=2.5), "TS_02": KnownTomogram()}
    assert known["TS_01"].binning_of((96, 80, 24), 10.01) == 4
    (tmp_path / "imod" / "TS_02.edf").touch()
    with pytest.raises(InputError, match="TS_02 a second time"):
        read_tomograms(tmp_path / "imod")


@pytest.mark.parametrize(
    ("known", "size", "voxel_size", "binning"),
    [
        (KnownTomogram((384, 320, 96), 2.475), (96, 80, 24), 10.0, 4.0),  # a header that is rounded
        (KnownTomogram((4092, 4092, 1200), 1.35), (552, 552, 162), 10.0, 10 / 1.35),  # AreTomo, -OutBin 7.4074
        (KnownTomogram((4092, 4092, 1200), 1.35, 7.4), (552, 552, 162), 10.0, 7.4),
        (KnownTomogram((384, 320, 96), 2.5, 4.0), (48, 40, 12), 20.0, 8.0),  # binned more than the list's own
        (KnownTomogram(None, 2.5, 4.0), (96, 80, 24), None, 4.0),
        (KnownTomogram((384, 320, 96)), (96, 80, 24), None, 4.0),
        (KnownTomogram(), (96, 80, 24), 10.0, None),
    ],
)
def test_binning_by_a_list(
    known: KnownTomogram, size: tuple[int, int, int], voxel_size: float | None, binning: float | None
) -> None:
    assert known.binning_of(size, voxel_size) == binning


def test_an_image_list_may_say_the_names(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"image_name rec_path tomo_name\na {WARP[0]}.mrc TS_01\nb {WARP[1]}.mrc b\n")
    images = read_image_list(path)
    assert [(image.name, image.label) for image in images] == [("a", "TS_01"), ("b", "b")]
    write_image_list(tmp_path / "again.tsv", images)
    assert read_image_list(tmp_path / "again.tsv") == images
    write_image_list(tmp_path / "plain.tsv", [ImageEntry("a", images[0].path)])
    assert (tmp_path / "plain.tsv").read_text().splitlines()[0] == "image_name\trec_path"
    done(f"{INFER} picks {path} --format copick")
    assert [named(f"picks/{name}.json") for name in "ab"] == ["TS_01", "b"]
    done(f"{INFER} picks {path} --format copick --names file")
    assert named("picks/a.json") == "a"
    path.write_text(f"image_name rec_path tomo_name\na {WARP[0]}.mrc TS_01\na {WARP[0]}.mrc TS_02\n")
    with pytest.raises(InputError, match=r"two tomograms of one name: 'a' is .*\(TS_01\) and .*\(TS_02\)"):
        read_image_list(path)


@pytest.mark.parametrize("name", ["TS_01.mrc", "TS_01.mrc.gz", "TS_01.rec.bz2", "folder/TS_01.map"])
def test_the_name_of_a_packed_tomogram(name: str) -> None:
    assert of_file(Path(name)) == "TS_01"


def test_converting_takes_the_name_of_a_packed_tomogram() -> None:
    Path("a.csv").write_text("x,y,z,score\n1,2,3,0.5\n")
    write_tomogram(Path("TS_01.mrc.gz"), clean_phantom(1).volume, voxel_size=10.0)
    done("milopyp convert a.csv a.star --to relion4 --tomogram TS_01.mrc.gz")
    assert named("a.star") == "TS_01"


def test_the_name_in_the_file_is_the_one_that_is_looked_at() -> None:
    """A file that cannot be named so may hold picks of a tomogram that can."""
    Path("data_1.star").write_text(
        "data_\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\nrec_TS_01 1 2 3\n"
    )
    done("milopyp convert data_1.star a.star --from relion4 --to warp --names series")
    assert named("a.star") == "TS_01.tomostar"


def test_from_python() -> None:
    picks = np.array([[1.0, 2.0, 3.0]])
    tomogram = f"{WARP[0]}.mrc"
    milopyp.write_picks("a.star", picks, tomogram, "relion5", names="series")
    assert named("a.star") == "TS_01"
    tomograms_star([("ts_01", 2.5, 4, 320, 256, 128)])
    milopyp.write_picks("b.star", picks, tomogram, "relion5", tomograms="tomograms.star")
    assert named("b.star") == "ts_01"
    assert milopyp.read_picks("b.star", tomogram, "relion5").xyz.tolist() == [[1.0, 2.0, 3.0]]
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"names": "tilt"}, UsageError, "names: 'tilt'"),
        ({"names": "series", "tomograms": "tomograms.star"}, UsageError, "--names: given beside --tomograms"),
        ({"name": "TS_09", "tomograms": "tomograms.star"}, InputError, "none that is TS_09"),
        ({"name": "a b"}, InputError, "relion5 cannot hold the name 'a b'"),
    ]
    for options, error, message in refused:
        with pytest.raises(error, match=message):
            milopyp.write_picks("c.star", picks, tomogram, "relion5", **options)
    with pytest.raises(UsageError, match=r"tomograms\.star: is read by this command"):
        milopyp.write_picks(
            "tomograms.star", picks, tomogram, "relion5", overwrite=True, tomograms="tomograms.star"
        )  # fmt: skip


def test_all_names_that_a_format_cannot_hold_are_said_at_once(tmp_path: Path) -> None:
    for name in ("TS 01", "data_01", "_TS01", "a'b", "TS#1", "TS[1]", "Zelle_Ä", "TS_01.10.00Apx"):
        shutil.copy(f"{WARP[0]}.mrc", f"{name}.mrc")
    files = sorted(path.name for path in tmp_path.glob("*.mrc"))
    outcome = run_line(f"{INFER} picks --format relion5", *files)
    assert outcome.code == 2 and len(outcome.errors) == 1
    assert "--format: relion5 cannot hold the names 'TS 01', 'TS#1', '_TS01', ... (5)" in outcome.err
    assert not Path("picks").exists()
    good = [name for name in files if name not in ("TS 01.mrc", "TS#1.mrc", "data_01.mrc", "_TS01.mrc", "a'b.mrc")]
    assert run_line(f"{INFER} picks --format relion5", *good).code == 0
    assert named("picks/TS[1].star") == "TS[1]"
    Path("list.txt").write_text("image_name\trec_path\ttomo_name\nTS 01\tTS 01.mrc\tTS_01\n")
    done(f"{INFER} listed list.txt --format relion5")
    assert named("listed/TS 01.star") == "TS_01"


def test_a_list_of_tomograms_is_asked_by_the_names_of_the_image_list(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"image_name rec_path tomo_name\na {WARP[0]}.mrc A\nb {WARP[1]}.mrc B\n")
    Path("ab.star").write_text("data_global\nloop_\n_rlnTomoName\nA\nB\n")
    done(f"{INFER} picks {path} --format copick --tomograms ab.star")
    assert [named(f"picks/{name}.json") for name in "ab"] == ["A", "B"]


@pytest.mark.parametrize("words", ["", "--workers 2"])
def test_a_name_that_is_no_part_of_a_file_name_is_refused_before_anything(words: str) -> None:
    Path("t.star").write_text("data_global\nloop_\n_rlnTomoName\nfolder/TS_01\n")
    outcome = run_line(f"{INFER} picks {WARP[0]}.mrc --format relion4 --tomograms t.star {words}")
    assert (outcome.code, Path("picks").exists()) == (2, False)
    assert "t.star: image name 'folder/TS_01'" in outcome.err


def test_names_that_nothing_holds() -> None:
    outcome = run_line(f"{INFER} picks {WARP[0]}.mrc --names series")
    assert outcome.code == 2 and "--names: changes nothing in txt and mod" in outcome.err
    done(f"{INFER} picks {WARP[0]}.mrc")
    outcome = run_line("milopyp threshold picks --names series")
    assert outcome.code == 2 and "--names: changes nothing in txt and mod" in outcome.err
