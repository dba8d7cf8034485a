"""Pick files of all formats from Python; ``milopyp convert`` is made of the same pieces.

In: a file, or picks; and what is known of their tomogram. Out: picks in the inside frame, or a file.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from numpy.typing import ArrayLike

from milopyp_shared import axes
from milopyp_shared.arrays import TomogramLike, as_tomogram
from milopyp_shared.errors import ContradictionError, UsageError
from milopyp_shared.files import as_path
from milopyp_shared.formats.candidates import tomogram_of
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.dynamo import docs_of, number_of
from milopyp_shared.formats.registry import (
    DYNAMO,
    FORMATS,
    axes_warning,
    check_names,
    check_needs,
    format_of,
    orientations_warning,
)
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.imod_header import Three
from milopyp_shared.lists import check_image_name
from milopyp_shared.names import NAMES, of_file
from milopyp_shared.overwrite import refuse_existing
from milopyp_shared.picks import Picks, as_picks
from milopyp_shared.tomogram import Frame, Tomogram, TomogramHeader, read_header
from milopyp_shared.turns import turned
from milopyp_shared.wording import counted
from milopyp_shared.written_names import Naming

_warn = logging.getLogger("milopyp").warning


class ReadOptions(TypedDict, total=False):
    """What may be said beside a pick file, as with the options of ``milopyp convert``.

    Attributes
    ----------
    order
        Order word of the tomogram's file, or ``auto``.
    size
        Of the tomogram's file, voxels, fastest axis first (``--shape``): where there is no tomogram to look at.
    voxel_size
        Angstrom, of the tomogram.
    name
        Tomogram to select in a file with several (STAR, Dynamo with its ``.doc``), and to write.
    binning
        The tomogram's voxel over that of the coordinates in relion4, warp, tbl and ndjson.
    coords
        What a text counts: ``model2point`` (IMOD model coordinates) or ``voxel`` (indices from 0).
    with_score
        A text has the score as fourth column.
    dynamo_zero, dynamo_tomogram
        Number of the first voxel, and of the tomogram, in a Dynamo table.
    class_
        The class to take: its number in a STAR file or a Dynamo table, its name in a coordinate list or CSV, either in
        an EMAN2 file.
    """

    order: str | None
    size: tuple[int, int, int] | None
    voxel_size: float | None
    name: str | None
    binning: float | None
    coords: Literal["model2point", "voxel"] | None
    with_score: bool
    dynamo_zero: int
    dynamo_tomogram: int | None
    class_: str | int | None


class WriteOptions(ReadOptions, total=False):
    """What may be said of a pick file that is written.

    Attributes
    ----------
    radius
        Of the spheres in an IMOD model, voxels.
    particle
        Name of the particle in copick's files.
    turn
        ``none``, ``rotx`` or ``yz``: write picks as of the turned tomogram (``--turn``).
    names
        What the tomogram is called in a file that names it: ``file``, its name; ``series``, without what programs add.
    tomograms
        RELION's ``tomograms.star`` or a folder of Warp's ``.tomostar``, AreTomo's ``.aln`` or etomo's ``.edf`` files,
        that says the name instead.
    """

    radius: float
    particle: str
    turn: str
    names: Literal["file", "series"] | None
    tomograms: str | os.PathLike[str] | None


def read_picks(
    path: str | os.PathLike[str],
    tomogram: TomogramLike | None = None,
    format: str | None = None,
    **options: Unpack[ReadOptions],
) -> Picks:
    """Read the picks of one tomogram from a file of any format of ``milopyp convert``.

    Parameters
    ----------
    path
        The file, e.g. ``NAME.candidates.csv`` of a run, an IMOD model, a STAR file.
    tomogram
        The tomogram that they belong to, for formats that do not say all by themselves: a file, an open tomogram, or
        an array ``(z, y, x)`` (then `voxel_size` says the rest).
    format
        ``txt``, ``mod``, ``csv``, ``list``, ``relion4``, ``relion5``, ``warp``, ``tbl``, ``copick``, ``ndjson`` or
        ``eman``; None: by the suffix.
    options
        See `ReadOptions`.

    Returns
    -------
    Picks, best first; ``xyz`` in voxels of the inside frame. Points without a score have 1.

    Raises
    ------
    InputError
        The file cannot be read, or is none of this format.
    UsageError
        Something must be known to read it; the message says what.
    ContradictionError
        Picks outside the tomogram.
    """
    return read_with_context(as_path(path, "path"), tomogram, format, options)[0]


def read_with_context(
    path: Path, tomogram: TomogramLike | None, format: str | None, options: ReadOptions
) -> tuple[Picks, FormatContext]:
    """As `read_picks`, with what is known of the tomogram beside the picks."""
    word = format_of(path, format, "--from")
    context = format_context(path, tomogram, options, _warn)
    check_needs(word, context, path)
    if doubt := axes_warning([word], context.order):
        _warn(doubt)
    picks = FORMATS[word].read(path, context)
    refuse_outside(picks, context, path)
    return picks, context


def write_picks(
    path: str | os.PathLike[str],
    picks: Picks | ArrayLike,
    tomogram: TomogramLike | None = None,
    format: str | None = None,
    *,
    overwrite: bool = False,
    **options: Unpack[WriteOptions],
) -> None:
    """Write the picks of one tomogram to a file of any format that ``milopyp convert`` writes.

    Parameters
    ----------
    path
        The file.
    picks
        Picks, or an array ``(n, 3)`` x, y, z or ``(n, 4)`` x, y, z, score: voxels of the inside frame.
    tomogram, format
        As in `read_picks`; ``eman`` is only read.
    overwrite
        Replace an existing file. A tomogram or a model file is never replaced.
    options
        See `WriteOptions`.

    Raises
    ------
    InputError
        `picks` are none, or the file cannot be written.
    UsageError
        The file exists, or something must be known to write it; the message says what.
    ContradictionError
        Picks outside the tomogram.
    """
    path = as_path(path, "path")
    word = format_of(path, format, "--to")
    found = as_picks(picks)
    read = (tomogram, options.get("tomograms"))
    inputs = [Path(own) for own in read if isinstance(own, (str, os.PathLike))]
    inputs += docs_of([path] if word == DYNAMO else [])
    refuse_existing(path, overwrite=overwrite, inputs=inputs, option="overwrite=True")
    plain: dict[str, Any] = dict(options)
    naming = naming_of(word, plain)
    context = format_context(path, tomogram, plain, _warn)
    check_needs(word, context, path, writing=True)
    refuse_outside(found, context, "picks")
    found, context = turned(found, context, options.get("turn", axes.NO_TURN), path)
    context = called({context.label: context}, word, naming, path)[context.label]
    for doubt in filter(None, [axes_warning([word], context.order), orientations_warning([word], [found])]):
        _warn(doubt)
    writer = FORMATS[word].write
    assert writer is not None  # format_of
    writer(path, found, context)


def format_context(
    path: Path, tomogram: TomogramLike | None, options: Mapping[str, Any], warn: Callable[[str], None]
) -> FormatContext:
    """What the options and the tomogram say of a pick file.

    Parameters
    ----------
    path
        The file: the tomogram is called after it where nothing else names it.
    options
        As in `WriteOptions`.
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
