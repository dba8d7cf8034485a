"""What picking leaves on disk for one tomogram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.atomic import replacing, write_text
from milopyp_shared.formats.mod import CENTRE, write_mod
from milopyp_shared.formats.text import write_points
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Tomogram, write_mrc


@dataclass(frozen=True)
class OutputFiles:
    """Names of one tomogram's files in a run folder."""

    text: Path
    model: Path
    heat: Path
    candidates: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> OutputFiles:
        """The files of the tomogram called `name`."""
        return cls(
            folder / f"{name}.txt", folder / f"{name}.mod", folder / f"{name}_hm.mrc", folder / f"{name}.candidates.csv"
        )

    def all_exist(self) -> bool:
        """True when every file is there."""
        return all(path.is_file() for path in (self.text, self.model, self.heat, self.candidates))


def write_picks(
    files: OutputFiles, picks: Picks, tomogram: Tomogram, radius: float, *, with_score: bool, model2point: bool = True
) -> None:
    """Write the picks as text and as an IMOD model.

    Parameters
    ----------
    radius
        Sphere radius in the model, voxels.
    with_score
        Add the score as a fourth column of the text.
    model2point
        Text in IMOD model coordinates (what ``point2model`` expects); False: plain voxel indices.
    """
    columns = axes.xyz_to_columns(picks.xyz, tomogram.order)
    write_points(files.text, columns + CENTRE if model2point else columns, scores=picks.score if with_score else None)
    z, y, x = tomogram.stored.shape
    write_mod(
        files.model,
        columns,
        scores=picks.score,
        radius=radius,
        size_xyz=(x, y, z),
        pixel_size=tomogram.header_voxel_size,
        origin=tomogram.origin,
    )


def write_candidates(path: Path, candidates: Picks) -> None:
    """Every local maximum with its score: another threshold never needs another run of the network."""
    lines = [
        "# every local maximum of the heat map above the floor, best first; x, y, z in voxels of the full-resolution",
        "# tomogram (z = thickness), centre of the first voxel at 0, whatever the file's axis order",
        "x,y,z,score",
    ]
    lines += [f"{x:.3f},{y:.3f},{z:.3f},{s:.6f}" for (x, y, z), s in zip(candidates.xyz, candidates.score, strict=True)]
    write_text(path, "\n".join(lines) + "\n")


def write_heat_map(
    path: Path, heat: NDArray[np.float32], tomogram: Tomogram, voxel_per_output: tuple[int, int, int]
) -> None:
    """Write the heat map in the file's axis order, with voxel size and origin such that it lies on the tomogram."""
    factor = axes.xyz_to_columns(np.array([voxel_per_output[::-1]], dtype=float), tomogram.order)[0]
    size = None if tomogram.voxel_size is None else tomogram.voxel_size * factor
    shift = 0.0 if tomogram.voxel_size is None else (factor - 1) / 2 * tomogram.voxel_size
    origin = np.asarray(tomogram.origin) + shift
    with replacing(path) as part:
        write_mrc(part, heat.transpose(axes.from_zyx(tomogram.order)), size, origin)
