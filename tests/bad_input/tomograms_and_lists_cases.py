"""Rows of the bad-input table: lists, labels and tomograms."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from bad_input.builders import (
    COORDINATES,
    INFER,
    TRAIN,
    Case,
    both,
    edited,
    failed_run,
    lists,
    model,
    not_a_number,
    picking,
    sized,
    text,
    volume,
)
from bad_input.expected import (
    COORDINATE_LIST,
    HEADER,
    IMAGE_NAME,
    IMAGES_HEADER,
    INSIDE,
    MODES,
    MRC,
    NUMBER,
    ONE_PICKED,
    PACKED,
    TEXT,
    TOMOGRAM,
)
from milopyp_shared.errors import CheckError, ContradictionError, InputError, UsageError
from toys import noise


def gzipped(folder: Path) -> None:
    """``a.mrc.gz``, cut short."""
    (folder / "a.mrc.gz").write_bytes(gzip.compress((folder / "a.mrc").read_bytes())[:9999])


LISTS = [
    Case("missing file in a list", f"{INFER} images.txt", InputError, "images.txt, line 3", "an existing file",
         picking(lists("a a.mrc\nb gone.mrc\n"))),
    Case("file that could be two of a list's tomograms", f"{INFER} images.txt", InputError, "images.txt",
         "the paths of existing files", picking(lists("a /gone/1/a.mrc\nb /gone/2/a.mrc\n")),
         facts=("/gone/1/a.mrc", "2 of its tomograms")),
    Case("absolute path in a list that leads nowhere", f"{INFER} images.txt", InputError, "images.txt, line 2",
         "an existing file", picking(lists("a /gone/b.mrc\n")), facts=("/gone/b.mrc", "milopyp prepare")),
    Case("list without header", f"{INFER} images.txt", InputError, "images.txt, line 1", IMAGES_HEADER,
         picking(volume("a.mrc"), text("images.txt", "a a.mrc\n"))),
    Case("image list that is not there", TRAIN, InputError, "images.txt", "an image or coordinate list",
         text("coords.txt", COORDINATES + "a 1 2 3\n")),
    Case("binary file as a list", f"{INFER} images.txt", InputError, "images.txt", TEXT,
         picking(text("images.txt", bytes(range(256))))),
    Case("two tomograms of one name in a list", f"{INFER} images.txt", InputError, "images.txt, line 3",
         "one name per tomogram", picking(lists("a a.mrc\na b.mrc\n"), volume("b.mrc")), facts=("'a'",)),
    Case("name that climbs out of the folder", f"{INFER} images.txt", InputError, "images.txt, line 2", IMAGE_NAME,
         picking(lists("../a a.mrc\n")), facts=("'../a'",)),
]  # fmt: skip

LABELS = [
    Case("label outside the volume", TRAIN, ContradictionError, "coords.txt", INSIDE,
         lists(coordinates="a 10 12 8\na 40 40 40\n"), facts=("1 of 2 labels", "40, 40, 40")),
    Case("labels that fit another order only", TRAIN, ContradictionError, "coords.txt", INSIDE,
         lists(coordinates="a 10 12 28\na 3 15 16\n"), facts=("2 of 2 labels", "x z y")),
    Case("empty coordinate list", TRAIN, InputError, "coords.txt", COORDINATE_LIST,
         both(lists(), text("coords.txt", ""))),
    Case("coordinate list of a header alone", TRAIN, InputError, "coords.txt", "at least one row",
         lists(coordinates="")),
    Case("word for a coordinate", TRAIN, InputError, "coords.txt, line 3", NUMBER,
         lists(coordinates="a 10 12 8\na 10 twelve 8\n"), facts=("'twelve'",)),
    Case("NaN for a coordinate", TRAIN, InputError, "coords.txt, line 2", NUMBER, lists(coordinates="a 10 nan 8\n"),
         facts=("'nan'",)),
    Case("none beside numbers", TRAIN, InputError, "coords.txt, line 3", "three numbers, or none in place of each",
         lists(coordinates="a 10 12 8\nb 10 none 8\n"), facts=("'10 none 8'",)),
    Case("none and labels of one tomogram", TRAIN, InputError, "coords.txt, line 3",
         "coordinates, or one row of none", lists(coordinates="a 10 12 8\na none none none\n"), facts=("1 by others",)),
    Case("no particle in any tomogram", TRAIN, InputError, "coords.txt", "at least one labelled tomogram",
         lists(coordinates="a none none none\n")),
    Case("none of a tomogram that is not listed", TRAIN, InputError, "coords.txt", "image names such as a",
         lists(coordinates="a 10 12 8\nb none none none\n")),
    Case("missing column", TRAIN, InputError, "coords.txt, line 3", "values for image_name x_coord y_coord z_coord",
         lists(coordinates="a 10 12 8\na 10 12\n"), facts=("3 values", "4 columns")),
    Case("coordinate list without z", TRAIN, InputError, "coords.txt, line 1",
         "the header 'image_name x_coord y_coord z_coord'",
         both(lists(), text("coords.txt", "image_name x_coord y_coord\na 1 2\n"))),
    Case("labels of unknown tomograms only", TRAIN, InputError, "coords.txt", "image names such as a",
         lists(coordinates="A 1 2 3\ntomo 1 2 3\n")),
]  # fmt: skip

TOMOGRAMS = [
    Case("no such tomogram", f"{INFER} gone.mrc", InputError, "gone.mrc", TOMOGRAM, model()),
    Case("folder as a tomogram", f"{INFER} data", InputError, "data", TOMOGRAM, picking(volume("data/a.mrc"))),
    Case("truncated MRC", f"{INFER} a.mrc", InputError, "a.mrc", "33792 for the 32 x 32 x 16 voxels its header claims",
         picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:16384])), facts=("16384 bytes",)),
    Case("MRC cut inside its header", f"{INFER} a.mrc", InputError, "a.mrc", HEADER,
         picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:512])), facts=("512 bytes",)),
    Case("truncated gz", f"{INFER} a.mrc.gz", InputError, "a.mrc.gz", PACKED,
         picking(volume("a.mrc"), gzipped)),
    Case("not an MRC", f"{INFER} a.mrc", InputError, "a.mrc", MRC, picking(text("a.mrc", "Dear diary, " * 200))),
    Case("complex numbers", f"{INFER} a.mrc", InputError, "a.mrc", MODES,
         picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:12] + struct.pack("<i", 4) + data[16:]))),
    Case("absurd size", f"{INFER} a.mrc", InputError, "a.mrc",
         "9444731276889530827774 for the 16777215 x 16777215 x 16777215 voxels its header claims",
         picking(sized(2**24 - 1, 2**24 - 1, 2**24 - 1)), facts=("33792 bytes",), frugal=True),
    Case("size of thousands of bytes more", f"{INFER} a.mrc", InputError, "a.mrc",
         "8389632 for the 2048 x 2048 x 1 voxels its header claims", picking(sized(2048, 2048, 1)),
         facts=("33792 bytes",), frugal=True),
    Case("negative size", f"{INFER} a.mrc", InputError, "a.mrc", MRC, picking(sized(-5, 32, 16)),
         facts=("-5 x 32 x 16",)),
    Case("3 x 3 x 3 volume", f"{INFER} a.mrc", InputError, "a.mrc", "at least 8 along every axis",
         picking(volume("a.mrc", noise((3, 3, 3)))), facts=("3 x 3 x 3 voxels",)),
    Case("cube", f"{INFER} a.mrc", ContradictionError, "a.mrc", "an axis clearly thinner than both others",
         picking(volume("a.mrc", noise((24, 24, 24)))), facts=("24 x 24 x 24", "--order xyz")),
    Case("every tomogram bad", f"{INFER} a.mrc b.mrc", InputError, "a.mrc", HEADER,
         picking(text("a.mrc", "no"), text("b.mrc", "no")), facts=("2 tomograms",)),
    Case("NaN voxels when picking", f"{INFER} a.mrc", CheckError, "picks", ONE_PICKED,
         picking(not_a_number("a.mrc")), facts=("failed: a: a.mrc: ", "section 8", "finite numbers"),
         leaves=failed_run),
    Case("NaN voxels when training", TRAIN, InputError, "a.mrc", "finite numbers",
         both(lists(), not_a_number("a.mrc"))),
    Case("constant volume when picking", f"{INFER} a.mrc", CheckError, "picks", ONE_PICKED,
         picking(volume("a.mrc", np.full((16, 32, 32), 7, np.int16))),
         facts=("failed: a: a.mrc: ", "a tomogram with contrast"), leaves=failed_run),
    Case("constant volume when training", TRAIN, InputError, "a.mrc", "a tomogram with contrast",
         both(lists(), volume("a.mrc", np.zeros((16, 32, 32), np.float32)))),
    Case("two tomograms of one name", f"{INFER} x/a.mrc y/a.rec", InputError, "y/a.rec",
         "different names, since outputs are named after them", picking(volume("x/a.mrc"), volume("y/a.rec")),
         facts=("--name-from parent",)),
    Case("two tomograms of one folder's name", f"{INFER} x/1/a.mrc y/1/a.mrc --name-from parent", InputError,
         "y/1/a.mrc", "different names, since outputs are named after them",
         picking(volume("x/1/a.mrc"), volume("y/1/a.mrc")), facts=("image list",)),
    Case("names from folders beside a list", f"{INFER} images.txt --name-from parent", UsageError, "--name-from",
         "paths or globs: lists name theirs", picking(lists("a a.mrc\n"))),
    Case("glob without a match", f"{INFER} 'data/*.mrc'", UsageError, "data/*.mrc", "tomograms or an image list",
         picking(text("data/a.txt", ""))),
    Case("nothing to pick", INFER, UsageError, "milopyp-infer", "paths, globs or an image list", model(),
         facts=("--help",)),
]  # fmt: skip

CASES = [*LISTS, *LABELS, *TOMOGRAMS]
