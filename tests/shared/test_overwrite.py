"""What no command writes over: its own input, tomograms, model files; and what `convert` replaces when told to."""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from milopyp import write_picks
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.mod import write_mod
from milopyp_shared.overwrite import refuse_existing, refuse_irreplaceable
from running import run_line, tree
from toys import TOY, clean_phantom, noise, write_tomogram

CSV = "x,y,z,score\n10,12,8,0.5\n20,3,4,0.25\n"
CONVERT = "milopyp convert a.csv"
TOMOGRAM = "is a tomogram; expected a file that can be written over. Choose another place to write to."
MODEL = TOMOGRAM.replace("tomogram", "model file")
ELSEWHERE = "; expected another file to write to. Choose another place to write to."
READ = f"is read by this command{ELSEWHERE}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two picks, the tomogram that they belong to, and a model clicked by hand."""
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(CSV)
    write_tomogram(Path("a.mrc"), noise())
    write_mod(Path("clicks.mod"), np.array([[1.0, 2.0, 3.0]]), radius=4.0, size_xyz=(32, 32, 16))
    return tmp_path


def refused(line: str, said: str, folder: Path = Path()) -> None:
    """The command line ends with exit code 2 and one line, and every byte is where it was."""
    before = tree(folder)
    outcome = run_line(line)
    assert (outcome.code, outcome.errors) == (2, [f"error: {said}"])
    assert tree(folder) == before


# ---------------------------------------------------------------- convert


def test_nothing_is_replaced_unless_told_to() -> None:
    line = f"{CONVERT} clicks.mod --tomogram a.mrc"
    refused(line, "clicks.mod: exists already; expected a name that is free. Give --overwrite to replace it.")
    before = Path("clicks.mod").read_bytes()
    assert run_line(f"{line} --overwrite").code == 0
    assert Path("clicks.mod").read_bytes() != before
    assert run_line("milopyp convert clicks.mod back.csv --tomogram a.mrc").code == 0
    assert Path("back.csv").read_text().splitlines()[-1] == "20.000,3.000,4.000,0.250000"


def test_a_link_that_leads_nowhere_is_there_too() -> None:
    Path("b.csv").symlink_to("gone.csv")
    refused(
        "milopyp convert clicks.mod b.csv --tomogram a.mrc",
        "b.csv: exists already; expected a name that is free. Give --overwrite to replace it.",
    )


def link(make: Callable[[Path, Path], object], name: str) -> Callable[[], str]:
    def build() -> str:
        make(Path(name), Path("a.csv"))
        return name

    return build


def other_spelling() -> str:
    Path("sub").mkdir()
    return "sub/../a.csv"


def through_a_linked_folder() -> str:
    Path("here").symlink_to(".")
    return "here/a.csv"


@pytest.mark.parametrize(
    "build",
    [
        other_spelling,
        through_a_linked_folder,
        lambda: str(Path("a.csv").absolute()),
        link(Path.symlink_to, "b.csv"),
        link(Path.hardlink_to, "b.csv"),
    ],
    ids=["other spelling", "linked folder", "absolute", "symbolic link", "hard link"],
)
def test_the_input_is_never_replaced(build: Callable[[], str], folder: Path) -> None:
    target = build()
    refused(f"{CONVERT} {target} --overwrite", f"{target}: is a.csv, which this command reads{ELSEWHERE}")


def test_the_tomogram_of_the_picks_is_an_input_too() -> None:
    refused(f"{CONVERT} a.mrc --to csv --tomogram a.mrc --overwrite", f"a.mrc: {READ}")


def compressed(pack: Callable[[bytes], bytes], name: str) -> None:
    Path(name).write_bytes(pack(Path("a.mrc").read_bytes()))


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("b.rec", lambda: write_tomogram(Path("b.rec"), noise(seed=2))),
        ("b.txt", lambda: write_tomogram(Path("b.txt"), noise(seed=2))),
        ("b.txt", lambda: write_tomogram(Path("b.txt"), noise((1, 4, 4)))),
        ("b.tbl", lambda: compressed(gzip.compress, "b.tbl")),
        ("b.star", lambda: compressed(bz2.compress, "b.star")),
        ("b.MRC.gz", lambda: Path("b.MRC.gz").write_text("cut off")),
        ("b.st", lambda: Path("b.st").touch()),
        ("b.csv", lambda: (write_tomogram(Path("far/b"), noise()), Path("b.csv").symlink_to("far/b"))),
    ],
    ids=["suffix", "content", "a slice", "gzip", "bzip2", "only the suffix", "empty", "behind a link"],
)
def test_a_tomogram_is_never_replaced(name: str, build: Callable[[], object]) -> None:
    build()
    refused(f"{CONVERT} {name} --to csv --overwrite", f"{name}: {TOMOGRAM}")


@pytest.mark.parametrize("name", ["b.onnx", "b.pth", "b.ONNX", "b.csv"])
def test_a_model_is_never_replaced(name: str) -> None:
    shutil.copy(TOY, "model.onnx")
    if name == "b.csv":
        Path(name).symlink_to("model.onnx")
    else:
        shutil.copy(TOY, name)
    refused(f"{CONVERT} {name} --to csv --overwrite", f"{name}: {MODEL}")


def test_what_only_looks_like_one() -> None:
    """A model of IMOD with an empty name begins with zeros where an MRC header has its mode."""
    data = Path("clicks.mod").read_bytes()
    Path("clicks.mod").write_bytes(data[:8] + bytes(128) + data[136:])
    for name in ("clicks.mod", "b.txt", "b.tbl"):
        Path(name).exists() or Path(name).write_bytes(bytes(3000))
        refuse_irreplaceable(name, inputs=["a.csv", "gone.csv"])


def test_devices_folders_and_new_files() -> None:
    with pytest.raises(UsageError, match="is no ordinary file"):
        refuse_existing(os.devnull, overwrite=True)
    Path("folder").mkdir()
    for name in ("folder", "new.csv", "n" * 300, "a.csv/b.csv"):  # the writer says what is wrong with them
        refuse_existing(name, overwrite=False)
    with pytest.raises(
        UsageError, match=r"a\.csv: exists already; expected a name that is free\. Give overwrite=True to replace it\."
    ):
        refuse_existing("a.csv", overwrite=False, option="overwrite=True")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_looked_at_stays() -> None:
    Path("a.csv").chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        refuse_existing("a.csv", overwrite=True)


def dynamo_table() -> None:
    """``dd/a.tbl`` and its map."""
    Path("dd").mkdir()
    assert run_line(f"{CONVERT} dd/a.tbl").code == 0
    Path("dd/a.doc").write_text("1 a.mrc\n")


@pytest.mark.parametrize("source", ["dd/a.tbl", "a.csv"])
def test_the_map_of_a_table_is_not_replaced(source: str) -> None:
    dynamo_table()
    refused(f"milopyp convert {source} dd/a.doc --to tbl --overwrite", f"dd/a.doc: {READ}")
    with pytest.raises(UsageError, match="is read by this command"):
        write_picks("dd/a.doc", [[1, 2, 3]], format="tbl", overwrite=True)


# ---------------------------------------------------------------- the other commands


def judged() -> str:
    """The candidates of a run, a second table of positions, and the command that compares both."""
    for path in ("run/a.candidates.csv", "truth.csv", "known/a.csv"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(CSV)
    for path in ("run/run.json", "known/evaluation.json"):
        Path(path).write_text('{"made_by": "milopyp evaluate"}')
    return "milopyp evaluate run --truth truth.csv --radius 3"


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        ("--json a.mrc", "a.mrc", TOMOGRAM),
        ("--json toy.onnx", "toy.onnx", MODEL),
        ("--json truth.csv", "truth.csv", READ),
        ("--json run/run.json", "run/run.json", READ),
        ("--json run/a.candidates.csv", "run/a.candidates.csv", READ),
        ("--out link", "link/evaluation.md", f"is truth.csv, which this command reads{ELSEWHERE}"),
    ],
)
def test_evaluate(words: str, name: str, said: str) -> None:
    line = judged()
    shutil.copy(TOY, "toy.onnx")
    Path("link").mkdir()
    Path("link/evaluation.md").hardlink_to("truth.csv")
    refused(f"{line} {words}", f"{name}: {said}")


def test_evaluate_writes_again_what_it_has_written() -> None:
    line = judged().replace("truth.csv", "known")
    for _ in range(2):
        assert run_line(f"{line} --json run/figures.json --out run").code == 0
        assert run_line(f"{line} --out known").code == 0
    refused(f"{line} --json known/a.csv", f"known/a.csv: {READ}")


@pytest.mark.parametrize("truth", ["dd/a.tbl", "dd", "'dd/*.tbl'"])
def test_the_map_of_a_truth_is_not_replaced(truth: str) -> None:
    line = judged().replace("truth.csv", truth)
    dynamo_table()
    refused(f"{line} --json dd/a.doc", f"dd/a.doc: {READ}")


def picked() -> None:
    """A run of picking, and the true positions as candidates are written."""
    write_tomogram(Path("t.mrc"), clean_phantom().volume, voxel_size=10.0)
    assert run_line(f"milopyp-infer t.mrc --model {TOY} --out run --threads 1").code == 0
    shutil.copy("run/t.candidates.csv", "truth.csv")
    Path("t.mrc").rename("t.txt")


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        ("threshold run --plot a.mrc", "a.mrc", TOMOGRAM),
        ("threshold run --plot run/t_hm.mrc", "run/t_hm.mrc", TOMOGRAM),
        ("threshold run --plot run/run.json", "run/run.json", READ),
        ("threshold run --plot run/records/t.json", "run/records/t.json", READ),
        ("threshold run --value 0.4 --out .", "t.txt", TOMOGRAM),
        ("threshold run --value 0.4 --format csv --out out", "out/t.csv",
         f"is run/t.candidates.csv, which this command reads{ELSEWHERE}"),
        ("report run --tomograms . -o a.mrc", "a.mrc", TOMOGRAM),
        ("report run --tomograms . -o run/t.candidates.csv", "run/t.candidates.csv", READ),
        ("report run --tomograms . -o run/t.mod", "run/t.mod", READ),
        ("report run --tomograms . --truth truth.csv -o truth.csv", "truth.csv", READ),
    ],
)  # fmt: skip
def test_threshold_and_report(words: str, name: str, said: str) -> None:
    picked()
    Path("out").mkdir()
    Path("out/t.csv").hardlink_to("run/t.candidates.csv")
    refused(f"milopyp {words}", f"{name}: {said}")


def test_prepare() -> None:
    """A list of labels that is read is not replaced by the one that is written."""
    write_tomogram(Path("data/a.rec"), noise())
    Path("data/run_train_coords.txt").write_text("image_name x_coord y_coord z_coord\na 10 12 8\n")
    line = "milopyp prepare -d data -e .rec -o run"
    refused(
        f"{line} --picks data/run_train_coords.txt",
        "data/run_train_coords.txt: exists already; expected a name that is free. Give --overwrite to replace it.",
    )
    line += " --overwrite"
    refused(f"{line} --picks data/run_train_coords.txt", f"data/run_train_coords.txt: {READ}")
    write_tomogram(Path("data/a_labels.png"), noise())
    refused(f"{line} --picks data/run_train_coords.txt".replace("-o run", "-o new"), f"data/a_labels.png: {TOMOGRAM}")
    Path("data/a_labels.png").unlink()
    for _ in range(2):
        assert run_line(f"{line} --picks data/run_train_coords.txt --no-pictures".replace("-o run", "-o new")).code == 0
    assert read_coordinate_list("data/new_train_coords.txt")["a"].tolist() == [[10, 12, 8]]
    write_tomogram(Path("data/run_test_imgs.txt"), noise())
    refused(f"{line} --inference", f"data/run_test_imgs.txt: {TOMOGRAM}")


def test_phantom() -> None:
    line = "milopyp phantom --out toy --count 2 --size 24,40,40 --particles 2 --distractors 0 --diameter 8"
    assert run_line(line).code == 0
    first = tree(Path("toy"))
    assert run_line(f"{line} --seed 2").code == 0
    assert tree(Path("toy")) != first  # what it has written itself
    assert run_line(line).code == 0
    assert tree(Path("toy")) == first
    data = bytearray(Path("toy/phantom_2.mrc").read_bytes())
    data[220:224], data[304:310] = b"\2\0\0\0", b"trimvol"[:6]  # another program's label below ours
    Path("toy/phantom_2.mrc").write_bytes(data)
    refused(f"{line} --seed 2", f"toy/phantom_2.mrc: {TOMOGRAM}")


def test_demo() -> None:
    Path("mine/tomograms").mkdir(parents=True)
    shutil.copy(TOY, "mine/demo.onnx")
    refused("milopyp demo --quick --out mine", f"mine/demo.onnx: {MODEL}")
    Path("mine/demo.onnx").unlink()
    write_tomogram(Path("mine/tomograms/phantom_3.mrc"), clean_phantom().volume)
    data = bytearray(Path("mine/tomograms/phantom_3.mrc").read_bytes())
    data[220:310] = bytes(90)  # as if another program had written it
    Path("mine/tomograms/phantom_3.mrc").write_bytes(data)
    refused("milopyp demo --quick --out mine", f"tomograms/phantom_3.mrc: {TOMOGRAM}")


# ---------------------------------------------------------------- export


@pytest.mark.parametrize("wanted", ["a.mrc", "model.pth", "other.pth"])
def test_an_export_replaces_onnx_files_only(wanted: str) -> None:
    for name in ("model.pth", "other.pth"):
        Path(name).write_bytes(name.encode())
    said = {"a.mrc": TOMOGRAM, "model.pth": READ, "other.pth": MODEL}[wanted]
    refused(f"milopyp-export model.pth -o {wanted} --overwrite", f"{wanted}: {said}")


def test_an_export_may_replace_an_export() -> None:
    shutil.copy(TOY, "old.onnx")
    Path("model.pth").write_bytes(b"no checkpoint")
    refused(
        "milopyp-export model.pth -o old.onnx",
        "old.onnx: exists already; expected a name that is free. Give --overwrite to replace it.",
    )
    outcome = run_line("milopyp-export model.pth -o old.onnx --overwrite")
    assert "old.onnx" not in outcome.err and "model.pth" in outcome.err


def test_answers_are_given_anew_and_nothing_else_is_replaced() -> None:
    """Tables, pictures and pages of milopyp's own are known by their mark."""
    picked()
    Path("t.txt").rename("t.mrc")
    lines = {
        "page.html": "milopyp report run -o page.html",
        "plot.png": "milopyp threshold run --plot plot.png",
        "figures.json": "milopyp evaluate run --truth run/t.mod --radius 3 --json figures.json",
        "judged/evaluation.md": "milopyp evaluate run --truth run/t.mod --radius 3 --out judged",
        "judged/evaluation.png": "milopyp evaluate run --truth run/t.mod --radius 3 --out judged",
    }
    for name, line in lines.items():
        assert run_line(line).code == run_line(line).code == 0, name
        Path(name).write_text("mine: milopyp report run -o page.html")
        outcome = run_line(line)
        assert (outcome.code, outcome.errors) == (
            2,
            [
                f"error: {name}: exists already, and is none of what this command writes; expected a name that is "
                "free. Choose another place to write to."
            ],
        )
        assert Path(name).read_text().startswith("mine")
        Path(name).unlink()


def test_phantoms_leave_lists_of_others() -> None:
    Path("toy").mkdir()
    Path("toy/coords.txt").write_text("mine")
    outcome = run_line("milopyp phantom --out toy --count 1 --size 24,40,40 --particles 2 --distractors 0 --diameter 8")
    assert outcome.code == 2 and "toy/coords.txt: exists already" in outcome.err
    assert [path.name for path in Path("toy").iterdir()] == ["coords.txt"]
