"""The error tree: exit codes as documented, and how the four answers become one line."""

from __future__ import annotations

import re

import pytest

from milopyp_shared import errors
from milopyp_shared.errors import LONGEST, MilopypError

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, MilopypError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_exit_codes_are_those_of_the_documented_tree(kind: type[MilopypError]) -> None:
    documented = dict(re.findall(r"(\w+) +(\d)  ", errors.__doc__ or ""))
    assert kind.exit_code == int(documented.get(kind.__name__, "2"))
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_is_rendered_alike(kind: type[MilopypError]) -> None:
    error = kind("3 columns", where="a.txt, line 2", expected="4 columns", remedy="Separate them by tabs.")
    assert str(error) == "a.txt, line 2: 3 columns; expected 4 columns. Separate them by tabs."
    assert (error.where, error.found, error.expected) == ("a.txt, line 2", "3 columns", "4 columns")
    assert error.remedy == "Separate them by tabs."


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ({}, "found"),
        ({"where": "--gpus"}, "--gpus: found"),
        ({"expected": "that"}, "found; expected that"),
        ({"remedy": "Do so."}, "found. Do so."),
        ({"where": "a.mrc", "remedy": "Do so."}, "a.mrc: found. Do so."),
    ],
)
def test_what_is_not_said_leaves_no_trace(answers: dict[str, str], line: str) -> None:
    assert str(MilopypError("found", **answers)) == line


def test_it_is_one_line_without_doubled_spaces() -> None:
    error = MilopypError("two\n   lines", where="a\tfile", expected="one  line", remedy=" Do so. ")
    assert str(error) == "a file: two lines; expected one line. Do so."


def test_what_was_found_is_cut_to_a_readable_length() -> None:
    error = MilopypError("begin" + "x" * 10_000 + "end", where="a.txt")
    assert error.found.startswith("beginxxx") and " ... " in error.found and error.found.endswith("xxxend")
    assert len(error.found) < LONGEST
