"""Names of one tomogram in different programs, from those programs' own pages and reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from milopyp_shared.errors import InputError
from milopyp_shared.names import assign, read_name_map, reduced, series


@pytest.mark.parametrize(
    ("tomogram", "other"),
    [
        ("TS_01_10.00Apx", "TS_01.tomostar"),  # Warp
        ("L02_ts_005.mrc_10.00Apx", "L02_ts_005.mrc.tomostar"),  # Warp, stacks that are called .mrc
        ("nasal_01.st_10.00Apx", "nasal_01.st.tomostar"),
        ("rec_TS_01", "TS_01"),  # RELION 5
        ("TS_01_Vol", "TS_01"),  # AreTomo
        ("p102", "fixedStacks/p102.st"),  # emClarity
        ("TS_01", "C:\\data\\TS_01.mrc"),
        ("TS_01", "recs/TS_01.map"),
        ("TS_01_full_rec", "TS_01.ali"),  # IMOD's etomo
        ("TS_01__bin4", "TS_01_info"),  # EMAN2
        ("TS_01_bin4", "TS_01_rec.mrc"),
        ("ts_01", "TS_01"),
    ],
)
def test_one_tomogram_in_two_programs(tomogram: str, other: str) -> None:
    assert assign([tomogram, "TS_02"], [other, "unknown"], "a.star") == {tomogram: other}


def test_the_closest_name_decides() -> None:
    assert assign(["TS_01", "TS_01_Vol"], ["TS_01"], "a.star") == {"TS_01": "TS_01"}
    assert assign(["TS_01", "TS_01_Vol"], ["TS_01.tomostar"], "a.star") == {"TS_01": "TS_01.tomostar"}
    assert assign(["TS_01_Vol", "TS_01_rec"], ["TS_01_rec", "TS_01"], "a.star") == {
        "TS_01_Vol": "TS_01", "TS_01_rec": "TS_01_rec"
    }  # fmt: skip


def test_what_fits_nothing_is_refused_with_both_sides() -> None:
    with pytest.raises(
        InputError, match=r"has picks of TS_99, which fit none of the tomograms TS_1, TS_2, TS_3, \.\.\. \(4\)"
    ):
        assign(["TS_1", "TS_2", "TS_3", "TS_4"], ["TS_99"], "a.star")
    assert assign(["TS_1"], [], "a.star") == {}


@pytest.mark.parametrize("text", ["a\tTS 1\nb\tTS_2\n", "# names\n\na, TS 1\nb,TS_2\n"])
def test_a_map_goes_before_the_rule(text: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text)
    names = read_name_map(path)
    assert names == {"a": "TS 1", "b": "TS_2"}
    assert assign(["a", "b", "c"], ["TS_2", "TS 1", "c", "a.mrc"], "a.star", names) == names | {"c": "c"}


def test_a_name_of_nothing_else_is_kept() -> None:
    for name in ("rec_", "_Vol", "bin4", "10.00Apx", ".mrc"):
        assert reduced(name) != ""
    assert series("nasal_01.st_10.00Apx") == "nasal_01.st"
