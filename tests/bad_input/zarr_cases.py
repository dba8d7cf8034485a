"""Rows of the bad-input table: tomograms in OME-Zarr."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from bad_input.builders import INFER, Build, Case, both, edited, failed_run, lists, model, picking, text, void, volume
from bad_input.expected import ONE_PICKED
from milopyp_shared.errors import CheckError, ContradictionError, InputError, UsageError
from toys import noise
from zarr_toys import write_store

IMAGE = "the metadata of one image of OME-Zarr 0.4 or 0.5"
TRANSFORMATIONS = (
    "one scale, above 0, and at most one translation after it, with a number for each axis; larger voxels from "
    "level to level"
)
UNITS = "angstrom, picometer, nanometer, micrometer, millimeter, meter for all of z, y and x, or nothing"


def store(name: str = "a.zarr", zyx: np.ndarray[Any, Any] | None = None, **how: Any) -> Build:
    """A good store."""
    return lambda folder: void(write_store(folder / name, noise() if zyx is None else zyx, **how))


def changed(edit: Callable[[Any], None], name: str = "a.zarr/.zattrs", **how: Any) -> Build:
    """The toy model, and a store with other metadata; `edit` gets them, of a group its image's."""

    def build(content: bytes) -> bytes:
        stored = json.loads(content)
        edit(stored["multiscales"][0] if "multiscales" in stored else stored)
        return json.dumps(stored).encode()

    return picking(store(**how), edited(name, build))


def scaled(*scales: list[float]) -> Build:
    """A store with as many levels, of these scales."""

    def edit(image: Any) -> None:
        for dataset, scale in zip(image["datasets"], scales, strict=True):
            dataset["coordinateTransformations"][0]["scale"] = scale

    return changed(edit, levels=len(scales))


def reversed_transformations(image: Any) -> None:
    image["datasets"][0]["coordinateTransformations"].reverse()


def moved(translation: list[float]) -> Callable[[Any], None]:
    """Put another translation into the first level."""

    def edit(image: Any) -> None:
        image["datasets"][0]["coordinateTransformations"][1]["translation"] = translation

    return edit


def one(key: str, value: Any, place: str = "") -> Callable[[Any], None]:
    """Put a value into the metadata, or into its first axis or dataset."""

    def edit(stored: Any) -> None:
        (stored[place][0] if place else stored)[key] = value

    return edit


def several_images(folder: Path) -> None:
    path = write_store(folder / "a.zarr", noise()) / ".zattrs"
    [image] = json.loads(path.read_text())["multiscales"]
    path.write_text(json.dumps({"multiscales": [image, image]}))


def arrays(*names: str) -> Build:
    """A group of arrays without metadata."""

    def build(folder: Path) -> None:
        root = zarr.create_group(folder / "a.zarr", zarr_format=3)
        for name in names:
            root.create_array(name, shape=(16, 32, 32), dtype="int16", chunks=(8, 16, 16))

    return build


def two_channels(folder: Path) -> None:
    path = write_store(folder / "a.zarr", noise()) / ".zattrs"
    stored = json.loads(path.read_text())
    [image] = stored["multiscales"]
    image["axes"].insert(0, {"name": "c", "type": "channel"})
    image["datasets"][0]["coordinateTransformations"][0]["scale"].insert(0, 1.0)
    path.write_text(json.dumps(stored))
    zarr.create_array(
        folder / "a.zarr", name="0", shape=(2, 16, 32, 32), chunks=(1, 8, 16, 16), dtype="int16", zarr_format=2,
        overwrite=True,
    )  # fmt: skip


def failing(name: str, build: Build, **more: Any) -> Case:
    """A store that shows only when it is read that it cannot be."""
    return Case(name, f"{INFER} a.zarr", CheckError, "picks", ONE_PICKED, picking(build), leaves=failed_run, **more)


METADATA = [
    Case("OME-Zarr that is not there", f"{INFER} a.zarr", InputError, "a.zarr", "a tomogram (.zarr, .zarr.zip)",
         model(), facts=("no such file",)),
    Case("OME-Zarr without metadata", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE, picking(arrays("0")),
         facts=("the array 0",)),
    Case("OME-Zarr of several arrays", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE, picking(arrays("even", "odd")),
         facts=("the array even", "the array odd")),
    Case("folder that is no Zarr", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE, picking(text("a.zarr/b.txt", "b")),
         facts=("no group of Zarr",)),
    Case("OME-Zarr of several images", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE, picking(several_images),
         facts=("2 images",)),
    Case("OME-Zarr whose metadata are no JSON", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE,
         picking(store(), text("a.zarr/.zattrs", "{"))),
    Case("OME-Zarr of version 0.3", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE,
         changed(one("axes", ["z", "y", "x"])), facts=("axes[0]",)),
    Case("OME-Zarr without levels", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE, changed(one("datasets", []))),
    Case("OME-Zarr with an axis that no tomogram has", f"{INFER} a.zarr", InputError, "a.zarr",
         "z, y and x, and beside them t and c at most", changed(one("name", "depth", "axes")), facts=("'depth'",)),
    Case("OME-Zarr in an unknown unit", f"{INFER} a.zarr", InputError, "a.zarr", UNITS,
         changed(one("unit", "pixel", "axes")), facts=("'pixel'",)),
    Case("OME-Zarr with a unit of some axes", f"{INFER} a.zarr", InputError, "a.zarr", UNITS,
         changed(one("unit", None, "axes"))),
    Case("OME-Zarr of several channels", f"{INFER} a.zarr", InputError, "a.zarr", "one time and one channel",
         picking(two_channels), facts=("2 x 16 x 32 x 32",)),
    Case("OME-Zarr whose array has other axes", f"{INFER} a.zarr", InputError, "a.zarr",
         "the 3 that its multiscales name",
         picking(store(), edited("a.zarr/0/.zarray", lambda stored: json.dumps(
             json.loads(stored) | {"shape": [32, 32], "chunks": [16, 16]}).encode())), facts=("2 axes",)),
    Case("OME-Zarr that names an array that is not there", f"{INFER} a.zarr", InputError, "a.zarr",
         "all that its multiscales name", changed(one("path", "full", "datasets")), facts=("'full'",)),
    Case("OME-Zarr whose levels do not grow", f"{INFER} a.zarr", ContradictionError, "a.zarr", TRANSFORMATIONS,
         scaled([10.0] * 3, [5.0] * 3), facts=("level 1", "5 x 5 x 5")),
    Case("OME-Zarr with a scale of other axes", f"{INFER} a.zarr", ContradictionError, "a.zarr", TRANSFORMATIONS,
         scaled([10.0] * 2), facts=("2 numbers for 3 axes",)),
    Case("OME-Zarr with a negative scale", f"{INFER} a.zarr", ContradictionError, "a.zarr", TRANSFORMATIONS,
         scaled([10.0, 10.0, -10.0]), facts=("-10",)),
    Case("OME-Zarr with two scales", f"{INFER} a.zarr", ContradictionError, "a.zarr", TRANSFORMATIONS,
         changed(one("coordinateTransformations", [{"type": "scale", "scale": [1.0] * 3}] * 2, "datasets")),
         facts=("scale and scale",)),
    Case("OME-Zarr with a translation before the scale", f"{INFER} a.zarr", ContradictionError, "a.zarr",
         TRANSFORMATIONS, changed(reversed_transformations, origin=(1.0, 1.0, 1.0)), facts=("translation and scale",)),
    Case("OME-Zarr with a translation of other axes", f"{INFER} a.zarr", ContradictionError, "a.zarr", TRANSFORMATIONS,
         changed(moved([1.0, 2.0]), origin=(1.0, 1.0, 1.0)), facts=("2 numbers for 3 axes",)),
    Case("OME-Zarr with a translation that is no number", f"{INFER} a.zarr", ContradictionError, "a.zarr",
         TRANSFORMATIONS, changed(moved([1.0, 2.0, float("inf")]), origin=(1.0, 1.0, 1.0))),
    Case("OME-Zarr with a level without transformations", f"{INFER} a.zarr", ContradictionError, "a.zarr",
         TRANSFORMATIONS, changed(one("coordinateTransformations", [], "datasets")), facts=("level 0",)),
    Case("OME-Zarr 0.5 whose array is no JSON", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE,
         picking(store(zarr_format=3), text("a.zarr/0/zarr.json", "{"))),
    Case("OME-Zarr 0.5 of an unknown codec", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE,
         changed(one("codecs", [{"name": "squeeze"}]), "a.zarr/0/zarr.json", zarr_format=3), facts=("squeeze",)),
    Case("OME-Zarr of an unknown compressor", f"{INFER} a.zarr", InputError, "a.zarr", IMAGE,
         changed(one("compressor", {"id": "squeeze"}), "a.zarr/0/.zarray"), facts=("squeeze",)),
    Case("OME-Zarr of complex numbers", f"{INFER} a.zarr", InputError, "a.zarr", "integers or floating-point numbers",
         picking(store(zyx=noise().astype(np.complex64))), facts=("complex64",)),
    Case("OME-Zarr that claims absurd sizes", f"{INFER} a.zarr", InputError, "a.zarr",
         "a tomogram, fewer than 10^12 voxels", changed(one("shape", [10**6] * 3), "a.zarr/0/.zarray"), frugal=True),
    Case("OME-Zarr of a few voxels", f"{INFER} a.zarr", InputError, "a.zarr", "at least 8 along every axis",
         picking(store(zyx=noise((4, 32, 32)))), facts=("32 x 32 x 4",)),
    Case("zip that is none", f"{INFER} a.zarr.zip", InputError, "a.zarr.zip", "a whole zip file",
         picking(text("a.zarr.zip", "no zip"))),
]  # fmt: skip

LEVELS = [
    Case("level that OME-Zarr does not have", f"{INFER} a.zarr --level 2", InputError, "a.zarr", "one of 0 to 1",
         picking(store(levels=2)), facts=("no level 2",)),
    Case("level in a path that is not there", f"{INFER} a.zarr/s1", InputError, "a.zarr/s1",
         "one of 0, 1 behind the image's path", picking(store(levels=2)), facts=("'s1'",)),
    Case("level of an MRC file", f"{INFER} a.mrc --level 1", UsageError, "--level",
         "tomograms in OME-Zarr, or no --level", picking(volume("a.mrc"))),
    Case("another level than that of the path", f"{INFER} a.zarr/1 --level 0", ContradictionError, "a.zarr/1",
         "--level 1", picking(store(levels=2))),
    Case("list of OME-Zarr that is not there", f"{INFER} images.txt", InputError, "images.txt, line 2",
         "an existing file", picking(lists("a b.zarr/1\n"))),
]  # fmt: skip

CHUNKS = [
    failing("damaged chunk", both(store(), text("a.zarr/0/1.1.0", "damaged")), facts=("z, y, x = 8, 16, 0",)),
    failing("chunk cut short", both(store(compressors=None), text("a.zarr/0/0.1.1", "short")), facts=("0, 16, 16",)),
]  # fmt: skip

URL = "https://HOST/PATH.zarr, http://HOST/PATH.zarr or s3://BUCKET/PATH.zarr"
A_STORE = f"OME-Zarr in chunks that can be read one by one: {URL}"
NO_SECRETS = "one without, since it is written into lists, records and logs"
ON_DISK = "a file or folder on disk: nothing is written elsewhere"

URLS = [
    Case("URL with a password", f"{INFER} https://me:secret@h/a.zarr", InputError, "https://h/a.zarr", NO_SECRETS,
         model()),
    Case("URL with a query", f"{INFER} 's3://b/a.zarr?key=secret'", InputError, "s3://b/a.zarr", NO_SECRETS, model()),
    Case("URL of another kind", f"{INFER} gs://b/a.zarr", InputError, "gs://b/a.zarr", URL, model()),
    Case("URL of no store", f"{INFER} https://h/a.mrc", InputError, "https://h/a.mrc", A_STORE, model()),
    Case("URL of a zipped store", f"{INFER} https://h/a.zarr.zip", InputError, "https://h/a.zarr.zip", A_STORE,
         model()),
    Case("URL without a host", f"{INFER} https:///a.zarr", InputError, "https:///a.zarr", A_STORE, model()),
    Case("URL of a port that is none", f"{INFER} http://h:port/a.zarr", InputError, "http://h:port/a.zarr", A_STORE,
         model()),
    Case("URL of no store in a list", f"{INFER} images.txt", InputError, "images.txt, line 2", A_STORE,
         picking(lists("a https://h/a.mrc\n")), facts=("https://h/a.mrc",)),
    Case("URL of a list", f"{INFER} https://h/images.txt", InputError, "https://h/images.txt", A_STORE, model()),
    Case("picks at a URL", f"{INFER} a.mrc --out https://h/picks", UsageError, "https://h/picks", ON_DISK,
         picking(volume("a.mrc"))),
    Case("picks in a bucket", f"{INFER} a.mrc --out s3://b/picks", UsageError, "s3://b/picks", ON_DISK,
         picking(volume("a.mrc"))),
    Case("converted picks at a URL", "milopyp convert a.csv https://h/a.mod", UsageError, "https://h/a.mod", ON_DISK,
         text("a.csv", "1,2,3\n")),
    Case("labels at a URL", "milopyp prepare -d . -e .mrc -o https://h/run --inference", UsageError,
         "https://h/run_test_imgs.txt", ON_DISK, picking(volume("a.mrc"))),
    Case("phantoms at a URL", "milopyp phantom --out s3://b/p", UsageError, "s3://b/p/phantom_1.mrc", ON_DISK),
]  # fmt: skip

CASES = METADATA + LEVELS + CHUNKS + URLS
