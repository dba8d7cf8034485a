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
    lists,
    model_of_one_object,
    picked,
    picking,
    text,
    volume,
)
from bad_input.expected import (
    FOR_FORMAT,
    FROM_INFER,
    IMAGE_NAME,
    INSIDE,
    JSON,
    MODES,
    MRC,
    NUMBER,
    PACKED,
    SAME_SIZE,
    WHOLE_IMOD,
    WRITABLE,
)
from milopyp_shared.errors import ContradictionError, InputError, UsageError

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
        path.write_text(
            json.dumps({key: value for key, value in record.items() if value is not None or key not in changes})
        )

    return both(VOLUME, picked("a.mrc"), build)


def coordinates(row: str) -> Build:
    """A label at these coordinates."""
    return lists(coordinates=f"a {row}\n")


HEADERS = [
    Case("complex int16 voxels", f"{INFER} a.mrc", InputError, "a.mrc", MODES, header(12, "<i", 3), frugal=True),
    Case("4-bit voxels", f"{INFER} a.mrc", InputError, "a.mrc", MODES, header(12, "<i", 101), frugal=True),
    Case("unknown mode", f"{INFER} a.mrc", InputError, "a.mrc", MRC, header(12, "<i", 7), frugal=True),
    Case("negative extended header", f"{INFER} a.mrc", InputError, "a.mrc", MRC, header(92, "<i", -5), frugal=True),
    Case("extended header of a gigabyte", f"{INFER} a.mrc", InputError, "a.mrc", MRC, header(92, "<i", 2**30),
         frugal=True),
    Case("extended header beyond the end", f"{INFER} a.mrc", InputError, "a.mrc",
         "1033792 for the 32 x 32 x 16 voxels its header claims",
         both(header(92, "<i", 10**6), edited("a.mrc", lambda data: data + b"x")), facts=("33793 bytes",), frugal=True),
    Case("voxels half as long along z", f"{INFER} a.mrc", ContradictionError, "a.mrc", SAME_SIZE,
         header(40, "<3f", 320.0, 320.0, 80.0), facts=("10 x 10 x 5 A", "--voxel-size")),
    Case("no voxel size along y", f"{INFER} a.mrc", ContradictionError, "a.mrc", SAME_SIZE,
         header(40, "<3f", 320.0, 0.0, 160.0), facts=("10 x 1 x 10 A", "--voxel-size")),
    Case("voxel size that is no number in a header", f"{INFER} a.mrc --format relion5", UsageError, "picks/a.star",
         FOR_FORMAT, header(40, "<3f", float("nan"), 1, 1), facts=("--voxel-size",)),
    Case("bz2 cut short", f"{INFER} a.mrc.bz2", InputError, "a.mrc.bz2", PACKED,
         packed(bz2, "a.mrc.bz2", lambda data: data[:-200])),
    Case("bz2 with other bytes", f"{INFER} a.mrc.bz2", InputError, "a.mrc.bz2", PACKED,
         packed(bz2, "a.mrc.bz2", lambda data: data[:50] + b"xx" + data[52:])),
    Case("gz with a wrong check sum", f"{INFER} a.mrc.gz", InputError, "a.mrc.gz", PACKED,
         packed(gzip, "a.mrc.gz", lambda data: data[:-8] + b"abcd" + data[-4:])),
    Case("gz of a header that claims a terabyte", f"{INFER} a.mrc.gz", InputError, "a.mrc.gz",
         "2000000001024 for the 20000 x 20000 x 2500 voxels its header claims",
         packed(gzip, "a.mrc.gz", bytes, header(0, "<3i", 20000, 20000, 2500)), facts=("33792 bytes",), frugal=True),
]  # fmt: skip

NAMES = [
    Case("image called ..", TRAIN, InputError, "images.txt, line 2", IMAGE_NAME, named("..")),
    Case("image with an absolute name", TRAIN, InputError, "images.txt, line 2", IMAGE_NAME, named("/etc/x"),
         facts=("'/etc/x'",)),
    Case("image with a backslash in its name", TRAIN, InputError, "images.txt, line 2", IMAGE_NAME, named("a\\b")),
    Case("image with a bell in its name", TRAIN, InputError, "images.txt, line 2", IMAGE_NAME, named("a\x07b"),
         facts=("'a\\x07b'",)),
    Case("image with an escape sequence in its name", TRAIN, InputError, "images.txt, line 2", IMAGE_NAME,
         named("\x1b[31mred"), facts=("'\\x1b[31mred'",)),
    Case("image with right-to-left text marks in its name", TRAIN, InputError, "images.txt, line 2", IMAGE_NAME,
         named("a\u202eb"), facts=("'a\\u202eb'",)),
    Case("image name of 300 letters", f"{INFER} images.txt", InputError, "images.txt, line 2", "at most 200",
         picking(named("x" * 300)), facts=("300 bytes",)),
    Case("tomogram path of 5000 letters", TRAIN, InputError, "images.txt, line 2", "an existing file",
         lists("a " + "x" * 5000 + "\n")),
    Case("row with more columns", TRAIN, InputError, "coords.txt, line 2",
         "values for image_name x_coord y_coord z_coord", coordinates("1 2 3 4 5"), facts=("6 values", "4 columns")),
]  # fmt: skip

NUMBERS = [
    Case("infinite coordinate", TRAIN, InputError, "coords.txt, line 2", NUMBER, coordinates("inf 2 3"),
         facts=("'inf'",)),
    Case("coordinate beyond all numbers", TRAIN, InputError, "coords.txt, line 2", NUMBER, coordinates("1e999 2 3"),
         facts=("'1e999'",)),
    Case("hexadecimal coordinate", TRAIN, InputError, "coords.txt, line 2", NUMBER, coordinates("0x10 2 3"),
         facts=("'0x10'",)),
    Case("decimal comma", TRAIN, InputError, "coords.txt, line 2", NUMBER, coordinates("1,5 2 3"), facts=("'1,5'",)),
    Case("huge coordinate", TRAIN, ContradictionError, "coords.txt", INSIDE, coordinates("1e300 2 3"),
         facts=("1 of 1 label",)),
    Case("negative coordinate", TRAIN, ContradictionError, "coords.txt", INSIDE, coordinates("-5 2 3"),
         facts=("-5, 2, 3",)),
    Case("IMOD contour of a billion points", CONVERT_MOD, InputError, "a.mod", WHOLE_IMOD, contour(2**30),
         facts=("1073741824 points", "40 bytes"), frugal=True),
    Case("IMOD contour of less than no points", CONVERT_MOD, InputError, "a.mod", WHOLE_IMOD, contour(-1),
         facts=("-1 points",), frugal=True),
    Case("IMOD model cut inside its header", CONVERT_MOD, InputError, "a.mod", WHOLE_IMOD,
         imod(lambda data: data[:100])),
    Case("IMOD model cut inside an object", CONVERT_MOD, InputError, "a.mod", WHOLE_IMOD, imod(lambda data: data[:300]),
         facts=("1 object", "60 bytes")),
    Case("JSON of a hundred thousand brackets", "milopyp convert a.json b.csv --from copick", InputError, "a.json",
         JSON, text("a.json", "[" * 100_000)),
    Case("JSON number of 5000 digits", "milopyp convert a.json b.csv --from copick", InputError, "a.json", JSON,
         text("a.json", '{"points": [{"location": {"x": 1' + "0" * 5000 + ', "y": 2, "z": 3}}]}')),
    Case("NaN in JSON", "milopyp convert a.json b.csv --from copick", InputError, "a.json, point 0, location x",
         "a finite number", text("a.json", '{"points": [{"location": {"x": NaN, "y": 2, "z": 3}}]}')),
    Case("STAR number of 4000 digits", "milopyp convert a.star b.csv --from warp", InputError,
         "a.star, line 6, rlnCoordinateZ", NUMBER,
         text("a.star", f"data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n1 2 {'9' * 4000}\n")),
    Case("infinity in a Dynamo table", "milopyp convert a.tbl b.csv", InputError, "a.tbl, line 1, column 24",
         NUMBER, text("a.tbl", "0 " * 23 + "inf 0 0\n"), facts=("'inf'",)),
]  # fmt: skip

PLACES = [
    Case("output folder that is a link to itself", f"{INFER} a.mrc", InputError, "picks/records", WRITABLE,
         both(VOLUME, lambda folder: (folder / "picks").symlink_to("picks"))),
    Case("output folder that is the tomogram", "milopyp-infer a.mrc --model toy.onnx --threads 1 --out a.mrc",
         InputError, "a.mrc/records", WRITABLE, VOLUME),
    Case("file in the place of the records", f"{INFER} a.mrc", InputError, "picks/records", WRITABLE,
         both(VOLUME, text("picks/records", "mine"))),
    Case("file in the place of the experiments", TRAIN, InputError, "exp/semi", WRITABLE,
         both(lists(), text("exp", "mine"))),
    Case("folder in the place of a training's lock", TRAIN, InputError, "exp/semi/.default.lock", WRITABLE,
         both(lists(), lambda folder: (folder / "exp/semi/.default.lock").mkdir(parents=True))),
    Case("folder in the place of the options", TRAIN, InputError, "exp/semi/default/opt.txt", WRITABLE,
         both(lists(), lambda folder: (folder / "exp/semi/default/opt.txt").mkdir(parents=True))),
    Case("tomogram in the place of a log", f"{INFER} a.mrc --log-file a.mrc", InputError, "a.mrc",
         "a new file, or one that --log-file has written", VOLUME),
    Case("folder in the place of a log", f"{INFER} a.mrc --log-file logs", InputError, "logs", WRITABLE,
         both(VOLUME, text("logs/a.log", ""))),
    Case("report below a file", "milopyp report picks -o a.mrc/x.html", InputError, "a.mrc", WRITABLE,
         both(VOLUME, picked("a.mrc"))),
    Case("converted below a file", "milopyp convert a.csv x/b.txt --order xyz --coords voxel", InputError, "x",
         WRITABLE, both(text("a.csv", "x,y,z,score\n1,2,3,0.5\n"), text("x", "mine"))),
]  # fmt: skip

RECORDS = [
    Case("record of a tomogram outside", "milopyp report picks", InputError, "../../../etc/passwd",
         "the tomogram that a was picked in", recorded(input={"path": "../../../etc/passwd"}), facts=("--tomograms",)),
    Case("record that says another name", "milopyp threshold picks --value 0.5", InputError, "picks/records/a.json",
         FROM_INFER, recorded(name="../../a"), facts=("the record is one of '../../a'",)),
    Case("picks that would be the run's own file", "milopyp threshold picks --format copick", InputError, "--format",
         "tomograms of other names", both(volume("run.mrc"), picked("run.mrc", name="run")),
         facts=("run.json", "image_name")),
    Case("record without a number of picks", "milopyp report picks", InputError, "picks/records/a.json", FROM_INFER,
         recorded(picks=None), facts=("the record lacks picks",)),
    Case("record with a word for the diameter", "milopyp report picks", InputError, "picks/records/a.json", FROM_INFER,
         recorded(diameter="wide"), facts=("the record's diameter is 'wide'",)),
    Case("record without a frame", "milopyp threshold picks --value 0.5", InputError, "picks/records/a.json",
         FROM_INFER, recorded(frame=None), facts=("the record lacks frame",)),
    Case("record with a frame of two axes", "milopyp report picks", InputError, "picks/records/a.json", FROM_INFER,
         recorded(frame={"order": "xyz", "stored_shape": [16, 32]}), facts=("frame.stored_shape is [16, 32]",)),
    Case("record with axes in an unknown order", "milopyp report picks", InputError, "picks/records/a.json",
         FROM_INFER, recorded(frame={"order": "xxz", "stored_shape": [16, 32, 32]}), facts=("'xxz'",)),
    Case("record with an endless distance", "milopyp threshold picks --value 0.5", InputError, "picks/records/a.json",
         FROM_INFER, recorded(suppression_distance=float("inf")), facts=("suppression_distance is inf",)),
    Case("record with an option of the future", "milopyp threshold picks --value 0.5", InputError,
         "picks/records/a.json", FROM_INFER, recorded(options={"selection": {"threshold": 0.5, "distance": 6, "z": 1}}),
         facts=("an unknown field options.selection.z",)),
    Case("record with an unknown status", "milopyp threshold picks --value 0.5", InputError, "picks/records/a.json",
         FROM_INFER, recorded(status="begun"), facts=("the record's status is 'begun'",)),
]  # fmt: skip

CASES = [*HEADERS, *NAMES, *NUMBERS, *PLACES, *RECORDS]
