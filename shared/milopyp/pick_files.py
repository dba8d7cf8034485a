"""Pick files of all formats from Python; ``milopyp convert`` is made of the same pieces.

In: a file, or picks; and what is known of their tomogram (`pick_context`). Out: picks in the inside frame, or a file.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from numpy.typing import ArrayLike

from milopyp_shared import axes
from milopyp_shared.arrays import TomogramLike
from milopyp_shared.files import as_path
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.dynamo import docs_of
from milopyp_shared.formats.registry import (
    DYNAMO,
    FORMATS,
    axes_warning,
    check_needs,
    format_of,
    orientations_warning,
)
from milopyp_shared.overwrite import refuse_existing
from milopyp_shared.picks import Picks, as_picks
from milopyp_shared.turns import turned

from .pick_context import called, format_context, naming_of, refuse_outside

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
