"""Tables of the exploration module of the published program: parquet with the columns ``name`` and ``coord``.

``coord`` holds x, y, z in voxels, centre of the first voxel 0, as three numbers or as a text with three numbers. Where
the exploration ran on compressed tomograms, z counts their sections, of which each stands for two.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingDependency
from ..files import missing_file_error
from ..names import bare

COLUMNS = ("name", "coord")
MOST_ROWS = 1_000_000
_MAGIC = b"PAR1"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_BRACKETS = re.compile(r"[\[(]([^\[\]()]*)[\])]")
_TYPED = re.compile(r"np\.\w+\(([^()]*)\)")


def is_parquet(path: Path) -> bool:
    """Whether a file begins as such tables do, whatever its name."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def read_parquet(path: Path, double_z: bool = False) -> dict[str, NDArray[np.float64]]:
    """Positions ``(n, 3)`` x, y, z, inside frame, by tomogram name (as the file has it, without folder and ending).

    Parameters
    ----------
    double_z
        z counts compressed sections: section k is the sections 2 k and 2 k + 1 of the tomogram.

    Raises
    ------
    MissingDependency
        pyarrow is not installed.
    InputError
        Not such a table.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependency(
            "pyarrow is not installed", where=path, remedy="Run: pip install 'milopyp[formats]'."
        ) from error
    if not path.exists():
        raise missing_file_error(path, "a table that the exploration module wrote")
    try:
        with parquet.ParquetFile(path) as file:
            _check(path, file.schema_arrow.names, file.metadata.num_rows)
            names, coords = (file.read(columns=[column]).column(0).to_pylist() for column in COLUMNS)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(
            "cannot be read as parquet", where=path, expected="a table that the exploration module wrote",
            remedy="Copy it again.",
        ) from error  # fmt: skip
    found: dict[str, list[list[float]]] = {}
    for row, (name, coord) in enumerate(zip(names, coords, strict=True), 1):
        found.setdefault(bare(str(_text(name))), []).append(_position(_text(coord), path, row))
    positions = {name: np.array(rows) for name, rows in found.items()}
    if double_z:
        for xyz in positions.values():
            xyz[:, 2] = 2 * xyz[:, 2] + 0.5
    return positions


def _text(value: Any) -> Any:
    """Bytes as the text that they are."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value


def _check(path: Path, columns: list[str], rows: int) -> None:
    if missing := [column for column in COLUMNS if column not in columns]:
        raise InputError(
            f"no column {' and '.join(missing)}", where=path,
            expected="name and coord, as the exploration module writes them",
        )  # fmt: skip
    if rows > MOST_ROWS:
        raise InputError(f"{rows} rows", where=path, expected=f"at most {MOST_ROWS}")


def _position(coord: Any, path: Path, row: int) -> list[float]:
    """Three numbers of a list or of a text, which may be how Python prints an array."""
    values = coord
    if isinstance(coord, str):
        plain = _TYPED.sub(r"\1", coord)
        brackets = _BRACKETS.search(plain)
        values = _NUMBER.findall(brackets[1] if brackets else plain)
    try:
        position = [float(value) for value in values]
    except (TypeError, ValueError):
        position = []
    if len(position) != 3 or not np.isfinite(position).all():
        raise InputError(f"coord {coord!r}", where=f"{path}, row {row}", expected="three numbers x y z")
    return position
