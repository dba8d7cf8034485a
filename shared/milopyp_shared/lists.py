"""Image lists: which tomograms there are, what they are called and where they lie; and what all lists have in common.

Lists are text with a header line, tab- or space-separated (tabs where names or paths hold spaces); ``#`` comments,
blank lines, a byte order mark and CRLF are accepted:

    image_name  rec_path
    TS_01       tomograms/TS_01.rec

Paths are relative to the list's folder, then to the working directory; an absolute path that is no longer there is
looked for by its end in both. URLs of stores are paths, too. A third column, ``tomo_name``, may say what the tomogram
is called inside picks for other programs. Where the particles are is in `milopyp_shared.coordinate_lists`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from . import stores
from .atomic import write_text
from .errors import InputError
from .files import missing_file_error
from .textfile import read_lines
from .urls import Url, to_path
from .wording import counted

IMAGE_COLUMNS = ("image_name", "rec_path")
TOMO_NAME = "tomo_name"
Lines: TypeAlias = list[tuple[int, str]]
"""As `milopyp_shared.textfile.read_lines` gives them."""
_FROM_TABLES = (
    "Lists are separated by tabs or spaces: milopyp prepare makes them of labels, milopyp collect --to list of picks."
)
LONGEST_NAME = 200  # file systems take 255 bytes, of which endings and temporary names need some


@dataclass(frozen=True)
class ImageEntry:
    """A tomogram: the name its results are called by, its file, and what other programs call it, if it is said.

    The file may be a store, or a level inside it: `milopyp_shared.stores`.
    """

    name: str
    path: Path
    tomo_name: str | None = None

    @property
    def file(self) -> str:
        """What its file is called in messages: with its name or the folder, where it is not named after the file."""
        path = stores.outer(self.path)
        if path.name.startswith(self.name):
            return path.name
        whole = f"{path.parent.name}/{path.name}"
        return whole if path.parent.name in self.name else f"{self.name} ({whole})"

    @property
    def folder(self) -> Path:
        """Where its file lies; of a URL the working directory, where what belongs to it is looked for and written."""
        return Path() if isinstance(self.path, Url) else stores.outer(self.path).parent

    @property
    def label(self) -> str:
        """What it is called inside files that name their tomograms."""
        return self.tomo_name or self.name


def list_places(path: Path) -> list[Path]:
    """Where a list may lie that is called `path`: in the published program's folder layout all lie in ``data/``."""
    return [path, Path("data") / path] if path.name == str(path) else [path]


def find_list(name: str | Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Path of a list; one given without a folder is looked up in the working directory, then in ``data/``.

    Parameters
    ----------
    say
        Is told of a list in ``data/``, and of one there that is not taken.

    Raises
    ------
    InputError
        There is no such file; the message says where it was looked for.
    """
    path, places = Path(name), list_places(Path(name))
    there = [place for place in places if _is_file(place)]
    if there and there != places[:1]:
        left = "".join(f", and not {place}" for place in there[1:])
        say(f"{name} is {there[0].absolute()}{left}")
    if there:
        return there[0]
    looked = " and ".join(str(place.absolute()) for place in places)
    raise missing_file_error(
        path,
        "an image or coordinate list",
        f"Check its name (looked for {looked}), or write it with `milopyp prepare`.",
    )


def read_image_list(path: str | Path, say: Callable[[str], None] = lambda text: None) -> list[ImageEntry]:
    """Tomograms of an image list, in its order; a line that says the same as an earlier one is dropped.

    The list is looked up by `find_list`; relative tomogram paths are relative to its folder, then to the working
    directory, and an absolute one that is not there is looked for by its end in the same folders.

    Parameters
    ----------
    say
        As for `find_list`; is told of tomograms that do not lie where the list says, and of others that could be meant.

    Raises
    ------
    InputError
        Unreadable, without the header ``image_name rec_path``, or empty; a name that cannot be part of a file name,
        two tomograms of one name, a tomogram that does not exist (all with the line).
    """
    path = find_list(path, say)
    images: dict[str, ImageEntry] = {}
    found: dict[Path, Path] = {}
    for where, (name, rec_path, tomo_name) in read_rows(read_lines(path), path, IMAGE_COLUMNS, TOMO_NAME):
        for each in (name, *filter(None, [tomo_name])):
            check_image_name(each, where)
        said = _path(rec_path, where)
        found[said] = said if isinstance(said, Url) else _find_tomogram(said, path.parent, where)
        entry = ImageEntry(name, found[said], tomo_name or None)
        known = images.setdefault(name, entry)
        if not stores.is_same(known.path, entry.path) or known.label != entry.label:
            raise InputError(
                f"two tomograms of one name: {name!r} is {_described(known)} and {_described(entry)}",
                where=where,
                expected="one name per tomogram",
                remedy="Rename one of them here and in the coordinate list.",
            )
    for sentence in (_moved(path, found), _ambiguous(path, found)):
        if sentence:
            say(sentence)
    return list(images.values())


def write_image_list(path: str | Path, entries: Iterable[ImageEntry], *, absolute: bool = False) -> None:
    """Write an image list; tomograms below the list's folder get relative paths, so that both can be moved together.

    Parameters
    ----------
    absolute
        All paths are absolute, so that the list can be moved away from the tomograms as well.

    Raises
    ------
    InputError
        A name or path that would not read back, or the file cannot be written.
    """
    folder, entries = Path(path).absolute().parent, list(entries)
    called = any(entry.label != entry.name for entry in entries)
    lines = ["\t".join((*IMAGE_COLUMNS, TOMO_NAME) if called else IMAGE_COLUMNS)]
    for entry in entries:
        for name in (entry.name, entry.label):
            check_image_name(name, path)
        tomogram = entry.path.absolute()
        if tomogram.is_relative_to(folder) and not absolute:
            tomogram = tomogram.relative_to(folder)
        text = str(tomogram)
        if text != text.strip() or not text.isprintable():
            raise InputError(f"path {text!r}", where=path, expected="no tabs, line breaks or outer spaces in it")
        lines.append("\t".join((entry.name, text, entry.label) if called else (entry.name, text)))
    write_text(path, "".join(line + "\n" for line in lines))


def refuse_namesakes(entries: Iterable[ImageEntry], remedy: str) -> None:
    """Refuse two tomograms of one name, whose results would overwrite each other.

    Raises
    ------
    InputError
        There are two.
    """
    seen: dict[str, Path] = {}
    for entry in entries:
        if entry.name in seen:
            raise InputError(
                f"is called {entry.name} as {seen[entry.name]} is",
                where=entry.path,
                expected="different names, since outputs are named after them",
                remedy=remedy,
            )
        seen[entry.name] = entry.path


def check_image_name(name: str, where: object, remedy: str = "Rename the image here and in the other list.") -> None:
    """Refuse names that cannot stand in a list or in the file names of results.

    Raises
    ------
    InputError
        Empty, with ``/``, ``\\``, ``..`` or control characters, beginning with ``#``, with spaces around it, or too
        long for a file name with what follows it.
    """
    bad = not name or name == "." or name != name.strip() or name.startswith("#") or not name.isprintable()
    if bad or any(part in name for part in ("/", "\\", "..")):
        raise InputError(
            f"image name {name!r}",
            where=where,
            expected="a name without '/', '..' and control characters, because results are named after it",
            remedy=remedy,
        )
    if len(name.encode()) > LONGEST_NAME:
        raise InputError(
            f"an image name of {len(name.encode())} bytes", where=where, expected=f"at most {LONGEST_NAME}",
            remedy="Give it a shorter one.",
        )  # fmt: skip


def _described(entry: ImageEntry) -> str:
    return f"{entry.path} ({entry.tomo_name})" if entry.tomo_name else str(entry.path)


def read_rows(
    lines: Lines, path: str | Path, columns: tuple[str, ...], *optional: str
) -> Iterator[tuple[str, list[str]]]:
    """Place ("list, line n") and the cells of `columns` for each row below the header; never none at all.

    Those of the columns `optional` follow, empty where there is no such column. `path` is where the lines are from.
    """
    lines = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError("is empty", where=path, expected=f"the header {' '.join(columns)!r} and rows below it")
    number, header = lines[0]
    with_tabs = "\t" in header
    names = [cell.lower() for cell in _cells(header, with_tabs)]
    wrong = [column for column in columns if names.count(column) != 1]
    if wrong:
        raise InputError(
            f"column {', '.join(wrong)} is missing or there twice in {header.strip()[:80]!r}",
            where=f"{path}, line {number}",
            expected=f"the header {' '.join(columns)!r}",
            remedy=_FROM_TABLES if "," in header else "Add the header line, its words separated by tabs or spaces.",
        )
    if len(lines) == 1:
        raise InputError("has a header and no rows", where=path, expected="at least one row")
    places = [names.index(column) if column in names else None for column in (*columns, *optional)]
    indices = [place for place in places if place is not None]
    for number, line in lines[1:]:
        where = f"{path}, line {number}"
        cells = _cells(line, with_tabs and "\t" in line)
        # without tabs an empty cell cannot be seen and a space in a path makes two: then every column must be there
        fits = len(cells) > max(indices) if "\t" in line and with_tabs else len(cells) == len(names)
        if not fits or not all(cells[index] for index in indices):
            raise InputError(
                f"{counted(len([cell for cell in cells if cell]), 'value')} for {counted(len(names), 'column')}",
                where=where,
                expected=f"values for {' '.join(columns)}",
                remedy="Separate columns by tabs where names or paths hold spaces.",
            )
        yield where, ["" if place is None else cells[place] for place in places]


def _cells(line: str, with_tabs: bool) -> list[str]:
    return [cell.strip() for cell in line.split("\t")] if with_tabs else line.split()


def _path(text: str, where: str) -> Path:
    try:
        return to_path(text)
    except InputError as error:
        raise InputError(
            f"{error.where} {error.found}", where=where, expected=error.expected, remedy=error.remedy
        ) from error


def _find_tomogram(path: Path, folder: Path, where: str) -> Path:
    """The file that a list in `folder` calls `path`."""
    places = [folder / path, path]  # for an absolute path both are itself
    if path.is_absolute():
        ends = [Path(*path.parts[first:]) for first in range(1, len(path.parts))]
        places += [place / end for end in ends for place in (folder, Path())]
    for place in places:
        if stores.is_there(place):
            return place
    folders = " and ".join(dict.fromkeys(str(place.absolute()) for place in (folder, Path())))
    if path.is_absolute():
        remedy = "Write the list again with milopyp prepare, or correct its paths."
    else:
        remedy = "Paths are relative to the list's folder, then to the working directory."
    raise InputError(
        f"there is no tomogram {path} (looked for {path.name} in {folders})",
        where=where,
        expected="an existing file",
        remedy=remedy,
    )


def _moved(path: Path, found: Mapping[Path, Path]) -> str:
    """What to say of the tomograms of a list that do not lie where it says.

    Raises
    ------
    InputError
        One file would be several of them.
    """
    moved = {said: place for said, place in found.items() if said.is_absolute() and said != place}
    uses = Counter(found.values())
    for said, place in moved.items():
        if uses[place] > 1:
            raise InputError(
                f"{said} is not there, and {place} could be {uses[place]} of its tomograms",
                where=path,
                expected="the paths of existing files",
                remedy="Correct them, or write the list again with milopyp prepare.",
            )
    if not moved:
        return ""
    said, place = next(iter(moved.items()))
    more = f" ({len(moved)} tomograms)" if len(moved) > 1 else ""
    return f"{path}: {said} is not there any more, {place.absolute()} is read{more}"


def _ambiguous(path: Path, found: Mapping[Path, Path]) -> str:
    """What to say where a tomogram of a list could be another file as well."""
    for said, place in found.items():
        if isinstance(said, Url):
            continue
        other = path.parent / said.name if said.is_absolute() else said
        if stores.is_there(other) and not stores.is_same(other, place):
            return f"{path}: {place.absolute()} is read, and not {other.absolute()}"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # e.g. a name longer than the file system allows
        return False
