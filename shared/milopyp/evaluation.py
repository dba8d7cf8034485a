"""Picks against known positions, from Python and for ``milopyp evaluate``.

In: picks and positions, or the files that hold them. Out: figures.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, Unpack

from numpy.typing import ArrayLike

from milopyp_shared.arrays import TomogramLike
from milopyp_shared.errors import UsageError
from milopyp_shared.formats.candidates import CANDIDATES
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.positions import Positions, read_positions
from milopyp_shared.lengths import common, refuse_larger
from milopyp_shared.matching import Evaluation
from milopyp_shared.picks import Picks, as_picks

from .comparison import compare, doubts
from .judged import Source, read_run_source
from .pick_context import check_options, format_context
from .pick_files import ReadOptions, read_with_context

# Options that say how known positions are written, which no run knows.
OF_THE_TRUTH = ("coords", "binning", "with_score", "dynamo_zero", "dynamo_tomogram", "class_")
SEPARATION = 1.2  # of candidates, matching radii, where neither the caller nor the run says how far apart they are

# What stands for files and names that there are not.
UNNAMED, KNOWN = Path("picks"), Path("truth")

FilePath: TypeAlias = "str | os.PathLike[str]"

_warn = logging.getLogger("milopyp").warning


def evaluate(
    picks: Picks | ArrayLike | FilePath,
    truth: Picks | ArrayLike | FilePath,
    radius: float | None = None,
    *,
    distance: float | None = None,
    tomogram: TomogramLike | None = None,
    format: str | None = None,
    **options: Unpack[ReadOptions],
) -> Evaluation:
    """Judge picks by known positions; of files, the figures are those of ``milopyp evaluate``.

    Matching is one to one, best score first. Errors of position are those of the picks at the best F1.

    Parameters
    ----------
    picks
        Picks, an array ``(n, 3)`` x, y, z or ``(n, 4)`` x, y, z, score (voxels of the inside frame), a folder of
        milopyp-infer, its ``NAME.candidates.csv``, or a file whose suffix says its format (else: `read_picks`).
    truth
        All particles: picks or an array as above (scores do not count), a coordinate list, a file of one of the
        formats, or a folder of ``NAME.suffix``.
    radius
        Largest distance of a match, voxels. None: half the particle's diameter, which a run knows.
    distance
        Drop picks closer than this to a better one, voxels. None: what the run says, or 1.2 radii, for candidates,
        which nothing has thinned out; nothing is dropped from other picks.
    tomogram, options
        As in `read_picks`, where one of the files needs them. A folder of milopyp-infer knows its tomograms: beside it
        are only those that say how the truth is written.
    format
        Of the truth; None: by its suffix.

    Returns
    -------
    ``auprc``, ``f1`` and the ``threshold``, ``precision`` and ``recall`` that belong to it, ``rmse`` (voxels) and
    more; NaN where a figure is undefined.

    Raises
    ------
    InputError
        `picks` or `truth` is none of these, or a file cannot be read; both are of different tomograms.
    UsageError
        The radius is not above 0, or not given where no run knows it; something must be known to read a file; or an
        option that says nothing beside a run.
    ContradictionError
        The radius is larger than the particle of the run.
    """
    if isinstance(picks, (str, os.PathLike)):
        found = _read_source(Path(picks), tomogram, options)
    else:
        context = format_context(UNNAMED, tomogram, options, _warn)
        found = Source.of(UNNAMED, {context.label: as_picks(picks)}, {context.label: context})
    known, where = _known_positions(truth, format, found.contexts)
    voxels = matching_radius(radius, scale_of([found], found.contexts), str(found.path), "radius")
    separation = found.distance if distance is None else distance
    if separation is None and found.candidates:
        separation = SEPARATION * voxels
    compared = compare(found, known, voxels, separation, where)
    for doubt in doubts([compared]):
        _warn(doubt)
    return compared.total


@dataclass(frozen=True)
class Scale:
    """How large things are in the tomograms of picks.

    Attributes
    ----------
    diameters
        Of the particles, voxels, in the tomograms of which that is known.
    voxel_size
        Angstrom, of all tomograms; None: not known, or they differ.
    """

    diameters: tuple[float, ...] = ()
    voxel_size: float | None = None


def scale_of(sources: Iterable[Source], contexts: Mapping[str, FormatContext]) -> Scale:
    """What the records of runs say of the particle, and of the tomograms all that is known."""
    diameters = tuple(diameter for source in sources for diameter in source.diameters)
    return Scale(diameters, common(context.one_voxel_size for context in contexts.values()))


def matching_radius(
    given: float | None, scale: Scale, of: str, where: str, *, guess: bool = True, kind: str = ""
) -> float:
    """The radius of a match in voxels: what is given, or half the particle.

    Parameters
    ----------
    of, where
        What the picks were read from, and what the radius is called, for the message.
    guess
        Whether what is given may have been meant in Angstrom.
    kind
        One of the classes, where there are some.

    Raises
    ------
    UsageError
        It is not given, and the particle is not known, or not of one size in voxels.
    ContradictionError
        It is larger than the particle.
    """
    diameters = scale.diameters
    if given is not None:
        if diameters:
            size = scale.voxel_size if guess else None
            refuse_larger(given, max(diameters), where, than=f"the particle of {of}", voxel_size=size)
        return given
    diameter = common(diameters)
    if diameter is None:
        found = f"particles of {min(diameters):g} to {max(diameters):g} voxels" if diameters else "not given"
        of_each = kind and f", or {kind}=NUMBER and so on for each class"
        raise UsageError(
            found, where=where,
            expected=f"a number{of_each}: {of} is no run with particles of one size, to take half of it",
        )  # fmt: skip
    return diameter / 2


def _read_source(path: Path, tomogram: TomogramLike | None, options: ReadOptions) -> Source:
    """The candidates of a run, or the picks of one file."""
    if not (path.is_dir() or path.suffix == "" or path.name.endswith(CANDIDATES)):
        picks, context = read_with_context(path, tomogram, None, options)
        return Source.of(path, {context.label: picks}, {context.label: context})
    source = read_run_source(path)
    if path.is_dir():
        said = _of_the_truth(path, tomogram, options)
        return replace(source, contexts={name: replace(own, **said) for name, own in source.contexts.items()})
    [(called, known)] = source.contexts.items()
    context = format_context(path, tomogram, options, _warn)
    if (context.order, context.size, context.voxel_size) == (None, None, None):
        context = replace(
            context, order=known.order, size=known.size, voxel_size=known.voxel_size, frame=known.frame
        )  # fmt: skip
    label = options.get("name") or called
    return replace(source.called({label: called}), contexts={label: replace(context, label=label)})


def _of_the_truth(run: Path, tomogram: TomogramLike | None, options: ReadOptions) -> dict[str, Any]:
    """Options that say how the truth is written.

    Raises
    ------
    UsageError
        Others are given, too; one is out of range.
    """
    given = {name: value for name, value in {"tomogram": tomogram, **options}.items() if value is not None}
    if idle := [name for name in given if name not in OF_THE_TRUTH]:
        raise UsageError(
            f"given beside {run}, a folder of milopyp-infer", where=", ".join(idle),
            expected="nothing: its records say all that is known of its tomograms",
        )  # fmt: skip
    check_options(given)
    return given | ({"class_": str(given["class_"])} if "class_" in given else {})


def _known_positions(
    truth: Picks | ArrayLike | FilePath, format: str | None, contexts: Mapping[str, FormatContext]
) -> tuple[Positions, Path]:
    """The truth by tomogram, and where it is from. That of one belongs to picks that are not said to be of another."""
    path = KNOWN
    if isinstance(truth, (str, os.PathLike)):
        path = Path(truth)
        return read_positions(path, format, contexts, anonymous=UNNAMED.name in contexts), path
    if len(contexts) > 1:
        raise UsageError(
            f"positions of one tomogram for the {len(contexts)} of the run", where=path,
            expected="a coordinate list, or a folder with one file per tomogram",
        )  # fmt: skip
    return Positions(dict.fromkeys(contexts, as_picks(truth, str(path)))), path
