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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from milopyp_shared.atomic import make_folder, write_error, write_text

from .outputs import OutputFiles
from .records import Failed, Picked

SUFFIX = ".new"
DIGESTS = "digests.json"


@dataclass(frozen=True)
class Left:
    """What a process that died has left of putting a tomogram's outputs in place.

    Attributes
    ----------
    picks
        Every digest that a file of picks may have which is milopyp's, by its name.
    with_candidates
        Whether heat map and candidates were to be replaced, too.
    """

    picks: dict[str, set[str]]
    with_candidates: bool


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
        self._left = left_of(folder)
        self.new = files.moved_to(folder)

    def __enter__(self) -> Stage:
        self._clear()
        make_folder(self._folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            clear_stage(self._folder)
        elif not self._placing:
            self._clear()

    def place(self, written: Mapping[str, Collection[str]] | None, warn: Callable[[str], None]) -> dict[str, str]:
        """Put what was made in its place; returns `digests` of the picks.

        Parameters
        ----------
        written, warn
            As in `keep_changed`.

        Raises
        ------
        InputError, FullDiskError
            The folder cannot be written, or what was made is gone.
        """
        try:
            found = digests(self.new)
            known = {name: {digest} for name, digest in found.items()}
            _remember(self._folder, _joined(known, self._left), self.new.candidates.exists() or self._has_left_all)
            self._placing = True
            keep_changed(self._files, written, warn)
            for old in self._files.other_heat_maps if self.new.heat.exists() else ():
                self._put_away(old)
            for new, target in zip(self.new.all, self._files.all, strict=True):
                if new.exists() or target in self._files.picks:
                    self._put_away(target)
                    new.replace(target)
        except OSError as error:
            raise write_error(self._files.text, error) from error
        return found

    def _put_away(self, old: Path) -> None:
        """Make room where a folder would have to be replaced, or is of no use any more; it goes with the stage."""
        if old.is_dir() or (old in self._files.other_heat_maps and old.exists()):
            old.rename(self._folder / f"{old.name}.before")

    @property
    def _has_left_all(self) -> bool:
        return self._left is not None and self._left.with_candidates

    def _clear(self) -> None:
        """Remove everything, but for what a process before has left to be known."""
        if self._left is None:
            clear_stage(self._folder)
            return
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != DIGESTS:
                path.unlink(missing_ok=True)


def stage_of(record: Path) -> Path:
    """Where the stage of the tomogram is whose record this is."""
    return record.with_suffix(SUFFIX)


def clear_stage(folder: Path) -> None:
    """Remove a stage, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def remember(folder: Path, files: OutputFiles) -> None:
    """Say in a stage that the files of picks that are there are milopyp's own.

    Raises
    ------
    InputError, FullDiskError
        It cannot be written.
    """
    _remember(folder, {name: {digest} for name, digest in digests(files).items()}, with_candidates=True)


def _remember(folder: Path, picks: Mapping[str, Collection[str]], with_candidates: bool) -> None:
    known = {name: sorted(own) for name, own in picks.items()}
    write_text(folder / DIGESTS, json.dumps({"picks": known, "with_candidates": with_candidates}))


def left_of(folder: Path) -> Left | None:
    """What a stage says of a process that died between the first new file and the record; None where there is none."""
    try:
        found = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        picks = {str(name): set(map(str, own)) for name, own in found["picks"].items()}
        return Left(picks, bool(found["with_candidates"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Left({}, with_candidates=True)  # damaged: it was at work


def written_digests(record: Picked | Failed | None, path: Path) -> dict[str, set[str]] | None:
    """Every digest that files of picks may have which milopyp has written of a tomogram, for `keep_changed`.

    Parameters
    ----------
    record, path
        What an earlier call has left of it, whatever it was made with, and where.
    """
    known = {name: {digest} for name, digest in (record.outputs if record else {}).items()}
    known = _joined(known, left_of(stage_of(path)))
    return known if known or isinstance(record, Picked) else None


def _joined(known: Mapping[str, set[str]], left: Left | None) -> dict[str, set[str]]:
    """Digests of two origins, by the name of the file."""
    more = {} if left is None else left.picks
    return {name: known.get(name, set()) | more.get(name, set()) for name in (*known, *more)}


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
    for path in (path for path in files.picks if path.is_file()):
        known = (written or {}).get(path.name, ())
        if _digest(path) not in known:
            kept = _free(path)
            path.rename(kept)
            whose = "is not as it was written" if known else "was not written by milopyp-infer"
            if written is not None and not written:
                whose = "may have been changed (an older version did not say how it wrote it)"
            warn(f"{path.name} {whose}: kept as {kept.name}, which new files do not heed (milopyp convert does)")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _free(path: Path) -> Path:
    """``NAME_changed.suffix``, or with a number where that is taken."""
    tries = (path.with_name(f"{path.stem}_changed{number or ''}{path.suffix}") for number in itertools.count())
    return next(name for name in tries if not name.exists())
