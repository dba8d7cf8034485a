"""`milopyp phantom`: write synthetic tomograms with known particles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from milopyp_shared.axes import ORDERS
from milopyp_shared.commandline import command, option, spelled
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.option_types import Number
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from milopyp_simulation.phantom_files import PhantomFiles


def _three_sizes(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int, int]:
    """``"64,192,192"`` -> ``(64, 192, 192)``."""
    try:
        z, y, x = (int(word) for word in value.split(","))
    except ValueError:
        message = f"{value!r} is not three whole numbers separated by commas, e.g. 64,192,192"
        raise click.BadParameter(message, ctx=ctx, param=param) from None
    return z, y, x


@command("phantom")
@option("--out", "folder", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@option("--count", default=3, help="Number of tomograms.")
@option("--particles", "n_particles", default=40, help="Particles in each; with --template, of each map.")
@option(
    "--distractors",
    "n_distractors",
    default=25,
    help="Look-alikes in each: rings of the same mass, or other random shapes; they are in no list.",
)
@option(
    "--size",
    "shape_zyx",
    metavar="Z,Y,X",
    callback=_three_sizes,
    default="64,192,192",
    help="Size in voxels; Z is the thickness.",
)
@option("--voxel-size", default=10.0, type=Number(min=0, min_open=True), help="Voxel size in Angstrom.")
@option("--diameter", default=18.0, help="Particle diameter in voxels.")
@option("--noise", default=1.5, help="Noise in units of the particle's mean density; 0 = none, 4 = very hard.")
@option("--order", type=click.Choice(ORDERS), default="xyz", help="Axes of the files, fastest first.")
@option("--seed", default=1, help="Another number gives other tomograms; the same gives the same files.")
@option(
    "--realistic",
    is_flag=True,
    help="Simulate ice, vesicles, gold, small proteins, a tilt series and its reconstruction; the particle is a "
    "random shape.",
    group="Realistic tomograms",
)
@option(
    "--template",
    "templates",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="MAP.mrc",
    help="As --realistic, with the particle of this density map (its header says the voxel size; protein positive). "
    "May be given several times.",
    group="Realistic tomograms",
)
@option(
    "--map-voxel-size",
    default=None,
    type=Number(min=0, min_open=True),
    help="Voxel size of the maps in Angstrom, if their headers say none, or exactly 1.0.",
    group="Realistic tomograms",
)
@option(
    "--dose",
    default=100.0,
    type=Number(min=0, min_open=True),
    help="Electrons per square Angstrom; fewer give more noise.",
    group="Realistic tomograms",
)
@click.pass_context
def phantom(ctx: click.Context, /, folder: Path, count: int, order: str, realistic: bool, **settings: Any) -> None:
    """Write synthetic tomograms with known particles.

    Protein is dark; tilt range -60..+60 degrees about y. Beside phantom_1.mrc .. come the lists images.txt and
    coords.txt with the centres of all particles, as `milopyp-train` and `milopyp evaluate` read them.

    By default particles are sums of Gaussians in noise, made in a moment. Realistic tomograms take a few seconds
    each; beside them lies truth.txt with place and rotation of everything, and for several maps coords_NAME.txt with
    the particles of each.

    \b
    Examples:
      milopyp phantom --out toy --count 3
      milopyp-train --train-img-txt toy/images.txt --train-coord-txt toy/coords.txt --bbox 18 --exp-id toy
      milopyp phantom --out ribosomes --template ribosome.mrc --particles 20 --voxel-size 12
    """
    realistic = realistic or bool(settings["templates"])
    _refuse_unused(ctx, realistic, bool(settings["templates"]))
    files = (_realistic if realistic else _simple)(folder, count, order, settings)
    kinds = max(len(files.of_species), 1)
    particles, distractors = kinds * settings["n_particles"], settings["n_distractors"]
    console = Console()
    for path in files.tomograms:
        console.say(f"wrote {path}: {counted(particles, 'particle')}, {counted(distractors, 'look-alike')}")
    in_all = f"{counted(count, 'tomogram')}, {counted(count * particles, 'particle')}"
    console.say(f"wrote {files.images} and {files.coordinates}: {in_all}")
    for path in (*files.of_species, *([files.truth] if files.truth else [])):
        console.say(f"wrote {path}")


def _refuse_unused(ctx: click.Context, realistic: bool, templates: bool) -> None:
    """Options that were given and would do nothing."""
    unused = {
        "noise": (realistic, "the simple phantoms, without --realistic and --template", "Give --dose."),
        "dose": (not realistic, "--realistic or --template beside it", "Add --realistic, or give --noise."),
        "map_voxel_size": (not templates, "--template beside it", "Leave it out."),
        "diameter": (templates, "no --template: a map has its size", "Leave it out."),
    }
    for name, (wrong, expected, remedy) in unused.items():
        if wrong and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            found = f"{ctx.params[name]:g}, which nothing would use"
            raise UsageError(found, where=spelled(name), expected=expected, remedy=remedy)


def _simple(folder: Path, count: int, order: str, settings: dict[str, Any]) -> PhantomFiles:
    from milopyp_simulation.phantom import PhantomSettings
    from milopyp_simulation.phantom_files import write_phantoms

    used = {name: value for name, value in settings.items() if name not in ("templates", "map_voxel_size", "dose")}
    return write_phantoms(folder, count, PhantomSettings(**used), order)


def _realistic(folder: Path, count: int, order: str, settings: dict[str, Any]) -> PhantomFiles:
    from milopyp_simulation.realistic import RealisticSettings
    from milopyp_simulation.realistic_files import write_realistic

    used = {name: value for name, value in settings.items() if name != "noise"}
    return write_realistic(folder, count, RealisticSettings(**used), order)
