"""Column 20 of Dynamo's tables, and the map of a run that says which tomogram has which number."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dynamotable
import numpy as np
import pytest

from milopyp import read_picks, write_picks
from milopyp_inference.batch.dynamo_map import MAP, keep_numbers, plan_numbers
from milopyp_shared.errors import ContradictionError, InputError
from running import Outcome, outputs, run_line
from toys import TOY, clean_phantom, write_tomogram

INFER = "milopyp-infer --model toy.onnx --threads 1 --format tbl --out"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    shutil.copy(TOY, folder / "toy.onnx")
    for seed, name in enumerate("abc", start=1):
        write_tomogram(folder / f"{name}.mrc", clean_phantom(seed, (16, 48, 48), 3).volume, voxel_size=10.0)
    return folder


@pytest.fixture(autouse=True)
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def numbers(run: str, names: str) -> list[int]:
    """Column 20 of each table, which is the same in all rows."""
    columns = [np.loadtxt(f"{run}/{name}.tbl", ndmin=2)[:, 19] for name in names]
    assert all(len(set(column)) == 1 for column in columns)
    return [int(column[0]) for column in columns]


def doc(run: str) -> dict[str, int]:
    """The map of a run by name, as another reader has it."""
    found = {}
    for line in Path(run, MAP).read_text().splitlines():
        number, path = line.split(maxsplit=1)
        found[Path(path).stem] = int(number)
    return found


def test_numbers_differ_and_the_map_says_whose_they_are(here: Path) -> None:
    done(f"{INFER} picks a.mrc b.mrc c.mrc")
    assert numbers("picks", "abc") == [1, 2, 3]
    assert Path("picks", MAP).read_text() == f"1 {here}/a.mrc\n2 {here}/b.mrc\n3 {here}/c.mrc\n"
    table = dynamotable.read("picks/b.tbl", f"picks/{MAP}")  # an independent reader
    assert set(table["tomo_file"]) == {f"{here}/b.mrc"}


def test_numbers_stay() -> None:
    done(f"{INFER} picks b.mrc")
    done(f"{INFER} picks a.mrc b.mrc")
    assert (doc("picks"), numbers("picks", "ab")) == ({"b": 1, "a": 2}, [2, 1])
    assert "b is already done" in done(f"{INFER} picks c.mrc b.mrc").out
    assert (doc("picks"), numbers("picks", "abc")) == ({"b": 1, "a": 2, "c": 3}, [2, 1, 3])
    # of a map that is lost: what had another number is picked again
    Path("picks", MAP).unlink()
    again = done(f"{INFER} picks a.mrc b.mrc c.mrc")
    assert [name for name in "abc" if f"{name} is already done" in again.out] == ["c"]
    assert (doc("picks"), numbers("picks", "abc")) == ({"a": 1, "b": 2, "c": 3}, [1, 2, 3])


def test_a_map_of_one_s_own_is_gone_on_with(here: Path) -> None:
    Path("picks").mkdir()
    Path("picks", MAP).write_text(f"7 {here}/b.mrc\n12 /elsewhere/z.mrc\n")
    done(f"{INFER} picks a.mrc b.mrc")
    assert (doc("picks"), numbers("picks", "ab")) == ({"b": 7, "z": 12, "a": 13}, [13, 7])


def test_a_map_in_other_words_is_gone_on_with(here: Path) -> None:
    """Files without their folders, in other folders, of other programs: the rule of names says whose they are."""
    own = "9 tomos/a_10.00Apx.mrc\n7 B.rec\n12 /elsewhere/z.mrc\n"
    Path("picks").mkdir()
    Path("picks", MAP).write_text(own)
    done(f"{INFER} picks a.mrc b.mrc")
    assert (numbers("picks", "ab"), Path("picks", MAP).read_text()) == ([9, 7], own)
    done(f"{INFER} picks a.mrc c.mrc b.mrc")
    assert numbers("picks", "abc") == [9, 7, 13]
    assert Path("picks", MAP).read_text() == f"7 B.rec\n9 tomos/a_10.00Apx.mrc\n12 /elsewhere/z.mrc\n13 {here}/c.mrc\n"
    done("milopyp threshold picks --count 2")
    assert numbers("picks", "abc") == [9, 7, 13]
    done("milopyp threshold picks --count 2 --out few")
    assert (numbers("few", "abc"), doc("few")) == ([9, 7, 13], {"b": 7, "a": 9, "c": 13})


def test_the_path_goes_before_the_name(here: Path) -> None:
    Path("picks").mkdir()
    Path("picks", MAP).write_text(f"3 /elsewhere/a.mrc\n5 {here}/a.mrc\n")
    done(f"{INFER} picks a.mrc")
    assert (numbers("picks", "a"), Path("picks", MAP).read_text()) == ([5], f"3 /elsewhere/a.mrc\n5 {here}/a.mrc\n")


def test_a_line_that_can_be_two_tomograms_is_refused(tmp_path: Path) -> None:
    (tmp_path / MAP).write_text("1 a.mrc\n")
    with pytest.raises(InputError, match=r"a\.mrc can be the tomograms /d/a_bin4\.mrc, /d/a_bin8\.mrc.* whole path"):
        plan_numbers(tmp_path, ["/d/a_bin4.mrc", "/d/a_bin8.mrc"])


def test_a_tomogram_that_moved_keeps_its_number(here: Path) -> None:
    done(f"{INFER} picks b.mrc a.mrc")
    Path("moved").mkdir()
    Path("a.mrc").rename("moved/a.mrc")
    done(f"{INFER} picks moved/a.mrc c.mrc")
    assert (doc("picks"), numbers("picks", "abc")) == ({"b": 1, "a": 2, "c": 3}, [2, 1, 3])


def test_tomograms_whose_files_are_called_alike_are_not_one(here: Path) -> None:
    """Picked one after another, into one folder."""
    for name, other in zip("ab", ("TS_01_bin4", "TS_01_bin8"), strict=True):
        Path(name).mkdir()
        shutil.copy(f"{name}.mrc", f"{name}/rec.mrc")
        Path(f"{name}.txt").write_text(f"image_name rec_path\n{name} {name}/rec.mrc\n")
        done(f"{INFER} listed {name}.txt")
        Path(f"{name}.mrc").rename(f"{other}.mrc")
        done(f"{INFER} binned {other}.mrc")
    assert numbers("listed", "ab") == [1, 2]
    assert Path("listed", MAP).read_text() == f"1 {here}/a/rec.mrc\n2 {here}/b/rec.mrc\n"
    assert doc("binned") == {"TS_01_bin4": 1, "TS_01_bin8": 2}


def test_without_tables_there_is_no_map() -> None:
    done(f"{INFER.replace('tbl', 'copick')} picks a.mrc")
    assert not Path("picks", MAP).exists()
    record = json.loads(Path("picks/records/a.json").read_text())
    assert record["dynamo_tomogram"] is None


def test_workers_and_parts_have_the_numbers_of_the_whole_list() -> None:
    done(f"{INFER} whole a.mrc b.mrc c.mrc")
    done(f"{INFER} workers a.mrc b.mrc c.mrc --workers 2")
    for number in (3, 1, 2):
        done(f"{INFER} parts a.mrc b.mrc c.mrc --shard {number}/3")
    assert outputs(Path("workers")) == outputs(Path("parts")) == outputs(Path("whole"))


def test_thresholding_keeps_the_numbers(here: Path) -> None:
    done(f"{INFER} picks b.mrc a.mrc")
    done("milopyp threshold picks --count 2 --out few")
    assert (numbers("few", "ab"), doc("few")) == ([2, 1], {"b": 1, "a": 2})
    done("milopyp threshold picks --count 2")
    assert numbers("picks", "ab") == [2, 1]
    # a run without tables gets them, in the order of the names
    done(f"{INFER.replace('--format tbl', '')} plain b.mrc a.mrc")
    done("milopyp threshold plain --format tbl")
    assert (numbers("plain", "ab"), doc("plain")) == ([1, 2], {"a": 1, "b": 2})
    assert json.loads(Path("plain/records/b.json").read_text())["dynamo_tomogram"] == 2
    assert "b is already done" in done(f"{INFER} plain a.mrc b.mrc").out


def test_tables_of_before_have_the_number_1() -> None:
    done(f"{INFER} picks a.mrc b.mrc")
    Path("picks", MAP).unlink()
    for name in "ab":
        path = Path(f"picks/records/{name}.json")
        record = json.loads(path.read_text())
        del record["dynamo_tomogram"], record["tomo_name"]
        path.write_text(json.dumps(record))
    again = done(f"{INFER} picks a.mrc b.mrc").out
    assert "a is already done" in again and "b is already done" not in again
    assert numbers("picks", "ab") == [1, 2]


def test_two_processes_that_give_numbers_at_once(tmp_path: Path) -> None:
    first, second = (plan_numbers(tmp_path, [path]) for path in ("/a.mrc", "/b.mrc"))
    keep_numbers(tmp_path, first)
    with pytest.raises(ContradictionError, match="another process has given the same numbers"):
        keep_numbers(tmp_path, second)
    keep_numbers(tmp_path, plan_numbers(tmp_path, ["/b.mrc"]))
    keep_numbers(tmp_path, first)
    assert (tmp_path / MAP).read_text() == "1 /a.mrc\n2 /b.mrc\n"


WORKER = """
import sys
from pathlib import Path
from milopyp_inference.batch.dynamo_map import keep_numbers, plan_numbers
from milopyp_shared.errors import ContradictionError
folder = Path(sys.argv[1])
for number in range(15):
    path = f"/{sys.argv[2]}/tomogram{sys.argv[2]}.{number}"
    while True:
        planned = plan_numbers(folder, [path])
        try:
            keep_numbers(folder, planned)
        except ContradictionError:
            continue
        print(planned[path], path)
        break
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_many_processes_that_give_numbers_at_once(run: Path) -> None:
    """What each has been told is what the map says in the end."""
    words = [sys.executable, "-c", WORKER, str(run)]
    workers = [subprocess.Popen([*words, name], stdout=subprocess.PIPE, text=True) for name in "pqrs"]
    said = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    assert len(said) == 60
    assert sorted((run / MAP).read_text().splitlines()) == sorted(said)
    assert names_in(run) == [MAP]


def test_a_process_that_died_at_the_map_holds_nobody_up(run: Path) -> None:
    die = "import os, sys; from milopyp_inference.batch.leases import Leases; from pathlib import Path; "
    die += f"assert Leases(Path(sys.argv[1])).acquire({MAP!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", die, str(run)], check=True)
    assert names_in(run) == [f"{MAP}.claim"]
    keep_numbers(run, {"/a.mrc": 1})
    assert ((run / MAP).read_text(), names_in(run)) == ("1 /a.mrc\n", [MAP])


def test_converting_beside_a_map(here: Path) -> None:
    """The number that the tomogram has there, however it is called; its own table is read as its own."""
    Path("b_10.00Apx.mrc").write_bytes(Path("b.mrc").read_bytes())
    done(f"{INFER} picks a.mrc b.mrc")
    Path("x.csv").write_text("x,y,z,score\n1,2,3,0.5\n")
    mine = done("milopyp convert x.csv picks/mine.tbl --tomogram b_10.00Apx.mrc")
    assert (np.loadtxt("picks/mine.tbl")[19], "column 20" in mine.out) == (2, False)
    assert read_picks("picks/mine.tbl", "b.mrc", name="b").xyz.tolist() == [[1, 2, 3]]
    with pytest.raises(InputError, match="fit none of the tomograms a"):
        read_picks("picks/mine.tbl", "a.mrc", name="a")
    write_picks("picks/other.tbl", [[1, 2, 3]], "b.mrc")
    write_picks("picks/said.tbl", [[1, 2, 3]], "c.mrc", dynamo_tomogram=8)
    assert [np.loadtxt(f"picks/{name}.tbl")[19] for name in ("other", "said")] == [2, 8]


def test_converting_beside_a_map_of_others_is_refused() -> None:
    done(f"{INFER} picks a.mrc b.mrc")
    Path("x.csv").write_text("x,y,z,score\n1,2,3,0.5\n")
    outcome = run_line("milopyp convert x.csv picks/mine.tbl --tomogram c.mrc")
    assert (outcome.code, outcome.errors) == (2, [
        "error: picks/tomograms.doc: does not name c; expected the tomogram of picks/mine.tbl. Say its number with "
        "--dynamo-tomogram of milopyp convert."
    ])  # fmt: skip
    with pytest.raises(InputError, match="does not name c"):
        write_picks("picks/mine.tbl", [[1, 2, 3]], "c.mrc")
    assert not Path("picks/mine.tbl").exists()
    done("milopyp convert x.csv picks/mine.tbl --tomogram c.mrc --dynamo-tomogram 3")
    assert np.loadtxt("picks/mine.tbl")[19] == 3


def test_converting_says_that_the_number_is_1() -> None:
    Path("a.csv").write_text("x,y,z,score\n1,2,3,0.5\n")
    said = "column 20, the number of the tomogram, is 1"
    assert said in done("milopyp convert a.csv a.tbl").out
    assert said not in done("milopyp convert a.csv b.tbl --dynamo-tomogram 4").out
    assert np.loadtxt("b.tbl")[19] == 4
