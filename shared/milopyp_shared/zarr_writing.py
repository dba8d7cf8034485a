"""Volumes written as OME-Zarr 0.4 on Zarr 2, which every reader of OME-Zarr has; 0.5 on Zarr 3 is closed to some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .atomic import make_folder, write_error
from .errors import MissingDependency

CHUNK = 64  # voxels along each axis


def refuse_missing(where: object) -> None:
    """Raise a `MissingDependency` where zarr is not installed."""
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"{error.name} is not installed", where=where, expected="the package zarr, for OME-Zarr",
            remedy="Run: pip install 'milopyp[zarr]'.",
        ) from error  # fmt: skip


def write_ome_zarr(
    path: Path, data: NDArray[Any], scale: NDArray[np.float64], origin: NDArray[np.float64], *, angstrom: bool
) -> None:
    """Write a volume as an image of one level, compressed without loss, some sections at a time.

    Nobody else may read it before it is complete: it is to be made aside, and renamed.

    Parameters
    ----------
    data
        Slowest axis first, which is called z.
    scale, origin
        Size of a voxel and place of the first one's centre, fastest axis first.
    angstrom
        Whether these are Angstrom; else they have no unit.

    Raises
    ------
    InputError, FullDiskError
        It cannot be written.
    """
    import zarr
    from numcodecs import Blosc

    unit = {"unit": "angstrom"} if angstrom else {}
    image: dict[str, Any] = {
        "version": "0.4",
        "name": path.name.partition(".")[0],
        "axes": [{"name": name, "type": "space", **unit} for name in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": _transformations(scale, origin)}],
    }
    make_folder(path.parent)
    try:
        group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"multiscales": [image]})
        array = group.create_array(
            "0", shape=data.shape, dtype=data.dtype, chunks=tuple(min(CHUNK, size) for size in data.shape),
            compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE), fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "/"}, config={"write_empty_chunks": True},
        )  # fmt: skip
        for first in range(0, len(data), CHUNK):
            array[first : first + CHUNK] = data[first : first + CHUNK]
    except OSError as error:
        raise write_error(path, error) from error


def _transformations(scale: NDArray[np.float64], origin: NDArray[np.float64]) -> list[dict[str, Any]]:
    return [
        {"type": "scale", "scale": scale[::-1].tolist()},
        {"type": "translation", "translation": origin[::-1].tolist()},
    ]
