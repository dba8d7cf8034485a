"""``milopyp convert``: picks from one program's file to another's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.axes import NO_TURN, ORDER_WORDS, TURNS
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.lengths import Length
from milopyp_shared.names import NAMES
from milopyp_shared.option_types import LengthRange, Number
from milopyp_shared.urls import to_path
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from milopyp_shared.formats.context import FormatContext
    from milopyp_shared.picks import Picks

    from .convert_many import Wanted

# The names of registry.FORMATS, which is imported only when the command runs.
FORMAT_WORDS = ("txt", "mod", "csv", "list", "relion4", "relion5", "warp", "tbl", "copick", "ndjson", "eman")


@command("convert")
@click.argument("source", type=click.Path(path_type=Path), metavar="IN")
@click.argument("target", type=click.Path(path_type=Path), metavar="OUT")
@option("--from", "from_", type=click.Choice(FORMAT_WORDS), help="Format of IN.  [default: as the file says]")
@option("--to", type=click.Choice(FORMAT_WORDS), help="Format of OUT.  [default: by its suffix]")
@option(
    "--overwrite", is_flag=True, help="Replace an existing OUT, unless it is a tomogram, a model file, or IN itself."
)
@option(
    "--name",
    help="Tomogram: selects in a file with several (STAR, Dynamo with its .doc), and is written.  [default: that of "
    "the file, or the file name of the tomogram, or of IN]",
)  # fmt: skip
@option(
    "--names", type=click.Choice(NAMES),
    help="Write the name as it is, or that of the tilt series, without what programs add.  [default: file]",
)  # fmt: skip
@option(
    "--tomograms", type=click.Path(path_type=Path), metavar="PATH",
    help="Write the name that RELION's tomograms.star, or a folder of Warp's .tomostar, AreTomo's .aln or etomo's .edf "
    "files, has for the tomogram.",
)  # fmt: skip
@option(
    "--tomogram", multiple=True, metavar="FILE", group="Tomogram",
    help="The tomogram that the picks belong to; says its order, size and voxel size. Of several: a pattern in quotes, "
    "an image list, or the run of milopyp-infer; can be given again.",
)  # fmt: skip
@option(
    "--order", type=click.Choice(ORDER_WORDS), group="Tomogram",
    help="File axes of the tomogram from fastest to slowest.  [default: auto with --tomogram, else xyz where "
    "the format allows it]",
)  # fmt: skip
@option(
    "--shape", "size", type=click.IntRange(min=1), nargs=3, metavar="X Y Z", group="Tomogram",
    help="Size of the tomogram's file in voxels, fastest axis first.",
)  # fmt: skip
@option(
    "--voxel-size", type=Number(min=0, min_open=True), metavar="ANGSTROM", group="Tomogram",
    help="Of the tomogram.  [default: of its header]",
)  # fmt: skip
@option(
    "--binning", type=Number(min=0, min_open=True), group="Formats",
    help="The tomogram's voxel over that of the coordinates in relion4, warp, tbl and ndjson.  [default: 1]",
)  # fmt: skip
@option(
    "--coords", type=click.Choice(["model2point", "voxel"]), group="Formats",
    help="What a text counts: IMOD model coordinates, or plain voxel indices from 0.",
)  # fmt: skip
@option("--with-score", is_flag=True, group="Formats", help="A text has the score as fourth column.")
@option(
    "--dynamo-zero", type=click.IntRange(0, 1), default=1, group="Formats",
    help="Number of the first voxel in a Dynamo table; converters do not agree.",
)  # fmt: skip
@option(
    "--dynamo-tomogram", type=click.IntRange(min=0), group="Formats",
    help="Number of the tomogram in a Dynamo table.  [default: the only one; when writing, that of the .doc beside "
    "OUT, and 1 where there is none]",
)  # fmt: skip
@option(
    "--class", "class_", metavar="CLASS", group="Formats",
    help="Take only the particles of a class of csv, eman, list, mod (an object), relion4, relion5, tbl or warp: its "
    "number, or its name in a CSV, a list, a model or an EMAN2 file.  [default: all of models, STAR files and Dynamo "
    "tables, else the only one]",
)  # fmt: skip
@option(
    "--turn", type=click.Choice(TURNS), default=NO_TURN, group="Formats",
    help="Write picks as of the turned tomogram: rotx for IMOD's clip rotx or trimvol -rx, yz for trimvol -yz.",
)  # fmt: skip
@option(
    "--radius", type=LengthRange(min=1), default=5.0, group="Formats",
    help="Of the spheres in a model, in voxels, or in Angstrom with an A (105A).",
)  # fmt: skip
@option("--particle", default="particle", group="Formats", help="Name of the particle in copick's files.")
@click.version_option(package_name="milopyp")
def convert(
    source: Path, target: Path, *, tomogram: tuple[str, ...], turn: str, radius: Length, overwrite: bool, **given: Any
) -> None:
    """Convert picks from IN to OUT.

    Formats: txt, mod (IMOD), csv (candidates of milopyp-infer, tables of milopyp collect, spreadsheets with columns x,
    y, z, points of napari), list (what "Save all picks" of milopyp report writes, and training takes), relion4,
    relion5, warp (STAR), tbl (Dynamo), copick, ndjson (CryoET Data Portal), eman (EMAN2 info file; read only,
    experimental: check the result). Scores are kept where the format has a place for them; points without one get 1.
    The picks of several tomograms (list, csv, STAR, Dynamo with its .doc, copick) go into one list or STAR file, or
    into the folder OUT, a file for each.

    \b
    Examples:
      milopyp convert picks/TS_01.mod TS_01.star --to relion5 --tomogram TS_01.mrc
      milopyp convert particles.star TS_01.csv --from relion5 --name TS_01 --tomogram TS_01.mrc
      milopyp convert picks/TS_01.candidates.csv TS_01_bin1.star --to relion4 --binning 4
      milopyp convert clicks.txt clicks.mod --tomogram TS_01.mrc --coords voxel
      milopyp convert picks_above_0.500.tsv all.star --to relion5 --tomogram picks
      milopyp convert picks_above_0.500.tsv models --to mod --tomogram '*.mrc'
      milopyp convert tables/particles.csv ribosomes.star --to warp --class ribosome
    """
    from milopyp_shared.formats.dynamo import docs_of
    from milopyp_shared.formats.registry import DYNAMO, FORMATS, check_needs, format_of
    from milopyp_shared.overwrite import refuse_existing

    from ..pick_context import format_context, naming_of
    from .convert_many import Wanted, convert_many, convert_read, is_of_several, read_all

    console = Console()
    old, new = format_of(source, given.pop("from_"), "--from"), format_of(target, given.pop("to"), "--to")
    if given["binning"] is not None:
        _refuse_idle_binning(old, new)
    inputs = [source, *map(to_path, tomogram), *filter(None, [given["tomograms"]])]
    inputs += docs_of(path for path, word in ((source, old), (target, new)) if word == DYNAMO)
    refuse_existing(target, overwrite=overwrite, inputs=inputs)
    wanted = Wanted(target, new, naming_of(new, given), turn, radius, overwrite, inputs)
    if FORMATS[old].names is not None and (wanted.in_folder or is_of_several(tomogram)):
        convert_many(source, old, tomogram, given, wanted, console=console)
        return
    if len(tomogram) > 1:
        raise UsageError(
            f"{len(tomogram)} tomograms", where="--tomogram", expected=f"the one that {source} has the picks of"
        )
    context = format_context(source, to_path(tomogram[0]) if tomogram else None, given, console.warn)
    size = context.one_voxel_size
    context = replace(context, radius=radius.voxels(size, "--radius", "--voxel-size, or --tomogram that says it"))
    check_needs(old, context, source)
    check_needs(new, context, target, writing=True)
    if old == "eman":
        console.warn("EMAN2's coordinates were not compared with the program itself: look at the result")
    read = FORMATS[old].read
    if wanted.write_many is not None and FORMATS[old].names is not None and context.name is None:
        found, contexts = read_all(source, old, context)
        if len(found) > 1:
            convert_read(found, contexts, source, old, wanted, console=console)
            return
        picks = next(iter(found.values())) if found else read(source, context)
    else:
        picks = read(source, context)
    _convert_one(picks, source, old, context, wanted, console=console, name=given["name"])


def _convert_one(
    picks: Picks, source: Path, old: str, context: FormatContext, wanted: Wanted, *, console: Console, name: str | None
) -> None:
    """Convert the picks of one tomogram, which is called as the file says if there is no `name`."""
    from milopyp_shared.formats.conventions import NamedPicks
    from milopyp_shared.formats.registry import DYNAMO, axes_warning, orientations_warning
    from milopyp_shared.turns import turned

    from ..pick_context import called, refuse_outside

    target, new = wanted.target, wanted.word
    if not len(picks):
        console.warn(f"{source} holds no picks")
    if isinstance(picks, NamedPicks) and picks.name and name is None:
        context = replace(context, label=picks.name)
    refuse_outside(picks, context, source)
    read_order = context.order
    picks, context = turned(picks, context, wanted.turn, target)
    context = called({context.label: context}, new, wanted.naming, target)[context.label]
    for word, order in ((old, read_order), (new, context.order)):
        if doubt := axes_warning([word], order):
            console.warn(doubt)
    if doubt := orientations_warning([new], [picks]):
        console.warn(doubt)
    wanted.write(target, picks, context)
    if new == DYNAMO and context.dynamo_tomogram is None:
        console.say("column 20, the number of the tomogram, is 1: --dynamo-tomogram says another one")
    console.say(
        f"wrote {target} ({new}): {counted(len(picks), 'pick')} of {context.label} from {source} ({old}), "
        f"order {context.order or 'xyz'}"
    )


def _refuse_idle_binning(old: str, new: str) -> None:
    """Refuse ``--binning`` between two formats that it says nothing of."""
    from milopyp_shared.formats.registry import FORMATS

    binned = [name for name, row in FORMATS.items() if row.binned]
    if old not in binned and new not in binned:
        raise UsageError(
            f"changes nothing from {old} to {new}",
            where="--binning",
            expected=f"one of {', '.join(binned)}",
            remedy="Leave it out.",
        )
