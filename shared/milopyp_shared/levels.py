"""Which level of a tomogram in OME-Zarr is read: the one that is asked for, else that whose voxels fit best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import stores
from .errors import ContradictionError, InputError, MilopypError, MissingDependency, UsageError
from .imod_header import middle
from .lists import ImageEntry, read_image_list
from .names import listed

if TYPE_CHECKING:
    from .zarr_image import OpenImage


def at_levels(
    images: Sequence[ImageEntry], say: Callable[[str], None], *, level: int | None = None, near: float | None = None
) -> list[ImageEntry]:
    """The tomograms, with paths that say which level is read where a store has several (``TS_01.zarr/1``).

    What is wrong with a store is left to those who open it.

    Parameters
    ----------
    say
        Is told which levels are read where nobody has said so.
    level
        The number of the level; None: the first whose voxels are nearest to `near`, in proportion.
    near
        Angstrom; None: the first level.

    Raises
    ------
    MissingDependency
        There is a store, and zarr is not installed.
    UsageError
        A `level`, and no store.
    InputError
        A store does not have the `level`.
    ContradictionError
        A path names another level.
    """
    from .zarr_image import open_image

    found: dict[str, OpenImage] = {}
    for image in images:
        if stores.split(image.path) is not None:
            try:
                found[image.name] = open_image(image.path)
            except MissingDependency:
                raise
            except MilopypError:
                continue
    if level is not None and not any(stores.split(image.path) for image in images):
        raise UsageError(
            "none of the tomograms is one", where="--level", expected="tomograms in OME-Zarr, or no --level"
        )
    chosen = {name: _choice(own, level, near) for name, own in found.items()}
    if level is None:
        _say_chosen({name: own for name, own in found.items() if own.named is None}, chosen, near, say)
    return [
        replace(image, path=found[image.name].path_of(chosen[image.name])) if image.name in found else image
        for image in images
    ]


def read_images(
    path: str | Path, say: Callable[[str], None], said: Callable[[str], None] | None = None
) -> list[ImageEntry]:
    """The tomograms of an image list, as `at_levels` gives them; parameters and errors are its and the list's.

    Parameters
    ----------
    said
        Is told which levels are read; None: `say` is.
    """
    return at_levels(read_image_list(path, say), said or say)


def _choice(opened: OpenImage, level: int | None, near: float | None) -> int:
    levels = opened.image.levels
    if level is not None and level >= len(levels):
        raise InputError(f"has no level {level}", where=opened.path, expected=f"one of 0 to {len(levels) - 1}")
    if opened.named is not None:
        if level not in (None, opened.named):
            raise ContradictionError(f"is level {opened.named}", where=opened.path, expected=f"--level {opened.named}")
        return opened.named
    if level is not None or near is None:
        return level or 0
    sizes = [middle(own.voxel_size) if own.voxel_size else near for own in levels]
    return min(range(len(levels)), key=lambda number: abs(math.log(sizes[number] / near)))


def _say_chosen(
    opened: dict[str, OpenImage], chosen: dict[str, int], near: float | None, say: Callable[[str], None]
) -> None:
    """One line for all tomograms of which the same level is read, of as many."""
    alike: dict[str, list[str]] = {}
    for name, own in opened.items():
        if len(own.image.levels) > 1:
            size = own.image.levels[chosen[name]].voxel_size
            voxels = f", voxels of {middle(size):.4g} A" if size else ""
            nearest = f", nearest to the {near:.4g} A of the training" if size and near else ""
            words = f"level {chosen[name]} of 0 to {len(own.image.levels) - 1} is read{voxels}{nearest}"
            alike.setdefault(words, []).append(name)
    for words, names in alike.items():
        own, read = opened[names[0]], chosen[names[0]]
        other = own.path_of(0 if read else 1)
        say(f"{listed(names)}: {words} ({other} is another one)")
