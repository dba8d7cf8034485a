"""Sets of phantoms as files: tomograms, the lists that training reads, and the truth of realistic ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import atomic, axes
from milopyp_shared.errors import UsageError
from milopyp_shared.lists import ImageEntry, write_coordinate_list, write_image_list
from milopyp_shared.mrc import HEADER_BYTES, write_mrc
from milopyp_shared.overwrite import refuse_irreplaceable

from .phantom import GREY_SD, PhantomSettings, make_phantom, numbered
from .realistic import RealisticSettings, choose_specimens, make_realistic
from .specimen import Poses

Float = NDArray[np.float64]

TRUTH_COLUMNS = ("image_name", "species", "x", "y", "z", *(f"r{row}{column}" for row in "123" for column in "123"))


@dataclass(frozen=True)
class PhantomFiles:
    """What was written.

    Attributes
    ----------
    coordinates
        All particles.
    of_species
        The particles of each species alone, where there are several.
    truth
        Table of all species with their rotations, of realistic phantoms.
    """

    tomograms: tuple[Path, ...]
    images: Path
    coordinates: Path
    of_species: tuple[Path, ...] = ()
    truth: Path | None = None


def write_phantoms(folder: str | Path, count: int, settings: PhantomSettings, order: str = "xyz") -> PhantomFiles:
    """Write ``phantom_1.mrc`` .. and their lists ``images.txt`` and ``coords.txt`` (all particles) to `folder`.

    Number i is ``make_phantom(numbered(settings, i))``. Lists of these names are replaced, and so are tomograms that
    this program has written.

    Parameters
    ----------
    order
        File axes from fastest to slowest, one of `axes.ORDERS`. The lists are in the inside frame whatever the order.

    Raises
    ------
    UsageError
        `count`, `order` or a setting is out of range, or another program's tomogram has the name of a phantom.
    InputError
        The folder cannot be written.
    """

    def make(number: int) -> tuple[NDArray[np.int16], Float]:
        phantom = make_phantom(numbered(settings, number))
        return phantom.volume, phantom.particles_xyz

    paths = _free_paths(folder, count, order)
    return _write_lists(_write_tomograms(paths, make, settings.voxel_size, order))


def write_realistic(folder: str | Path, count: int, settings: RealisticSettings, order: str = "xyz") -> PhantomFiles:
    """Write realistic phantoms, lists as `write_phantoms`, and ``truth.txt`` with the rotations of all species.

    Where there are several templates, ``coords_NAME.txt`` lists the particles of each.

    Parameters and errors are those of `write_phantoms`, and those of `choose_specimens`.
    """
    paths = _free_paths(folder, count, order)
    specimens = choose_specimens(settings)
    truth: dict[str, Mapping[str, Poses]] = {}

    def make(number: int) -> tuple[NDArray[np.int16], Float]:
        tomogram = make_realistic(settings, specimens, number)
        truth[paths[number - 1].stem] = tomogram.truth
        grey = np.clip(np.rint(tomogram.volume * np.float32(GREY_SD)), -32768, 32767).astype(np.int16)
        return grey, np.concatenate([tomogram.truth[name].xyz for name in specimens.particles])

    files = _write_lists(_write_tomograms(paths, make, settings.voxel_size, order))
    table = files.images.with_name("truth.txt")
    write_truth(table, truth)
    alone = []
    for name in specimens.particles if len(specimens.particles) > 1 else ():
        alone.append(files.images.with_name(f"coords_{name}.txt"))
        write_coordinate_list(alone[-1], {image: species[name].xyz for image, species in truth.items()})
    return PhantomFiles(files.tomograms, files.images, files.coordinates, tuple(alone), table)


def write_truth(path: Path, truth: Mapping[str, Mapping[str, Poses]]) -> None:
    """Write the table `TRUTH_COLUMNS`, separated by tabs, of the poses of each tomogram's species.

    Places are voxels in the inside frame. The rotation r11 r12 .. r33 is row by row the matrix that takes the density
    to the tomogram: ``place = centre + R (place in the map - centre of the map)``, in x, y, z.
    """
    lines = ["\t".join(TRUTH_COLUMNS)]
    for image, species in truth.items():
        for name, poses in species.items():
            for centre, rotation in zip(poses.xyz, poses.rotations):
                numbers = [f"{value:.3f}" for value in centre] + [f"{value:.6f}" for value in rotation.ravel()]
                lines.append("\t".join((image, name, *numbers)))
    atomic.write_text(path, "\n".join(lines) + "\n")


def _free_paths(folder: str | Path, count: int, order: str) -> tuple[Path, ...]:
    """Files of the tomograms, none of which is another program's."""
    if count < 1:
        raise UsageError(f"number of phantoms is {count}", expected="1 or more")
    if order not in axes.ORDERS:
        raise UsageError(f"order is {order!r}", expected=f"one of {', '.join(axes.ORDERS)}")
    paths = tuple(Path(folder) / f"phantom_{number}.mrc" for number in range(1, count + 1))
    for path in paths:
        if not _is_ours(path):
            refuse_irreplaceable(path)
    return paths


def _write_tomograms(
    paths: tuple[Path, ...], make: Callable[[int], tuple[NDArray[np.int16], Float]], voxel_size: float, order: str
) -> dict[Path, Float]:
    """Write what `make` gives for 1, 2 ..; the centres of the particles in each."""
    centres = {}
    for number, path in enumerate(paths, 1):
        volume, centres[path] = make(number)
        with atomic.atomic_write(path) as part:
            write_mrc(part, volume.transpose(axes.from_zyx(order)), voxel_size)
    return centres


def _write_lists(centres: Mapping[Path, Float]) -> PhantomFiles:
    folder = next(iter(centres)).parent
    files = PhantomFiles(tuple(centres), folder / "images.txt", folder / "coords.txt")
    write_image_list(files.images, [ImageEntry(path.stem, path) for path in centres])
    write_coordinate_list(files.coordinates, {path.stem: xyz for path, xyz in centres.items()})
    return files


def _is_ours(path: Path) -> bool:
    """Whether the only label in an MRC header is that of `write_mrc`: other programs add theirs."""
    try:
        with path.open("rb") as stream:
            header = stream.read(HEADER_BYTES)
    except OSError:
        return False
    count, label = header[220:224], header[224:304]
    return int.from_bytes(count, sys.byteorder) == 1 and label.rstrip(b"\0 ") == b"milopyp"
