"""Small tomograms and the toy model that picks them."""

from __future__ import annotations

import json
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
TOY_OF_TWO = TOY.with_name("toy_of_two.onnx")  # ribosome and proteasome, of a logit one lower
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


def ball_centres(shape_zyx: tuple[int, int, int], diameter: float, seed: int = 2) -> np.ndarray[Any, Any]:
    """``(n, 3)`` z, y, x of particles that fill a volume without touching, each anywhere within its voxel."""
    lines = [np.arange(0.8 * diameter, size - 0.8 * diameter, 1.4 * diameter) for size in shape_zyx]
    places = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3)
    return places + np.random.default_rng(seed).uniform(-diameter / 8, diameter / 8, places.shape)


def balls(
    shape_zyx: tuple[int, int, int], centres_zyx: np.ndarray[Any, Any], diameter: float = DIAMETER
) -> np.ndarray[Any, Any]:
    """Dark Gaussian balls, as exact as numbers are; of the toy model's diameter it finds every one."""
    volume = np.zeros(shape_zyx, np.float32)
    for centre in centres_zyx:
        z, y, x = (
            np.exp(-0.5 * ((np.arange(n) - c) / (diameter / 4)) ** 2) for n, c in zip(shape_zyx, centre, strict=True)
        )
        volume -= (z[:, None, None] * y[:, None] * x).astype(np.float32)
    return volume


def scaled_toy(path: Path, scale: float) -> Path:
    """The toy model for particles that it sees at `scale` times their size."""
    import onnx

    model = onnx.load(str(TOY))
    [recipe] = [entry for entry in model.metadata_props if entry.key == "milopyp"]
    changed = json.loads(recipe.value) | {"diameter": DIAMETER / scale, "scale": scale}
    recipe.value = json.dumps(changed)
    onnx.save(model, str(path))
    return path


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
