"""``milopyp collect``: the picks of whole runs as one set of files for the next program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_shared.axes import TURNS
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.names import NAMES, listed
from milopyp_shared.option_types import Number
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from ..collecting import Asked, Collected
    from ..file_sets import Program

# The names of file_sets.PROGRAMS, which is imported only when the command runs.
PROGRAM_WORDS = ("relion5", "relion4", "warp", "dynamo", "copick", "imod", "csv", "list")


@command("collect")
@click.argument("runs", type=click.Path(path_type=Path), metavar="RUN...", nargs=-1, required=True)
@option("--to", "to", type=click.Choice(PROGRAM_WORDS), required=True, help="The program that the picks are for.")
@option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder of the files.")
@option("--overwrite", is_flag=True, help="Replace files of the same names in FOLDER.")
@option(
    "--class-names", metavar="NAME,...",
    help="What particles the runs are of, one name for each run: numbers the classes from 1.  [default: all runs are "
    "of one kind, in different tomograms]",
)  # fmt: skip
@option(
    "--names", type=click.Choice(NAMES), group="Tomograms",
    help="Write the name of a tomogram's file, or that of its tilt series, without what programs add.  [default: as "
    "in the run]",
)  # fmt: skip
@option(
    "--tomograms", type=click.Path(path_type=Path), metavar="PATH", group="Tomograms",
    help="RELION's tomograms.star, or a folder of Warp's .tomostar, AreTomo's .aln or etomo's .edf files: says the "
    "names and, as far as it does, pixel sizes, binning (for relion4) and optics groups; checked against the sizes of "
    "the tomograms.",
)  # fmt: skip
@option(
    "--turn", type=click.Choice(TURNS), group="Tomograms",
    help="Write picks as of the turned tomogram: rotx for IMOD's clip rotx or trimvol -rx, yz for trimvol -yz.  "
    "[default: as in the run]",
)  # fmt: skip
@option(
    "--voxel-size", type=Number(min=0, min_open=True), metavar="ANGSTROM", group="Tomograms",
    help="Of the tomograms, where --tomograms says no pixel size.  [default: of their headers]",
)  # fmt: skip
@option(
    "--binning", type=Number(min=0, min_open=True), group="Tomograms",
    help="The tomograms' voxel over that of the coordinates in relion4, warp and dynamo.  [default: 1; for relion4 as "
    "--tomograms says]",
)  # fmt: skip
@click.version_option(package_name="milopyp")
def collect(
    runs: tuple[Path, ...], *, to: str, out: Path, overwrite: bool, class_names: str | None, names: str | None,
    tomograms: Path | None, turn: str | None, voxel_size: float | None, binning: float | None,
) -> None:  # fmt: skip
    """Write the picks of runs as the next program takes them.

    RUN is a folder of milopyp-infer, of one class or of several; its picks are taken as they are: of the threshold
    that was chosen, and with what milopyp apply has changed. Several runs are joined: of different tomograms, or, with
    --class-names, of different particles in the same ones. What each program gets, and what to do with it there, is in
    docs/handing_over.md.

    \b
    Examples:
      milopyp collect picks --to relion5 --tomograms tomograms.star -o for_relion
      milopyp collect picks --to relion4 --binning 4 -o for_relion4
      milopyp collect picks --to warp --names series -o for_warp
      milopyp collect picks --to dynamo -o for_dynamo
      milopyp collect picks picks_b --class-names ribosome,proteasome --to copick -o for_copick
      milopyp collect picks --to csv -o tables
      milopyp collect picks --to imod -o models
    """
    from milopyp_shared.written_names import Naming

    from ..collecting import Asked, collect_runs
    from ..file_sets import PROGRAMS

    console, program = Console(), PROGRAMS[to]
    _refuse_idle(program, to, {"--names": names, "--tomograms": tomograms}, binning)
    naming = Naming.read(names, tomograms, ["list"])
    folders, classes = _of_classes(runs, _classes(class_names))
    asked = Asked(program.word, program.unbinned, naming, turn, binning, voxel_size, classes)
    found = collect_runs(folders, asked, console.warn)
    _say_doubts(found, program, console)
    if note := naming.note({own.record.name: own.label for own in found}, [program.word]):
        console.say(note)
    _write(found, program, asked, out, overwrite=overwrite, console=console)
    _say_counts(found, asked, console)
    number = sum(len(own.picks) for own in found)
    several = counted(len({own.label for own in found}), "tomogram")
    console.say(f"{counted(number, 'pick')} of {several} for {program.title}: {out}")
    if program.next:
        sizes = {(own.context.one_voxel_size or 0) / own.context.binning for own in found}
        unit = " or ".join(f"{size:g}" for size in sorted(sizes)) if all(sizes) else "ANGSTROM"
        console.say(f"next: {program.next.format(folder=out, voxel_size=unit)}")


def _of_classes(runs: Sequence[Path], said: list[str]) -> tuple[list[Path], list[str]]:
    """The runs with those of each class in the place of a run of several, and the classes of all.

    Raises
    ------
    UsageError
        Names are given to a run that has its own.
    InputError
        As `milopyp_inference.batch.class_runs.class_folders`.
    """
    from milopyp_inference.batch.class_runs import class_folders

    inside = [class_folders(run) for run in runs]
    if not any(inside):
        return list(runs), said
    if said or not all(inside):
        raise UsageError(
            "one of the runs has classes of its own", where="--class-names" if said else "RUN",
            expected="runs of one class with names, or runs of several", remedy="Give folders of single classes.",
        )  # fmt: skip
    pairs = [(folder, name) for folders in inside for name, folder in folders.items()]
    return [folder for folder, _ in pairs], [name for _, name in pairs]


def _classes(said: str | None) -> list[str]:
    """The words of ``--class-names``."""
    names = [] if said is None else [name.strip() for name in said.split(",")]
    if not all(name and name.isprintable() for name in names):
        raise UsageError(f"{said!r}", where="--class-names", expected="names with commas between them")
    return names


def _refuse_idle(program: Program, to: str, naming: Mapping[str, object], binning: float | None) -> None:
    """Refuse options that change nothing for a program."""
    from milopyp_shared.formats.registry import DYNAMO, FORMATS

    from ..file_sets import PROGRAMS

    if binning is not None and not FORMATS[program.word].binned:
        usable = ", ".join(word for word, row in PROGRAMS.items() if FORMATS[row.word].binned)
        raise UsageError(
            f"changes nothing in {to}", where="--binning", expected=f"--to with one of {usable}", remedy="Leave it out."
        )
    for option_name, given in naming.items():
        if given is not None and program.word == DYNAMO:
            raise UsageError(
                f"changes nothing in {to}", where=option_name,
                expected="another program: the map of Dynamo's table has the tomograms' paths", remedy="Leave it out.",
            )  # fmt: skip


def _say_doubts(found: Sequence[Collected], program: Program, console: Console) -> None:
    """Say once what holds for many tomograms."""
    from milopyp_shared.formats.registry import axes_warning, orientations_warning

    for doubt in dict.fromkeys(axes_warning([program.word], own.context.order) for own in found):
        if doubt:
            console.warn(doubt)
    if doubt := orientations_warning([program.word], [own.picks for own in found]):
        console.warn(doubt)
    if empty := [f"{own.label} ({own.run})" for own in found if not len(own.picks)]:
        console.say(f"without picks, and left out: {listed(empty)}")
    if (binnings := {own.context.binning for own in found}) != {1.0}:
        times = ", ".join(f"{each:g}" for each in sorted(binnings))
        console.say(f"coordinates count voxels {times} times smaller than those of the tomograms that were picked")
    elif program.unbinned:
        console.say(
            f"coordinates count voxels of the tomograms that were picked; {program.title} counts those of the tilt "
            "series: --binning, or --tomograms, says how many times smaller they are"
        )


def _write(
    found: Sequence[Collected], program: Program, asked: Asked, out: Path, *, overwrite: bool, console: Console
) -> None:
    """Write all files, after what stands in the way of any has been found."""
    from milopyp_inference.batch.reader import run_files
    from milopyp_shared.atomic import make_folder
    from milopyp_shared.formats.registry import DYNAMO, check_needs
    from milopyp_shared.overwrite import refuse_existing

    from ..collecting import dynamo_map
    from ..file_sets import FileSet, plan
    from ..judged import is_run

    kept = [own for own in found if len(own.picks)]
    for own in kept:
        check_needs(program.word, own.context, out, writing=True)
    if out.is_dir() and is_run(out):
        raise UsageError("is a run", where=out, expected="a folder for the files alone", remedy="Choose another --out.")
    picks = [(own.picks, own.context) for own in kept]
    lines = dynamo_map(kept) if program.word == DYNAMO else {}
    files = plan(program, FileSet(picks, out, asked.naming.known, lines, asked.kinds))
    inputs = [path for run in dict.fromkeys(own.run for own in found) for path in run_files(run)]
    for name in files:
        refuse_existing(out / name, overwrite=overwrite, inputs=[*inputs, *filter(None, [asked.naming.path])])
    for name, write in files.items():
        make_folder((out / name).parent)
        write(out / name)
    folders = {out / Path(name).parts[0] for name in files if len(Path(name).parts) > 1}
    there = {str(path.relative_to(out)) for folder in folders for path in folder.rglob("*") if path.is_file()}
    if others := sorted(there - files.keys()):
        console.warn(f"{out} also holds {listed(others)}: of an earlier call, or of something else")


def _say_counts(found: Sequence[Collected], asked: Asked, console: Console) -> None:
    """How many picks each tomogram has, of each class."""
    for label in dict.fromkeys(own.label for own in found):
        of_it = [own for own in found if own.label == label]
        if asked.classes:
            each = ", ".join(f"{len(own.picks)} {asked.kinds[(own.context.class_number or 1) - 1]}" for own in of_it)
            console.say(f"{label}: {each}")
        else:
            console.say(f"{label}: {counted(len(of_it[0].picks), 'pick')}")
    for number, name in enumerate(asked.kinds, start=1):
        console.say(f"class {number} is {name} (classes.tsv)")
