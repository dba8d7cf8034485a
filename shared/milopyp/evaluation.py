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

from milopyp_inference.batch.reader import read_records, read_run
from milopyp_inference.batch.records import RECORDS, Picked, load_record, record_path
from milopyp_shared.arrays import TomogramLike
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.candidates import CANDIDATES
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.positions import Positions, read_positions
from milopyp_shared.lengths import common, refuse_larger
from milopyp_shared.matching import Evaluation, evaluate_at_best_f1
from milopyp_shared.names import listed
from milopyp_shared.peaks import nms
from milopyp_shared.picks import Picks, as_picks

from .pick_files import ReadOptions, check_options, format_context, read_with_context

# Options that say how known positions are written, which no run knows.
OF_THE_TRUTH = ("coords", "binning", "with_score", "dynamo_zero", "dynamo_tomogram", "class_")
SEPARATION = 1.2  # of candidates, matching radii, where neither the caller nor the run says how far apart they are

# What stands for files and names that there are not.
UNNAMED, KNOWN = Path("picks"), Path("truth")

FilePath: TypeAlias = "str | os.PathLike[str]"

_warn = logging.getLogger("milopyp").warning


@dataclass(frozen=True)
class Comparison:
    """How good the picks of several tomograms are.

    Attributes
    ----------
    total, each
        Of all tomograms together, and by name.
    not_picked
        Tomograms that have known positions and no picks; they are left out.
    empty
        Tomograms that the known positions do not name: all picks in them are false.
    unjudged
        Tomograms that there is no file of known positions for; they are left out.
    """

    total: Evaluation
    each: dict[str, Evaluation]
    not_picked: tuple[str, ...]
    empty: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def doubts(self) -> list[str]:
        """What there is to say of tomograms that are not in both."""
        doubts = []
        if self.empty:
            doubts.append(f"no particles are known of {listed(self.empty)}: all picks there count as false")
        if self.unjudged:
            doubts.append(f"no file of known positions, left out: {listed(self.unjudged)}")
        if self.not_picked:
            doubts.append(f"not picked, left out: {', '.join(self.not_picked)}")
        return doubts


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
        found = _read_by_name(Path(picks), tomogram, options)
    else:
        context = format_context(UNNAMED, tomogram, options, _warn)
        found = _PicksByName(UNNAMED, {context.label: as_picks(picks)}, {context.label: context})
    known, where = _known_positions(truth, format, found.contexts)
    voxels = matching_radius(radius, found.scale, found.path, "radius")
    separation = found.distance if distance is None else distance
    if separation is None and found.candidates:
        separation = SEPARATION * voxels
    compared = compare(found.picks, known, voxels, separation, of=found.path, where=where)
    for doubt in compared.doubts:
        _warn(doubt)
    return compared.total


def compare(
    found: Mapping[str, Picks],
    known: Positions,
    radius: float,
    distance: float | None,
    *,
    of: Path,
    where: Path,
) -> Comparison:
    """Judge picks by known positions, both by the name of the tomogram.

    A tomogram that the known positions do not name, although they name others, has no particles.

    Parameters
    ----------
    radius
        Of a match, voxels.
    distance
        Between picks at least, voxels; None: they are taken as they are.
    of, where
        What `found` and `known` were read from, for the message.

    Raises
    ------
    InputError
        They have no tomogram in common.
    UsageError
        The radius is not above 0.
    """
    positions = known.with_empty
    common = [name for name in found if name in positions]
    if not common:
        raise InputError(
            f"no tomogram of {of} ({', '.join(list(found)[:3])}) is in the list",
            where=where,
            expected="the same names in both",
        )
    kept = {name: found[name] if distance is None else nms(found[name], distance) for name in common}
    pairs = {name: (own, positions[name].xyz) for name, own in kept.items()}
    return Comparison(
        evaluate_at_best_f1(list(pairs.values()), radius),
        {name: evaluate_at_best_f1([pair], radius) for name, pair in pairs.items()},
        tuple(sorted({*positions, *known.others} - set(found))),
        known.unnamed,
        tuple(name for name in found if name not in positions),
    )


def run_contexts(run: Path, names: Iterable[str], **of_the_truth: Any) -> dict[str, FormatContext]:
    """What a run says of its tomograms; nothing is known of those of a lone table.

    `of_the_truth` says how the known positions are written: fields of `FormatContext`.
    """
    contexts = {name: FormatContext(label=name) for name in names}
    if (run / RECORDS).is_dir():
        contexts |= {own.name: _context_of(own) for own in read_records(run) if own.name in contexts}
    return {name: replace(context, **of_the_truth) for name, context in contexts.items()}


def _context_of(record: Picked) -> FormatContext:
    """What a record says; a header that nobody can read anew is not at hand, so that models count as drawn on it."""
    try:
        return FormatContext.of(record.read_anew, record.name)
    except InputError:
        return replace(FormatContext.of(record.frame, record.name), frame=None)


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


def run_scale(path: Path, names: Iterable[str]) -> Scale:
    """What the records of a run say, or those of the run that a lone table lies in."""
    folder = path if path.is_dir() else path.parent
    records = [_record(folder, name) for name in names]
    return Scale(
        tuple(record.diameter for record in records if record is not None),
        common(None if record is None else record.frame.one_voxel_size for record in records),
    )


def _record(folder: Path, name: str) -> Picked | None:
    try:
        record = load_record(record_path(folder, name))
    except InputError:
        return None
    return record if isinstance(record, Picked) else None


def matching_radius(given: float | None, scale: Scale, of: Path, where: str, *, guess: bool = True) -> float:
    """The radius of a match in voxels: what is given, or half the particle.

    Parameters
    ----------
    of, where
        What the picks were read from, and what the radius is called, for the message.
    guess
        Whether what is given may have been meant in Angstrom.

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
        raise UsageError(
            found, where=where, expected=f"a number: {of} is no run with particles of one size, to take half of it"
        )
    return diameter / 2


@dataclass(frozen=True)
class _PicksByName:
    """Where picks are from, those of each tomogram, and what is known of it.

    `candidates` are picks that nothing has thinned out; they are to be `distance` voxels apart, if that is known.
    """

    path: Path
    picks: Mapping[str, Picks]
    contexts: Mapping[str, FormatContext]
    candidates: bool = False
    distance: float | None = None
    scale: Scale = Scale()


def _read_by_name(path: Path, tomogram: TomogramLike | None, options: ReadOptions) -> _PicksByName:
    """The candidates of a run, or the picks of one file."""
    if not (path.is_dir() or path.suffix == "" or path.name.endswith(CANDIDATES)):
        picks, context = read_with_context(path, tomogram, None, options)
        return _PicksByName(path, {context.label: picks}, {context.label: context})
    found, distance = read_run(path)
    scale = run_scale(path, found)
    if path.is_dir():
        contexts = run_contexts(path, found, **_of_the_truth(path, tomogram, options))
    else:
        [(called, picks)] = found.items()
        label = options.get("name") or called
        found, contexts = {label: picks}, {label: replace(format_context(path, tomogram, options, _warn), label=label)}
    return _PicksByName(path, found, contexts, candidates=True, distance=distance, scale=scale)


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
