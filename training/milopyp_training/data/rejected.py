"""Places of which a person has said that they hold no particle, however much they look like one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.coordinate_lists import read_classes
from milopyp_shared.labels import check_labels
from milopyp_shared.lists import ImageEntry
from milopyp_shared.names import listed
from milopyp_shared.particles import refuse_unknown
from milopyp_shared.tomogram import read_header

from .dataset import LabelledVolume


def read_rejected(
    path: str | Path | None, classes: Sequence[str], labelled: Sequence[ImageEntry], order: str,
    warn: Callable[[str], None],
) -> list[Mapping[str, NDArray[np.float64]]]:  # fmt: skip
    """For each class, rejected places ``(n, 3)`` by labelled tomogram; of a list without classes, for all of them.

    Parameters
    ----------
    path
        Coordinate list, voxels in the inside frame; None: there are none.
    classes
        Those of the labels.
    warn
        Told of tomograms that have no labels: they are left out.

    Raises
    ------
    InputError
        The list cannot be read, or has a class that the labels have not.
    ContradictionError
        Places lie outside their tomogram.
    """
    if path is None:
        return [{} for _ in classes]
    rejected = read_classes(path, warn)
    if list(rejected) != [""]:
        refuse_unknown(rejected, list(classes), path)
    known = {image.name: image for image in labelled}
    for name, xyz in ((name, xyz) for own in rejected.values() for name, xyz in own.items() if name in known):
        check_labels(xyz, read_header(known[name].path, order), path)
    if others := dict.fromkeys(name for own in rejected.values() for name in own if name not in known):
        warn(f"{path}: tomograms without labels are left out: {listed(list(others))}")
    return [rejected.get("", rejected.get(name, {})) for name in classes]


def with_rejected(
    volumes: Sequence[LabelledVolume], rejected: Sequence[Mapping[str, NDArray[np.float64]]]
) -> list[LabelledVolume]:
    """The tomograms with such places, which are by class and tomogram, beside what they have already."""
    return [
        replace(one, rejected=np.concatenate([one.rejected, rejected[one.kind].get(one.name, one.rejected[:0])]))
        for one in volumes
    ]
