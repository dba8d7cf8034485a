"""Which of the files beside a tomogram holds its picks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import stores
from .errors import InputError
from .names import of_file

if TYPE_CHECKING:
    from .lists import ImageEntry

# What may follow the tomogram's name, or its file's, in the name of its picks, in any case; the first counts.
PICK_ENDINGS = ("_coord.txt", ".txt", ".coords", ".mod", ".star", ".tbl", ".ndjson", ".json", ".csv")
LIST_ENDINGS = ("_train_imgs.txt", "_train_coords.txt", "_test_imgs.txt")
TEXTS = (".txt", ".coords")


def choose_picks(entry: ImageEntry, word: str | None, warn: Callable[[str], None]) -> Path | None:
    """The file with the picks of a tomogram, beside it; None when there is none.

    Parameters
    ----------
    word
        Format that is asked for; None: any, by `PICK_ENDINGS`. A text without a point is not taken where there is
        another file (logs have such names), and a model not left for a text that is older.
    warn
        Called with what is left out and why.
    """
    there = _beside(entry, word)
    if word is None and len(there) > 1:
        there = [path for path in there if path.suffix.lower() not in TEXTS or has_points(path)] or there
    if not there:
        warn(_nothing(entry))
        return None
    chosen = there[0]
    newer = next((p for p in there if p.suffix.lower() == ".mod" and _is_newer(p, chosen)), None)
    if newer is not None and chosen.suffix.lower() in TEXTS:
        warn(f"{newer.name} is newer than {chosen.name} and is read instead of it (--from txt reads the text)")
        return newer
    if left := [path.name for path in _beside(entry, None) if path != chosen]:
        asked = "" if word else " (--from says which format to read)"
        warn(f"{chosen.name} is read, and not {', '.join(left)}{asked}")
    return chosen


def _beside(entry: ImageEntry, word: str | None) -> list[Path]:
    """Files that may hold picks, those that count first before others."""
    endings = PICK_ENDINGS if word is None else _endings_of(word)
    names = tuple(dict.fromkeys((entry.name, of_file(entry.path), stores.outer(entry.path).name)))
    wanted = [name + ending for ending in endings for name in names]
    rank = {name.lower(): number for number, name in reversed(list(enumerate(wanted)))}
    found = [
        path
        for path in entry.folder.iterdir()
        if path.name.lower() in rank and path.name.startswith(names) and not path.name.endswith(LIST_ENDINGS)
    ]
    return sorted((path for path in found if path.is_file()), key=lambda path: (rank[path.name.lower()], path.name))


def _endings_of(word: str) -> Sequence[str]:
    from .formats.registry import FORMATS

    suffixes = FORMATS[word].suffixes if word in FORMATS else ()
    known = [ending for ending in PICK_ENDINGS if ending.endswith(suffixes)]
    return known + [suffix for suffix in suffixes if suffix not in known]


def has_points(path: Path) -> bool:
    """Whether the first line that says something begins with three numbers."""
    from .textfile import read_lines, to_number

    try:
        for _, line in read_lines(path):
            if words := line.split("#", 1)[0].split():
                return len([to_number(word, path) for word in words[:3]]) == 3
    except InputError:
        pass
    return False


def _is_newer(path: Path, other: Path) -> bool:
    return path.stat().st_mtime_ns > other.stat().st_mtime_ns


def _nothing(entry: ImageEntry) -> str:
    """What to say of a tomogram without a file, and of files whose names go on."""
    named_after_file = stores.outer(entry.path).name.startswith(entry.name)
    own = entry.name if named_after_file else of_file(entry.path)
    some = ", ".join(own + ending for ending in PICK_ENDINGS[:4])
    longer = sorted(
        path.name
        for path in entry.folder.iterdir()
        if path.name.startswith(f"{entry.name}_")
        and path.name.lower().endswith(PICK_ENDINGS)
        and not path.name.endswith(LIST_ENDINGS)
    )
    if not longer or not named_after_file:  # the * of a pattern is the name
        return f"{entry.file} has no picks ({some}, ...)"
    pattern = f"*{longer[0].removeprefix(entry.name)}"
    hint = f"--picks '{entry.folder / pattern}' reads {longer[0]}"
    return f"{entry.file} has no picks ({some}, ...); {hint}"
