"""Dynamo tables as people have them, and the map of their tomograms (``.doc``).

Columns by number, from Dynamo's page of the table convention; the map as its page on particle extraction has it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from format_toys import setting
from milopyp import evaluate, read_picks
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats import dynamo
from milopyp_shared.formats.registry import FORMATS
from prepare_toys import POINTS, SHAPE, labels, prepare
from running import run_line
from toys import noise, write_tomogram

LINE = {4: "0.5", 5: "-1", 6: "0", 10: "0.25", 20: "7", 24: "11", 25: "21", 26: "31"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line(columns: dict[int, Any], count: int = 35, separator: str = " ") -> str:
    """A line of a table, by the numbers of its columns from 1; zeros elsewhere."""
    return separator.join(str(columns.get(number, 0)) for number in range(1, count + 1)) + "\n"


def table(name: str, rows: list[tuple[int, Any]], end: str = "") -> Path:
    """A table of positions and numbers of tomograms, voxels counted from 1."""
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    lines = [line({20: number, 24: x + 1, 25: y + 1, 26: z + 1}) for number, (x, y, z) in rows]
    path.write_text("".join(lines) + end)
    return path


@pytest.mark.parametrize(
    "content",
    [
        line(LINE),
        line(LINE, 26),
        line(LINE, 42),
        line(LINE, separator=","),
        line(LINE, separator=", "),
        line(LINE, separator="\t"),
        line(LINE, separator="    "),
        line(LINE).replace("\n", "\r\n"),
        "\ufeff" + line(LINE),
        f"# tag aligned averaged\n\n  % MATLAB's comment\n{line(LINE)}",
        line(LINE | {20: "7.0000e+00", 24: "1.1e1"}),
        line(LINE | {7: "NaN", 23: "nan", 28: "0+1.2074e-06i", 35: "inf"}),
        line(LINE | {4: "0.5+1e-9i", 24: "11-2e-7i"}),
    ],
)
def test_columns_however_they_are_separated(content: str) -> None:
    Path("a.tbl").write_text(content)
    found = dynamo.read_tables("a.tbl")[None]
    assert (found.xyz.tolist(), found.shift.tolist(), found.cc.tolist()) == ([[11, 21, 31]], [[0.5, -1, 0]], [0.25])
    assert FORMATS["tbl"].read(Path("a.tbl"), setting()).xyz.tolist() == [[10.5, 19, 30]]


def test_a_correlation_may_be_unknown() -> None:
    Path("a.tbl").write_text(line(LINE | {10: "NaN"}) + line(LINE))
    assert FORMATS["tbl"].read(Path("a.tbl"), setting()).score.tolist() == [1, 0.25]


numbers = st.floats(-1e4, 1e4, allow_nan=False).map(lambda value: round(value, 4))


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.integers(1, 9), *[numbers] * 6), min_size=1, max_size=12),
    count=st.integers(26, 42),
    separator=st.sampled_from([" ", "\t", ",", " , ", "   "]),
)
def test_any_table(rows: list[tuple[float, ...]], count: int, separator: str) -> None:
    order = (20, 4, 5, 6, 24, 25, 26)
    content = "".join(line(dict(zip(order, row, strict=True)), count, separator) for row in rows)
    Path("a.tbl").write_text(content)
    for number in {int(row[0]) for row in rows}:
        found = dynamo.read_tables("a.tbl", number)[None]
        wanted = np.array([row[1:] for row in rows if row[0] == number])
        np.testing.assert_array_equal(np.hstack([found.shift, found.xyz]), wanted)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (line(LINE, 23), r"line 1: 23 columns; .* 24 to 26 are the position\. .*crop\.tbl"),
        (line(LINE) + line(LINE, 25), "line 2: 25 columns"),
        ("1 2 3\n", r"line 1: 3 columns; .* give --from"),
        (line(LINE) + "# next\n" + line(LINE | {24: "NaN"}), "line 3, column 24: 'NaN'"),
        (line(LINE | {5: "nan"}), "line 1, column 5: 'nan'"),
        (line(LINE | {26: "1+0.5i"}), r"line 1, column 26: '1\+0\.5i'"),
        (line(LINE | {20: "1.5"}), "line 1, column 20: '1.5'"),
        (line(LINE | {20: "1e300"}), "line 1, column 20: '1e300'"),
        ("tag aligned averaged dx dy dz " * 5 + "\n", "line 1, column 4: 'dx'"),
    ],
)
def test_bad_tables(content: str, message: str) -> None:
    Path("a.tbl").write_text(content)
    with pytest.raises(InputError, match=message):
        dynamo.read_tables("a.tbl")


@pytest.mark.parametrize("words", [("NaN", "1"), ("", "1"), ("1.", "1+1e-06i"), ("0.5", "-3"), ("1e300", "1")])
def test_what_is_no_class_is_none(words: tuple[str, str]) -> None:
    """One class is not worth a word; nothing in the column is refused."""
    Path("a.tbl").write_text("".join(line(LINE | {22: word}, separator=",") for word in words))
    outcome = run_line("milopyp convert a.tbl a.csv")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(read_picks("a.tbl", class_=int(words[1][:2].strip("+")))) == (2 if words[0] == "1." else 1)


def test_a_map_has_numbers_and_files() -> None:
    Path("a.doc").write_text("# made by hand\n1 /data/TS_01.rec\n\n  3\ttomograms/TS 03.mrc  \r\n% end\n20   TS_20\n")
    assert dynamo.read_doc("a.doc") == {1: "/data/TS_01.rec", 3: "tomograms/TS 03.mrc", 20: "TS_20"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "names no tomogram"),
        ("# 1 a\n", "names no tomogram"),
        ("1 a\n2\n", "line 2: '2'"),
        ("1 a\nb 2\n", "line 2: 'b 2'"),
        ("1.5 a\n", "line 1: '1.5 a'"),
        ("-1 a\n", "line 1: '-1 a'"),
        ("1 a\n1 b\n", "line 2: 1 a second time"),
        ("1 a\n2 a\n", "line 2: a a second time"),
        ("1 \0a\n", "is not UTF-8 text"),
    ],
)
def test_bad_maps(content: str, message: str) -> None:
    Path("a.doc").write_text(content)
    with pytest.raises(InputError, match=message):
        dynamo.read_doc("a.doc")


def docs(**contents: str) -> Callable[[], object]:
    return lambda: [Path(f"d/{name}.doc").write_text(content) for name, content in contents.items()]


MAP = "# a map\n1 a.mrc\n"
WORD = "\x07\0\x11"  # binary


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (docs(a="", x=MAP), "a.doc"),
        (docs(a=MAP, indices_column20=MAP, x=MAP), "a.doc"),
        (docs(indices_column20="", x=MAP), "indices_column20.doc"),
        (docs(x=MAP), "x.doc"),
        (docs(x=MAP, y=MAP), None),
        (docs(b=MAP), None),
        (docs(notes=WORD), None),
        (docs(notes="1. Freeze the cells\n"), None),
        (docs(notes="1 measured by Anna\n"), None),
        (docs(notes="1 measured by Anna\n", x="3\ttomos/TS 03.MRC.gz\n"), "x.doc"),
        (docs(x="1 TS_01.em\n"), "x.doc"),
        (docs(a="1 TS_01\n"), "a.doc"),
        (docs(notes=WORD, x=MAP), "x.doc"),
        (lambda: None, None),
    ],
)
def test_which_map_is_a_table_s(make: Callable[[], object], wanted: str | None) -> None:
    Path("d").mkdir()
    Path("d/b.tbl").touch()
    make()
    assert dynamo.doc_of("d/a.tbl") == (None if wanted is None else Path("d") / wanted)


def test_a_map_that_nobody_has_named_and_lacks_a_number_is_left_aside(caplog: pytest.LogCaptureFixture) -> None:
    table("d/a.tbl", [(7, POINTS[0])])
    Path("d/old.doc").write_text("1 TS_01.mrc\n")
    assert list(dynamo.read_tables("d/a.tbl")) == [None]
    assert caplog.messages == ["d/old.doc does not name tomogram 7, and is not taken for the map of a.tbl"]
    Path("d/old.doc").rename("d/indices_column20.doc")
    with pytest.raises(InputError, match="does not name tomogram 7"):
        dynamo.read_tables("d/a.tbl")


@pytest.fixture
def several(folder: Path) -> dict[str, list[list[float]]]:
    """``data`` with two tomograms, and a table of both and of a third one that is not there."""
    for name in ("TS_01_10.00Apx", "TS_02_10.00Apx"):
        write_tomogram(folder / f"data/{name}.mrc", noise(SHAPE))
    rows = [(1, POINTS[0]), (1, POINTS[1]), (4, POINTS[1]), (12, POINTS[2]), (12, POINTS[1]), (12, POINTS[0])]
    table("all.tbl", rows)
    Path("all.doc").write_text("1 /warp/TS_01.mrc_10.00Apx.mrc\n4 /warp/TS_03.mrc\n12 /warp/TS_02.mrc\n99 TS_99\n")
    return {"TS_01_10.00Apx": POINTS[:2].tolist(), "TS_02_10.00Apx": POINTS[::-1].tolist()}


def test_labels_of_several_tomograms(several: dict[str, list[list[float]]], folder: Path) -> None:
    outcome = prepare(folder / "data", "-e .mrc --picks all.tbl")
    assert {name: xyz.tolist() for name, xyz in labels(folder / "data").items()} == several
    assert "all.tbl names 1 tomogram outside the folder: /warp/TS_03.mrc" in outcome.err


def test_a_table_beside_each_tomogram(several: dict[str, list[list[float]]], folder: Path) -> None:
    """The same table under the name of each, with one map for both; each takes its own."""
    for name in several:
        Path(f"data/{name}.tbl").write_bytes(Path("all.tbl").read_bytes())
    outcome = run_line("milopyp prepare -d data -e .mrc -o run --no-pictures")
    assert isinstance(outcome.error, UsageError) and "It has 1, 4, 12: choose" in outcome.err
    Path("all.doc").rename("data/indices_column20.doc")
    prepare(folder / "data", "-e .mrc")
    assert {name: xyz.tolist() for name, xyz in labels(folder / "data").items()} == several


def test_a_map_of_strangers_is_refused(several: dict[str, list[list[float]]]) -> None:
    Path("all.doc").write_text("1 mouse.mrc\n4 rat.mrc\n12 cat.mrc\n")
    outcome = run_line("milopyp prepare -d data -e .mrc -o run --no-pictures --picks all.tbl")
    assert isinstance(outcome.error, InputError) and "has picks of mouse.mrc, rat.mrc, cat.mrc" in outcome.err
    Path("map.txt").write_text("TS_02_10.00Apx\tcat.mrc\n")
    prepare(Path("data"), "-e .mrc --picks all.tbl --name-map map.txt")
    assert {name: xyz.tolist() for name, xyz in labels(Path("data")).items()} == {
        "TS_02_10.00Apx": several["TS_02_10.00Apx"]
    }


def test_the_truth_of_several_tomograms(several: dict[str, list[list[float]]], folder: Path) -> None:
    Path("picks").mkdir()
    for name, points in several.items():
        rows = "".join(f"{x},{y},{z},0.9\n" for x, y, z in points)
        Path(f"picks/{name}.candidates.csv").write_text(f"x,y,z,score\n{rows}")
    outcome = run_line("milopyp evaluate picks --truth all.tbl --radius 0.1")
    assert (outcome.code, outcome.err) == (0, "warning: not picked, left out: /warp/TS_03.mrc\n")
    assert "candidates  5, of which 5 are right" in outcome.out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--name TS_02", "TS_02"),
        ("--name ts_02_10.00Apx", "ts_02_10.00Apx"),
        ("--dynamo-tomogram 12", "TS_02"),
        ("--dynamo-tomogram 12 --name TS_02", "TS_02"),
    ],
)
def test_convert_chooses_by_name_or_number(words: str, wanted: str, several: dict[str, list[list[float]]]) -> None:
    outcome = run_line(f"milopyp convert all.tbl two.csv --tomogram data/TS_02_10.00Apx.mrc {words}")
    assert outcome.code == 0, outcome.err
    assert f"3 picks of {wanted} from all.tbl" in outcome.out
    assert read_picks("two.csv").xyz.tolist() == several["TS_02_10.00Apx"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ("", UsageError, "It has /warp/TS_01.mrc_10.00Apx.mrc, /warp/TS_03.mrc, /warp/TS_02.mrc: choose with --name"),
        ("--name TS_04", InputError, "has picks of /warp/TS_01.mrc_10.00Apx.mrc"),
        ("--dynamo-tomogram 2", InputError, "no tomogram 2; expected one of its numbers: 1, 4, 12"),
        ("--dynamo-tomogram 1 --name TS_02", InputError, "fit none of the tomograms TS_02"),
    ],
)
def test_convert_asks_for_one(words: str, error: type, message: str, several: object) -> None:
    outcome = run_line(f"milopyp convert all.tbl two.csv {words}")
    assert isinstance(outcome.error, error) and message in outcome.err
    assert not Path("two.csv").exists()


def test_numbers_do_without_a_map(several: dict[str, list[list[float]]]) -> None:
    """A number chooses from Python, too; where the map lacks one that is not asked for, it does not matter."""
    Path("all.doc").unlink()
    assert read_picks("all.tbl", dynamo_tomogram=12).xyz.tolist() == several["TS_02_10.00Apx"]
    assert evaluate(np.array(POINTS), "all.tbl", 0.1, dynamo_tomogram=12).f1 == pytest.approx(1)
    with pytest.raises(UsageError, match=r"all\.doc beside it.* It has 1, 4, 12"):
        read_picks("all.tbl")
    Path("all.doc").write_text("12 TS_02\n")
    assert read_picks("all.tbl", dynamo_tomogram=12).xyz.tolist() == several["TS_02_10.00Apx"]
    with pytest.raises(InputError, match="does not name tomogram 1, 4"):
        read_picks("all.tbl")
