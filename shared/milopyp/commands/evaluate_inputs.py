"""What ``milopyp evaluate`` is given: picks, known positions and lengths, as its options say them.

In: options. Out: what is to be judged, positions by tomogram, voxels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from milopyp_inference.batch.class_runs import class_of
from milopyp_inference.batch.inputs import gather
from milopyp_inference.batch.reader import run_files
from milopyp_inference.batch.record_files import RECORDS
from milopyp_shared.commandline import spelled
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.positions import Positions, list_classes, position_files, read_positions
from milopyp_shared.names import read_name_map
from milopyp_shared.option_types import ByClass
from milopyp_shared.overwrite import MARKS, refuse_others
from milopyp_shared.particles import case_hint, of_class
from milopyp_shared.wording import counted

from ..class_comparison import Asked
from ..evaluation import SEPARATION, matching_radius, scale_of
from ..judged import Judged, Source, classes_of, is_run, on_the_same, read_sources
from ..pick_context import format_context

OF_TOMOGRAMS = ("tomogram", "order", "size", "voxel_size")  # options that say what a run knows
OF_FILES = ("picks_from", "picks_binning", "picks_class", "with_score")  # and those of files that are no run


def kinds_of(picks: Sequence[Path], given: Mapping[str, Any]) -> dict[str, Path]:
    """The classes of PICKS, where these say of which classes they are and none is chosen; with the place of each."""
    chosen = given["class_"] or given["picks_class"]
    return {} if len(picks) > 1 or chosen else classes_of(picks[0], given["picks_from"])


def read_judged(picks: Sequence[Path], kinds: Mapping[str, Path], console: Console, given: Mapping[str, Any]) -> Judged:
    """What is to be judged: of one class a source for each of `picks`, of several one for each of `kinds`.

    Raises
    ------
    UsageError
        Something is given twice, or says nothing of PICKS.
    """
    if len({path.resolve() for path in picks}) < len(picks):
        raise UsageError("given twice", where="PICKS", expected="each once")
    paths = list(kinds.values()) if len(kinds) > 1 else picks
    _refuse_idle(paths, given)
    said_of_all = {name: given[name] for name in ("order", "size", "voxel_size")}
    tomograms: dict[str, FormatContext] = {}
    for entry in gather(given["tomogram"]) if given["tomogram"] else ():
        tomograms[entry.name] = replace(
            format_context(entry.path, entry.path, said_of_all, console.warn), label=entry.name
        )
    more = {"coords": given["coords"], "with_score": given["with_score"], "binning": given["picks_binning"]}
    more |= {"class_": given["picks_class"], "class_option": "--picks-class"}
    context = format_context(picks[0], None, more if tomograms else said_of_all | more, console.warn)

    def read(of: Sequence[Path], **kind: Any) -> Judged:
        return read_sources(of, tomograms, replace(context, **kind), given["picks_from"])

    if len(kinds) > 1:
        judged = on_the_same([read([path], class_=kind).sources[0] for kind, path in kinds.items()])
    else:
        if not given["class_"]:
            _refuse_other_classes(picks)
        judged = read(picks, known_class=given["class_"] or next(iter(kinds), None))
    for source, kind in zip(judged.sources, kinds if len(kinds) > 1 else [""] * len(picks), strict=True):
        if not source.candidates:
            count = sum(map(len, source.ranked.values()))
            how_read = source.format or ("a coordinate list" if source.path.is_file() else "one file for each tomogram")
            console.say(f"{source.path}: {counted(count, 'pick')}{kind and f' of {kind}'}, read as {how_read}")
    return judged


def _refuse_other_classes(picks: Sequence[Path]) -> None:
    """Refuse runs of different classes: particles of one are none of the other."""
    found = {path: class_of(path if path.is_dir() else path.parent) for path in picks if is_run(path)}
    if len(named := dict.fromkeys(name for name in found.values() if name)) > 1:
        raise UsageError(
            f"runs of different classes, {', '.join(named)}", where="PICKS",
            expected="runs of one class, or the folder of all classes alone",
        )  # fmt: skip


def _refuse_idle(paths: Sequence[Path], given: Mapping[str, Any]) -> None:
    """Refuse options that say nothing of what is judged."""
    said = [name for name in (*OF_TOMOGRAMS, *OF_FILES) if given[name]]
    runs = [path for path in paths if is_run(path)]
    knowing = [path for path in runs if ((path if path.is_dir() else path.parent) / RECORDS).is_dir()]
    if knowing and (idle := [name for name in said if name in OF_TOMOGRAMS]):
        raise _idle(idle, f"the records of {knowing[0]} say all that is known of its tomograms")
    if len(runs) == len(paths) and (idle := [name for name in said if name in OF_FILES]):
        raise _idle(idle, "all PICKS are runs")


def _idle(names: Sequence[str], why: str) -> UsageError:
    called = spelled(*("shape" if name == "size" else name for name in names))
    return UsageError("changes nothing", where=called, expected=f"nothing: {why}", remedy="Leave it out.")


def refuse_loss(judged: Judged, targets: Sequence[Path | None], truth: Path, given: Mapping[str, Any]) -> None:
    """Refuse to write over what is read, and what is no answer of milopyp."""
    inputs = [*position_files(truth, judged.names), *filter(None, [given["name_map"]])]
    for source in judged.sources:
        inputs += run_files(source.path) if source.candidates else position_files(source.path, judged.names)
    for target in targets:
        if target is not None:
            refuse_others(target, MARKS.get(target.suffix, MARKS[".json"]), inputs)


def read_known(truth: Path, given: Mapping[str, Any], contexts: Mapping[str, FormatContext], **more: Any) -> Positions:
    """The known positions in tomograms of which `contexts` and `more` are known; raises as `read_positions`."""
    said = {"coords": given["coords"], "binning": given["binning"], "class_": given["class_"], "with_score": False}
    said["class_option"] = "--class"
    names = {} if given["name_map"] is None else read_name_map(given["name_map"])
    known = {name: replace(context, **said | more) for name, context in contexts.items()}
    return read_positions(truth, given["from_"], known, names)


def read_known_classes(truth: Path, given: Mapping[str, Any], sources: Mapping[str, Source]) -> dict[str, Positions]:
    """The known positions of each class; a tomogram that has some of any class has no others.

    Parameters
    ----------
    sources
        By class of the picks, of the same tomograms.

    Raises
    ------
    InputError
        They say nothing of classes, or as `read_known`.
    """
    first = next(iter(sources.values()))
    kinds = list_classes(truth, given["from_"])
    if not kinds:
        remedy = f"Or judge one by itself: {first.path}." if first.candidates else ""
        raise InputError(
            "says nothing of classes", where=truth, remedy=remedy,
            expected=f"a coordinate list with a column 'class': PICKS are of {', '.join(sources)}",
        )  # fmt: skip
    return {kind: read_known(truth, given, first.contexts, class_=kind, all_listed=True) for kind in kinds}


@dataclass(frozen=True)
class Lengths:
    """What ``--radius`` and ``--distance`` say, of all classes or of single ones."""

    radius: ByClass | None
    distance: ByClass | None
    console: Console

    def refuse_others(self, kinds: Sequence[str]) -> None:
        """Refuse lengths of classes that there are not.

        Raises
        ------
        UsageError
            There is one.
        """
        for where, values in (("--radius", self.radius), ("--distance", self.distance)):
            if unknown := [name for name in values or () if name and name not in kinds]:
                expected = f"one of {', '.join(kinds)}" if kinds else "a length without a class: PICKS name none"
                hint = case_hint(unknown, kinds)
                raise UsageError(f"class {', '.join(unknown)}", where=where, expected=expected, remedy=hint)

    def of(self, sources: Sequence[Source], contexts: Mapping[str, FormatContext], kind: str) -> list[Asked]:
        """The radius of a match and the distance of candidates of each source, voxels; all are of the class `kind`.

        Raises
        ------
        UsageError, ContradictionError
            As `milopyp.evaluation.matching_radius` and `Length.voxels`.
        """
        scale = scale_of(sources, contexts)
        runs = [str(source.path) for source in sources if source.candidates]
        paths = ", ".join(runs or [str(source.path) for source in sources])
        expected = f"one voxel size of all tomograms in {paths}" if runs else "--voxel-size, or --tomogram that says it"
        given, wanted = of_class(self.radius, kind, None), of_class(self.distance, kind, None)
        said = None if given is None else given.voxels(scale.voxel_size, "--radius", expected)
        guess = given is not None and not given.angstrom
        radius = matching_radius(said, scale, paths, "--radius", guess=guess, kind=kind)
        if given is None:
            self.console.say(f"radius {radius:g} voxels: half the particle of the run{kind and f' of {kind}'}")
        if wanted is not None:
            return [Asked(radius, wanted.voxels(scale.voxel_size, "--distance", expected))] * len(sources)
        return [
            Asked(radius, SEPARATION * radius if source.candidates and source.distance is None else source.distance)
            for source in sources
        ]

    def radii(self, kinds: Iterable[str], contexts: Mapping[str, FormatContext]) -> dict[str, float]:
        """The radius in voxels of classes that nothing was picked of, where it is said; raises as `Length.voxels`."""
        size = scale_of([], contexts).voxel_size
        said = {kind: self.radius.get(kind) for kind in kinds} if self.radius else {}
        return {
            kind: length.voxels(size, "--radius", "--voxel-size, or --tomogram that says it")
            for kind, length in said.items()
            if length is not None
        }
