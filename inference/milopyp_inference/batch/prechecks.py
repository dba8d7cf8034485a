"""What is found wrong before any work: headers are read, and one tomogram is opened, which then stays open."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from milopyp_shared.errors import InputError, MilopypError, UsageError
from milopyp_shared.formats.registry import check_names as refuse_names
from milopyp_shared.header_checks import refuse_unequal_voxels
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import Mask, check_mask_header, open_mask
from milopyp_shared.names import listed
from milopyp_shared.resample import resampled_shape
from milopyp_shared.surface import refuse_without_surface
from milopyp_shared.tomogram import Tomogram, TomogramHeader, open_tomogram, read_header
from milopyp_shared.turns import turned_frame
from milopyp_shared.urls import Url
from milopyp_shared.written_names import Naming

from ..decode.membrane import voxel_size_of
from ..pipeline import rescaling
from .outputs import format_context, refuse_own_names
from .picking_run import PickingRun
from .records import TomogramRecord

Found = TypeVar("Found")


@dataclass(frozen=True)
class Opened:
    """A tomogram with its mask, and what it was before it was opened: should it be replaced meanwhile, that shows."""

    asked: TomogramRecord
    tomogram: Tomogram
    mask: Mask | None


def refuse_beside_tomograms(images: Sequence[ImageEntry], out: Path) -> None:
    """Outputs must not replace what lies beside the tomograms: NAME.txt and NAME.mod are often a person's clicks.

    Raises
    ------
    UsageError
        They would.
    """
    for image in (image for image in images if not isinstance(image.path, Url)):
        if os.path.realpath(image.folder) == os.path.realpath(out):  # Path.resolve raises where links go round
            raise UsageError(
                f"holds the tomogram {image.file}",
                where=out,
                expected="a folder of its own, because outputs replace files of the same names (.txt, .mod)",
                remedy="Give another --out.",
            )


def refuse_foreign_picks(run: PickingRun, images: Sequence[ImageEntry]) -> None:
    """Outputs must not go where files of their names are that milopyp-infer has not written: a person's clicks.

    Raises
    ------
    UsageError
        There are such files.
    """
    there = {path.name for path in run.folder.iterdir()} if run.folder.is_dir() else set()
    foreign = [
        path.name
        for image in images
        for path in run.files(image).picks
        if path.name in there and not run.record_path(image).exists() and run.written(image) is None
    ]
    if foreign:
        raise UsageError(
            f"holds {listed(foreign)}, which no record says that milopyp-infer has written",
            where=run.folder,
            expected="a folder without files of the names of its outputs",
            remedy="Give another --out, or --overwrite, which keeps them under other names (NAME_changed.mod).",
        )


def check_headers(run: PickingRun, images: Sequence[ImageEntry]) -> None:
    """Look at headers up to the first good one: when none is usable, nothing is begun.

    Raises
    ------
    MilopypError
        What is wrong with the first.
    """

    def look_at(image: ImageEntry) -> None:
        header, _ = look(run, image)
        check_formats(run, image, header)
        if (mask := run.mask(image)) is not None:
            check_mask_header(mask, header)
            if run.options.mask_distance is not None:
                voxel_size_of(header.frame)

    _first_good(images, look_at)


def check_formats(run: PickingRun, image: ImageEntry, header: TomogramHeader) -> None:
    """Refuse a tomogram of which something is unknown that one of the formats needs.

    Raises
    ------
    UsageError
        With the option that says it.
    """
    frame = turned_frame(header.frame, run.options.turn)
    format_context(run.files(image), frame, image.label, None, run.model.recipe.diameter)


def check_names(run: PickingRun, images: Sequence[ImageEntry]) -> None:
    """Refuse names that a format cannot hold, or that are the run's own, of all tomograms at once: they are the command
    line's.

    Raises
    ------
    InputError
        There are such names.
    """
    for word in run.options.formats:
        refuse_names(word, [image.label for image in images], "--format")
    for image in images:
        refuse_own_names(run.files(image), image.name)


def check_naming(run: PickingRun, images: Sequence[ImageEntry], naming: Naming) -> None:
    """Refuse a list of tomograms whose figures are not those of the headers.

    Raises
    ------
    ContradictionError
        They are not.
    """
    if naming.path is None:
        return  # headers of thousands of files take long
    sizes = {}
    for image in images:
        with contextlib.suppress(MilopypError):  # said when it is picked
            header, _ = look(run, image)
            sizes[image.name] = turned_frame(header.frame, run.options.turn).size, header.voxel_size
    naming.check({image.name: image.label for image in images}, sizes)


def open_first(run: PickingRun, images: Sequence[ImageEntry]) -> dict[str, Opened]:
    """The first tomogram that can be opened, by name: one that is packed is unpacked here, and only here.

    Raises
    ------
    MilopypError
        What is wrong with the first, when there is none.
    """
    image, opened = _first_good(images, lambda image: open_input(run, image))
    return {image.name: opened}


def open_input(run: PickingRun, image: ImageEntry) -> Opened:
    """A tomogram to pick and its mask.

    Raises
    ------
    InputError, ContradictionError
        One of them cannot be used.
    """
    asked = run.asked(image, sampled=True)
    tomogram = open_tomogram(image.path, run.options.order, run.options.voxel_size)
    refuse_unequal_voxels(tomogram)
    path = run.mask(image)
    mask = None if path is None else open_mask(path, tomogram)
    if mask is not None and run.options.mask_distance is not None:
        voxel_size_of(tomogram.frame)
        refuse_without_surface(mask, path)
    return Opened(asked, tomogram, mask)


def check_memory(run: PickingRun, images: Sequence[ImageEntry]) -> None:
    """Refuse a ``--memory`` into which not even the smallest tile of a tomogram fits.

    Raises
    ------
    UsageError
        It does not.
    """
    shapes: dict[tuple[int, int, int], None] = {}
    for image in images:
        with contextlib.suppress(MilopypError):  # said when it is picked
            _, (z, y, x) = look(run, image)
            shapes[-(-z // run.model.recipe.grey.sections_per_pair), y, x] = None
    for shape in shapes:
        run.model.engine.plan(shape)


def look(run: PickingRun, image: ImageEntry) -> tuple[TomogramHeader, tuple[int, int, int]]:
    """A tomogram's header, and sizes ``(z, y, x)`` of what the network sees, before pairing.

    Raises
    ------
    InputError, ContradictionError, UsageError
        It cannot be picked.
    """
    header = read_header(image.path, run.options.order, run.options.voxel_size)
    refuse_unequal_voxels(header)
    recipe = run.model.recipe
    return header, resampled_shape(header.shape, rescaling(header, recipe, run.options.rescale) * recipe.scale)


def _first_good(images: Sequence[ImageEntry], look: Callable[[ImageEntry], Found]) -> tuple[ImageEntry, Found]:
    """The first tomogram that nothing is wrong with, and what there is to see of it."""
    errors = []
    for image in images:
        try:
            return image, look(image)
        except MilopypError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    first = errors[0]
    raise InputError(
        f"{first.found} (none of the {len(errors)} tomograms can be picked)",
        where=first.where, expected=first.expected, remedy=first.remedy,
    )  # fmt: skip
