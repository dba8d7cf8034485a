"""``milopyp prepare``: a folder of tomograms and their picks -> the lists that training and picking read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ORDER_WORDS = ("xyz", "xzy", "zyx", "zxy", "yxz", "yzx", "auto")

# What may follow the tomogram's name in the name of its picks; the first that exists counts.
PICK_ENDINGS = ("_coord.txt", ".txt", ".mod")
LIST_ENDINGS = ("_train_imgs.txt", "_train_coords.txt", "_test_imgs.txt")


@command("prepare")
@option(
    "-d",
    "--dir",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with the tomograms and their picks.",
)
@option("-e", "--ext", default=".rec", help="Ending of the tomograms.")
@option("-o", "--out", required=True, help="Beginning of the lists' names.")
@option(
    "-r",
    "--ord",
    "--order",
    "order",
    type=click.Choice(ORDER_WORDS),
    default="auto",
    help="File axes from fastest to slowest, of the tomograms and of the columns of their picks.",
)
@option(
    "--coords",
    type=click.Choice(["model2point", "voxel"]),
    default="model2point",
    help="What a coordinate text counts: IMOD model coordinates, or plain voxel indices from 0.",
)
@option("--inference", is_flag=True, help="Only list the tomograms, for picking.")
@click.version_option(package_name="milopyp")
def prepare(folder: Path, ext: str, out: str, order: str, coords: Any, inference: bool) -> None:
    """Make the lists for training from a folder of tomograms and their picks.

    The picks of tomo.rec are tomo_coord.txt, tomo.txt (three columns in the file's axis order, as model2point
    writes them) or tomo.mod. Every label is checked against its tomogram. The lists OUT_train_imgs.txt and
    OUT_train_coords.txt (with --inference OUT_test_imgs.txt) are written into the folder.

    \b
    Examples:
      milopyp prepare -d sample_data -e .rec -o sample_run
      milopyp prepare -d new_tomograms -e .mrc -o sample_run --inference
    """
    from milopyp_shared.lists import ImageEntry, check_image_name, write_coordinate_list, write_image_list

    console = Console()
    check_image_name(out, "--out")
    tomograms = find_tomograms(folder, ext)
    entries = [ImageEntry(path.name.removesuffix(ext).rstrip("."), path) for path in tomograms]
    if inference:
        target = folder / f"{out}{LIST_ENDINGS[2]}"
        write_image_list(target, entries)
        console.say(f"wrote {target}: {len(entries)} tomograms")
        return
    labels = read_labels(entries, order, coords, console)
    images, coordinates = (folder / f"{out}{ending}" for ending in LIST_ENDINGS[:2])
    write_image_list(images, [entry for entry in entries if entry.name in labels])
    write_coordinate_list(coordinates, labels)
    total = sum(len(xyz) for xyz in labels.values())
    console.say(f"wrote {images} and {coordinates}: {total} labels in {len(labels)} tomograms")


def find_tomograms(folder: Path, ext: str) -> list[Path]:
    """Tomograms of a folder, by name.

    Raises
    ------
    InputError
        No such folder, or no file in it ends in `ext`.
    UsageError
        `ext` is empty.
    """
    if not ext:
        raise UsageError("is empty", where="--ext", expected="an ending such as .rec or .mrc")
    if not folder.is_dir():
        raise InputError("is no folder", where=folder, expected="a folder with tomograms")
    tomograms = sorted(path for path in folder.iterdir() if path.name.endswith(ext) and path.is_file())
    if not tomograms:
        raise InputError(f"no file ends in {ext}", where=folder, expected="tomograms", remedy="Give --ext.")
    return tomograms


def read_labels(entries: Any, order: str, coords: Any, console: Console) -> dict[str, NDArray[np.float64]]:
    """Labels x, y, z by tomogram name, each inside its volume.

    Raises
    ------
    InputError
        No tomogram has picks, or a file cannot be read.
    ContradictionError
        Labels outside their volume.
    """
    from milopyp_shared import axes
    from milopyp_shared.labels import read_points_of
    from milopyp_shared.tomogram import open_tomogram

    labels = {}
    for entry in entries:
        candidates = [entry.path.with_name(entry.name + ending) for ending in PICK_ENDINGS]
        picks = next((path for path in candidates if path.is_file() and not path.name.endswith(LIST_ENDINGS)), None)
        if picks is None:
            console.warn(f"{entry.path.name} has no picks ({', '.join(path.name for path in candidates)})")
            continue
        tomogram = open_tomogram(entry.path, order)
        if doubt := axes.doubt_about_order(tomogram.order, tomogram.stored.shape):
            console.warn(f"{entry.path.name}: {doubt}")
        labels[entry.name] = read_points_of(picks, tomogram, coords)
        console.say(f"{entry.path.name} (order {tomogram.order}): {len(labels[entry.name])} labels from {picks.name}")
    if not labels:
        raise InputError(
            "no tomogram has picks",
            where=entries[0].path.parent,
            expected="for tomo.rec one of tomo_coord.txt, tomo.txt, tomo.mod",
            remedy="Give --inference to list tomograms without picks.",
        )
    return labels
