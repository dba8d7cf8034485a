"""``milopyp label``: click particles on a page in the browser, see suggestions at once, train and pick from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_shared.commandline import LengthRange, command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError
from milopyp_shared.label_options import DATA, contrast_option, order_option, voxel_size_option
from milopyp_shared.lengths import LARGEST, SMALLEST, Length
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from milopyp.labelling.journal import Journal
    from milopyp_shared.tomogram import Tomogram

GUESS = 20.0  # voxels, where nobody says how large particles are


@command("label")
@click.argument("tomograms", nargs=-1, required=True, metavar="TOMOGRAM...")
@option(
    "--bbox", type=LengthRange(min=SMALLEST, max=LARGEST),
    help="Particle diameter in voxels, or in Angstrom with an A (210A); it can be changed on the page.  [default: 20]",
)  # fmt: skip
@option(
    "--labels", type=click.Path(path_type=Path), metavar="FILE",
    help="Labels to begin with: a coordinate list, a file of one of milopyp convert's formats, or a folder of "
    "NAME.suffix.",
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
    bbox: Length | None,
    labels: Path | None,
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

    On another machine, run it there with --no-browser, and follow the line that it prints.

    \b
    Examples:
      milopyp label tomograms/*.rec --bbox 210A
      milopyp label tomo_1.mrc --bbox 21 --labels tomo_1.mod
      milopyp label imgs.txt --no-browser -o second_round
    """
    try:
        from milopyp.labelling import serving
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
    diameter = _diameter(bbox, opened, console)
    brought = {} if labels is None else _read_labels(labels, opened, console)
    with serving.Listening(port) as listening:  # nothing is written before all of this is known to be right
        journal = Journal(out, diameter, console.warn)
        try:
            _refuse_outside(journal, opened, out)
            if bbox is not None and journal.labels.diameter != diameter:
                console.say(
                    f"particles are {journal.labels.diameter:g} voxels across, as on the page (not {diameter:g})"
                )
            for name, tomogram in opened.items():
                journal.open(name, tomogram.path)
            if labels is not None:
                _take_labels(journal, brought, labels, console)
            setting = Setting(opened, out, contrast, order, voxel_size)  # type: ignore[arg-type]  # click has checked
            session = Session(setting, journal, console.say, console.warn)
            serving.serve(session, listening, console, browser=browser)
        finally:
            journal.close()


def _diameter(bbox: Length | None, opened: Mapping[str, Tomogram], console: Console) -> float:
    """Of the particle in voxels, one that the network sees and that fits into the tomograms."""
    from milopyp_inference.engine.features import read_feature_file
    from milopyp_shared.lengths import diameter_in_voxels, refuse_wide
    from milopyp_shared.scale import scale_for

    if bbox is None:
        console.say(f"no --bbox: {GUESS:g} voxels to begin with, to be changed on the page")
        return GUESS
    size = next((tomogram.voxel_size for tomogram in opened.values() if tomogram.voxel_size), None)
    diameter = diameter_in_voxels(bbox, size, "--voxel-size, or a tomogram whose header says it")
    for tomogram in opened.values():
        refuse_wide(diameter, tomogram, guess=not bbox.angstrom)
    scale_for(diameter, read_feature_file()[1].diameters)
    return diameter


def _read_labels(path: Path, opened: Mapping[str, Tomogram], console: Console) -> dict[str, NDArray[np.float64]]:
    """Labels of a file, ``(n, 3)`` by tomogram."""
    from milopyp_shared.formats.context import FormatContext
    from milopyp_shared.formats.positions import read_positions
    from milopyp_shared.labels import check_labels
    from milopyp_shared.names import listed

    contexts = {name: FormatContext.of(tomogram.frame, name, coords="model2point") for name, tomogram in opened.items()}
    found = read_positions(path, None, contexts, anonymous=True, option="milopyp convert --from")
    if found.others:
        console.say(f"{path}: labels of other tomograms are left out: {listed(found.others)}")
    for name, picks in found.picks.items():
        check_labels(picks.xyz, opened[name], path)
    return {name: picks.xyz for name, picks in found.picks.items()}


def _take_labels(journal: Journal, brought: Mapping[str, NDArray[np.float64]], path: Path, console: Console) -> None:
    """Labels of the tomograms that have none yet."""
    from milopyp.labelling.labels import Label, Step

    for name, xyz in brought.items():
        if journal.labels.of(name):
            console.say(f"{name} has labels already: those of {path} are left out")
            continue
        first = journal.labels.next_number
        labels = {first + step: Label(name, (x, y, z)) for step, (x, y, z) in enumerate(xyz.tolist())}
        if labels:
            journal.take(Step(f"take {counted(len(labels), 'label')} of {path.name}", labels))


def _refuse_outside(journal: Journal, opened: Mapping[str, Tomogram], out: Path) -> None:
    """Refuse labels outside their tomogram: it is another one, or of another size, than when they were made."""
    from milopyp.labelling.labels import NOTHING, PARTICLE
    from milopyp_shared.axes import inside

    for name, tomogram in opened.items():
        x, y, z = tomogram.shape[::-1]
        for kind in (PARTICLE, NOTHING):
            if not inside(journal.labels.xyz(name, kind), tomogram.shape).all():
                raise UsageError(
                    f"labels outside {name}", where=out, expected=f"labels inside {x} x {y} x {z} voxels",
                    remedy="Give the tomogram that they were made in, or another --out.",
                )  # fmt: skip
