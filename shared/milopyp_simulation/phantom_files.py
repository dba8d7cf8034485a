"""Sets of phantoms as files: tomograms, and the lists that training reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import atomic, axes
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.errors import UsageError
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.mrc import HEADER_BYTES, write_mrc
from milopyp_shared.overwrite import refuse_existing, refuse_irreplaceable

from .phantom import PhantomSettings, make_phantom, numbered

Float = NDArray[np.float64]

LISTS = ("images.txt", "coords.txt")


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

    paths = free_paths(folder, count, order)
    return write_lists(write_tomograms(paths, make, settings.voxel_size, order))


def free_paths(folder: str | Path, count: int, order: str) -> tuple[Path, ...]:
    """Files of `count` tomograms, none of which is another program's.

    Raises
    ------
    UsageError
        As `write_phantoms`.
    """
    if count < 1:
        raise UsageError(f"number of phantoms is {count}", expected="1 or more")
    if order not in axes.ORDERS:
        raise UsageError(f"order is {order!r}", expected=f"one of {', '.join(axes.ORDERS)}")
    paths = tuple(Path(folder) / f"phantom_{number}.mrc" for number in range(1, count + 1))
    for path in paths:
        if not _is_ours(path):
            refuse_irreplaceable(path)
    if not _is_ours(paths[0]):
        for name in LISTS:  # else they are of earlier phantoms
            refuse_existing(Path(folder) / name, overwrite=False, option="")
    return paths


def write_tomograms(
    paths: tuple[Path, ...], make: Callable[[int], tuple[NDArray[np.int16], Float]], voxel_size: float, order: str
) -> dict[Path, Float]:
    """Write what `make` gives for 1, 2 ..; the centres of the particles in each."""
    centres = {}
    for number, path in enumerate(paths, 1):
        volume, centres[path] = make(number)
        with atomic.atomic_write(path) as part:
            write_mrc(part, volume.transpose(axes.from_zyx(order)), voxel_size)
    return centres


def write_lists(centres: Mapping[Path, Float]) -> PhantomFiles:
    """Write ``images.txt`` and ``coords.txt`` of tomograms beside them."""
    folder = next(iter(centres)).parent
    images, coordinates = (folder / name for name in LISTS)
    files = PhantomFiles(tuple(centres), images, coordinates)
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
