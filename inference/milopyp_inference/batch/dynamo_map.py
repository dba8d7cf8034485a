"""The number of each tomogram in the Dynamo tables of a run, and the map that says whose it is: ``tomograms.doc``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from milopyp_shared.errors import ContradictionError
from milopyp_shared.formats.dynamo import read_doc, write_doc

MAP = "tomograms.doc"


def plan_numbers(folder: Path, paths: Iterable[str], before: Path | None = None) -> dict[str, int]:
    """Numbers by path of a tomogram: those of the map in `folder`, else of that in `before`, then the next ones.

    Raises
    ------
    InputError
        The map is damaged.
    """
    maps = [own / MAP for own in (folder, before) if own is not None and (own / MAP).exists()]
    numbers = _read(maps[0]) if maps else {}
    new = [path for path in dict.fromkeys(paths) if path not in numbers]
    return numbers | {path: number for number, path in enumerate(new, start=max(numbers.values(), default=0) + 1)}


def keep_numbers(folder: Path, numbers: Mapping[str, int]) -> None:
    """Write the map in `folder`, before any table; what another process has added to it meanwhile stays.

    Raises
    ------
    ContradictionError
        It has given one of these numbers to another tomogram.
    InputError
        The map is damaged, or cannot be written.
    """
    if not numbers:
        return
    path = folder / MAP
    there = _read(path) if path.exists() else {}
    wanted = {**there, **numbers}
    if len(set(wanted.values())) < len(wanted) or any(wanted[own] != number for own, number in there.items()):
        raise ContradictionError(
            "another process has given the same numbers to other tomograms", where=path,
            expected="one number for one tomogram", remedy="Give the command again.",
        )  # fmt: skip
    if wanted != there:
        write_doc(path, {number: own for own, number in wanted.items()})


def _read(path: Path) -> dict[str, int]:
    return {tomogram: number for number, tomogram in read_doc(path).items()}
