"""``milopyp convert`` of a file with the picks of several tomograms: into one file, or one for each in a folder."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from milopyp_inference.batch.inputs import gather
from milopyp_inference.batch.reader import read_records
from milopyp_shared.atomic import make_folder
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.conventions import NamedPicks
from milopyp_shared.formats.positions import read_all_positions, read_positions
from milopyp_shared.formats.registry import DYNAMO, FORMATS, ManyWriter, Writer, axes_warning, check_needs
from milopyp_shared.lengths import Length
from milopyp_shared.lists import check_image_name
from milopyp_shared.names import assign, listed
from milopyp_shared.overwrite import refuse_existing
from milopyp_shared.picks import Picks
from milopyp_shared.turns import turned
from milopyp_shared.wording import counted
from milopyp_shared.written_names import Naming

from ..judged import context_of, is_run
from ..pick_context import called, format_context, refuse_outside


@dataclass(frozen=True)
class Wanted:
    """What is to be written, and where.

    Attributes
    ----------
    word
        Format.
    turn, radius
        As the options of the command.
    inputs
        Files that the command reads.
    """

    target: Path
    word: str
    naming: Naming
    turn: str
    radius: Length
    overwrite: bool
    inputs: Sequence[Path]

    @property
    def in_folder(self) -> bool:
        """Whether there is to be one file for each tomogram."""
        return self.target.is_dir() or not self.target.suffix

    @property
    def write(self) -> Writer:
        """What writes the picks of one tomogram."""
        write = FORMATS[self.word].write
        assert write is not None  # `format_of`
        return write

    @property
    def write_many(self) -> ManyWriter | None:
        """What writes those of several into one file, if the format can hold them."""
        many = FORMATS[self.word].names
        return None if many is None else many.write


def is_of_several(tomograms: Sequence[str]) -> bool:
    """Whether ``--tomogram`` names more than a file."""
    return len(tomograms) > 1 or any(glob.has_magic(own) or Path(own).is_dir() for own in tomograms)


def convert_many(
    source: Path, word: str, tomograms: Sequence[str], said: Mapping[str, Any], wanted: Wanted, *, console: Console
) -> None:
    """Convert the picks of all tomograms in a file.

    Parameters
    ----------
    word
        Format of `source`.
    tomograms
        What ``--tomogram`` says: files, patterns, image lists, or a run; nothing where the format needs none.
    said
        Options of the command that say what is known of the tomograms; ``name`` chooses one.

    Raises
    ------
    UsageError, InputError, ContradictionError
        As for one tomogram, before anything is written.
    """
    found, contexts = _read(source, word, tomograms, said, console)
    convert_read(found, contexts, source, word, wanted, console=console)


def convert_read(
    found: Mapping[str, Picks], contexts: Mapping[str, FormatContext], source: Path, word: str, wanted: Wanted, *,
    console: Console,
) -> None:  # fmt: skip
    """As `convert_many`, of picks that are read, by tomogram."""
    own_picks, known = {}, {}
    for name, picks in found.items():
        context = contexts[name]
        refuse_outside(picks, context, f"{source}, {name}")
        size = context.one_voxel_size
        radius = wanted.radius.voxels(size, "--radius", "--voxel-size, or --tomogram that says it")
        check_needs(wanted.word, context, wanted.target, writing=True)
        own_picks[name], known[name] = turned(picks, replace(context, radius=radius), wanted.turn, wanted.target)
    named = called(known, wanted.word, wanted.naming, wanted.target)
    ready = [(picks, named[name]) for name, picks in own_picks.items()]
    for doubt in {axes_warning([word], own.order) for own in contexts.values()} | {
        axes_warning([wanted.word], own.order) for _, own in ready
    }:
        if doubt:
            console.warn(doubt)
    _write(ready, wanted, source)
    if wanted.word == DYNAMO and any(context.dynamo_tomogram is None for _, context in ready):
        console.say("column 20, the number of the tomogram, is 1 where no .doc beside the table says another one")
    number = sum(len(picks) for picks, _ in ready)
    console.say(
        f"wrote {wanted.target} ({wanted.word}): {counted(number, 'pick')} of {counted(len(ready), 'tomogram')} from "
        f"{source} ({word})"
    )


def _read(
    source: Path, word: str, tomograms: Sequence[str], said: Mapping[str, Any], console: Console
) -> tuple[Mapping[str, Picks], Mapping[str, FormatContext]]:
    """Picks by tomogram, and what is known of each; what is left out is said."""
    name, said = said["name"], {**said, "name": None}
    base = format_context(source, None, said, console.warn)
    if not tomograms and name is None:
        return read_all(source, word, base)
    contexts = _known(tomograms, base, said, console) if tomograms else {name: replace(base, label=name)}
    if name is not None:
        contexts = {name: contexts[assign([name], list(contexts), "--tomogram")[name]]}
    found = read_positions(source, word, contexts)
    if found.others and name is None:
        console.warn(f"{source}: picks of {listed(found.others)} are left out, which --tomogram does not name")
    return found.picks, contexts


def read_all(source: Path, word: str, base: FormatContext) -> tuple[Mapping[str, Picks], Mapping[str, FormatContext]]:
    """The picks of all tomograms that a file names, and what is known of each beside `base`."""
    found = read_all_positions(source, word, base).picks
    return found, {name: replace(base, label=_label(picks, name)) for name, picks in found.items()}


def _label(picks: Picks, name: str) -> str:
    """What a tomogram is called that a file has under `name`: of a Dynamo map that is a path."""
    return picks.name or name if isinstance(picks, NamedPicks) else name


def _known(
    tomograms: Sequence[str], base: FormatContext, said: Mapping[str, Any], console: Console
) -> dict[str, FormatContext]:
    """What tomograms say of themselves, or a run of them, by name."""
    if len(tomograms) == 1 and is_run(Path(tomograms[0])):
        records = read_records(Path(tomograms[0]))
        own = {record.name: replace(context_of(record), label=record.tomo_name) for record in records}
        known = ("order", "size", "voxel_size", "frame", "label")
        return {name: replace(base, **{part: getattr(of, part) for part in known}) for name, of in own.items()}
    return {
        entry.name: replace(format_context(entry.path, entry.path, said, console.warn), label=entry.label)
        for entry in gather(tomograms, say=console.say)
    }


def _write(ready: Sequence[tuple[Picks, FormatContext]], wanted: Wanted, source: Path) -> None:
    if not wanted.in_folder and wanted.write_many is not None:
        wanted.write_many(wanted.target, ready)
        return
    if not wanted.in_folder and len(ready) > 1:
        holding = ", ".join(word for word, row in FORMATS.items() if row.names is not None and row.names.write)
        raise UsageError(
            f"picks of {len(ready)} tomograms", where=wanted.target, expected=f"a folder, or a file of {holding}",
            remedy="Or choose one with --name.",
        )  # fmt: skip
    paths = [wanted.target]
    if wanted.in_folder:
        for _, context in ready:  # else a file would be written elsewhere
            check_image_name(context.label, source, "Say what the tomograms are called: --tomogram.")
        paths = [wanted.target / f"{context.label}{FORMATS[wanted.word].suffixes[0]}" for _, context in ready]
        make_folder(wanted.target)
    for path in paths:
        refuse_existing(path, overwrite=wanted.overwrite, inputs=wanted.inputs)
    for path, (picks, context) in zip(paths, ready, strict=True):
        wanted.write(path, picks, context)
