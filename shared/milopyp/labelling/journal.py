"""The journal of a labelling: every step on disk before it is answered, and all of them again after a crash.

A line of JSON per step, only ever appended; what `Labels` holds follows from taking them one after the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from milopyp_shared.atomic import make_folder, write_error
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.particles import Particle, check_names
from milopyp_shared.typed_json import decode
from milopyp_shared.urls import to_path

from .labels import Label, Labels, Step

NAME, LOCK = "journal.jsonl", ".journal.lock"
SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """A line.

    Attributes
    ----------
    do
        ``begin`` (with the schema), ``open`` a tomogram, know a ``class``, take a ``step``, ``undo`` or ``redo``.
    what, labels, diameter, species
        Of a step, see `Step`; the diameter also of the beginning, and both of a class.
    name, path
        Of a tomogram; the name also of a class.
    schema
        Of the file, 0 elsewhere.
    """

    do: Literal["begin", "open", "class", "step", "undo", "redo"]
    what: str = ""
    labels: tuple[tuple[int, Label | None], ...] = ()
    diameter: float | None = None
    name: str = ""
    path: str = ""
    schema: int = 0
    species: int = 0


def _refuse_others(folder: Path) -> None:
    """Refuse a folder that holds other things: files of fixed names are written there."""
    if not (folder / NAME).exists() and any(path.name != LOCK for path in folder.iterdir()):
        raise UsageError(
            "holds files, but no labels of milopyp label", where=folder, expected="a new folder, or one of its own",
            remedy="Give another --out.",
        )  # fmt: skip


class Journal:
    """The journal in a folder, which one server has at a time.

    Attributes
    ----------
    labels
        All that was said so far.
    paths
        Where the tomograms lie that were ever opened, by name.

    Raises
    ------
    UsageError
        Another server has it.
    InputError
        The folder cannot be written, or the file is damaged before its last line.
    FullDiskError
        No space is left.
    """

    def __init__(self, folder: Path, particle: Particle, warn: Callable[[str], None]) -> None:
        make_folder(folder)
        _refuse_others(folder)
        self.path, self._lock = folder / NAME, FileLock(folder / LOCK)
        self.labels, self.paths = Labels([replace(particle, name="")]), dict[str, Path]()
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(
                "another milopyp label is at work there", where=folder, expected="one at a time",
                remedy="Use its page, stop it, or give another --out.",
            ) from error  # fmt: skip
        except OSError as error:
            raise write_error(folder, error) from error
        complete = self._read(warn) if self.path.exists() else 0
        try:
            self._stream = self.path.open("ab", buffering=0)
            self._stream.truncate(complete)  # the rest of a line that was being written when the power went
        except OSError as error:
            raise write_error(self.path, error) from error
        if not complete:
            self._append(Record("begin", diameter=particle.diameter, schema=SCHEMA))

    def take(self, step: Step) -> None:
        """Keep and take a step; raises as the journal does, and nothing has happened then."""
        said = Record("step", step.what, tuple(step.labels.items()), step.diameter, species=step.species)
        self._append(said)
        self.labels.take(step)

    def undo(self) -> None:
        """Keep that the last step is undone."""
        self._append(Record("undo"))
        self.labels.undo()

    def redo(self) -> None:
        """Keep that a step is taken again."""
        self._append(Record("redo"))
        self.labels.redo()

    def open(self, name: str, path: Path) -> None:
        """Keep where a tomogram lies."""
        if self.paths.get(name) != path.absolute():
            self._append(Record("open", name=name, path=str(path.absolute())))
            self.paths[name] = path.absolute()

    def know(self, species: int, particle: Particle) -> None:
        """Keep a class, the next one or one that had no name."""
        if self.labels.particles[species : species + 1] != [particle]:
            self._append(Record("class", name=particle.name, diameter=particle.diameter, species=species))
            self.labels.know(species, particle)

    def close(self) -> None:
        """Let others have it."""
        self._stream.close()
        self._lock.release()

    def _append(self, record: Record) -> None:
        said = {key: value for key, value in asdict(record, dict_factory=_without_zero).items() if value or key == "do"}
        line, start = json.dumps(said).encode() + b"\n", self._stream.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._stream.write(line) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            self._stream.truncate(start)  # a line that could not be written whole
            raise write_error(self.path, error) from error

    def _read(self, warn: Callable[[str], None]) -> int:
        """Take what is there; the number of bytes of whole lines."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise write_error(self.path, error) from error
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            warn(f"{self.path}: the last line was cut off and is left out")
        for number, line in enumerate(data[:whole].splitlines(), start=1):  # at line ends only, as bytes
            self._replay(line, f"{self.path}, line {number}", first=number == 1)
        return whole

    def _replay(self, line: bytes, where: str, *, first: bool) -> None:
        expected = "a journal of milopyp label"
        try:
            stored = json.loads(line)
        except ValueError as error:
            raise InputError("is no JSON", where=where, expected=expected, remedy="Give another --out.") from error
        record: Record = decode(Record, stored, "line", where, complete=False)
        if first != (record.do == "begin") or (first and record.schema != SCHEMA):
            raise InputError("is of another kind", where=where, expected=f"{expected}, schema {SCHEMA}")
        self._take(record, where)

    def _take(self, record: Record, where: str) -> None:
        match record.do:
            case "begin":
                self.labels.know(0, Particle("", record.diameter or self.labels.particles[0].diameter))
            case "class":
                self._refuse_no_class(record, where)
                self.labels.know(record.species, Particle(record.name, record.diameter or 0.0))
            case "open":
                self.paths[record.name] = to_path(record.path)
            case "step":
                self._refuse_strangers(record, where)
                self.labels.take(Step(record.what, dict(record.labels), record.diameter, record.species))
            case "undo":
                self.labels.undo()
            case "redo":
                self.labels.redo()

    def _refuse_no_class(self, record: Record, where: str) -> None:
        check_names([record.name], where)
        if not 0 <= record.species <= len(self.labels.particles) or not record.diameter:
            raise InputError(
                f"class {record.species} of {record.diameter} voxels", where=where, expected="the next one"
            )

    def _refuse_strangers(self, record: Record, where: str) -> None:
        known = range(len(self.labels.particles))
        for label in filter(None, (label for _, label in record.labels)):
            if label.tomogram not in self.paths:
                raise InputError(f"a label of {label.tomogram}", where=where, expected="one of a tomogram named before")
            if label.species not in known:
                raise InputError(
                    f"a label of class {label.species}", where=where, expected="one of a class named before"
                )
        if record.species not in known:
            raise InputError(f"a size of class {record.species}", where=where, expected="one of a class named before")


def _without_zero(facts: list[tuple[str, Any]]) -> dict[str, Any]:
    """As JSON; of the first class it is not said that it is the first: it may be the only one."""
    return {key: value for key, value in facts if key != "species" or value}
