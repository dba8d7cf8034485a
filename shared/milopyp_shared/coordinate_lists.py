"""Coordinate lists: where the particles in tomograms are, by the names of an image list.

    image_name  x_coord  y_coord  z_coord
    TS_01       146      163      26

Coordinates are voxels in the inside frame (x, y, z; the centre of the first voxel is 0.0), whatever the axis order of
the tomogram's file. A row ``TS_02 none none none`` says that TS_02 was looked at and holds no particle; a tomogram
without a row is not labelled. Where there are several classes of particles, a column ``class`` names that of each row,
and all this is said for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .atomic import write_text
from .errors import InputError
from .lists import Lines, check_image_name, find_list, read_rows
from .particles import check_names, the_class
from .picks import Picks, as_picks
from .textfile import fixed, read_lines, to_number

COORDINATE_COLUMNS = ("image_name", "x_coord", "y_coord", "z_coord")
SCORE, CLASS = "score", "class"
TOMOGRAMS, CLASSES = "# tomograms:", "# classes:"
NONE = "none"  # in any case, instead of each coordinate
Classes: TypeAlias = dict[str, dict[str, NDArray[np.float64]]]
"""Labels by class and image name: ``(n, 3)`` x, y, z, voxels, inside frame; n = 0: there is none."""


def read_coordinate_list(
    path: str | Path, say: Callable[[str], None] = lambda text: None
) -> dict[str, NDArray[np.float64]]:
    """Labels by image name, in the list's order, of a list of one class.

    Parameters
    ----------
    say
        As for `find_list`.

    Returns
    -------
    For each name ``(n, 3)`` float64 x, y, z, voxels, inside frame; n = 0 where the list says that there is none.

    Raises
    ------
    InputError
        As `read_classes`; or there are several classes.
    """
    return the_class(read_classes(path, say), path)


def read_classes(path: str | Path, say: Callable[[str], None] = lambda text: None) -> Classes:
    """Labels by class and image name, in the list's order.

    Parameters
    ----------
    say
        As for `find_list`.

    Returns
    -------
    For each class, called "" where there is no column ``class``, and name ``(n, 3)`` float64 x, y, z, voxels, inside
    frame; n = 0 where the list says that there is none.

    Raises
    ------
    InputError
        Unreadable, without the header ``image_name x_coord y_coord z_coord``, or empty; a name that cannot be part of
        a file name, a coordinate that is no finite number, ``none`` beside numbers (all with the line); classes that
        differ in case only.
    """
    path = find_list(path, say)
    return _read(read_lines(path), path)


@dataclass(frozen=True)
class PickList:
    """A coordinate list of picks.

    Attributes
    ----------
    path
        The file.
    classes
        Picks by class, called "" where there is no column ``class``, and image name, best first.
    head
        Its comments ``# tomograms:`` and ``# classes:`` by their beginnings: words with tabs between them.
    """

    path: Path
    classes: dict[str, dict[str, Picks]]
    head: Mapping[str, Sequence[str]]

    @property
    def tomograms(self) -> Sequence[str]:
        """Those that its head names; raises `InputError` for what is no name.

        Labels leave it aside, because a tomogram in which nothing was picked may hold particles.
        """
        for name in self.head[TOMOGRAMS]:
            check_image_name(name, self.path)
        return self.head[TOMOGRAMS]

    @property
    def kinds(self) -> list[str]:
        """The classes that it has picks of, or that its head names: one without a row has none; raises as above."""
        check_names(self.head[CLASSES], self.path)
        return list(dict.fromkeys((*self.head[CLASSES], *self.classes)))


def read_picks(path: str | Path) -> PickList:
    """As `read_classes`, with the scores of a column ``score`` where there is one, and what the head says.

    Raises
    ------
    InputError
        As `read_classes`, or a score that is no finite number.
    """
    path = find_list(path)
    lines = read_lines(path)
    classes = {
        kind: {name: as_picks(table) for name, table in own.items()} for kind, own in _read(lines, path, SCORE).items()
    }
    return PickList(path, classes, {head: _named(lines, head) for head in (TOMOGRAMS, CLASSES)})


def read_pick_list(path: str | Path, kind: str | None = None) -> dict[str, Picks]:
    """Picks by image name, with the tomograms that the list names in its head or for any class: no row, no picks.

    Parameters
    ----------
    kind
        The class that they are of, where that is known; as for `milopyp_shared.particles.the_class`.

    Raises
    ------
    InputError
        As `read_picks` and `milopyp_shared.particles.the_class`, or a name in the head that is none.
    """
    listed = read_picks(path)
    classes = {name: listed.classes.get(name, {}) for name in listed.kinds}
    named = (*listed.tomograms, *(name for own in classes.values() for name in own))
    return with_named(the_class(classes, path, kind), named)


def _named(lines: Lines, head: str) -> list[str]:
    """The words behind the beginning of a comment."""
    said = next((line for _, line in lines if line.startswith(head)), head)
    return [name.strip() for name in said.removeprefix(head).split("\t") if name.strip()]


def with_named(found: Mapping[str, Picks], names: Iterable[str]) -> dict[str, Picks]:
    """Picks by image name, with none of further tomograms that were picked."""
    return {name: found.get(name, as_picks([])) for name in (*names, *found)}


def write_coordinate_list(
    path: str | Path,
    coordinates: Mapping[str, ArrayLike],
    notes: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> None:
    """Write labels by image name: ``(n, 3)`` x, y, z, voxels, inside frame; two decimals where a value needs them.

    Of a tomogram with n = 0 the list says that it holds no particle.

    Parameters
    ----------
    notes
        More columns, which `read_coordinate_list` leaves aside: by their name, and by image name, a word per label.

    Raises
    ------
    InputError
        A name that would not read back, coordinates that are not finite (n, 3), or the file cannot be written.
    """
    more = notes or {}
    lines = ["\t".join((*COORDINATE_COLUMNS, *more))]
    for name, xyz in coordinates.items():
        for index, words in enumerate(_words(name, xyz, path)):
            own = [NONE if words[0] == NONE else column[name][index] for column in more.values()]
            lines.append("\t".join([name, *words, *own]))
    write_text(path, "".join(line + "\n" for line in lines))


def write_classes(path: str | Path, classes: Classes) -> None:
    """Write labels by class and image name, as `read_classes` reads them; parameters and errors are its."""
    if list(classes) == [""]:
        write_coordinate_list(path, classes[""])
        return
    check_names(classes, path)
    lines = ["\t".join((*COORDINATE_COLUMNS, CLASS))]
    for kind, coordinates in classes.items():
        for name, xyz in coordinates.items():
            lines += ["\t".join((name, *words, kind)) for words in _words(name, xyz, path)]
    write_text(path, "".join(line + "\n" for line in lines))


def _words(name: str, xyz: ArrayLike, path: str | Path) -> list[list[str]]:
    """The coordinates of an image, row by row; two decimals where a value needs them."""
    check_image_name(name, path)
    points = np.asarray(xyz, dtype=np.float64)
    points = points.reshape(-1, 3) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"coordinates of {name} of shape {points.shape}", where=path, expected="finite (n, 3)")
    if not len(points):
        return [[NONE] * 3]
    return [[fixed(value, 0 if value.is_integer() else 2) for value in point] for point in points.tolist()]


def _read(lines: Lines, path: Path, *more: str) -> Classes:
    """Coordinates by class and image name, and the numbers of further columns behind them where there are such."""
    rows: dict[str, list[tuple[str, list[str]]]] = {}
    for where, (*cells, kind) in read_rows(lines, path, COORDINATE_COLUMNS, *more, CLASS):
        rows.setdefault(kind, []).append((where, [cell for cell in cells if cell]))
    if list(rows) != [""]:
        check_names(rows, path)
    return {kind: _points(own) for kind, own in rows.items()}


def _points(cells: Iterable[tuple[str, list[str]]]) -> dict[str, NDArray[np.float64]]:
    """Coordinates by image name, and further numbers, of rows with their places."""
    points: dict[str, list[list[float]]] = {}
    without: dict[str, str] = {}
    for where, (name, *words) in cells:
        if name not in points:
            check_image_name(name, where)
        rows = points.setdefault(name, [])
        if _says_none(words[:3], where):
            without[name] = where
        else:
            rows.append([to_number(word, where) for word in words])
    for name, where in without.items():
        if points[name]:
            raise InputError(
                f"{name} holds no particle by this row, and {len(points[name])} by others",
                where=where,
                expected=f"coordinates, or one row of {NONE}",
                remedy="Take out what is wrong.",
            )
    return {
        name: np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 3) for name, rows in points.items()
    }


def _says_none(words: list[str], where: str) -> bool:
    """Whether the coordinates of a row say that there is no particle."""
    said = [word.lower() == NONE for word in words]
    if any(said) and not all(said):
        raise InputError(
            f"{' '.join(words)!r}", where=where, expected=f"three numbers, or {NONE} in place of each",
            remedy=f"{NONE.capitalize()} says that the whole tomogram holds no particle.",
        )  # fmt: skip
    return all(said)
