"""What is to be judged: the picks of runs and of other programs' files, by tomogram.

In: folders, tables and files, and what is known of the tomograms. Out: picks in the inside frame, under common names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from milopyp_inference.batch.class_runs import class_folders, class_of, refuse_several
from milopyp_inference.batch.reader import picks_of, read_run
from milopyp_inference.batch.record_files import RECORDS, SUMMARY, load_record, record_path
from milopyp_inference.batch.records import Picked
from milopyp_inference.decode.select import Selection
from milopyp_shared.errors import InputError
from milopyp_shared.formats.candidates import CANDIDATES
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.positions import LISTS, list_classes, read_all_positions, read_positions
from milopyp_shared.formats.registry import LIST, axes_warning, format_of
from milopyp_shared.names import WHOSE, assign_some, listed, reduced
from milopyp_shared.pick_choice import has_points
from milopyp_shared.picks import Picks

from .pick_context import refuse_outside

EXPECTED = f"a run folder, NAME{CANDIDATES}, or a file or folder of picks"
OPTION = "--picks-from"
SAID = (
    "coords",
    "binning",
    "with_score",
    "class_",
    "class_option",
    "known_class",
    "all_listed",
)  # of files, beside what is known of tomograms

_warn = logging.getLogger("milopyp").warning


@dataclass(frozen=True)
class Decided:
    """The picks of one tomogram that a program has decided for; `selection` is how a run has, None: not known."""

    picks: Picks
    selection: Selection | None = None


@dataclass(frozen=True)
class Source:
    """The picks of one run, or of one file or folder of another program.

    Attributes
    ----------
    path
        Where they are from.
    ranked
        By tomogram: the candidates of a run, or all picks.
    chosen
        The picks that the run has written, or again all; without the tomograms of which nobody knows.
    contexts
        What is known of each tomogram.
    candidates
        `ranked` are those of a run, which nothing has thinned out; they are to be `distance` voxels apart, if that is
        known.
    diameters
        Of the particle, voxels, in the tomograms of a run.
    others
        Names of further tomograms in the file.
    format
        That the file was read as.
    published
        The picks of the run are the published program's, which are no choice among its candidates.
    """

    path: Path
    ranked: Mapping[str, Picks]
    chosen: Mapping[str, Decided]
    contexts: Mapping[str, FormatContext]
    candidates: bool = False
    distance: float | None = None
    diameters: tuple[float, ...] = ()
    others: tuple[str, ...] = ()
    format: str | None = None
    published: bool = False

    @classmethod
    def of(cls, path: Path, picks: Mapping[str, Picks], contexts: Mapping[str, FormatContext], **more: Any) -> Source:
        """Picks as another program has left them."""
        return cls(path, picks, {name: Decided(own) for name, own in picks.items()}, contexts, **more)

    def called(self, names: Mapping[str, str]) -> Source:
        """The same with the tomograms `names` only, each called by its key."""
        return replace(
            self,
            ranked={name: self.ranked[own] for name, own in names.items()},
            chosen={name: self.chosen[own] for name, own in names.items() if own in self.chosen},
            contexts={name: self.contexts[own] for name, own in names.items()},
        )


@dataclass(frozen=True)
class Judged:
    """What is judged on the same tomograms; `left_out` are those that not all sources have picks of."""

    sources: tuple[Source, ...]
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of the tomograms."""
        return list(self.sources[0].ranked)

    @property
    def contexts(self) -> dict[str, FormatContext]:
        """What is known of each tomogram, by a run if there is one; and of the class, where all runs are of one."""
        first = next((own for own in self.sources if own.candidates), self.sources[0])
        kind = _kind_of(self.sources)
        return {name: replace(own, known_class=kind) for name, own in first.contexts.items()}


def is_run(path: Path) -> bool:
    """Whether it is a folder of milopyp-infer, or one of its tables of candidates."""
    if not path.is_dir():
        return path.name.endswith(CANDIDATES)
    refuse_several(path)
    return (path / RECORDS).is_dir() or (path / SUMMARY).is_file() or any(path.glob(f"*{CANDIDATES}"))


def read_run_source(path: Path) -> Source:
    """Candidates and picks of a run, or of the tomogram of a table, which may lie in its run.

    Raises
    ------
    InputError
        No candidates, or something there is damaged.
    """
    found, distance = read_run(path)
    folder = path if path.is_dir() else path.parent
    records = _records(folder, found)
    contexts = _contexts(folder, found, records)
    chosen = {}
    for record in records:
        if (picks := picks_of(folder, record, contexts[record.name])) is not None:
            chosen[record.name] = Decided(picks, record.options.selection)
    diameters = tuple(record.diameter for record in records)
    published = any(record.options.published is not None for record in records)
    return Source(
        path, found, chosen, contexts, candidates=True, distance=distance, diameters=diameters, published=published
    )


def read_sources(
    paths: Sequence[Path], tomograms: Mapping[str, FormatContext], context: FormatContext, word: str | None
) -> Judged:
    """What is to be judged, on the tomograms that all have picks of.

    Parameters
    ----------
    paths
        Runs, tables of candidates, and whatever `milopyp_shared.formats.positions.read_positions` reads.
    tomograms
        What is known of tomograms beside the runs, by name.
    context
        What is said of all files that are no run: where there are no runs and no tomograms, all that is known.
    word
        Format of these files; None: as they say.

    Raises
    ------
    InputError
        Something cannot be read; or there is no tomogram that all have picks of.
    UsageError
        Something must be known to read a file.
    ContradictionError
        Picks outside their tomogram.
    """
    runs = {path: read_run_source(path) for path in paths if is_run(path)}
    context = replace(context, known_class=context.known_class or _kind_of(runs.values()), all_listed=True)
    known: dict[str, FormatContext] = {}
    for own in (*(run.contexts for run in runs.values()), tomograms):
        theirs = {there: name for name, there in assign_some(list(known), list(own), "picks", WHOSE).items()}
        known = {theirs.get(name, name): what for name, what in own.items()} | known
    files = {path: _read_file(path, known, context, word) for path in paths if path not in runs}
    return on_the_same([(runs | files)[path] for path in paths])


def classes_of(path: Path, word: str | None) -> dict[str, Path]:
    """Where the picks of each class are: of the folder of a run of several, or of what names them; else none.

    Parameters
    ----------
    word
        Format of the file; None: as it says.

    Raises
    ------
    InputError
        It cannot be read.
    """
    if path.is_dir() and (folders := class_folders(path)):
        return folders
    if is_run(path) or not (path.exists() or "*" in path.name):
        return {}
    if path.is_file():
        word = word or _format_of(path) or LIST
    return dict.fromkeys(list_classes(path, word), path)


def _kind_of(sources: Iterable[Source]) -> str | None:
    """The class of particles that all are of, as far as they know it; None: nobody knows, or there are several."""
    known = {own.known_class for source in sources for own in source.contexts.values()} - {None}
    return known.pop() if len(known) == 1 else None


def _read_file(path: Path, known: Mapping[str, FormatContext], context: FormatContext, word: str | None) -> Source:
    """The picks of another program."""
    if not path.exists() and "*" not in path.name:
        raise InputError("no such file or folder", where=path, expected=EXPECTED)
    if word is None and path.is_file():
        word = _format_of(path)
    if known:
        said = {name: getattr(context, name) for name in SAID}
        contexts = {name: replace(own, **said) for name, own in known.items()}
        found = read_positions(path, word, contexts, option=OPTION)
    else:
        found = read_all_positions(path, word, context, OPTION)
        contexts = {name: replace(context, label=name) for name in found.picks}
    for name, picks in found.picks.items():
        refuse_outside(picks, contexts[name], path)
    if word and (doubt := axes_warning([word], next((own.order for own in contexts.values()), None))):
        _warn(doubt)
    return Source.of(
        path, found.picks, {name: contexts[name] for name in found.picks}, others=found.others, format=word
    )


def _format_of(path: Path) -> str | None:
    """The format of a file; None of a coordinate list, which has a header where a text of one tomogram has numbers."""
    is_list = path.suffix.lower() in LISTS and not has_points(path)
    return None if is_list else "txt" if path.suffix.lower() in LISTS else format_of(path, None, OPTION)


def on_the_same(sources: Sequence[Source]) -> Judged:
    """Sources with the tomograms that are in all, called as in the first.

    Raises
    ------
    InputError
        There is none.
    """
    first = list(sources[0].ranked)
    pairs = [assign_some(first, list(source.ranked), source.path, WHOSE) for source in sources]
    common = [name for name in first if all(name in own for own in pairs)]
    if not common:
        raise InputError(
            "; ".join(f"{source.path} has picks of {listed(source.ranked)}" for source in sources),
            where="PICKS",
            expected="a tomogram that all have picks of: each is the picks of one program",
            remedy="Give the files of one program as a folder or as a pattern in quotes, or say with --tomogram which "
            "one all are of.",
        )
    kept_names = {reduced(name) for name in common}
    every = [name for source in sources for name in (*source.ranked, *source.others)]
    left = {reduced(name): name for name in every if reduced(name) not in kept_names}
    kept = [source.called({name: own[name] for name in common}) for source, own in zip(sources, pairs, strict=True)]
    return Judged(tuple(kept), tuple(sorted(left.values())))


def context_of(record: Picked) -> FormatContext:
    """What a record says; a header that nobody can read anew is not at hand, so that models count as drawn on it."""
    try:
        return FormatContext.of(record.read_anew, record.name)
    except InputError:
        return replace(FormatContext.of(record.frame, record.name), frame=None)


def run_contexts(run: Path, names: Iterable[str], **of_the_truth: Any) -> dict[str, FormatContext]:
    """What a run says of its tomograms `names`.

    `of_the_truth` says how the known positions are written: fields of `FormatContext`.
    """
    names = list(names)
    return {
        name: replace(context, **of_the_truth) for name, context in _contexts(run, names, _records(run, names)).items()
    }


def _contexts(run: Path, names: Iterable[str], records: Iterable[Picked]) -> dict[str, FormatContext]:
    """What a run says of its tomograms, of which there may be records, and of the class that it is of."""
    kind = class_of(run)
    known = {name: FormatContext(label=name) for name in names} | {own.name: context_of(own) for own in records}
    return {name: replace(own, known_class=kind) for name, own in known.items()}


def _records(folder: Path, names: Iterable[str]) -> list[Picked]:
    """The records that there are of tomograms that a run has finished; raises where one is damaged."""
    paths = [path for name in names if (path := record_path(folder, name)).is_file()]
    records = [load_record(path) for path in paths]
    return [record for record in records if isinstance(record, Picked)]
