"""Rows of the bad-input table: lists, labels and tomograms."""

from __future__ import annotations

import gzip
import struct

import numpy as np

from bad_input.builders import (
    COORDINATES,
    INFER,
    MRC,
    TRAIN,
    Case,
    both,
    claims,
    edited,
    failed_run,
    lists,
    model,
    not_a_number,
    picking,
    text,
    void,
    volume,
)
from toys import noise

LISTS = [
    Case(
        "missing file in a list", f"{INFER} images.txt", "images.txt, line 3", "there is no tomogram gone.mrc",
        "an existing file", "relative to the list's folder", picking(lists("a a.mrc\nb gone.mrc\n")),
    ),
    Case(
        "list without header", f"{INFER} images.txt", "images.txt, line 1", "image_name, rec_path is missing",
        "the header 'image_name rec_path'", "Add the header line",
        picking(volume("a.mrc"), text("images.txt", "a a.mrc\n")),
    ),
    Case(
        "image list that is not there", TRAIN, "images.txt", "no such file", "a list at", "milopyp prepare",
        text("coords.txt", COORDINATES + "a 1 2 3\n"),
    ),
    Case(
        "binary file as a list", f"{INFER} images.txt", "images.txt", "is not UTF-8 text", "a text file", "Save it as",
        picking(text("images.txt", bytes(range(256)))),
    ),
    Case(
        "two tomograms of one name in a list", f"{INFER} images.txt",
        "images.txt, line 3", "two tomograms of one name: 'a' is a.mrc and b.mrc", "one name per tomogram",
        "Rename one", picking(lists("a a.mrc\na b.mrc\n"), volume("b.mrc")),
    ),
    Case(
        "name that climbs out of the folder", f"{INFER} images.txt",
        "images.txt, line 2", "image name '../a'", "a name without '/', '..'", "Rename the image",
        picking(lists("../a a.mrc\n")),
    ),
]  # fmt: skip

LABELS = [
    Case(
        "label outside the volume", TRAIN,
        "coords.txt", "1 of 2 labels of a.mrc lie outside, the first at x, y, z = 40, 40, 40",
        "coordinates inside 32 x 32 x 16 voxels (order xyz)", "Check the labels' binning and order",
        lists(coordinates="a 10 12 8\na 40 40 40\n"),
    ),
    Case(
        "labels that fit another order only", TRAIN,
        "coords.txt", "2 of 2 labels of a.mrc lie outside", "coordinates inside 32 x 32 x 16 voxels (order xyz)",
        "All of them fit with --order xzy or zyx or zxy or yzx.",
        lists(coordinates="a 10 12 28\na 3 15 16\n"),
    ),
    Case(
        "empty coordinate list", TRAIN, "coords.txt", "is empty", "the header 'image_name x_coord y_coord z_coord'", "",
        both(lists(), text("coords.txt", "")),
    ),
    Case(
        "coordinate list of a header alone", TRAIN, "coords.txt", "has a header and no rows", "at least one row", "",
        lists(coordinates=""),
    ),
    Case(
        "word for a coordinate", TRAIN, "coords.txt, line 3", "'twelve'", "a finite number", "",
        lists(coordinates="a 10 12 8\na 10 twelve 8\n"),
    ),
    Case(
        "NaN for a coordinate", TRAIN, "coords.txt, line 2", "'nan'", "a finite number", "",
        lists(coordinates="a 10 nan 8\n"),
    ),
    Case(
        "missing column", TRAIN, "coords.txt, line 3", "3 values for 4 columns", "image_name x_coord y_coord z_coord",
        "Separate columns by tabs", lists(coordinates="a 10 12 8\na 10 12\n"),
    ),
    Case(
        "coordinate list without z", TRAIN, "coords.txt, line 1", "column z_coord is missing",
        "found 'image_name x_coord y_coord'", "Add the header line",
        both(lists(), text("coords.txt", "image_name x_coord y_coord\na 1 2\n")),
    ),
    Case(
        "labels of unknown tomograms only", TRAIN,
        "coords.txt", "labels of A, tomo, which the image list does not name", "image names such as a",
        "Use the same names in both lists", lists(coordinates="A 1 2 3\ntomo 1 2 3\n"),
    ),
]  # fmt: skip

TOMOGRAMS = [
    Case(
        "no such tomogram", f"{INFER} gone.mrc", "gone.mrc", "no such file", "a tomogram", "Check the path", model(),
    ),
    Case(
        "folder as a tomogram", f"{INFER} data", "data", "is a folder", "a tomogram", "Give data/*.mrc",
        picking(volume("data/a.mrc")),
    ),
    Case(
        "truncated MRC", f"{INFER} a.mrc",
        "a.mrc", "the file has 16384 bytes", "33792 for the 32 x 32 x 16 voxels", "copy it again",
        picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:16384])),
    ),
    Case(
        "MRC cut inside its header", f"{INFER} a.mrc",
        "a.mrc", "the file ends after 512 bytes", "an MRC header of 1024 bytes", MRC,
        picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:512])),
    ),
    Case(
        "truncated gz", f"{INFER} a.mrc.gz", "a.mrc.gz", "cannot be unpacked", "", "copy it again",
        picking(volume("a.mrc"), lambda folder: void((folder / "a.mrc.gz").write_bytes(
            gzip.compress((folder / "a.mrc").read_bytes())[:9999]))),
    ),
    Case(
        "not an MRC", f"{INFER} a.mrc", "a.mrc", "no MRC header", "an MRC file of mode 0, 1, 2, 6 or 12", MRC,
        picking(text("a.mrc", "Dear diary, " * 200)),
    ),
    Case(
        "complex numbers", f"{INFER} a.mrc", "a.mrc", "mode 4 (complex float32) has no grey levels",
        "mode 0, 1, 2, 6 or 12", "newstack -mode 1",
        picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:12] + struct.pack("<i", 4) + data[16:])),
    ),
    Case(
        "absurd size", f"{INFER} a.mrc",
        "a.mrc", "the file has 33792 bytes", "voxels its header claims", "truncated or its header is wrong",
        picking(claims(2**24 - 1, 2**24 - 1, 2**24 - 1)), frugal=True,
    ),
    Case(
        "size of thousands of bytes more", f"{INFER} a.mrc",
        "a.mrc", "the file has 33792 bytes", "8389632 for the 2048 x 2048 x 1 voxels", "truncated or",
        picking(claims(2048, 2048, 1)), frugal=True,
    ),
    Case(
        "negative size", f"{INFER} a.mrc", "a.mrc", "no MRC header (mode 1, sizes -5 x 32 x 16)", "positive sizes", MRC,
        picking(claims(-5, 32, 16)),
    ),
    Case(
        "3 x 3 x 3 volume", f"{INFER} a.mrc", "a.mrc", "the volume has 3 x 3 x 3 voxels", "at least 8 along every axis",
        "not an image or a crop", picking(volume("a.mrc", noise((3, 3, 3)))),
    ),
    Case(
        "cube", f"{INFER} a.mrc", "a.mrc", "the thickness cannot be told from the size 24 x 24 x 24",
        "an axis clearly thinner", "Give --order xyz", picking(volume("a.mrc", noise((24, 24, 24)))),
    ),
    Case(
        "every tomogram bad", f"{INFER} a.mrc b.mrc", "", "none of the 2 tomograms can be read; the first: a.mrc",
        "", "", picking(text("a.mrc", "no"), text("b.mrc", "no")),
    ),
    Case(
        "NaN voxels when picking", f"{INFER} a.mrc", "picks", "every tomogram failed", "", "The lines above say why",
        picking(not_a_number("a.mrc")), code=3, leaves=failed_run,
        also="failed: a: a.mrc: NaN or infinite voxels near section 8; expected finite numbers. Replace them",
    ),
    Case(
        "NaN voxels when training", TRAIN, "a.mrc", "NaN or infinite voxels near section 8", "finite numbers",
        "Replace them", both(lists(), not_a_number("a.mrc")),
    ),
    Case(
        "constant volume when picking", f"{INFER} a.mrc", "picks", "every tomogram failed", "", "lines above",
        picking(volume("a.mrc", np.full((16, 32, 32), 7, np.int16))), code=3, leaves=failed_run,
        also="failed: a: a.mrc: all voxels are equal; expected a tomogram with contrast",
    ),
    Case(
        "constant volume when training", TRAIN, "a.mrc", "all voxels are equal", "a tomogram with contrast", "",
        both(lists(), volume("a.mrc", np.zeros((16, 32, 32), np.float32))),
    ),
    Case(
        "two tomograms of one name", f"{INFER} x/a.mrc y/a.rec",
        "", "two tomograms are called a: x/a.mrc and y/a.rec", "different names", "Name them in an image list",
        picking(volume("x/a.mrc"), volume("y/a.rec")),
    ),
    Case(
        "glob without a match", f"{INFER} 'data/*.mrc'", "data/*.mrc", "matches no file", "an image list", "",
        picking(text("data/a.txt", "")),
    ),
    Case("nothing to pick", INFER, "", "no tomogram given", "paths, globs or an image list", "--help", model()),
]  # fmt: skip

CASES = [*LISTS, *LABELS, *TOMOGRAMS]
