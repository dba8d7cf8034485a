"""What a labelling leaves beside its journal: lists and models that other commands read, always of the last state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from milopyp_shared.atomic import write_error
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.lists import ImageEntry, write_coordinate_list, write_image_list
from milopyp_shared.picks import as_picks
from milopyp_shared.tomogram import Frame

from .labels import NOTHING, PARTICLE, Labels

IMAGES, COORDINATES, REJECTED, ALL = "imgs.txt", "coords.txt", "rejected.txt", "all_imgs.txt"
MODELS = "models"


def write_files(folder: Path, labels: Labels, paths: Mapping[str, Path], frames: Mapping[str, Frame]) -> None:
    """Write ``imgs.txt``, ``coords.txt``, ``rejected.txt``, ``all_imgs.txt`` and ``models/NAME.mod``.

    Parameters
    ----------
    paths
        Of all tomograms that were ever opened, by name.
    frames
        Of those that are open.

    Raises
    ------
    InputError
        The folder cannot be written.
    FullDiskError
        No space is left.
    """
    names = labels.tomograms()
    clicked = {name: xyz for name in names if len(xyz := labels.xyz(name, PARTICLE))}
    rejected = {name: xyz for name in names if len(xyz := labels.xyz(name, NOTHING))}
    write_image_list(folder / ALL, [ImageEntry(name, paths[name]) for name in frames], absolute=True)
    write_image_list(folder / IMAGES, [ImageEntry(name, paths[name]) for name in clicked], absolute=True)
    write_coordinate_list(folder / COORDINATES, clicked)
    write_coordinate_list(folder / REJECTED, rejected)
    for name, frame in frames.items():
        target, xyz = folder / MODELS / f"{name}.mod", clicked.get(name, np.empty((0, 3)))
        if len(xyz):
            context = FormatContext.of(frame, name, radius=labels.diameter / 2)
            writer = FORMATS["mod"].write
            assert writer is not None
            writer(target, as_picks(xyz), context)
        else:
            try:
                target.unlink(missing_ok=True)
            except OSError as error:
                raise write_error(target, error) from error
