"""What tests of milopyp prepare share: points in a small tomogram, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas

from milopyp_shared.coordinate_lists import read_coordinate_list
from running import Outcome, run_line

SHAPE = (16, 24, 40)  # z, y, x


POINTS = np.array([[30.25, 20.5, 4.0], [1.0, 2.0, 15.0], [39.0, 23.0, 0.0]])  # x, y, z, inside frame


HALF = np.array([0.5, 0.5, 0.0])  # of IMOD's model coordinates, along the file's axes


def columns(order: str, points: np.ndarray = POINTS) -> np.ndarray:
    """Voxel indices along the axes of a file, by the letters of the order word alone."""
    column = dict(zip("xyz", points.T, strict=True))
    return np.stack([column[letter] for letter in order], axis=1)


def save_text(path: Path, table: np.ndarray) -> None:
    np.savetxt(path, table, fmt="%12.2f")


def prepare(folder: Path, words: str = "") -> Outcome:
    """Pictures are left out: they take most of the time."""
    outcome = run_line(f"milopyp prepare -o run --overwrite --no-pictures {words}", "-d", folder)
    assert outcome.code == 0, outcome.err
    return outcome


def labels(folder: Path) -> dict[str, np.ndarray]:
    return read_coordinate_list(folder / "run_train_coords.txt")


def table(folder: Path, **columns: list[object]) -> Path:
    """A parquet file as pandas writes it."""
    path = folder / "clusters.parquet"
    pandas.DataFrame(columns).to_parquet(path)
    return path
