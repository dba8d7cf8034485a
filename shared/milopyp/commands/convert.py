"""``milopyp convert``: picks from one program's file to another's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.axes import ORDER_WORDS
from milopyp_shared.commandline import Number, command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import ContradictionError, InputError, UsageError

if TYPE_CHECKING:
    from milopyp_shared.formats.conventions import FormatContext
    from milopyp_shared.picks import Picks

# The names of registry.FORMATS, which is imported only when the command runs.
FORMAT_WORDS = ("txt", "mod", "csv", "relion4", "relion5", "warp", "tbl", "copick", "ndjson", "eman")


@command("convert")
@click.argument("source", type=click.Path(path_type=Path), metavar="IN")
@click.argument("target", type=click.Path(path_type=Path), metavar="OUT")
@option("--from", "from_", type=click.Choice(FORMAT_WORDS), help="Format of IN.  [default: by its suffix]")
@option("--to", type=click.Choice(FORMAT_WORDS), help="Format of OUT.  [default: by its suffix]")
@option(
    "--overwrite", is_flag=True, help="Replace an existing OUT, unless it is a tomogram, a model file, or IN itself."
)
@option(
    "--name",
    help="Tomogram: selects in a STAR file with several, and is written.  [default: the STAR file's, or the file name "
    "of the tomogram, or of IN]",
)  # fmt: skip
@option(
    "--tomogram", type=click.Path(path_type=Path), metavar="FILE", group="Tomogram",
    help="The tomogram that the picks belong to; says its order, size and voxel size.",
)  # fmt: skip
@option(
    "--order", type=click.Choice(ORDER_WORDS), group="Tomogram",
    help="File axes of the tomogram from fastest to slowest.  [default: auto with --tomogram, else xyz where "
    "the format allows it]",
)  # fmt: skip
@option(
    "--shape", type=click.IntRange(min=1), nargs=3, metavar="X Y Z", group="Tomogram",
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
    help="Number of the tomogram in a Dynamo table.  [default: the only one; 1 when writing]",
)  # fmt: skip
@option("--radius", type=Number(min=1), default=5.0, group="Formats", help="Of the spheres in a model, voxels.")
@option("--particle", default="particle", group="Formats", help="Name of the particle in copick's files.")
@click.version_option(package_name="milopyp")
def convert(source: Path, target: Path, tomogram: Path | None, **given: Any) -> None:
    """Convert the picks of one tomogram from IN to OUT.

    Formats: txt, mod (IMOD), csv (candidates of milopyp-infer), relion4, relion5, warp (STAR), tbl (Dynamo),
    copick, ndjson (CryoET Data Portal), eman (EMAN2 info file; read only, experimental: check the result). Scores are
    kept where the format has a place for them; points without one get 1.

    \b
    Examples:
      milopyp convert picks/TS_01.mod TS_01.star --to relion5 --tomogram TS_01.mrc
      milopyp convert particles.star TS_01.csv --from relion5 --name TS_01 --tomogram TS_01.mrc
      milopyp convert picks/TS_01.candidates.csv TS_01_bin1.star --to relion4 --binning 4
      milopyp convert clicks.txt clicks.mod --tomogram TS_01.mrc --coords voxel
    """
    from milopyp_shared.formats.conventions import NamedPicks
    from milopyp_shared.formats.registry import FORMATS, about_axes, check_needs, format_of
    from milopyp_shared.overwrite import refuse_existing

    console = Console()
    old, new = format_of(source, given.pop("from_"), "--from"), format_of(target, given.pop("to"), "--to")
    read, write = FORMATS[old], FORMATS[new]
    if given["binning"] is not None and not (read.binned or write.binned):
        raise UsageError(
            f"changes nothing from {old} to {new}",
            where="--binning",
            expected=f"one of {', '.join(name for name, row in FORMATS.items() if row.binned)}",
            remedy="Leave it out.",
        )
    inputs = [source] if tomogram is None else [source, tomogram]
    refuse_existing(target, overwrite=given.pop("overwrite"), inputs=inputs)
    setting = _setting(source, tomogram, given, console)
    check_needs(old, new, setting, (source, target))
    if old == "eman":
        console.warn("EMAN2's coordinates were not compared with the program itself: look at the result")
    if doubt := about_axes((old, new), setting.order):
        console.warn(doubt)
    picks = read.read(source, setting)
    if isinstance(picks, NamedPicks) and picks.name and setting.name is None:
        setting = replace(setting, label=picks.name)
    _check(picks, setting, source)
    assert write.write is not None  # format_of
    write.write(target, picks, setting)
    console.say(
        f"wrote {target} ({new}): {len(picks)} picks of {setting.label} from {source} ({old}), "
        f"order {setting.order or 'xyz'}"
    )


def _setting(source: Path, path: Path | None, given: dict[str, Any], console: Console) -> FormatContext:
    """What the options and the tomogram say.

    Raises
    ------
    UsageError, ContradictionError
        ``auto`` without a tomogram; another size than the tomogram's.
    """
    from milopyp_shared import axes
    from milopyp_shared.formats.candidates import CANDIDATES
    from milopyp_shared.formats.conventions import FormatContext
    from milopyp_shared.lists import check_image_name
    from milopyp_shared.tomogram import read_header

    order, size, voxel_size, frame = given.pop("order"), given.pop("shape"), given.pop("voxel_size"), None
    if path is not None:
        frame = read_header(path, order or axes.AUTO, voxel_size).frame
        stored = frame.stored_shape[::-1]
        if size is not None and size != stored:
            raise ContradictionError(
                f"--shape {' '.join(map(str, size))}",
                where=path,
                expected=f"{' '.join(map(str, stored))}, the size of the file",
                remedy="Leave out --shape.",
            )
        order, size, voxel_size = frame.order, stored, frame.voxel_size
    elif order == axes.AUTO:
        if size is None:
            raise UsageError("auto", where="--order", expected="--tomogram or --shape to tell the order from")
        order = axes.resolve_order(order, size[::-1], "--shape")
    if size is not None and order is not None and (doubt := axes.order_warning(order, size[::-1])):
        console.warn(doubt)
    if given["name"] is not None:
        check_image_name(given["name"], "--name")
    label = given["name"] or (path.stem if path else source.name.removesuffix(CANDIDATES).rsplit(".", 1)[0])
    binning = 1.0 if given["binning"] is None else given["binning"]
    return FormatContext(
        **given | {"binning": binning}, order=order, size=size, voxel_size=voxel_size, frame=frame, label=label
    )


def _check(picks: Picks, setting: FormatContext, where: Path) -> None:
    """Refuse no picks at all, and picks outside a volume of known size.

    Raises
    ------
    InputError, ContradictionError
        The latter names the orders in which all of them would fit.
    """
    from milopyp_shared import axes

    if not len(picks):
        raise InputError("holds no picks", where=where, expected="at least one", remedy="Check the file.")
    if setting.size is None:
        return
    order, stored = setting.order or "xyz", setting.size[::-1]
    z, y, x = (stored[axis] for axis in axes.to_zyx(order))
    outside = ~axes.inside(picks.xyz, (z, y, x))
    if outside.any():
        first = ", ".join(f"{value:.1f}" for value in picks.xyz[outside][0])
        raise ContradictionError(
            f"{outside.sum()} of {len(picks)} picks lie outside the tomogram, the first at x, y, z = {first}",
            where=where,
            expected=f"positions inside {x} x {y} x {z} voxels (order {order})",
            remedy="Check --order, --binning, --voxel-size and the format.",
        )
