"""What is known of the tomogram that picks belong to: from options, from its file, from lists of names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from milopyp_shared import axes
from milopyp_shared.arrays import TomogramLike, as_tomogram
from milopyp_shared.errors import ContradictionError, UsageError
from milopyp_shared.files import as_path
from milopyp_shared.formats.candidates import tomogram_of
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.dynamo import number_of
from milopyp_shared.formats.registry import DYNAMO, check_names
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.imod_header import Three
from milopyp_shared.lists import check_image_name
from milopyp_shared.names import NAMES, of_file
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame, Tomogram, TomogramHeader, read_header
from milopyp_shared.wording import counted
from milopyp_shared.written_names import Naming


def format_context(
    path: Path, tomogram: TomogramLike | None, options: Mapping[str, Any], warn: Callable[[str], None]
) -> FormatContext:
    """What the options and the tomogram say of a pick file.

    Parameters
    ----------
    path
        The file: the tomogram is called after it where nothing else names it.
    options
        As in `pick_files.WriteOptions`.
    warn
        Called with one sentence for what looks wrong in the order of the axes or in the tomogram's header.

    Raises
    ------
    UsageError
        An option is out of range; ``auto`` without a tomogram.
    ContradictionError
        Another size than the tomogram's.
    InputError
        The tomogram cannot be read; a name that is none.
    """
    check_options(options)
    order, size, voxel_size, frame = options.get("order"), options.get("size"), options.get("voxel_size"), None
    known_size: float | Three | None = voxel_size
    if tomogram is not None:
        header = header_of(tomogram, order, voxel_size)
        for sentence in header_warnings(header, one_size=False):
            warn(f"{header.path.name}: {sentence}")
        frame = header.frame
        _refuse_other_size(size, frame, tomogram)
        order, size, known_size = frame.order, frame.size, frame.voxel_size
    elif order == axes.AUTO:
        if size is None:
            raise UsageError("auto", where="--order", expected="--tomogram or --shape to tell the order from")
        order = axes.resolve_order(order, size[::-1], "--shape")
    if size is not None and order is not None and (doubt := axes.order_warning(order, size[::-1])):
        warn(doubt)
    own = options.get("name") or _name_of(tomogram) or None
    label = own or tomogram_of(path)
    class_ = options.get("class_")
    known = {"order": order, "size": size, "voxel_size": known_size, "binning": options.get("binning") or 1.0}
    known["class_"] = None if class_ is None else str(class_)
    known["name"] = own if options.get("dynamo_tomogram") is None else options.get("name")  # a number says whose
    said = {name: value for name, value in options.items() if name != "turn"}  # of writing, when picks are there
    return FormatContext(**{**said, **known}, frame=frame, label=label)


def naming_of(word: str, options: dict[str, Any]) -> Naming:
    """How the tomogram is to be called in a file of the format `word`; these options are taken out of `options`.

    Raises
    ------
    UsageError
        The format has no place for names, or both options are given.
    InputError
        The list of tomograms is none.
    """
    names, tomograms = options.pop("names", None), options.pop("tomograms", None)
    if names not in (None, *NAMES):
        raise UsageError(f"{names!r}", where="names", expected="file or series")
    return Naming.read(names, None if tomograms is None else as_path(tomograms, "tomograms"), [word])


def called(contexts: Mapping[str, FormatContext], word: str, naming: Naming, where: Path) -> dict[str, FormatContext]:
    """What is known of tomograms, with the names or numbers that they have in files at `where`, of the format `word`.

    Parameters
    ----------
    contexts
        By name; each with the label that it has already.

    Raises
    ------
    InputError
        Two would have one name, the format cannot hold a name, or the list of tomograms has none; or the map beside a
        Dynamo table does not name one, and no number is given.
    ContradictionError
        The list of tomograms says other figures.
    """
    names = naming.call({name: own.label for name, own in contexts.items()}, where)
    naming.check(
        names, {name: (own.size, own.one_voxel_size) for name, own in contexts.items() if own.size is not None}
    )
    check_names(word, names.values(), where)
    found = {}
    for name, own in contexts.items():
        number = own.dynamo_tomogram
        if word == DYNAMO and number is None:
            number = number_of(where, names[name])
        found[name] = replace(own, label=names[name], dynamo_tomogram=number)
    return found


def header_of(tomogram: TomogramLike, order: str | None = None, voxel_size: float | None = None) -> TomogramHeader:
    """What is known of a tomogram without its voxels; of a file, only the header is read.

    Raises
    ------
    UsageError, InputError, ContradictionError
        As `milopyp_shared.arrays.as_tomogram`.
    """
    if isinstance(tomogram, (str, os.PathLike)):
        return read_header(tomogram, order or axes.AUTO, voxel_size)
    return as_tomogram(tomogram, order or axes.AUTO, voxel_size)


def refuse_outside(
    picks: Picks,
    context: FormatContext,
    where: object,
    remedy: str = "Check --order, --binning, --voxel-size and the format.",
) -> None:
    """Refuse picks outside a volume of known size.

    Raises
    ------
    ContradictionError
        With the first of them.
    """
    if context.size is None:
        return
    order, stored = context.order or "xyz", context.size[::-1]
    z, y, x = (stored[axis] for axis in axes.to_zyx(order))
    outside = ~axes.inside(picks.xyz, (z, y, x))
    if outside.any():
        first = ", ".join(f"{value:.1f}" for value in picks.xyz[outside][0])
        raise ContradictionError(
            f"{outside.sum()} of {counted(len(picks), 'pick')} outside the tomogram, the first at x, y, z = {first}",
            where=where,
            expected=f"positions inside {x} x {y} x {z} voxels (order {order})",
            remedy=remedy,
        )


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse values that no file can have; command lines have refused them already.

    Raises
    ------
    UsageError, InputError
        With the option, and what it can be.
    """
    for what in ("voxel_size", "binning", "radius"):
        value = options.get(what)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{value}", where=what, expected="a number above 0")
    if options.get("coords") not in (None, "model2point", "voxel"):
        raise UsageError(f"{options.get('coords')!r}", where="coords", expected="model2point or voxel")
    if options.get("turn", axes.NO_TURN) not in axes.TURNS:
        raise UsageError(f"{options.get('turn')!r}", where="turn", expected=f"one of {', '.join(axes.TURNS)}")
    if options.get("dynamo_zero") not in (None, 0, 1):
        raise UsageError(f"{options.get('dynamo_zero')}", where="dynamo_zero", expected="0 or 1")
    if (name := options.get("name")) is not None:
        check_image_name(name, "--name", remedy="")


def _refuse_other_size(size: tuple[int, int, int] | None, frame: Frame, tomogram: TomogramLike) -> None:
    stored = frame.stored_shape[::-1]
    if size is not None and tuple(size) != stored:
        raise ContradictionError(
            f"--shape {' '.join(map(str, size))}",
            where=tomogram if isinstance(tomogram, (str, os.PathLike)) else "tomogram",
            expected=f"{' '.join(map(str, stored))}, the size of the file",
            remedy="Leave out --shape.",
        )


def _name_of(tomogram: TomogramLike | None) -> str:
    if isinstance(tomogram, Tomogram):
        return of_file(tomogram.path)
    return of_file(Path(tomogram)) if isinstance(tomogram, (str, os.PathLike)) else ""
