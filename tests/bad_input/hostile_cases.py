"""Rows of the bad-input table: headers, names, numbers and places that a careless or hostile file could hold."""

from __future__ import annotations

import bz2
import gzip
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_input.builders import (
    INFER,
    TRAIN,
    Build,
    Case,
    both,
    edited,
    failed_run,
    lists,
    model_of_one_object,
    picked,
    picking,
    text,
    volume,
)

VOLUME = picking(volume("a.mrc"))
CONVERT_MOD = "milopyp convert a.mod b.csv --order xyz --shape 32 32 16"
NAME = "a name without '/', '..' and control characters"
RECORD = "is no record of a tomogram"


def header(place: int, form: str, *values: float) -> Build:
    """``a.mrc`` with other numbers in its header."""
    end = place + struct.calcsize(form)
    return both(VOLUME, edited("a.mrc", lambda data: data[:place] + struct.pack(form, *values) + data[end:]))


def packed(module: Any, name: str, edit: Callable[[bytes], bytes], build: Build = VOLUME) -> Build:
    """``a.mrc``, packed and then changed."""

    def pack(folder: Path) -> None:
        (folder / name).write_bytes(edit(module.compress((folder / "a.mrc").read_bytes())))

    return both(build, pack)


def named(name: str) -> Build:
    """Lists in which the image has this name."""
    return lists(f"{name} a.mrc\n", f"{name} 10 12 8\n")


def imod(edit: Callable[[bytes], bytes]) -> Build:
    """``a.mod`` of one point, changed."""
    return both(
        model_of_one_object,
        lambda folder: (shutil.copy(folder / "data/a.mod", folder / "a.mod"), None)[1],
        edited("a.mod", edit),
    )


def contour(points: int) -> Build:
    """``a.mod`` whose contour announces so many points."""
    return imod(lambda data: data.replace(b"CONT" + struct.pack(">i", 1), b"CONT" + struct.pack(">i", points)))


def recorded(**changes: Any) -> Build:
    """A run whose record has these entries changed (None: left out)."""

    def build(folder: Path) -> None:
        path = folder / "picks/records/a.json"
        record = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))

    return both(VOLUME, picked("a.mrc"), build)


def coordinates(row: str) -> Build:
    """A label at these coordinates."""
    return lists(coordinates=f"a {row}\n")


HEADERS = [
    Case("complex int16 voxels", f"{INFER} a.mrc", "a.mrc", "mode 3 (complex int16) has no grey levels",
         "mode 0, 1, 2, 6 or 12", "newstack", header(12, "<i", 3), frugal=True),
    Case("4-bit voxels", f"{INFER} a.mrc", "a.mrc", "mode 101 (4-bit)", "mode 0, 1, 2, 6 or 12", "newstack",
         header(12, "<i", 101), frugal=True),
    Case("unknown mode", f"{INFER} a.mrc", "a.mrc", "no MRC header (mode 7", "mode 0, 1, 2, 6 or 12", "MRC format",
         header(12, "<i", 7), frugal=True),
    Case("negative extended header", f"{INFER} a.mrc", "a.mrc", "no MRC header", "positive sizes", "MRC format",
         header(92, "<i", -5), frugal=True),
    Case("extended header of a gigabyte", f"{INFER} a.mrc", "a.mrc", "no MRC header", "positive sizes", "MRC format",
         header(92, "<i", 2**30), frugal=True),
    Case("extended header beyond the end", f"{INFER} a.mrc", "a.mrc", "has 33792 bytes", "1033792 for the 32 x 32 x 16",
         "copy it again", header(92, "<i", 10**6), frugal=True),
    Case("voxel size that is no number in a header", f"{INFER} a.mrc --format relion5", "picks: every tomogram failed",
         "", build=header(40, "<3f", float("nan"), 1, 1), code=3, leaves=failed_run,
         also="failed: a: picks/a.star: the voxel size of the tomogram is not known"),
    Case("bz2 cut short", f"{INFER} a.mrc.bz2", "a.mrc.bz2", "cannot be unpacked (Compressed file ended", "",
         "copy it again", packed(bz2, "a.mrc.bz2", lambda data: data[:-200])),
    Case("bz2 with other bytes", f"{INFER} a.mrc.bz2", "a.mrc.bz2", "cannot be unpacked (Invalid data stream)", "",
         "copy it again", packed(bz2, "a.mrc.bz2", lambda data: data[:50] + b"xx" + data[52:])),
    Case("gz with a wrong check sum", f"{INFER} a.mrc.gz", "a.mrc.gz", "cannot be unpacked (CRC check failed", "",
         "copy it again", packed(gzip, "a.mrc.gz", lambda data: data[:-8] + b"abcd" + data[-4:])),
    Case("gz of a header that claims a terabyte", f"{INFER} a.mrc.gz", "a.mrc.gz", "has 33792 bytes",
         "2000000001024 for the 10000 x 10000 x 10000 voxels", "copy it again",
         packed(gzip, "a.mrc.gz", bytes, header(0, "<3i", 10**4, 10**4, 10**4)), frugal=True),
]  # fmt: skip

NAMES = [
    Case("image called ..", TRAIN, "images.txt, line 2", "image name '..'", NAME, "Rename", named("..")),
    Case("image with an absolute name", TRAIN, "images.txt, line 2", "image name '/etc/x'", NAME, "Rename",
         named("/etc/x")),
    Case("image with a backslash in its name", TRAIN, "images.txt, line 2", "image name 'a", NAME, "Rename",
         named("a\\b")),
    Case("image with a bell in its name", TRAIN, "images.txt, line 2", "image name 'a\\x07b'", NAME, "Rename",
         named("a\x07b")),
    Case("image with an escape sequence in its name", TRAIN, "images.txt, line 2", "image name '\\x1b[31mred'", NAME,
         "Rename", named("\x1b[31mred")),
    Case("image with right-to-left text marks in its name", TRAIN, "images.txt, line 2", "image name 'a\\u202eb'", NAME,
         "Rename", named("a\u202eb")),
    Case("image name of 300 letters", f"{INFER} images.txt", "images.txt, line 2", "an image name of 300 bytes",
         "at most 200", "a shorter one", picking(named("x" * 300))),
    Case("tomogram path of 5000 letters", TRAIN, "images.txt, line 2", " ... ", "an existing file",
         "Paths are relative", lists("a " + "x" * 5000 + "\n")),
    Case("row with more columns", TRAIN, "coords.txt, line 2", "6 values for 4 columns", "image_name x_coord",
         "Separate columns by tabs", coordinates("1 2 3 4 5")),
]  # fmt: skip

NUMBERS = [
    Case("infinite coordinate", TRAIN, "coords.txt, line 2", "'inf'", "a finite number", "", coordinates("inf 2 3")),
    Case("coordinate beyond all numbers", TRAIN, "coords.txt, line 2", "'1e999'", "a finite number", "",
         coordinates("1e999 2 3")),
    Case("hexadecimal coordinate", TRAIN, "coords.txt, line 2", "'0x10'", "a finite number", "",
         coordinates("0x10 2 3")),
    Case("decimal comma", TRAIN, "coords.txt, line 2", "'1,5'", "with a decimal point", "", coordinates("1,5 2 3")),
    Case("huge coordinate", TRAIN, "coords.txt", "1 of 1 labels of a.mrc lie outside, the first at x, y, z = 1e+300",
         "inside 32 x 32 x 16", "Check the labels", coordinates("1e300 2 3")),
    Case("negative coordinate", TRAIN, "coords.txt", "the first at x, y, z = -5, 2, 3", "inside 32 x 32 x 16",
         "Check the labels", coordinates("-5 2 3")),
    Case("IMOD contour of a billion points", CONVERT_MOD, "a.mod", "announces 1073741824 points where 40 bytes",
         "a complete IMOD model", "Save it again", contour(2**30), frugal=True),
    Case("IMOD contour of less than no points", CONVERT_MOD, "a.mod", "announces -1 points", "a complete IMOD model",
         "Save it again", contour(-1), frugal=True),
    Case("IMOD model cut inside its header", CONVERT_MOD, "a.mod", "ends inside the model header",
         "a complete IMOD model", "Save it again", imod(lambda data: data[:100])),
    Case("IMOD model cut inside an object", CONVERT_MOD, "a.mod", "announces 1 objects where 60 bytes",
         "a complete IMOD model", "Save it again", imod(lambda data: data[:300])),
    Case("JSON of a hundred thousand brackets", "milopyp convert a.json b.csv --from copick", "a.json",
         "is no JSON (maximum recursion depth", "a JSON object", "", text("a.json", "[" * 100_000)),
    Case("JSON number of 5000 digits", "milopyp convert a.json b.csv --from copick", "a.json", "is no JSON (Exceeds",
         "a JSON object", "",
         text("a.json", '{"points": [{"location": {"x": 1' + "0" * 5000 + ', "y": 2, "z": 3}}]}')),
    Case("NaN in JSON", "milopyp convert a.json b.csv --from copick", "a.json, point 0, location x", "NaN",
         "a finite number", "", text("a.json", '{"points": [{"location": {"x": NaN, "y": 2, "z": 3}}]}')),
    Case("STAR number of 4000 digits", "milopyp convert a.star b.csv --from warp", "a.star, line 6, rlnCoordinateZ",
         "999 ... 999", "a finite number", "",
         text("a.star", f"data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n1 2 {'9' * 4000}\n")),
    Case("infinity in a Dynamo table", "milopyp convert a.tbl b.csv", "a.tbl, line 1", "'inf'", "a finite number", "",
         text("a.tbl", "0 " * 23 + "inf 0 0\n")),
]  # fmt: skip

PLACES = [
    Case("output folder that is a link to itself", f"{INFER} a.mrc", "picks/records", "cannot be written", "a writable",
         "Choose another", both(VOLUME, lambda folder: (folder / "picks").symlink_to("picks"))),
    Case("output folder that is the tomogram", "milopyp-infer a.mrc --model toy.onnx --threads 1 --out a.mrc",
         "a.mrc/records", "cannot be written", "a writable folder", "Choose another", VOLUME),
    Case("file in the place of the records", f"{INFER} a.mrc", "picks/records", "cannot be written",
         "a writable folder", "Choose another", both(VOLUME, text("picks/records", "mine"))),
    Case("file in the place of the experiments", TRAIN, "exp/semi/default", "cannot be written", "a writable folder",
         "Choose another", both(lists(), text("exp", "mine"))),
    Case("folder in the place of the options", TRAIN, "exp/semi/default/opt.txt", "cannot be written (Is a directory)",
         "a writable folder", "Choose another",
         both(lists(), lambda folder: (folder / "exp/semi/default/opt.txt").mkdir(parents=True))),
    Case("report below a file", "milopyp report picks -o a.mrc/x.html", "a.mrc", "cannot be written",
         "a writable folder", "Choose another", both(VOLUME, picked("a.mrc"))),
    Case("converted below a file", "milopyp convert a.csv x/b.txt --order xyz --coords voxel", "x", "cannot be written",
         "a writable folder", "Choose another", both(text("a.csv", "x,y,z,score\n1,2,3,0.5\n"), text("x", "mine"))),
]  # fmt: skip

RECORDS = [
    Case("record of a tomogram outside", "milopyp report picks", "../../../etc/passwd", "no such file",
         "the tomogram that a was picked in", "--tomograms", recorded(input={"path": "../../../etc/passwd"})),
    Case("record that says another name", "milopyp threshold picks --value 0.5", "picks/records/a.json", RECORD,
         "what milopyp-infer wrote", "Run milopyp-infer again", recorded(name="../../a")),
    Case("record without a number of picks", "milopyp report picks", "picks/records/a.json", RECORD,
         "what milopyp-infer wrote", "Run milopyp-infer again", recorded(picks=None)),
    Case("record with a word for the diameter", "milopyp report picks", "picks/records/a.json", RECORD,
         "what milopyp-infer wrote", "Run milopyp-infer again", recorded(diameter="wide")),
    Case("record without a frame", "milopyp threshold picks --value 0.5", "picks/records/a.json", RECORD,
         "what milopyp-infer wrote", "Run milopyp-infer again", recorded(frame=None)),
    Case("record with a frame of two axes", "milopyp report picks", "picks/records/a.json", RECORD,
         "what milopyp-infer wrote", "Run milopyp-infer again",
         recorded(frame={"order": "xyz", "stored_shape": [16, 32]})),
]  # fmt: skip

CASES = [*HEADERS, *NAMES, *NUMBERS, *PLACES, *RECORDS]
