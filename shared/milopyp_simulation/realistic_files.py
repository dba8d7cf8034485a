"""Sets of realistic phantoms as files: as the simple ones, and the truth with all rotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared import atomic
from milopyp_shared.coordinate_lists import write_coordinate_list

from .phantom import GREY_SD
from .phantom_files import PhantomFiles, free_paths, write_lists, write_tomograms
from .realistic import RealisticSettings, choose_specimens, make_realistic
from .specimen import Poses

Float = NDArray[np.float64]

TRUTH_COLUMNS = ("image_name", "species", "x", "y", "z", *(f"r{row}{column}" for row in "123" for column in "123"))


def write_realistic(folder: str | Path, count: int, settings: RealisticSettings, order: str = "xyz") -> PhantomFiles:
    """Write realistic phantoms, lists as `write_phantoms`, and ``truth.txt`` with the rotations of all species.

    Where there are several templates, ``coords_NAME.txt`` lists the particles of each.

    Parameters and errors are those of `write_phantoms`, and those of `choose_specimens`.
    """
    paths = free_paths(folder, count, order)
    specimens = choose_specimens(settings)
    truth: dict[str, Mapping[str, Poses]] = {}

    def make(number: int) -> tuple[NDArray[np.int16], Float]:
        tomogram = make_realistic(settings, specimens, number)
        truth[paths[number - 1].stem] = tomogram.truth
        grey = np.clip(np.rint(tomogram.volume * np.float32(GREY_SD)), -32768, 32767).astype(np.int16)
        return grey, np.concatenate([tomogram.truth[name].xyz for name in specimens.particles])

    files = write_lists(write_tomograms(paths, make, settings.voxel_size, order))
    table = files.images.with_name("truth.txt")
    write_truth(table, truth)
    alone = []
    for name in specimens.particles if len(specimens.particles) > 1 else ():
        alone.append(files.images.with_name(f"coords_{name}.txt"))
        write_coordinate_list(alone[-1], {image: species[name].xyz for image, species in truth.items()})
    return replace(files, of_species=tuple(alone), truth=table)


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
