"""A tomogram's outputs are made aside and then put in their places: what a killed process has left is known as ours.

Whether a file of picks was changed by a person shows in its digest. A process that dies between the first new file and
the record would leave files that no record knows; the stage that it leaves, too, says what they are.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType

from milopyp_shared.atomic import make_folder, write_error, write_text

from .outputs import OutputFiles
from .records import Failed, Picked

SUFFIX = ".new"
DIGESTS = "digests.json"


class Stage:
    """A folder for one tomogram's new outputs; as a context manager it is removed when they are in place and recorded.

    Parameters
    ----------
    files
        Where they are to be in the end.
    folder
        Of the stage: see `stage_of`.
    """

    def __init__(self, files: OutputFiles, folder: Path) -> None:
        self._files, self._folder, self._placing = files, folder, False
        self.new = files.moved_to(folder)

    def __enter__(self) -> Stage:
        clear_stage(self._folder)
        make_folder(self._folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None or not self._placing:  # else it says which of the files that are there are ours
            clear_stage(self._folder)

    def place(self, written: Mapping[str, Collection[str]] | None, warn: Callable[[str], None]) -> dict[str, str]:
        """Put what was made in its place; returns `digests` of the picks.

        Parameters
        ----------
        written, warn
            As in `keep_changed`.

        Raises
        ------
        InputError, FullDiskError
            The folder cannot be written.
        """
        found = remember(self._folder, self.new)
        self._placing = True
        keep_changed(self._files, written, warn)
        for new, target in zip(self.new.all, self._files.all, strict=True):
            if new.exists():
                try:
                    new.replace(target)
                except OSError as error:
                    raise write_error(target, error) from error
        return found


def stage_of(record: Path) -> Path:
    """Where the stage of the tomogram is whose record this is."""
    return record.with_suffix(SUFFIX)


def clear_stage(folder: Path) -> None:
    """Remove a stage, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def remember(folder: Path, files: OutputFiles) -> dict[str, str]:
    """Write into a stage which files of picks are milopyp's own; returns their digests.

    Raises
    ------
    InputError, FullDiskError
        It cannot be written.
    """
    found = digests(files)
    write_text(folder / DIGESTS, json.dumps(found))
    return found


def left_digests(folder: Path) -> dict[str, str]:
    """`digests` of what a process was about to put in place when it died."""
    try:
        found = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(own) for name, own in found.items()} if isinstance(found, dict) else {}


def written_digests(record: Picked | Failed | None, path: Path) -> dict[str, set[str]] | None:
    """Every digest that files of picks may have which milopyp has written of a tomogram, for `keep_changed`.

    Parameters
    ----------
    record, path
        What an earlier call has left of it, whatever it was made with, and where.
    """
    left = left_digests(stage_of(path))
    known: dict[str, set[str]] = {}
    for found in (left, record.outputs if record else {}):
        for name, digest in found.items():
            known.setdefault(name, set()).add(digest)
    return known if known or isinstance(record, Picked) else None


def digests(files: OutputFiles) -> dict[str, str]:
    """SHA-256 of each file of picks that is there, by its name."""
    return {path.name: _digest(path) for path in files.picks if path.is_file()}


def keep_changed(
    files: OutputFiles, written: Mapping[str, Collection[str]] | None, warn: Callable[[str], None]
) -> None:
    """Rename files of picks that are about to be written anew and are not as they were written: a person's work.

    Parameters
    ----------
    written
        Every digest that a file may have which milopyp has written, by its name; empty where an older version did not
        keep them, None where it has written nothing.
    warn
        Called with one sentence for each.
    """
    there = [path for path in files.picks if path.is_file()]
    if written is not None and not written:
        if there:
            warn(f"{files.text.stem}: an older version did not say how it wrote the picks; changed or not, they go")
        return
    for path in there:
        known = () if written is None else written.get(path.name, ())
        if _digest(path) not in known:
            kept = _free(path)
            path.rename(kept)
            whose = "is not as it was written" if known else "was not written by milopyp-infer"
            warn(f"{path.name} {whose}: kept as {kept.name}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _free(path: Path) -> Path:
    """``NAME_changed.suffix``, or with a number where that is taken."""
    tries = (path.with_name(f"{path.stem}_changed{number or ''}{path.suffix}") for number in itertools.count())
    return next(name for name in tries if not name.exists())
