"""`milopyp collect`: what it writes of whole runs is the picks of the runs, as independent readers have them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dynamotable
import imodmodel
import numpy as np
import pandas
import pytest
import starfile

from milopyp.commands.collect import PROGRAM_WORDS
from milopyp.file_sets import PROGRAMS
from milopyp_inference.batch.leases import Leases
from milopyp_inference.batch.reader import read_records
from milopyp_shared.coordinate_lists import read_pick_list
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.picks import Picks
from running import Outcome, run_line, tree
from threshold_toys import change, cut, write_run, write_tomograms
from toys import TOY

SIZES = {"xyz": (80, 64, 32), "xzy": (80, 32, 64)}  # of the files
LABELS = ("rlnTomoName", "rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ", "rlnTomoTiltSeriesPixelSize")
OPTICS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
CENTRED, VOXELS = ([f"{label}{axis}{unit}" for axis in "XYZ"] for label, unit in (
    ("rlnCenteredCoordinate", "Angst"), ("rlnCoordinate", ""),
))  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run ``picks`` is, over tomograms with two orders of axes, of a threshold and with edits."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(place)
        write_run()
        cut("--value 0.3")
        found = read_candidates(Path("picks/xyz.candidates.csv"))
        rows = [(*xyz, score) for xyz, score in zip(found.xyz[1:3].tolist(), found.score[1:3].tolist(), strict=True)]
        lines = ["\t".join(("xyz", *(f"{value:.6f}" for value in row))) for row in [*rows, (12.0, 10.5, 11.25, 1.0)]]
        Path("edits.tsv").write_text("image_name\tx_coord\ty_coord\tz_coord\tscore\n" + "\n".join(lines) + "\n")
        outcome = run_line("milopyp apply picks edits.tsv")
        assert outcome.code == 0, outcome.err
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "picks", "picks")


def collect(words: str) -> Outcome:
    outcome = run_line(f"milopyp collect {words} -o out")
    assert outcome.code == 0, outcome.err
    return outcome


def wanted(name: str, folder: str = "picks") -> Picks:
    """The picks that the run has written: which, its model says, and with all digits its table of candidates."""
    model = imodmodel.read(f"{folder}/{name}.mod")[["x", "y", "z"]].to_numpy() - [0.5, 0.5, 0.0]
    columns = model[:, [0, 2, 1]] if name == "xzy" else model  # in the inside frame
    known = read_candidates(Path(f"{folder}/{name}.candidates.csv"))
    xyz, score = [], []
    for point in columns:
        nearest = np.abs(known.xyz - point).max(axis=1)
        by_hand = nearest.min() > 0.01
        xyz.append(point if by_hand else known.xyz[nearest.argmin()])
        score.append(1.0 if by_hand else known.score[nearest.argmin()])
    return Picks(np.array(xyz), np.array(score))


def in_file(name: str, xyz: np.ndarray) -> np.ndarray:
    """Along the axes of the tomogram's file."""
    return xyz[:, [0, 2, 1]] if name == "xzy" else xyz


def same(found: Any, expected: Any, atol: float = 0.01) -> None:
    """Whether two tables have the same rows, in whatever order."""
    found, expected = (
        np.asarray(each, float)[np.lexsort(np.asarray(each, float).round(1).T)] for each in (found, expected)
    )
    np.testing.assert_allclose(found, expected, atol=atol)


def tomograms(names: dict[str, str], pixel: float = 2.5, times: int = 4, optics: bool = True) -> None:
    """``tomograms.star`` of the tilt series; `names` are theirs, by those of the run."""
    labels = [*LABELS, *(OPTICS if optics else ())]
    rows = [
        [there, *(str(each * times) for each in SIZES[name]), str(pixel), *(("300", "2.7", "0.1") if optics else ())]
        for name, there in names.items()
    ]
    head = "".join(f"_{label}\n" for label in labels)
    Path("tomograms.star").write_text(f"data_global\nloop_\n{head}" + "".join(" ".join(row) + "\n" for row in rows))


def test_the_words_of_the_option_are_the_programs() -> None:
    assert tuple(PROGRAMS) == PROGRAM_WORDS


def test_relion5_gets_particles_with_an_optics_group_for_each_tomogram() -> None:
    tomograms({"xyz": "xyz", "xzy": "xzy"})
    outcome = collect("picks --to relion5 --tomograms tomograms.star")
    assert list(tree(Path("out"))) == [
        "coordinates",
        "coordinates/xyz.star",
        "coordinates/xzy.star",
        "import.star",
        "particles.star",
    ]
    blocks = starfile.read("out/particles.star", always_dict=True)
    assert list(blocks) == ["optics", "particles"]
    optics = blocks["optics"].set_index("rlnOpticsGroupName")
    assert optics["rlnOpticsGroup"].to_dict() == {"xyz": 1, "xzy": 2}
    for label, value in zip((*OPTICS, LABELS[4]), (300, 2.7, 0.1, 2.5), strict=True):
        assert (optics[label] == value).all()
    for number, (name, size) in enumerate(SIZES.items(), 1):
        own = blocks["particles"].query(f"rlnTomoName == '{name}'")
        assert (own["rlnOpticsGroup"] == number).all()
        picks = wanted(name)
        # as RELION's particle_set.cpp: Angstrom over the pixel size, plus half the size, both of the tilt series
        places = own[CENTRED].to_numpy() / 2.5 + np.array(size) * 4 / 2
        same(
            np.column_stack([places / 4, own["rlnAutopickFigureOfMerit"]]),
            np.column_stack([in_file(name, picks.xyz), picks.score]),
        )
        assert f"{name}: {len(picks)} pick" in outcome.out
    assert "class" not in outcome.out


def test_relion5_imports_a_file_of_each_tomogram() -> None:
    collect("picks --to relion5")
    [(_, table)] = starfile.read("out/import.star", always_dict=True).items()
    assert list(table.columns) == ["rlnTomoName", "rlnTomoImportParticleFile"]
    everything = starfile.read("out/particles.star", always_dict=True)
    assert list(everything) == ["particles"]  # of optics nothing is known, and RELION makes its own
    for name, path in table.itertuples(index=False):
        [(block, own)] = starfile.read(path, always_dict=True).items()  # RELION reads the first table of each
        assert (block, set(own["rlnTomoName"])) == ("particles", {name})
        rows = everything["particles"].query(f"rlnTomoName == '{name}'")
        assert own.to_numpy().tolist() == rows.to_numpy().tolist()


def test_the_pixel_size_of_the_list_counts_for_relion5() -> None:
    tomograms({"xyz": "xyz", "xzy": "xzy"}, pixel=2.475)  # the headers say 10 A, and RELION divides by this
    collect("picks --to relion5 --tomograms tomograms.star")
    own = starfile.read("out/coordinates/xyz.star").query("rlnTomoName == 'xyz'")
    same(own[CENTRED].to_numpy() / 2.475 / 4 + np.array(SIZES["xyz"]) / 2, wanted("xyz").xyz)


@pytest.mark.parametrize("words", ["--binning 4", "--tomograms tomograms.star"])
def test_relion4_gets_voxels_of_the_tilt_series(words: str) -> None:
    tomograms({"xyz": "xyz", "xzy": "xzy"}, pixel=2.51, optics=False)
    assert "4 times smaller" in collect(f"picks --to relion4 {words}").out
    [(block, table)] = starfile.read("out/particles.star", always_dict=True).items()
    assert block == "particles"
    for name in SIZES:
        own = table.query(f"rlnTomoName == '{name}'")
        same(own[VOXELS].to_numpy() / 4, in_file(name, wanted(name).xyz))


def test_relion4_without_a_binning_is_said_to_count_otherwise() -> None:
    assert "those of the tilt series: --binning" in collect("picks --to relion4").out
    same(starfile.read("out/particles.star").query("rlnTomoName == 'xyz'")[VOXELS], wanted("xyz").xyz)


def test_warp_gets_names_of_its_tilt_series() -> None:
    for name in ("xyz.st", "xzy"):
        Path("series").mkdir(exist_ok=True)
        Path(f"series/{name}.tomostar").touch()
    outcome = collect("picks --to warp --tomograms series")
    assert "--coords_angpix 10" in outcome.out
    table = starfile.read("out/particles.star")
    assert set(table["rlnMicrographName"]) == {"xyz.st.tomostar", "xzy.tomostar"}
    same(table.query("rlnMicrographName == 'xzy.tomostar'")[VOXELS], in_file("xzy", wanted("xzy").xyz))


def test_names_that_the_next_program_may_not_know_are_said() -> None:
    Path("picks/records/xyz.json").write_text(
        Path("picks/records/xyz.json").read_text().replace('"tomo_name": "xyz"', '"tomo_name": "xyz_10.00Apx"')
    )
    collect("picks --to warp")  # a name that somebody has chosen is as it is meant
    for path in Path("picks").glob("**/xyz*"):
        path.rename(path.with_name(path.name.replace("xyz", "rec_xyz")))
    path = Path("picks/records/rec_xyz.json")
    path.write_text(path.read_text().replace('"name": "xyz"', '"name": "rec_xyz"').replace("xyz_10.00Apx", "rec_xyz"))
    assert "with --names series they are of xyz" in collect("picks --to warp --overwrite").out
    collect("picks --to warp --names series --overwrite")
    assert set(starfile.read("out/particles.star")["rlnMicrographName"]) == {"xyz.tomostar", "xzy.tomostar"}


def test_dynamo_gets_one_table_with_its_map() -> None:
    run_line("milopyp threshold picks --format tbl")  # gives tomograms their numbers
    Path("picks/tomograms.doc").write_text(Path("picks/tomograms.doc").read_text().replace("2 ", "7 /theirs"))
    collect("picks --to dynamo")
    table = dynamotable.read("out/particles.tbl")
    assert table["tag"].tolist() == list(range(1, len(table) + 1))
    assert Path("out/particles.doc").read_text() == Path("picks/tomograms.doc").read_text()
    paths = {
        int(line.split()[0]): Path(line.split()[1]).stem for line in Path("out/particles.doc").read_text().splitlines()
    }
    assert sorted(paths) == [1, 7] and sorted(paths.values()) == ["xyz", "xzy"]
    for number, name in paths.items():
        own = table.query(f"tomo == {number}")
        picks = wanted(name)
        same(own[["x", "y", "z"]].to_numpy() - 1, in_file(name, picks.xyz))
        same(own[["cc"]], picks.score[:, None])
    assert (table["class"] == 0).all()


def test_copick_gets_a_project() -> None:
    collect("picks --to copick --class-names ribosome")
    project = json.loads(Path("out/copick_config.json").read_text())
    assert project["overlay_root"] == f"local://{Path('out').absolute()}"
    assert [(own["name"], own["label"]) for own in project["pickable_objects"]] == [("ribosome", 1)]
    for name in SIZES:
        stored = json.loads(Path(f"out/ExperimentRuns/{name}/Picks/milopyp_0_ribosome.json").read_text())
        assert (stored["run_name"], stored["pickable_object_name"], stored["unit"]) == (name, "ribosome", "angstrom")
        same([[*own["location"].values()] for own in stored["points"]], in_file(name, wanted(name).xyz) * 10, 0.1)


def test_tables_of_all_tomograms() -> None:
    collect("picks --to csv")
    table = pandas.read_csv("out/particles.csv")
    assert list(table.columns) == ["tomogram", "x", "y", "z", "score"]
    collect("picks --to list")
    listed = read_pick_list(Path("out/particles.tsv"))
    for name in SIZES:
        picks = np.column_stack([wanted(name).xyz, wanted(name).score])
        same(table.query(f"tomogram == '{name}'")[["x", "y", "z", "score"]], picks)
        same(np.column_stack([listed[name].xyz, listed[name].score]), picks)


def test_the_list_of_a_run_is_applied_without_a_change() -> None:
    collect("picks --to list")
    assert "0 tomograms of 2 would be changed" in run_line("milopyp apply picks out/particles.tsv --dry-run").out


def test_turned_as_the_run_is_and_as_is_asked() -> None:
    plain = collect("picks --to relion4")
    assert "W07" in plain.err
    shutil.move("out", "plain")
    collect("picks --to relion4 --turn yz")
    asked = starfile.read("out/particles.star")
    shutil.move("out", "asked")
    cut("--turn yz")
    collect("picks --to relion4")
    assert starfile.read("out/particles.star").equals(asked)
    before = starfile.read("plain/particles.star")
    assert np.array_equal(before[VOXELS].to_numpy()[:, [0, 2, 1]], asked[VOXELS].to_numpy())


def test_particles_of_two_runs_have_classes() -> None:
    shutil.copytree("picks", "b")
    run_line("milopyp threshold b --count 2")
    outcome = collect("picks b --to relion5 --class-names ribosome,proteasome")
    assert "class 2 is proteasome" in outcome.out
    classes = pandas.read_csv("out/classes.tsv", sep="\t")
    table = starfile.read("out/particles.star")
    assert table["rlnClassNumber"].value_counts().to_dict() == dict(
        zip(classes["class"], classes["picks"], strict=True)
    )
    assert classes["name"].tolist() == ["ribosome", "proteasome"]
    own = table.query("rlnTomoName == 'xzy' and rlnClassNumber == 2")
    same(own[CENTRED].to_numpy() / 10 + np.array(SIZES["xzy"]) / 2, in_file("xzy", wanted("xzy", "b").xyz))
    for word, path in (("dynamo", "out/particles.tbl"), ("csv", "out/particles.csv"), ("list", "out/particles.tsv")):
        collect(f"picks b --to {word} --class-names ribosome,proteasome --overwrite")
        assert Path(path).is_file()
    assert dynamotable.read("out/particles.tbl")["class"].value_counts().to_dict() == {
        row["class"]: row["picks"] for _, row in classes.iterrows()
    }
    words = dict(zip(classes["class"], classes["name"], strict=True))
    assert pandas.read_csv("out/particles.csv")["class"].tolist() == [words[each] for each in table["rlnClassNumber"]]
    assert sorted(pandas.read_csv("out/particles.tsv", sep="\t")["class"]) == sorted(
        words[each] for each in table["rlnClassNumber"]
    )


def test_runs_over_different_tomograms_are_one() -> None:
    shutil.copytree("picks", "b")
    for run, other in (("picks", "xyz"), ("b", "xzy")):
        Path(f"{run}/records/{other}.json").unlink()
    assert "class" not in collect("picks b --to csv").out
    assert len(pandas.read_csv("out/particles.csv")) == sum(len(wanted(name)) for name in SIZES)


def test_what_is_not_collected_is_said() -> None:
    change("xyz.mod")
    path = Path("picks/records/xzy.json")
    record = json.loads(path.read_text())
    record["options"]["selection"]["threshold"] = 1.0
    path.write_text(json.dumps(record))
    outcome = collect("picks --to relion5")
    assert "xyz.mod changed since milopyp wrote them" in outcome.err
    assert "without picks, and left out: xzy (picks)" in outcome.out
    assert set(starfile.read("out/import.star", always_dict=True)["coordinate_files"]["rlnTomoName"]) == {"xyz"}


def test_a_run_that_somebody_works_on() -> None:
    with Leases(Path("picks/records")) as leases:
        leases.acquire("new")
        assert "somebody is picking new" in collect("picks --to csv").err


def test_voxel_sizes_that_no_header_says() -> None:
    collect("picks --to relion5")
    before = Path("out/particles.star").read_bytes()
    for path in Path("picks/records").glob("*.json"):
        record = json.loads(path.read_text())
        record["frame"]["voxel_size"] = record["frame"]["placement"]["voxel_size"] = None
        path.write_text(json.dumps(record))
    assert "--voxel-size" in run_line("milopyp collect picks --to relion5 -o other").err
    collect("picks --to relion5 --voxel-size 10 --overwrite")
    assert Path("out/particles.star").read_bytes() == before


def test_picks_of_the_published_program_are_those_of_its_text() -> None:
    write_tomograms()
    options = "--published --out-thresh 0.01 --cutoff-z 2"
    assert run_line(f"milopyp-infer xyz.mrc xzy.mrc --model {TOY} --threads 1 --out published {options}").code == 0
    collect("published --to csv")
    table = pandas.read_csv("out/particles.csv")
    for name in SIZES:
        text = np.loadtxt(f"published/{name}.txt", ndmin=2)
        assert len(text)
        same(table.query(f"tomogram == '{name}'")[["x", "z", "y"]], text)


def test_files_are_given_anew_only_when_asked() -> None:
    collect("picks --to list")
    before = tree(Path("out"))
    assert run_line("milopyp collect picks --to list -o out").code == 2
    assert tree(Path("out")) == before
    assert not collect("picks --to list --overwrite").err


def test_files_of_before_that_the_next_program_would_read_are_said() -> None:
    collect("picks --to copick")
    run_line("milopyp threshold picks --value 1")  # what was put in by hand stays
    warned = collect("picks --to copick --overwrite").err
    assert "out also holds ExperimentRuns/xzy/Picks/milopyp_0_particle.json: of an earlier call" in warned


def test_the_records_of_the_run_stay_as_they_are() -> None:
    before = tree(Path("picks"))
    for word in PROGRAM_WORDS:
        collect(f"picks --to {word} --overwrite")
    assert tree(Path("picks")) == before
    assert len(read_records(Path("picks"))) == 2
