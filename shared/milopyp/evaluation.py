"""Picks against known positions, from Python and for ``milopyp evaluate``.

In: picks and positions, or the files that hold them. Out: figures.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, Unpack

from numpy.typing import ArrayLike

from milopyp_inference.batch.reader import read_records, read_run
from milopyp_inference.batch.records import RECORDS, Picked
from milopyp_shared.arrays import TomogramLike
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.candidates import CANDIDATES
from milopyp_shared.formats.conventions import FormatContext
from milopyp_shared.formats.positions import Positions, read_positions
from milopyp_shared.matching import Evaluation, evaluate_at_best_f1
from milopyp_shared.names import listed
from milopyp_shared.peaks import nms
from milopyp_shared.picks import Picks, as_picks

from .pick_files import ReadOptions, format_context, read_with_context

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
    radius: float,
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
        Largest distance of a match, voxels; usually half the particle's diameter.
    distance
        Drop picks closer than this to a better one, voxels. None: what the run says, or 1.2 radii, for candidates,
        which nothing has thinned out; nothing is dropped from other picks.
    tomogram, options
        As in `read_picks`, where one of the files needs them.
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
        The radius is not above 0, or something must be known to read a file.
    """
    if isinstance(picks, (str, os.PathLike)):
        found = _read_by_name(Path(picks), radius, tomogram, options)
    else:
        context = format_context(UNNAMED, tomogram, options, _warn)
        found = _PicksByName(UNNAMED, {context.label: as_picks(picks)}, {context.label: context})
    known, where = _known_positions(truth, format, found.contexts)
    separation = found.distance if distance is None else distance
    compared = compare(found.picks, known, radius, separation, of=found.path, where=where)
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


def run_contexts(
    run: Path, names: Iterable[str], coords: Literal["model2point", "voxel"] | None = None, binning: float = 1.0
) -> dict[str, FormatContext]:
    """What a run says of its tomograms; nothing is known of those of a lone table."""
    contexts = {name: FormatContext(label=name) for name in names}
    if (run / RECORDS).is_dir():
        contexts |= {own.name: _context_of(own) for own in read_records(run) if own.name in contexts}
    return {name: replace(context, coords=coords, binning=binning) for name, context in contexts.items()}


def _context_of(record: Picked) -> FormatContext:
    """What a record says; a header that nobody can read anew is not at hand, so that models count as drawn on it."""
    try:
        return FormatContext.of(record.read_anew, record.name)
    except InputError:
        return replace(FormatContext.of(record.frame, record.name), frame=None)


@dataclass(frozen=True)
class _PicksByName:
    """Where picks are from, those of each tomogram, what is known of it, and how far apart candidates are to be."""

    path: Path
    picks: Mapping[str, Picks]
    contexts: Mapping[str, FormatContext]
    distance: float | None = None


def _read_by_name(path: Path, radius: float, tomogram: TomogramLike | None, options: ReadOptions) -> _PicksByName:
    """The candidates of a run, or the picks of one file."""
    if path.is_dir() or path.suffix == "" or path.name.endswith(CANDIDATES):
        found, run_distance = read_run(path)
        contexts = run_contexts(path, found, options.get("coords"), options.get("binning") or 1.0)
        return _PicksByName(path, found, contexts, SEPARATION * radius if run_distance is None else run_distance)
    picks, context = read_with_context(path, tomogram, None, options)
    return _PicksByName(path, {context.label: picks}, {context.label: context})


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
