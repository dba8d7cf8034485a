"""The number of each tomogram in the Dynamo tables of a run, and the map that says whose it is: ``tomograms.doc``.

A line of the map is a tomogram's when it has its path; else by the rule of names (`milopyp_shared.names`), so that a
map from Dynamo or of another machine counts. Processes that share the folder write the map one after another.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from milopyp_shared.atomic import make_folder
from milopyp_shared.errors import ContradictionError
from milopyp_shared.formats.dynamo import read_doc, write_doc
from milopyp_shared.names import assign_some, of_file

from .leases import Leases
from .record_files import RECORDS, read_record

MAP = "tomograms.doc"
_AGAIN = 0.02  # seconds between looks at whether the map is free


def plan_numbers(folder: Path, paths: Iterable[str], before: Path | None = None) -> dict[str, int]:
    """Numbers by path of a tomogram: those of the map in `folder`, else of that in `before`, then the next ones.

    Raises
    ------
    InputError
        The map is damaged, or one of its lines can be several of the tomograms', or several that of one.
    """
    paths = list(dict.fromkeys(paths))
    place = next((own for own in (folder, before) if own is not None and (own / MAP).exists()), folder)
    known = _read(place)
    numbers = {path: known[line] for path, line in _lines_of(paths, known, place).items()}
    new = [path for path in paths if path not in numbers]
    return numbers | {path: number for number, path in enumerate(new, start=max(known.values(), default=0) + 1)}


def keep_numbers(folder: Path, numbers: Mapping[str, int]) -> None:
    """Write the map in `folder`, before any table; lines that are there, and what others have added meanwhile, stay.

    Raises
    ------
    ContradictionError
        Another process has given one of these numbers to another tomogram.
    InputError
        The map is damaged, or cannot be written.
    """
    if not numbers:
        return
    make_folder(folder)
    with _alone(folder):
        known = _read(folder)
        lines = _lines_of(list(numbers), known, folder)
        new = {path: number for path, number in numbers.items() if path not in lines}
        if any(known[line] != numbers[path] for path, line in lines.items()) or {*new.values()} & {*known.values()}:
            raise ContradictionError(
                "another process has given the same numbers to other tomograms", where=folder / MAP,
                expected="one number for one tomogram", remedy="Give the command again.",
            )  # fmt: skip
        if new:
            write_doc(folder / MAP, {number: own for own, number in (known | new).items()})


def _read(folder: Path) -> dict[str, int]:
    path = folder / MAP
    return {line: number for number, line in read_doc(path).items()} if path.exists() else {}


def _lines_of(paths: list[str], known: Iterable[str], folder: Path) -> dict[str, str]:
    """Which line of the map in `folder` is that of which tomogram, by path; tomograms without one are left out."""
    lines = list(known)
    exact = {path: path for path in {*paths} & {*lines}}
    left = [path for path in paths if path not in exact]
    if not left or len(exact) == len(lines):
        return exact
    taken = _files_of_others(folder, paths) | exact.keys()
    remedy = "Write the whole path of each tomogram into the map."
    return exact | assign_some(left, [line for line in lines if line not in taken], folder / MAP, remedy)


def _files_of_others(folder: Path, paths: Iterable[str]) -> set[str]:
    """Files that a run knows as other tomograms, though they may be called alike (``1/rec.mrc``, ``2/rec.mrc``)."""
    names = {of_file(Path(path)) for path in paths}
    places = [place for place in (folder / RECORDS).glob("*.json") if place.stem not in names]
    return {record.input.path for place in places if (record := read_record(place))}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is at the map; one that died at it holds nobody up for long."""
    leases = Leases(folder)
    while not leases.acquire(MAP):
        time.sleep(_AGAIN)
    try:
        yield
    finally:
        leases.release(MAP)
