"""Rows of the bad-input table for ``milopyp convert``."""

from __future__ import annotations

import json
from pathlib import Path

from bad_input.builders import Build, Case, both, text, volume
from milopyp_shared.formats.mod import write_mod

CONVERT = "milopyp convert"
CSV = "x,y,z,score\n10,12,8,0.5\n20,3,4,0.25\n"
CENTRED = "_rlnTomoName\n_rlnCenteredCoordinateXAngst\n_rlnCenteredCoordinateYAngst\n_rlnCenteredCoordinateZAngst\n"
STAR = f"data_particles\nloop_\n{CENTRED}TS_01 0 0 0\nTS_02 1 1 1\n"
VOXELS = "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n1 2 3\n"
SIZE = "--shape 32 32 16 --voxel-size 10"


def csv(content: str = CSV) -> Build:
    """``a.csv``, two candidates."""
    return text("a.csv", content)


def box(folder: Path) -> None:
    """2D boxes of EMAN2."""
    text("a.box", "10 20 64 64\n")(folder)


def model(folder: Path) -> None:
    """A model without scores."""
    write_mod(folder / "a.mod", [[1, 2, 3]], radius=2, size_xyz=(32, 32, 16))


def line(words: str) -> str:
    """A command line of convert."""
    return f"{CONVERT} {words}"


WHICH = [
    Case("STAR without format", line("a.csv b.star"), "b.star", ".star can be relion4 or relion5 or warp",
         "--to with one of relion4, relion5, warp", build=csv()),
    Case("STAR to read without format", line("a.star b.csv"), "a.star", ".star can be",
         "--from with one of relion4, relion5, warp", build=text("a.star", STAR)),
    Case("JSON to read without format", line("a.json b.csv"), "a.json", ".json can be copick or eman",
         "--from with one of copick, eman", build=text("a.json", "{}")),
    Case("suffix of no format", line("a.csv b.xyz"), "b.xyz", "'.xyz' says no format", "--to with one of txt, mod",
         build=csv()),
    Case("writing EMAN2", line("a.csv b.json --to eman"), "--to", "eman is only read", "one of txt", build=csv()),
    Case("2D boxes", line("a.box b.csv"), "a.box", "is a list of 2D boxes", "without z", "Save the picks", build=box),
    Case("unknown format to convert from", line("a.csv b.csv --from relion6"), "'--from'", "'relion6'", build=csv(),
         usage=True),
]  # fmt: skip

UNKNOWN = [
    Case("text without order", line("a.txt b.csv --coords voxel"), "a.txt", "the order", "it to be",
         "Give --tomogram FILE or --order", build=text("a.txt", "1 2 3\n")),
    Case("text without zero", line("a.txt b.csv --order xyz"), "a.txt", "the meaning of its numbers", "it to be",
         "--coords model2point", build=text("a.txt", "1 2 3\n")),
    Case("model without size", line("a.csv b.mod --order xyz"), "b.mod", "the size of the tomogram", "it to be",
         "Give --tomogram FILE or --shape", build=csv()),
    Case("model without order", line("a.mod b.csv"), "a.mod", "the order of the tomogram", "", "--order", build=model),
    Case("RELION 5 without size", line("a.csv b.star --to relion5 --voxel-size 10"), "b.star", "the size", "it to be",
         "--shape", build=csv()),
    Case("RELION 5 without voxel size", line("a.csv b.star --to relion5 --tomogram a.mrc"), "b.star",
         "the voxel size of the tomogram", "it to be", "Give --voxel-size", build=both(csv(), volume("a.mrc"))),
    Case("copick without voxel size", line("a.csv b.json"), "b.json", "the voxel size", "", "--voxel-size",
         build=csv()),
    Case("auto order without a size", line("a.csv b.tbl --order auto"), "--order", "auto", "--tomogram or --shape",
         build=csv()),
    Case("auto order of a cube", line("a.csv b.tbl --order auto --shape 9 9 9"), "--shape",
         "the thickness cannot be told", "clearly thinner", "Give --order", build=csv()),
    Case("several tomograms in a STAR file", line(f"a.star b.csv --from relion5 {SIZE}"), "a.star",
         "particles of 2 tomograms", "--name", "It has TS_01, TS_02", build=text("a.star", STAR)),
    Case("several tomograms in a Dynamo table", line("a.tbl b.csv"), "a.tbl", "particles of 2 tomograms",
         "--dynamo-tomogram", "It has 0, 1",
         build=text("a.tbl", "0 " * 35 + "\n" + "0 " * 19 + "1 " + "0 " * 15 + "\n")),
]  # fmt: skip

CONTRADICTIONS = [
    Case("binning of a format without", line("a.csv b.txt --binning 2"), "--binning", "changes nothing",
         "one of relion4, warp, tbl, ndjson", "Leave it out", build=csv()),
    Case("shape of another tomogram", line("a.csv b.mod --tomogram a.mrc --shape 32 32 17"), "a.mrc",
         "--shape 32 32 17", "32 32 16", "Leave out --shape", build=both(csv(), volume("a.mrc"))),
    Case("picks outside the tomogram", line("a.csv b.mod --tomogram a.mrc"), "a.csv",
         "1 of 2 picks lie outside the tomogram, the first at x, y, z = 40.0, 12.0, 8.0",
         "positions inside 32 x 32 x 16 voxels (order xyz)", "Check --order",
         build=both(csv(CSV.replace("10,", "40,")), volume("a.mrc"))),
    Case("name that is none", line("a.csv b.star --to warp --name a/b"), "--name", "'a/b'", "a name", build=csv()),
    Case("name with spaces in a STAR file", line('a.csv b.star --to relion4 --name "a b"'), "b.star", "'a b'",
         "a name without spaces", "Give --name", build=csv()),
]  # fmt: skip

CONTENT = [
    Case("picks that are not there", line("a.csv b.txt --order xyz --coords voxel"), "a.csv", "cannot be read",
         "a text file", "Check its name"),
    Case("no picks", line("a.csv b.star --to warp"), "a.csv", "holds no picks", "at least one", "Check the file",
         build=csv("x,y,z,score\n")),
    Case("no STAR file", line("a.star b.csv --from warp"), "a.star, line 1", "before the first block", "a STAR file",
         build=text("a.star", "1 2 3\n")),
    Case("binary STAR file", line("a.star b.csv --from warp"), "a.star", "is not UTF-8 text", "a text file",
         build=text("a.star", b"\0\1\2")),
    Case("STAR of another program", line("a.star b.csv --from warp"), "a.star", "has no table with rlnCoordinateX",
         "particles", "give --from relion5", build=text("a.star", STAR)),
    Case("STAR row cut short", line("a.star b.csv --from warp"), "a.star, line 7", "2 values for 3 labels",
         "one value for each", "damaged", build=text("a.star", VOXELS + "4 5\n")),
    Case("STAR with a word for a number", line("a.star b.csv --from relion4"), "a.star, line 7, rlnCoordinateY", "'?'",
         "a finite number", build=text("a.star", VOXELS + "4 ? 6\n")),
    Case("tomogram that a STAR file has not", line(f"a.star b.csv --from relion5 --name TS_03 {SIZE}"), "a.star",
         "0 tomograms are called TS_03", "one", "It has TS_01", build=text("a.star", STAR)),
    Case("Dynamo table with few columns", line("a.tbl b.csv"), "a.tbl, line 1", "3 columns", "at least 26",
         "--from", build=text("a.tbl", "1 2 3\n")),
    Case("Dynamo table with complex positions", line("a.tbl b.csv"), "a.tbl, line 1", "'1+2i'", "a finite number",
         build=text("a.tbl", "0 " * 23 + "1+2i 0 0\n")),
    Case("Dynamo tomogram that is not there", line("a.tbl b.csv --dynamo-tomogram 3"), "a.tbl", "no tomogram 3",
         "its numbers: 0", build=text("a.tbl", "0 " * 35 + "\n")),
    Case("copick file cut short", line("a.json b.csv --from copick"), "a.json", "is no JSON", "a JSON object",
         build=text("a.json", '{"points": [')),
    Case("copick file in nanometres", line("a.json b.csv --from copick"), "a.json", 'unit "nm"', '"angstrom"',
         build=text("a.json", json.dumps({"unit": "nm", "points": [{"location": {"x": 1, "y": 2, "z": 3}}]}))),
    Case("copick points without coordinates", line("a.json b.csv --from copick"), "a.json, point 0, location z",
         "null", "a finite number", build=text("a.json", json.dumps({"points": [{"location": {"x": 1, "y": 2}}]}))),
    Case("ndjson with another line", line("a.ndjson b.csv"), "a.ndjson, line 2", "is no JSON", "a JSON object",
         build=text("a.ndjson", '{"type": "point", "location": {"x": 1, "y": 2, "z": 3}}\n1 2 3\n')),
    Case("EMAN2 file without boxes", line("a.json b.csv --from eman"), "a.json", "has no 'boxes_3d'", "EMAN2's info",
         "Check --from", build=text("a.json", "{}"), also="warning: EMAN2's coordinates"),
    Case("EMAN2 boxes from an unknown centre", line("a.json b.csv --from eman"), "a.json", "the size of the tomogram",
         "it to be", "--shape", build=text("a.json", json.dumps({"apix_unbin": 2.5, "boxes_3d": [[1, 2, 3]]}))),
]  # fmt: skip

CASES = [*WHICH, *UNKNOWN, *CONTRADICTIONS, *CONTENT]
