"""STAR files: tables of words, read and written.

A file is one or more blocks ``data_NAME``, each a table (``loop_``, labels, rows) or single ``_label value`` lines
(wwpdb's STAR as RELION uses it). Quoted values, comments, missing ``#1`` numbers and blank lines anywhere are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..atomic import write_text
from ..errors import InputError
from ..textfile import read_lines, to_numbers
from ..wording import counted

_WORD = re.compile(r"""'[^']*'(?=\s|$)|"[^"]*"(?=\s|$)|\S+""")

Floats = NDArray[np.float64]


@dataclass
class Block:
    """One table: labels without their underscore, rows of words, and the line of each row.

    While it is read, `holds` says what the next line is: a single value, a label of a loop, or a row.
    """

    path: str | Path
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    holds: Literal["values", "labels", "rows"] = "values"

    def take(self, number: int, line: str, words: list[str]) -> None:
        """Take a line that is not empty, and its words.

        Raises
        ------
        InputError
            It is not what must be there.
        """
        if words[0].lower() == "loop_":
            if self.labels:
                raise _bad(self.path, number, "a second table in one block")
            self.holds = "labels"
        elif self.holds == "values":
            if len(words) != 2 or not words[0].startswith("_"):
                raise _bad(self.path, number, f"{line.strip()[:40]!r}")
            self.labels.append(words[0][1:])
            self.rows, self.lines = [[*(self.rows[0] if self.rows else []), words[1]]], [number]
        elif self.holds == "labels" and words[0].startswith("_"):
            self.labels.append(words[0][1:])
        else:
            self._take_row(number, words)

    def _take_row(self, number: int, words: list[str]) -> None:
        self.holds = "rows"
        if len(words) != len(self.labels):
            raise InputError(
                f"{counted(len(words), 'value')} for {counted(len(self.labels), 'label')}",
                where=f"{self.path}, line {number}",
                expected="one value for each label of the table",
                remedy="The file is damaged: write or copy it again.",
            )
        self.rows.append(words)
        self.lines.append(number)

    def words(self, label: str) -> list[str]:
        """One column."""
        index = self.labels.index(label)
        return [row[index] for row in self.rows]

    def numbers(self, labels: Sequence[str]) -> Floats:
        """Columns as ``(n, len(labels))`` float64; labels that the block lacks are zeros.

        Raises
        ------
        InputError
            A word that is no finite number, with its line.
        """
        result = np.zeros((len(self.rows), len(labels)))
        for column, label in enumerate(labels):
            if label in self.labels:
                result[:, column] = to_numbers(self.words(label), partial(self._place, label))
        return result

    def _place(self, label: str, row: int) -> str:
        return f"{self.path}, line {self.lines[row]}, {label}"


def read_star(path: str | Path) -> dict[str, Block]:
    """All blocks of a STAR file by name (without ``data_``).

    Raises
    ------
    InputError
        Unreadable, or not a STAR file: with the line.
    """
    blocks: dict[str, Block] = {}
    block: Block | None = None
    for number, line in read_lines(path):
        words = _words(line)
        if not words:
            continue
        if words[0].lower().startswith("data_"):
            block = Block(path)
            if blocks.setdefault(words[0][5:], block) is not block:
                raise _bad(path, number, f"a second block {words[0]!r}")
        elif block is None:
            raise _bad(path, number, f"{line.strip()[:40]!r} before the first block")
        else:
            block.take(number, line, words)
    if not blocks:
        raise InputError("holds no block 'data_...'", where=path, expected="a STAR file", remedy="Check its format.")
    return blocks


def write_tables(path: str | Path, tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]]) -> None:
    """Write a file of tables: by the name of the block, labels without their underscore, and rows of words.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    lines = []
    for block, (labels, rows) in tables.items():
        lines += ["", f"data_{block}", "", "loop_"]
        lines += [f"_{label} #{number}" for number, label in enumerate(labels, start=1)]
        lines += ["\t".join(row) for row in rows]
        lines.append("")
    write_text(path, "\n".join(lines) + "\n")


def can_name(name: str) -> bool:
    """Whether a tomogram's name can be a value: no spaces, quotes or #, and not beginning as STAR's own words do."""
    odd = any(sign in name for sign in "'\"#")  # some readers end a value there
    return _words(name) == [name] and not odd and not name.lower().startswith(("data_", "loop_", "_"))


def _words(line: str) -> list[str]:
    """The words of a line, without quotes and without what follows a ``#``."""
    if not any(sign in line for sign in "#'\""):  # nearly all lines
        return line.split()
    words = []
    for word in _WORD.findall(line):
        if word.startswith("#"):
            break
        words.append(word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word)
    return words


def _bad(path: str | Path, number: int, found: str) -> InputError:
    return InputError(
        found, where=f"{path}, line {number}", expected="a STAR file: data_NAME, loop_, labels, rows of values"
    )
