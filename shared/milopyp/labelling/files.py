"""What a labelling leaves beside its journal: lists and models that other commands read, always of the last state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.atomic import write_error
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.picks import as_picks
from milopyp_shared.tomogram import Frame

from .labels import NOTHING, PARTICLE, Labels

IMAGES, COORDINATES, REJECTED, ALL = "imgs.txt", "coords.txt", "rejected.txt", "all_imgs.txt"
MODELS = "models"
_NONE = np.empty((0, 3))


@dataclass(frozen=True)
class Contents:
    """What the files say, taken from the labels at one moment.

    Attributes
    ----------
    clicked, rejected
        ``(n, 3)`` by tomogram, of those that have any.
    diameter
        Of the particle, voxels.
    """

    clicked: Mapping[str, NDArray[np.float64]]
    rejected: Mapping[str, NDArray[np.float64]]
    diameter: float

    @classmethod
    def of(cls, labels: Labels) -> Contents:
        """All labels as they are now."""
        names = labels.tomograms()
        clicked, rejected = (
            {name: xyz for name in names if len(xyz := labels.xyz(name, kind))} for kind in (PARTICLE, NOTHING)
        )
        return cls(clicked, rejected, labels.diameter)

    def has_same(self, name: str, other: Contents | None) -> bool:
        """Whether the model of a tomogram would be the same."""
        if other is None or other.diameter != self.diameter:
            return False
        return np.array_equal(self.clicked.get(name, _NONE), other.clicked.get(name, _NONE))


def write_files(
    folder: Path,
    contents: Contents,
    before: Contents | None,
    paths: Mapping[str, Path],
    frames: Mapping[str, Frame],
) -> None:
    """Write ``imgs.txt``, ``coords.txt``, ``rejected.txt``, ``all_imgs.txt`` and ``models/NAME.mod``.

    Parameters
    ----------
    before
        What was written last: models that would be the same are left as they are.
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
    write_image_list(folder / ALL, [ImageEntry(name, paths[name]) for name in frames], absolute=True)
    write_image_list(folder / IMAGES, [ImageEntry(name, paths[name]) for name in contents.clicked], absolute=True)
    write_coordinate_list(folder / COORDINATES, contents.clicked)
    write_coordinate_list(folder / REJECTED, contents.rejected)
    for name, frame in frames.items():
        if not contents.has_same(name, before):
            _write_model(folder / MODELS / f"{name}.mod", contents, name, frame)


def _write_model(target: Path, contents: Contents, name: str, frame: Frame) -> None:
    if name in contents.clicked:
        writer = FORMATS["mod"].write
        assert writer is not None
        context = FormatContext.of(frame, name, radius=contents.diameter / 2)
        writer(target, as_picks(contents.clicked[name]), context)
        return
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(target, error) from error
