"""Where records lie in a run's folder (``records/NAME.json``, ``run.json``): one reader and one writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from milopyp_shared.atomic import write_text
from milopyp_shared.errors import InputError, MilopypError
from milopyp_shared.typed_json import decode

from .old_records import in_todays_words
from .records import Failed, Picked, RunSummary

RECORDS, SUMMARY = "records", "run.json"


def record_path(folder: Path, name: str) -> Path:
    """Where the record of the tomogram called `name` lies in the run's `folder`."""
    return folder / RECORDS / f"{name}.json"


def write_record(folder: Path, record: Picked | Failed) -> None:
    """Write a tomogram's record in one step.

    Raises
    ------
    InputError, FullDiskError
        The folder cannot be written.
    """
    _write(record_path(folder, record.name), record)


def write_summary(folder: Path, summary: RunSummary) -> None:
    """Write ``run.json`` in one step; raises as `write_record` does."""
    _write(folder / SUMMARY, summary)


def load_record(path: Path, *, complete: bool = False) -> Picked | Failed:
    """Read a record.

    Parameters
    ----------
    complete
        Refuse one without an option that has a default by now.

    Raises
    ------
    InputError
        It is missing, damaged, or of another tomogram than its file's name says.
    """
    record: Picked | Failed = _load(Picked | Failed, path, "record", "record of a tomogram", complete=complete)
    if record.name != path.stem:
        raise _damaged(path, "record of a tomogram", f"the record is one of {record.name!r}")
    return record


def read_record(path: Path) -> Picked | Failed | None:
    """A record that says all that a record says today; None when it is missing or damaged."""
    try:
        return load_record(path, complete=True)
    except InputError:
        return None


def read_summary(folder: Path) -> RunSummary:
    """What ``run.json`` says of the whole run.

    Raises
    ------
    InputError
        It is missing or damaged.
    """
    summary: RunSummary = _load(RunSummary, folder / SUMMARY, "summary", "summary of a run", complete=False)
    return summary


def find_summary(folder: Path) -> RunSummary | None:
    """As `read_summary`; None when it is missing or damaged."""
    try:
        return read_summary(folder)
    except InputError:
        return None


def _write(path: Path, content: Struct) -> None:
    write_text(path, json.dumps(msgspec.to_builtins(content), indent=1) + "\n")


def _load(kind: Any, path: Path, name: str, title: str, *, complete: bool) -> Any:
    try:
        stored = in_todays_words(json.loads(path.read_text(encoding="utf-8")))
        return decode(kind, stored, name, path, complete=complete)
    except MilopypError as error:
        raise _damaged(path, title, error.found) from error
    except OSError as error:
        raise _damaged(path, title, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, title, "it is no JSON") from error


def _damaged(path: Path, title: str, why: str) -> InputError:
    return InputError(
        f"is no {title} ({why})",
        where=path,
        expected="what milopyp-infer wrote",
        remedy="Run milopyp-infer again: it repairs what is missing.",
    )
