"""The batch script of ``--slurm`` as a text with gaps: the built-in one, or one that a person gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.textfile import read_lines

BUILT_IN = Path(__file__).with_name("template.sbatch")
OPTIONS, COMMAND = "options", "command"
GAPS = (OPTIONS, COMMAND, "work", "out")
_OURS = ("--job-name", "-J", "--array", "-a", "--clusters", "-M", "--output", "-o", "--chdir", "-D", "--wait", "-W")
_GAP = re.compile(r"\{\{(.*?)\}\}")
_SBATCH = "#SBATCH"


def read_template(path: Path) -> str:
    """The text of a template.

    Raises
    ------
    InputError
        It cannot be read, or has an unknown gap; sbatch or ``milopyp-infer`` could not use what it makes.
    """
    lines = list(read_lines(path))
    if not lines or not lines[0][1].startswith("#!"):
        raise _unusable(path, 1, "begins with no #!", "a script that sbatch takes, from #!/bin/bash on")
    found: list[str] = []
    for number, line in lines:
        found += _gaps(path, number, line)
        if OPTIONS not in found and line.strip() and not line.lstrip().startswith("#"):
            raise _unusable(
                path, number, f"{line.strip()[:40]!r} before {{{{options}}}}",
                "commands below it: sbatch reads no options after the first one",
            )  # fmt: skip
        for word in line.removeprefix(_SBATCH).split() if line.startswith(_SBATCH) else ():
            refuse_ours(word, f"{path}, line {number}")
    for gap in (OPTIONS, COMMAND):
        if found.count(gap) != 1:
            how_often = "not at all" if gap not in found else "more than once"
            raise InputError(
                f"holds {{{{{gap}}}}} {how_often}", where=path, expected="it once",
                remedy="Begin with what --slurm-template print prints.",
            )  # fmt: skip
    return "\n".join(line for _, line in lines).rstrip("\n") + "\n"


def fill(template: str, values: Mapping[str, str]) -> str:
    """The script; `values` by gap."""
    return _GAP.sub(lambda found: values[found[1]], template)


def refuse_ours(option: str, where: str) -> None:
    """Refuse an option of sbatch by which the array is found again.

    Raises
    ------
    UsageError
        It is one.
    """
    if option.split("=")[0] in _OURS or (option[:2] in _OURS and not option.startswith("--")):
        raise UsageError(
            f"{option!r}", where=where, expected="none by which the array is found again",
            remedy="Leave it out; --dry-run writes a script that you can change.",
        )  # fmt: skip


def _gaps(path: Path, number: int, line: str) -> list[str]:
    """The gaps of a line."""
    found: list[str] = _GAP.findall(line)
    for gap in found:
        if gap not in GAPS:
            known = ", ".join(f"{{{{{name}}}}}" for name in GAPS)
            raise _unusable(path, number, f"{{{{{gap}}}}} is not known", f"one of {known}")
        if gap == OPTIONS and line.strip() != f"{{{{{OPTIONS}}}}}":
            raise _unusable(path, number, f"{line.strip()[:40]!r}", "{{options}} on a line of its own")
    return found


def _unusable(path: Path, number: int, found: str, expected: str) -> InputError:
    return InputError(
        found, where=f"{path}, line {number}", expected=expected,
        remedy="--slurm-template print prints one that can be changed.",
    )  # fmt: skip
