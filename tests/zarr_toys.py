"""Volumes in OME-Zarr, written by the zarr library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore, ZipStore

AXES = tuple({"name": name, "type": "space", "unit": "angstrom"} for name in "zyx")


def write_store(
    path: Path,
    zyx: np.ndarray[Any, Any],
    *,
    zarr_format: int = 2,
    chunks: tuple[int, ...] = (8, 16, 16),
    voxel_size: float | None = 10.0,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    levels: int = 1,
    **array: Any,
) -> Path:
    """A store of a volume, and of every second, fourth, .. voxel of it; `origin` is z, y, x, Angstrom."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store: Any = ZipStore(path, mode="w") if path.suffix == ".zip" else LocalStore(path)
    datasets, axes = [], [dict(axis) for axis in AXES]
    if voxel_size is None:
        for axis in axes:
            del axis["unit"]
    for level in range(levels):
        moved = [{"type": "translation", "translation": list(origin)}] if any(origin) else []
        scale = {"type": "scale", "scale": [(voxel_size or 1.0) * 2**level] * 3}
        datasets.append({"path": str(level), "coordinateTransformations": [scale, *moved]})
    content = multiscales(datasets, axes, zarr_format)
    root = zarr.create_group(store, zarr_format=zarr_format, attributes=content)  # type: ignore[arg-type]
    for level in range(levels):
        own = zyx[:: 2**level, :: 2**level, :: 2**level]
        root.create_array(str(level), shape=own.shape, dtype=own.dtype, chunks=chunks, **array)[:] = own
    store.close()
    return path


def multiscales(datasets: Sequence[Any], axes: Sequence[Any] = AXES, zarr_format: int = 2) -> dict[str, Any]:
    """The attributes of an image's group, in version 0.4 or 0.5."""
    own: dict[str, Any] = {"name": "a", "axes": list(axes), "datasets": list(datasets)}
    if zarr_format == 2:
        return {"multiscales": [own | {"version": "0.4"}]}
    return {"ome": {"version": "0.5", "multiscales": [own]}}
