"""``milopyp label``: click particles on a page in the browser, see suggestions at once, train and pick from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError
from milopyp_shared.label_options import DATA, contrast_option, order_option, voxel_size_option
from milopyp_shared.lengths import Length
from milopyp_shared.option_types import DiameterOfEach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from milopyp.labelling.journal import Journal
    from milopyp_shared.particles import Particle
    from milopyp_shared.tomogram import Tomogram

GUESS = 20.0  # voxels, where nobody says how large particles are


@command("label")
@click.argument("tomograms", nargs=-1, required=True, metavar="TOMOGRAM...")
@option(
    "--bbox", type=DiameterOfEach(),
    help="Particle diameter in voxels, or in Angstrom with an A (210A); of several classes that of each "
    "(ribosome=21,proteasome=200A). It can be changed on the page.  [default: 20]",
)  # fmt: skip
@option(
    "--labels", multiple=True, metavar="[CLASS=]FILE",
    help="Labels to begin with: a coordinate list, a file of one of milopyp convert's formats, or a folder of "
    "NAME.suffix; of several classes a list that names them, or a file for each class. Repeatable.",
)  # fmt: skip
@option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("labels"),
    help="Folder for labels and all that is made of them; the same one goes on where it was left.",
)  # fmt: skip
@contrast_option
@order_option
@voxel_size_option
@option(
    "--level", type=click.IntRange(min=0), metavar="N", group=DATA,
    help="Of tomograms in OME-Zarr, from 0, the largest.  [default: that of the list, else 0]",
)  # fmt: skip
@option("--port", type=click.IntRange(1, 65535), help="Of the server.  [default: one that is free]")
@option("--browser/--no-browser", default=None, help="Open the page.  [default: where there is a display]")
@click.version_option(package_name="milopyp")
def label(
    tomograms: tuple[str, ...],
    *,
    bbox: dict[str, Length] | None,
    labels: tuple[str, ...],
    out: Path,
    contrast: str,
    order: str,
    voxel_size: float | None,
    level: int | None,
    port: int | None,
    browser: bool | None,
) -> None:
    """Click particles in the browser and see the picks at once.

    The page shows TOMOGRAM... in three planes. After the first click it suggests where more of the same are; right
    ones are accepted and wrong ones rejected, until `Train` makes a model and `Pick` picks with it. Every click is on
    disk at once. The labels are in labels/coords.txt and labels/models/NAME.mod, for milopyp-train, milopyp learn and
    3dmod. Ctrl-C ends it; the same command goes on where it was left.

    With several classes in --bbox, keys 1 to 9 choose the one that clicks label.

    On another machine, run it there with --no-browser, and follow the line that it prints.

    \b
    Examples:
      milopyp label tomograms/*.rec --bbox 210A
      milopyp label tomo_1.mrc --bbox 21 --labels tomo_1.mod
      milopyp label tomograms/*.rec --bbox ribosome=21,proteasome=200A -o both
      milopyp label imgs.txt --no-browser -o second_round
    """
    try:
        from milopyp.labelling import serving
        from milopyp.labelling.brought import read_brought, refuse_nobodys, take_brought
        from milopyp.labelling.classes import agree
        from milopyp.labelling.journal import Journal
        from milopyp.labelling.session import Session
        from milopyp.labelling.setting import Setting
    except ImportError as error:
        raise MissingDependency(
            f"the page needs {error.name}, which is not installed", where="milopyp label",
            remedy="Run: pip install 'milopyp[label,cpu]'.",
        ) from error  # fmt: skip
    from milopyp_inference.batch.inputs import gather
    from milopyp_shared.header_checks import header_warnings
    from milopyp_shared.levels import at_levels
    from milopyp_shared.tomogram import open_tomogram

    console = Console()
    opened = {}
    for entry in at_levels(gather(tomograms, say=console.warn), console.say, level=level):
        opened[entry.name] = open_tomogram(entry.path, order, voxel_size)
        for sentence in header_warnings(opened[entry.name]):
            console.warn(f"{entry.name}: {sentence}")
    particles = _particles(bbox, opened, console)
    brought = [one for text in labels for one in read_brought(text, particles, opened, console.say)]
    for one in brought:
        refuse_nobodys(one, particles)
    with serving.Listening(port) as listening:  # nothing is written before all of this is known to be right
        journal = Journal(out, particles[0], console.warn)
        try:
            _refuse_outside(journal, opened, out)
            agree(journal, particles if bbox else [], _fits, console.say)
            for name, tomogram in opened.items():
                journal.open(name, tomogram.path)
            for one in brought:
                take_brought(journal, one, console.say)
            setting = Setting(opened, out, contrast, order, voxel_size)  # type: ignore[arg-type]  # click has checked
            session = Session(setting, journal, console.say, console.warn)
            serving.serve(session, listening, console, browser=browser)
        finally:
            journal.close()


def _particles(
    bbox: Mapping[str, Length] | None, opened: Mapping[str, Tomogram], console: Console
) -> tuple[Particle, ...]:
    """The classes with their diameters in voxels, which the network sees and which fit into the tomograms."""
    from milopyp.labelling.classes import check_classes
    from milopyp_shared.lengths import diameter_in_voxels, refuse_wide
    from milopyp_shared.particles import Particle

    if bbox is None:
        console.say(f"no --bbox: {GUESS:g} voxels to begin with, to be changed on the page")
        return (Particle("", GUESS),)
    check_classes(bbox)
    size = next((tomogram.voxel_size for tomogram in opened.values() if tomogram.voxel_size), None)
    diameters = {
        name: diameter_in_voxels(length, size, "--voxel-size, or a tomogram whose header says it")
        for name, length in bbox.items()
    }
    for tomogram in opened.values():
        for name, length in bbox.items():
            refuse_wide(diameters[name], tomogram, guess=not length.angstrom)
    _fits(list(diameters.values()))
    return tuple(Particle(name, diameter) for name, diameter in diameters.items())


def _fits(diameters: Sequence[float]) -> None:
    """Refuse particles that the network does not see at any one scale."""
    from milopyp_inference.engine.features import read_feature_file
    from milopyp_shared.scale import scale_for_all

    scale_for_all(diameters, read_feature_file()[1].diameters)


def _refuse_outside(journal: Journal, opened: Mapping[str, Tomogram], out: Path) -> None:
    """Refuse labels outside their tomogram: it is another one, or of another size, than when they were made."""
    from milopyp.labelling.labels import places
    from milopyp_shared.axes import inside

    for name, tomogram in opened.items():
        x, y, z = tomogram.shape[::-1]
        if not inside(places(label.xyz for _, label in journal.labels.of(name)), tomogram.shape).all():
            raise UsageError(
                f"labels outside {name}", where=out, expected=f"labels inside {x} x {y} x {z} voxels",
                remedy="Give the tomogram that they were made in, or another --out.",
            )  # fmt: skip
