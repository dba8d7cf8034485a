"""What people read everywhere: counts, lists of commands, the numbers of warnings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from milopyp_shared.wording import counted
from running import run_line

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "training", "export", "inference")


def test_one_is_no_plural() -> None:
    assert [counted(number, "pick") for number in (0, 1, 2)] == ["0 picks", "1 pick", "2 picks"]
    assert counted(2, "copy", "copies") == "2 copies"


@pytest.mark.parametrize("group", ["milopyp", "milopyp engines"])
def test_no_line_of_a_list_of_commands_is_cut_off(group: str) -> None:
    said = run_line(f"{group} --help").out.split("Commands:\n")[1].splitlines()
    assert len(said) >= 3 and all(line.endswith(".") and not line.endswith("...") for line in said)


def test_every_numbered_warning_is_in_the_table_and_no_other() -> None:
    listed = re.findall(r"^\| (W\d\d) \|", (ROOT / "docs" / "training.md").read_text(), re.MULTILINE)
    code = "\n".join(path.read_text() for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py")))
    assert listed == sorted(set(re.findall(r"\bW\d\d\b", code)))
