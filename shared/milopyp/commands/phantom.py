"""`milopyp phantom`: write synthetic tomograms with known particles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from milopyp_shared.axes import ORDERS
from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console


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
@option("--particles", "n_particles", default=40, help="Particles in each.")
@option(
    "--distractors",
    "n_distractors",
    default=25,
    help="Look-alikes (rings of the same mass) in each; they are in no list.",
)
@option(
    "--size",
    "shape_zyx",
    metavar="Z,Y,X",
    callback=_three_sizes,
    default="64,192,192",
    help="Size in voxels; Z is the thickness.",
)
@option("--diameter", default=18.0, help="Particle diameter in voxels.")
@option("--noise", default=1.5, help="Noise in units of the particle's mean density; 0 = none, 4 = very hard.")
@option("--order", type=click.Choice(ORDERS), default="xyz", help="Axes of the files, fastest first.")
@option("--seed", default=1, help="Another number gives other tomograms; the same gives the same files.")
def phantom(folder: Path, count: int, order: str, **settings: Any) -> None:
    """Write synthetic tomograms with known particles.

    Protein is dark; tilt range -60..+60 degrees about y; 10 Angstrom per voxel. Beside phantom_1.mrc .. come the
    lists images.txt and coords.txt with the centres of all particles, as `milopyp-train` and `milopyp evaluate`
    read them.

    \b
    Example:
      milopyp phantom --out toy --count 3
      milopyp-train --train-img-txt toy/images.txt --train-coord-txt toy/coords.txt --bbox 18 --exp-id toy
    """
    from milopyp_shared.phantom import PhantomSettings, write_phantoms

    files = write_phantoms(folder, count, PhantomSettings(**settings), order)
    particles, distractors = settings["n_particles"], settings["n_distractors"]
    console = Console()
    for path in files.tomograms:
        console.say(f"wrote {path}: {particles} particles, {distractors} look-alikes")
    console.say(f"wrote {files.images} and {files.coordinates}: {count} tomograms, {count * particles} particles")
