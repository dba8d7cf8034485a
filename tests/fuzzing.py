"""Readers of files that people bring along, each with a good file to begin from. Only MilopypErrors may come out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from copick_toys import write_project
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.copick_project import read_project
from milopyp_shared.errors import MilopypError
from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.dynamo import read_doc
from milopyp_shared.formats.mod import model_points, read_mod, to_voxel_index
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.formats.relion import VOXELS, read_all_particles
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe
from milopyp_shared.tomogram import open_tomogram
from milopyp_shared.written_names import Naming
from toys import TOY, noise, placed, write_tomogram
from zarr_toys import write_store

PICKS = Picks(np.array([[3.0, 4.5, 5.25], [10.0, 2.0, 7.0], [1.5, 20.0, 11.0]]), np.array([0.9, 0.5, 0.25]))
SETTING = FormatContext(
    order="xyz", size=(32, 32, 16), voxel_size=10.0, coords="voxel", name="a", label="a", radius=5.0, binning=1.0
)


@dataclass(frozen=True)
class Reader:
    """A reader, and how its files are made.

    Attributes
    ----------
    suffix
        Of its files.
    make
        Writes a good one.
    read
        Reads one.
    """

    suffix: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]


def _format(word: str) -> Reader:
    row = FORMATS[word]
    suffix, write = row.suffixes[0], row.write

    def make(path: Path) -> None:
        if write is None:  # eman
            path.write_text(
                '{"apix_unbin": 5.0, "boxes_3d": [[1, 2, 3, "manual", 0.5, 0], [4, 5, 6, "manual", 0.7, 0]]}'
            )
        else:
            write(path, PICKS, SETTING)

    return Reader(suffix, make, lambda path: row.read(path, SETTING))


def _whole_model(path: Path) -> object:
    model = read_mod(path)
    return to_voxel_index(model_points(model), model, placed(10.0))


def _whole_tomogram(path: Path) -> object:
    tomogram = open_tomogram(path, "xyz")
    return float(np.asarray(tomogram.sections(0, 1), dtype=np.float32).sum())


def _recipe(path: Path) -> object:
    recipe = Recipe.from_json(path.read_text(encoding="utf-8", errors="replace"), path)
    return recipe.to_json()


def _toy_recipe(path: Path) -> None:
    from milopyp_inference.engine.model import read_recipe

    path.write_text(read_recipe(TOY).to_json())


def _project(path: Path) -> None:
    shutil.move(write_project({}, path.parent, runs=["a"]), path)


def _tomograms_star(path: Path) -> None:
    labels = ("TomoName", "TomoTiltSeriesPixelSize", "TomoTomogramBinning", "TomoSizeX", "TomoSizeY", "TomoSizeZ")
    columns = "".join(f"_rln{label} #{number}\n" for number, label in enumerate(labels, start=1))
    path.write_text(f"\ndata_global\n\nloop_\n{columns}TS_01 2.5 4.0 320 256 128\nTS_02 2.5 4.0 320 256 128\n")


def _names_and_doubts(path: Path) -> object:
    naming = Naming.read(None, path, ["relion4"])
    called = naming.call({"rec_TS_01": "rec_TS_01"}, path)
    naming.check(called, {"rec_TS_01": ((80, 64, 32), 10.0)})
    return called


def _in_store(zarr_format: int, name: str) -> Reader:
    """A file of metadata, in a store that is otherwise good."""

    def store(path: Path) -> Path:
        return path.with_name(f"v{zarr_format}.zarr")

    def make(path: Path) -> None:
        write_store(store(path), noise((8, 10, 12)), zarr_format=zarr_format)
        shutil.copy(store(path) / name, path)

    def read(path: Path) -> object:
        if not store(path).exists():
            make(path.with_name("again"))
        shutil.copy(path, store(path) / name)
        return _whole_tomogram(store(path))

    return Reader(Path(name).suffix or ".json", make, read)


READERS: dict[str, Reader] = {word: _format(word) for word in FORMATS if word != "mod"} | {
    "mod": Reader(".mod", lambda path: FORMATS["mod"].write(path, PICKS, SETTING), _whole_model),  # type: ignore[misc]
    "mrc": Reader(".mrc", lambda path: write_tomogram(path, noise((8, 10, 12))), _whole_tomogram),
    "candidates": Reader(".candidates.csv", lambda path: write_candidates(path, PICKS), read_candidates),
    "image list": Reader(".txt", lambda path: write_image_list(path, [ImageEntry("a", TOY)]), read_image_list),
    "coordinate list": Reader(
        ".txt", lambda path: write_coordinate_list(path, {"a": PICKS.xyz}), lambda path: read_coordinate_list(path)
    ),
    "points of napari": Reader(
        ".csv",
        lambda path: path.write_text("index,axis-0,axis-1,axis-2,label\n0.0,5.25,4.5,3.0,a\n1.0,7.0,2.0,10.0,b\n"),
        lambda path: FORMATS["csv"].read(path, SETTING),
    ),
    "map of a Dynamo table": Reader(".doc", lambda path: path.write_text("1 /data/a.mrc\n12 b.mrc\n"), read_doc),
    "names in a STAR file": Reader(".star", _format("relion4").make, lambda path: read_all_particles(path, VOXELS)),
    "list of tomograms": Reader(".star", _tomograms_star, _names_and_doubts),
    "OME-Zarr image": _in_store(2, ".zattrs"),
    "OME-Zarr array": _in_store(3, "0/zarr.json"),
    "copick project": Reader(".json", _project, lambda path: read_project(path).objects),
    "recipe": Reader(".json", _toy_recipe, _recipe),
}


def read_whatever(reader: Reader, path: Path, content: bytes) -> bool:
    """Read bytes as a file of this kind; False when they were refused.

    Anything but a MilopypError goes on up.
    """
    path.write_bytes(content)
    try:
        reader.read(path)
    except MilopypError:
        return False
    return True
