"""Small tomograms and the toy model that picks them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from milopyp_shared import axes
from milopyp_shared.imod_header import Placement
from milopyp_shared.mrc import MrcHeader, write_mrc
from milopyp_shared.tomogram import Tomogram
from milopyp_shared.voxel_reader import VoxelReader
from milopyp_simulation.phantom import Phantom, PhantomSettings, make_phantom

TOY = Path(__file__).parent / "data" / "toy.onnx"
DIAMETER = 10.0  # of the particles that it finds
VOXEL_SIZE = 10.0


def clean_phantom(seed: int = 1, shape_zyx: tuple[int, int, int] = (32, 64, 80), particles: int = 10) -> Phantom:
    """A phantom in which the toy model finds every particle and nothing else."""
    settings = PhantomSettings(
        shape_zyx=shape_zyx,
        voxel_size=VOXEL_SIZE,
        n_particles=particles,
        n_distractors=0,
        diameter=DIAMETER,
        noise=0.0,
        missing_wedge_degrees=None,
        background=0.0,
        seed=seed,
    )
    return make_phantom(settings)


def write_tomogram(path: Path, zyx: np.ndarray[Any, Any], order: str = "xyz", **header: Any) -> Path:
    """Write a volume ``(z, y, x)`` with its axes in `order`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(path, zyx.transpose(axes.from_zyx(order)), **header)
    return path


def placed(size: float | None = None, origin: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Placement:
    """What a header with cubes of `size` Angstrom as voxels says; None: no size."""
    x, y, z = origin
    return Placement(None if size is None else (size, size, size), (x, y, z))


def tomogram_of(zyx: np.ndarray[Any, Any], voxel_size: float | None = None) -> Tomogram:
    """An open tomogram of any number type, on a temporary file without a name."""
    with tempfile.TemporaryFile() as stream:
        stream.write(np.ascontiguousarray(zyx).data)
        stream.flush()
        stored = VoxelReader(Path("a.mrc"), stream, zyx.dtype, zyx.shape, 0)
    return Tomogram(Path("a.mrc"), MrcHeader(zyx.shape, zyx.dtype), "xyz", voxel_size, stored)


def noise(shape_zyx: tuple[int, int, int] = (16, 32, 32), seed: int = 1) -> np.ndarray[Any, Any]:
    """int16 noise: a volume that can be read, where what is in it does not matter."""
    return np.random.default_rng(seed).normal(0, 1000, shape_zyx).astype(np.int16)


def write_batch(folder: Path, count: int, shape_zyx: tuple[int, int, int], particles: int) -> None:
    """``tomograms/tNN.mrc``, their list ``tomograms.txt``, and the toy model as ``toy.onnx``."""
    rows = []
    for number in range(count):
        volume = clean_phantom(number + 1, shape_zyx, particles).volume
        write_tomogram(folder / f"tomograms/t{number:02d}.mrc", volume, voxel_size=VOXEL_SIZE)
        rows.append(f"t{number:02d} tomograms/t{number:02d}.mrc\n")
    (folder / "tomograms.txt").write_text("image_name rec_path\n" + "".join(rows))
    shutil.copy(TOY, folder / "toy.onnx")
