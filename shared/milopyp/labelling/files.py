"""What a labelling leaves beside its journal: lists and models that other commands read, always of the last state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.atomic import write_error
from milopyp_shared.coordinate_lists import Classes, write_classes
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.conventions import write_mod, write_models
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.particles import Particle
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
        ``(n, 3)`` by class and tomogram, of those that have any. Of a class that has a name, rejected places stand
        there only when it has particles as well: nobody can learn it before.
    particles
        All classes.
    """

    clicked: Classes
    rejected: Classes
    particles: tuple[Particle, ...]

    @classmethod
    def of(cls, labels: Labels) -> Contents:
        """All labels as they are now."""
        clicked, rejected = (
            {one.name: _by_tomogram(labels, kind, species) for species, one in enumerate(labels.particles)}
            for kind in (PARTICLE, NOTHING)
        )
        clicked = {name: own for name, own in clicked.items() if own or not name}
        return cls(clicked, {name: rejected[name] for name in clicked}, tuple(labels.particles))

    @property
    def tomograms(self) -> list[str]:
        """Names of those with particles."""
        return list(dict.fromkeys(name for own in self.clicked.values() for name in own))

    def model(self, tomogram: str) -> list[tuple[Particle, NDArray[np.float64]]]:
        """The particles of a tomogram, class by class; nothing where it has none."""
        if tomogram not in self.tomograms:
            return []
        return [(one, self.clicked.get(one.name, {}).get(tomogram, _NONE)) for one in self.particles]

    def has_same(self, tomogram: str, other: Contents | None) -> bool:
        """Whether the model of a tomogram would be the same."""
        if other is None or other.particles != self.particles:
            return False
        before, now = other.model(tomogram), self.model(tomogram)
        return len(before) == len(now) and all(
            np.array_equal(xyz, old) for (_, xyz), (_, old) in zip(now, before, strict=True)
        )


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
    write_image_list(folder / IMAGES, [ImageEntry(name, paths[name]) for name in contents.tomograms], absolute=True)
    write_classes(folder / COORDINATES, contents.clicked)
    write_classes(folder / REJECTED, contents.rejected)
    for name, frame in frames.items():
        if not contents.has_same(name, before):
            _write_model(folder / MODELS / f"{name}.mod", contents.model(name), name, frame)


def _by_tomogram(labels: Labels, kind: int, species: int) -> dict[str, NDArray[np.float64]]:
    return {name: xyz for name in labels.tomograms() if len(xyz := labels.xyz(name, kind, species))}


def _write_model(
    target: Path, objects: Sequence[tuple[Particle, NDArray[np.float64]]], name: str, frame: Frame
) -> None:
    """The model of a tomogram: an object for each class, in their order, or none where it holds nothing."""
    if objects:
        contexts = [
            FormatContext.of(frame, name, radius=one.diameter / 2, particle=one.name, class_number=number)
            for number, (one, _) in enumerate(objects, start=1)
        ]
        found = [as_picks(xyz) for _, xyz in objects]
        if len(found) == 1:
            write_mod(target, found[0], contexts[0])
        else:
            write_models(target, list(zip(found, contexts, strict=True)))
        return
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(target, error) from error
