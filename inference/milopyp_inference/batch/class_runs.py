"""The folder of a run of several classes: a run for each, in a folder that is called after the class."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from milopyp_shared.atomic import write_text
from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.particles import check_names
from milopyp_shared.typed_json import decode

from .record_files import RECORDS

CLASSES = "classes.json"
_LARGEST = 100_000  # bytes


def write_class_names(folder: Path, names: Sequence[str]) -> None:
    """Say which classes a folder has runs of; raises as `refuse_other_classes`, or as `write_text`."""
    refuse_other_classes(folder, names)
    if not class_names(folder):
        write_text(folder / CLASSES, json.dumps({"classes": list(names)}) + "\n")


def refuse_other_classes(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder with runs of other classes, which would lie beside these as if they were of one network.

    Parameters
    ----------
    names
        Of the network's classes; none of a network of one.

    Raises
    ------
    ContradictionError
        It is such a folder.
    InputError
        As `class_names`.
    """
    before = class_names(folder)
    if before == list(names) and not (names and (folder / RECORDS).is_dir()):
        return
    if before or (folder / RECORDS).is_dir():
        raise ContradictionError(
            f"holds runs of the classes {', '.join(before)}" if before else "holds a run of one class", where=folder,
            expected=f"{', '.join(names) or 'a run of one class'}, or nothing", remedy="Give another --out.",
        )  # fmt: skip


def class_names(folder: Path) -> list[str]:
    """The classes that a folder has runs of, in the network's order; none of a run of one class.

    Raises
    ------
    InputError
        The file that says so is damaged.
    """
    path = folder / CLASSES
    try:
        if not path.is_file():
            return []
        if path.stat().st_size > _LARGEST:
            raise InputError("is too large", where=path, expected="what milopyp-infer wrote")
        stored: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read ({error})", where=path, expected="what milopyp-infer wrote") from error
    names: list[str] = decode(dict[str, list[str]], stored, "list of classes", path).get("classes", [])
    check_names(names, path)
    return names


def class_folders(folder: Path) -> dict[str, Path]:
    """The runs in a folder, by class; none where it is that of one class; raises as `class_names`."""
    return {name: folder / name for name in class_names(folder)}


def class_of(run: Path) -> str | None:
    """The class that the run in a folder is of; None where the model has one that nobody has named.

    Raises
    ------
    InputError
        As `class_names`.
    """
    run = run.resolve()
    return run.name if run.name in class_names(run.parent) else None


def refuse_several(folder: Path) -> None:
    """Refuse the folder of several runs where one is meant.

    Raises
    ------
    InputError
        It is one; the message names the runs.
    """
    if found := class_folders(folder):
        runs = ", ".join(str(path) for path in found.values())
        raise InputError("holds a run for each of its classes", where=folder, expected=f"one of them: {runs}")
