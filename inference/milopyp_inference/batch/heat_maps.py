"""The heat map of a tomogram on disk, as MRC or as OME-Zarr, in the tomogram's frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import axes
from milopyp_shared.atomic import atomic_write
from milopyp_shared.imod_header import Three
from milopyp_shared.mrc import write_mrc
from milopyp_shared.scale import Factors
from milopyp_shared.tomogram import Frame
from milopyp_shared.zarr_writing import write_ome_zarr

from .outputs import HEAT_MAPS


def write_heat_map(
    path: Path,
    heat: NDArray[np.float32],
    frame: Frame,
    voxel_per_output: Factors,
    order: str | None = None,
) -> None:
    """Write the heat map with its axes in `order`, with voxel size and origin in the tomogram's frame.

    Without `order` it has the tomogram's own, and lies on the tomogram in viewers: the sizes of its voxels are those of
    the tomogram's header where that says them. The ending of `path` says as what it is written.
    """
    order, placement = order or frame.order, frame.placement
    factor = axes.xyz_to_columns(np.array([voxel_per_output[::-1]], dtype=float), order)[0]
    known = placement.voxel_size or frame.voxel_size
    size = _along(order, known or (0.0, 0.0, 0.0), frame)
    origin = _along(order, placement.origin or (0.0, 0.0, 0.0), frame)
    stored = heat.transpose(axes.from_zyx(order))
    if path.name.endswith(HEAT_MAPS["zarr"]):
        size = size if known else np.ones(3)
        place = (origin if known else 0.0) + (factor - 1) / 2 * size
        write_ome_zarr(path, stored, size * factor, place, angstrom=known is not None)
        return
    like = placement if order == frame.order else None
    with atomic_write(path) as part:
        write_mrc(part, stored, size * factor, origin + (factor - 1) / 2 * size, like=like)


def _along(order: str, values: Three, frame: Frame) -> NDArray[np.float64]:
    """What a header says along the file's axes, along those of another order."""
    xyz = axes.columns_to_xyz(np.array([values], dtype=float), frame.order)
    along: NDArray[np.float64] = axes.xyz_to_columns(xyz, order)[0]
    return along
