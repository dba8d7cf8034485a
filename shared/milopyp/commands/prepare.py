"""``milopyp prepare``: a folder of tomograms and their picks -> the lists that training and picking read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.axes import ORDER_WORDS, ORDERS
from milopyp_shared.commandline import command, option, spelled
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError
from milopyp_shared.label_files import HOW, How, diameter_of, read_labels
from milopyp_shared.names import NAME_FROM
from milopyp_shared.option_types import DiameterOfEach, Number
from milopyp_shared.overwrite import MARKS, refuse_existing, refuse_irreplaceable, refuse_others
from milopyp_shared.pick_choice import LIST_ENDINGS
from milopyp_shared.wording import counted

from .convert import FORMAT_WORDS
from .prepare_classes import of_classes
from .prepare_copick import copick_options, of_objects, project_tomograms, refuse_idle
from .prepare_folder import folder_tomograms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from milopyp_shared.copick_project import Project
    from milopyp_shared.lists import ImageEntry
    from milopyp_shared.tomogram import Tomogram


@command("prepare")
@option(
    "-d",
    "--dir",
    "folder",
    help="Folder with the tomograms and their picks; or an image list (.txt, .tsv), or the URL of a tomogram in "
    "OME-Zarr, whose picks are looked for in the working directory.",
)
@option("-e", "--ext", default=".rec", help="Ending of the tomograms.")
@option(
    "-o", "--out", required=True,
    help="Beginning of the lists' names: a name, for lists in --dir (with --copick, in the working directory), or one "
    "with its folder (data/ribo).",
)  # fmt: skip
@option(
    "-r",
    "--ord",
    "--order",
    "order",
    type=click.Choice(ORDER_WORDS),
    default="auto",
    help="File axes of the tomograms from fastest to slowest; auto takes the clearly thinnest as z.",
)
@option(
    "--columns", type=click.Choice(ORDERS),
    help="What the columns of coordinate texts are, where they do not follow the axes of the tomograms' files: xyz for "
    "x, y, z whatever these are.  [default: as --order]",
)  # fmt: skip
@option(
    "--coords",
    type=click.Choice(["model2point", "voxel"]),
    default="model2point",
    help="What a coordinate text counts: IMOD model coordinates, or plain voxel indices from 0.",
)
@option(
    "--fourth-column", type=click.Choice(["score", "contour", "object"]),
    help="What a text has beside x, y, z: a score behind them, the number of the contour in front (model2point "
    "-contour), or those of object and contour (model2point -object). It is left out.  [default: seen where whole "
    "numbers stand before others, else refused]",
)  # fmt: skip
@option(
    "--object", "object_", metavar="NUMBER|NAME",
    help="Object of the models, by its number or name; with --copick a particle, by its name, or several, which are "
    "classes (ribosome,proteasome).  [default: all; the only one]",
)  # fmt: skip
@option(
    "--picks", type=click.Path(path_type=Path), metavar="FILE",
    help="The picks of all tomograms: a STAR file, a Dynamo table with its .doc, a coordinate list, a parquet table of "
    "the exploration module (or a folder of them), a folder of NAME.suffix, or a pattern such as "
    "'data/*_ribosome.mod' (* is the name).",
)  # fmt: skip
@option(
    "--name-map", type=click.Path(path_type=Path), metavar="FILE",
    help="Two columns: name of a tomogram, its name in the picks, where no rule tells that they are the same.",
)  # fmt: skip
@option("--double-z", is_flag=True, help="z of a .parquet counts compressed sections, two of the tomogram each.")
@option("--from", "from_", type=click.Choice(FORMAT_WORDS), help="Format of the picks.  [default: by their suffix]")
@option(
    "--binning", type=Number(min=0, min_open=True), default=1.0,
    help="The tomogram's voxel over that of the coordinates in relion4, warp, tbl and ndjson.",
)  # fmt: skip
@option(
    "--class", "class_", metavar="CLASS",
    help="Take only the particles of a class of csv, eman, list, mod (an object), relion4, relion5, tbl or warp: its "
    "number, or its name in a CSV, a list, a model or an EMAN2 file.  [default: all of models, STAR files and Dynamo "
    "tables, else the only one]",
)  # fmt: skip
@option(
    "--bbox", type=DiameterOfEach(),
    help="Particle diameter in voxels, or in Angstrom with an A (210A): for the pictures, double labels, and the "
    "density under labels; of several classes that of each (ribosome=21,proteasome=200A).  [default: 20]",
)  # fmt: skip
@option(
    "--labels", multiple=True, metavar="CLASS=WHERE",
    help="Once for each of several classes of particles, their labels: an ending of files beside the tomograms "
    "(ribosome=_ribo.mod), picks as for --picks, one of the classes in them (ribosome=particles.star#2, "
    "ribosome=models#80S), or an object of the models beside the tomograms, by its number or name (ribosome=#1).",
)  # fmt: skip
@option("--pictures/--no-pictures", default=None, help="NAME_labels.png.  [default: where matplotlib is installed]")
@option("--img-only", is_flag=True, help="Only list the tomograms, for training.")
@option("--inference", is_flag=True, help="Only list the tomograms, for picking.")
@option(
    "--name-from", type=click.Choice(NAME_FROM), default="file",
    help="What tomograms are called after: their files, or, of those in the folders below --dir, these folders (TS_01 "
    "for TS_01/tomogram.mrc, TS_01_even for TS_01/even.mrc beside others).",
)  # fmt: skip
@option(
    "--level", type=click.IntRange(min=0), metavar="N",
    help="Of tomograms in OME-Zarr, from 0, the largest; their labels are voxels of it.  [default: 0]",
)  # fmt: skip
@copick_options
@option("--overwrite", is_flag=True, help="Replace lists that are there; they may have been changed by hand.")
@click.version_option(package_name="milopyp")
def prepare(folder: str | None, out: str, order: str, **given: Any) -> None:
    """Make the lists for training from tomograms and their picks.

    The picks of tomo.rec are tomo_coord.txt, tomo.txt (three columns in the file's axis order, as model2point
    writes them), tomo.mod, or tomo with another suffix of milopyp convert's formats. A file without a pick says that
    the tomogram holds no particle. Every label is checked against its tomogram, and tomo_labels.png shows them on it:
    look at it before training. The lists OUT_train_imgs.txt and OUT_train_coords.txt (with --inference
    OUT_test_imgs.txt) are written into the folder, or where OUT says; they may be moved.

    \b
    Examples:
      milopyp prepare -d sample_data -e .rec -o sample_run
      milopyp prepare -d sample_data -e .rec -o data/sample_run --columns xyz
      milopyp prepare -d sample_data -e .mrc -o sample_run --from relion5 --bbox 21
      milopyp prepare -d sample_data -e .mrc -o sample_run --picks particles.star --from relion5
      milopyp prepare -d new_tomograms -e .mrc -o sample_run --inference
      milopyp prepare -d series -e .mrc -o sample_run --name-from parent
      milopyp prepare -d sample_data -e .mrc -o all --labels a=_a.mod --labels b=_b.mod --bbox a=21,b=200A
      milopyp prepare --copick project.json --tomo-type wbp --voxel-spacing 10 --object ribosome -o sample_run
    """
    from milopyp_shared.levels import at_levels

    console = Console()
    refuse_idle({**given, "folder": folder})
    project, entries, place = _tomograms(folder, given, console)
    entries = at_levels(entries, console.say, level=given["level"])
    images, coordinates, to_pick = list_paths(place, out)
    written = [to_pick] if given["inference"] else [images] if given["img_only"] else [images, coordinates]
    for target in written:
        refuse_existing(target, overwrite=given["overwrite"])
    if not (given["inference"] or given["img_only"]):
        how = replace(How(**{name: given[name] for name in HOW}), bbox=None)
        if project is None:
            hows = of_classes(how, given, folder)
        else:
            hows = of_objects(project, how, given, console)
        _list_labels((images, coordinates), entries, order, hows, pictures=given["pictures"], console=console)
        return
    if given["inference"] and given["img_only"]:
        raise UsageError(
            "given together", where="--inference and --img-only",
            expected="one of them: they differ in the list's name",
        )  # fmt: skip
    if idle := [name for name in ("picks", "labels") if given[name]]:
        alone = "--inference" if given["inference"] else "--img-only"
        raise UsageError(
            f"given beside {alone}", where=spelled(*idle), expected=f"one of them: {alone} lists no labels"
        )
    _list_tomograms(to_pick if given["inference"] else images, entries, console)


def _tomograms(
    folder: str | None, given: Mapping[str, Any], console: Console
) -> tuple[Project | None, list[ImageEntry], Path]:
    """The tomograms of a folder, or those of a project, and that; and where lists go that are given by a name."""
    if given["copick"] is not None:
        return *project_tomograms(given["copick"], given, console), Path()
    if folder is None:
        raise UsageError("is missing", where="--dir", expected="a folder with tomograms, or --copick")
    return None, *folder_tomograms(folder, given["ext"], given["name_from"], console)


def list_paths(folder: Path, out: str) -> tuple[Path, Path, Path]:
    """The lists for training, of tomograms and of coordinates, and that for picking.

    Raises
    ------
    InputError
        `out` has no name, or one that files cannot have.
    """
    from milopyp_shared.lists import check_image_name

    own, slash, name = out.rpartition("/")
    check_image_name(name, "--out", remedy="Give a name, or one with its folder: data/ribo.")
    place = Path(own or "/") if slash else folder
    images, coordinates, to_pick = (place / f"{name}{ending}" for ending in LIST_ENDINGS)
    return images, coordinates, to_pick


def _list_tomograms(target: Path, entries: Sequence[ImageEntry], console: Console) -> None:
    """Write a list of tomograms without labels."""
    from milopyp_shared.lists import write_image_list

    refuse_irreplaceable(target, [entry.path for entry in entries])
    write_image_list(target, entries, absolute=True)
    console.say(f"wrote {target}: {counted(len(entries), 'tomogram')}")


def _list_labels(
    lists: tuple[Path, Path],
    entries: Sequence[ImageEntry],
    order: str,
    hows: Mapping[str, How],
    *,
    pictures: bool | None,
    console: Console,
) -> None:
    """Read and check the labels of each class, draw them, and write the lists of tomograms and of coordinates."""
    from milopyp_shared.coordinate_lists import write_classes
    from milopyp_shared.lists import write_image_list
    from milopyp_shared.tomogram import open_tomogram

    of_project = any(how.project is not None for how in hows.values())
    folders = {entry.name: lists[0].parent if of_project else entry.folder for entry in entries}
    overlays = {
        (kind, name): place / "_".join(filter(None, [name, kind, "labels.png"]))
        for kind in hows
        for name, place in folders.items()
    }
    said = [path for how in hows.values() for path in (how.picks, how.name_map) if path is not None]
    inputs = [*(entry.path for entry in entries), *said]
    for target in lists:
        refuse_irreplaceable(target, inputs)
    for target in overlays.values():
        refuse_others(target, MARKS[".png"], inputs)
    classes = {kind: read_labels(entries, order, how, console) for kind, how in hows.items()}
    labelled = [entry for entry in entries if any(entry.name in labels for labels in classes.values())]
    if (draw := _drawing(pictures, console)) is not None:
        for entry, (kind, labels) in product(labelled, classes.items()):
            if entry.name in labels:
                tomogram = open_tomogram(entry.path, order)
                diameter = diameter_of(tomogram, hows[kind].bbox)
                draw(overlays[kind, entry.name], tomogram, labels[entry.name], diameter)
        first, *others = {folders[entry.name]: None for entry in labelled}
        some = first.parent / "*" if others else first
        console.say(f"look at the labels on their tomograms: {some}/*_labels.png")
    write_image_list(lists[0], labelled, absolute=True)
    write_classes(lists[1], classes)
    inside = "; ".join(_counts(kind, labels) for kind, labels in classes.items())
    console.say(f"wrote {lists[0]} and {lists[1]}: {inside}")


def _counts(kind: str, labels: Mapping[str, NDArray[np.float64]]) -> str:
    """How many labels of a class there are, in how many tomograms."""
    counts = [len(xyz) for xyz in labels.values() if len(xyz)]
    without = f", none in {len(labels) - len(counts)}" if len(labels) > len(counts) else ""
    return f"{counted(sum(counts), f'{kind} label'.strip())} in {counted(len(counts), 'tomogram')}{without}"


def _drawing(
    wanted: bool | None, console: Console
) -> Callable[[Path, Tomogram, NDArray[np.float64], float], None] | None:
    """What draws ``NAME_labels.png``; None where that is not wanted, or matplotlib is absent and neither option given.

    Raises
    ------
    MissingDependency
        Pictures are wanted, and there is no matplotlib.
    """
    if wanted is False:
        return None
    try:
        from ..plots.label_overlay import draw_overlay
    except ImportError as error:
        if wanted:
            raise MissingDependency(
                f"{error.name} is not installed", where="--pictures", remedy="Run: pip install 'milopyp[plots]'."
            ) from error
        console.say(f"no pictures of the labels, which need {error.name}: pip install 'milopyp[plots]'")
        return None
    return draw_overlay
