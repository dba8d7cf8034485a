"""Rows of the bad-input table for ``milopyp convert``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click import BadParameter

from bad_input.builders import Build, Case, both, text, tomograms, volume
from bad_input.expected import (
    DYNAMO,
    FOR_FORMAT,
    IMAGE_NAME,
    JSON,
    NUMBER,
    RELION,
    SAME_NAMES,
    STAR_NAMES,
    TEXT,
    WITH_CLASSES,
    WRITTEN,
    XYZ_NAMED,
)
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.formats.mod import write_mod

CONVERT = "milopyp convert"
CSV = "x,y,z,score\n10,12,8,0.5\n20,3,4,0.25\n"
CENTRED = "_rlnTomoName\n_rlnCenteredCoordinateXAngst\n_rlnCenteredCoordinateYAngst\n_rlnCenteredCoordinateZAngst\n"
STAR = f"data_particles\nloop_\n{CENTRED}TS_01 0 0 0\nTS_02 1 1 1\n"
VOXELS = "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n1 2 3\n"
TWO = "0 " * 35 + "\n" + "0 " * 19 + "1 " + "0 " * 15 + "\n"  # a Dynamo table of tomograms 0 and 1
CLASSES = json.dumps(
    {"boxes_3d": [[1, 2, 3, "tm", 1, 0], [1, 2, 3, "tm", 1, 1]], "class_list": {"0": {"name": "ribosome"}}}
)
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
    Case("STAR without format", line("a.csv b.star"), UsageError, "b.star", "--to with one of relion4, relion5, warp",
         csv()),
    Case("STAR to read without format", line("a.star b.csv"), UsageError, "a.star", RELION, text("a.star", "data_\n")),
    Case("JSON to read without format", line("a.json b.csv"), UsageError, "a.json", "--from with one of copick, eman",
         text("a.json", "{}")),
    Case("suffix of no format", line("a.csv b.xyz"), UsageError, "b.xyz",
         "--to with one of txt, mod, csv, list, relion4, relion5, warp, tbl, copick, ndjson", csv(), facts=("'.xyz'",)),
    Case("writing EMAN2", line("a.csv b.json --to eman"), UsageError, "--to", WRITTEN, csv()),
    Case("2D boxes", line("a.box b.csv"), InputError, "a.box",
         "3D positions: a .box holds corners of boxes in a micrograph, without z", box),
    Case("unknown format to convert from", line("a.csv b.csv --from relion6"), BadParameter, "--from", build=csv(),
         facts=("'relion6'",)),
]  # fmt: skip

UNKNOWN = [
    Case("points of napari without order", line("a.csv b.tbl"), UsageError, "a.csv", FOR_FORMAT,
         csv("index,axis-0,axis-1,axis-2\n0,1,2,3\n"), facts=("--tomogram FILE", "--order")),
    Case("text without order", line("a.txt b.csv --coords voxel"), UsageError, "a.txt", FOR_FORMAT,
         text("a.txt", "1 2 3\n"), facts=("--tomogram FILE", "--order")),
    Case("text without zero", line("a.txt b.csv --order xyz"), UsageError, "a.txt", FOR_FORMAT,
         text("a.txt", "1 2 3\n"), facts=("--coords model2point",)),
    Case("model without size", line("a.csv b.mod --order xyz"), UsageError, "b.mod", FOR_FORMAT, csv(),
         facts=("--tomogram FILE", "--shape")),
    Case("model without order", line("a.mod b.csv"), UsageError, "a.mod", FOR_FORMAT, model, facts=("--order",)),
    Case("RELION 5 without size", line("a.csv b.star --to relion5 --voxel-size 10"), UsageError, "b.star", FOR_FORMAT,
         csv(), facts=("--shape",)),
    Case("RELION 5 without voxel size", line("a.csv b.star --to relion5 --tomogram a.mrc"), UsageError, "b.star",
         FOR_FORMAT, both(csv(), volume("a.mrc")), facts=("--voxel-size",)),
    Case("copick without voxel size", line("a.csv b.json"), UsageError, "b.json", FOR_FORMAT, csv(),
         facts=("--voxel-size",)),
    Case("turning a tomogram of unknown size", line("a.csv b.tbl --turn rotx"), UsageError, "b.tbl", FOR_FORMAT, csv(),
         facts=("--tomogram FILE", "--shape")),
    Case("normalised coordinates a little outside", line("a.star b.csv --from warp --shape 32 32 16"), InputError,
         "a.star", "voxels, or all of them in 0..1, the parts of a tomogram that WarpTools writes",
         text("a.star", "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n.2 .3 .4\n.9 1.002 .5\n"),
         facts=("0.2 to 1.002",)),
    Case("normalised coordinates without a size", line("a.star b.csv --from warp"), UsageError, "a.star", FOR_FORMAT,
         text("a.star", VOXELS.replace("1 2 3", "0.1 0.2 0.3")), facts=("--tomogram FILE", "--shape")),
    Case("radius in Angstrom without a voxel size", line("a.csv b.mod --order xyz --shape 32 32 16 --radius 50A"),
         UsageError, "--radius", "--voxel-size, or --tomogram that says it", csv()),
    Case("radius that is no length", line("a.csv b.mod --radius fifty"), BadParameter, "--radius", build=csv(),
         facts=("'fifty'",)),
    Case("auto order without a size", line("a.csv b.tbl --order auto"), UsageError, "--order",
         "--tomogram or --shape to tell the order from", csv()),
    Case("auto order of a cube", line("a.csv b.tbl --order auto --shape 9 9 9"), ContradictionError, "--shape",
         "an axis clearly thinner than both others", csv(), facts=("--order",)),
    Case("several tomograms in a STAR file", line(f"a.star b.csv --from relion5 {SIZE}"), UsageError, "a.star",
         "those of one", text("a.star", STAR), facts=("2 tomograms", "TS_01, TS_02", "--name")),
    Case("several tomograms in a Dynamo table", line("a.tbl b.csv"), UsageError, "a.tbl",
         "those of one, or a.doc beside it: lines of a number and a tomogram's name", text("a.tbl", TWO),
         facts=("2 tomograms", "0, 1", "--dynamo-tomogram")),
    Case("several tomograms in a Dynamo table with a map", line("a.tbl b.csv"), UsageError, "a.tbl", "those of one",
         both(text("a.tbl", TWO), text("a.doc", "0 TS_01\n1 TS_02\n")), facts=("TS_01, TS_02", "--name")),
]  # fmt: skip

LISTED = text("e.tsv", "image_name x_coord y_coord z_coord score\na 10 12 8 0.5\nb 40 3 4 1\n")

SEVERAL = [
    Case("several tomograms into a model", line(f"e.tsv b.mod {SIZE} --order xyz"), UsageError, "e.tsv",
         "those of one", LISTED, facts=("2 tomograms", "--name", "a folder")),
    Case("several tomograms of a pattern into a model", line("e.tsv c.mod --tomogram '*.mrc'"), UsageError, "c.mod",
         "a folder, or a file of list, relion4, relion5, warp",
         both(LISTED, volume("a.mrc"), volume("b.mrc", np.zeros((16, 32, 48), np.float32))), facts=("--name",)),
    Case("a name that leads out of the folder", line("e.star out --to csv"), InputError, "e.star",
         "a name without '/', '..' and control characters, because results are named after it",
         text("e.star", "data_particles\n\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"
                        "a 1 2 3\n../b 1 2 3\n"), facts=("'../b'", "--tomogram")),
    Case("a list in a folder without sizes", line("e.tsv out --to relion5"), UsageError, "out", FOR_FORMAT, LISTED,
         facts=("--tomogram FILE",)),
    Case("several tomograms of one name in the file", line("e.tsv out.tsv --names series"), InputError, "out.tsv",
         "one name for one tomogram", text("e.tsv", "image_name\tx_coord\ty_coord\tz_coord\n"
                                           "TS_1_bin4\t5\t5\t5\nTS_1_bin8\t6\t6\t6\n"),
         facts=("TS_1_bin4", "TS_1_bin8", "called TS_1", "--names")),
    Case("one of several tomograms outside", line("e.tsv out --to csv --tomogram '*.mrc'"), ContradictionError,
         "e.tsv, b", "positions inside 32 x 32 x 16 voxels (order xyz)",
         both(LISTED, volume("a.mrc"), volume("b.mrc")), facts=("1 of 1 pick", "40.0, 3.0, 4.0")),
    Case("a file of the folder that exists", line("e.tsv out --to csv"), UsageError, "out/b.csv", "a name that is free",
         both(LISTED, csv(), text("out/b.csv", CSV)), facts=("--overwrite",)),
    Case("list of none of the tomograms", line("e.tsv out --to csv --tomogram c.mrc --tomogram d.mrc"), InputError,
         "e.tsv", SAME_NAMES, both(LISTED, volume("c.mrc"), volume("d.mrc")), facts=("a, b",)),
    Case("name that the tomograms have not", line("e.tsv a.csv --name c --tomogram '?.mrc'"), InputError, "--tomogram",
         SAME_NAMES, both(LISTED, volume("a.mrc"), volume("b.mrc"))),
    Case("several tomograms for a file of one", line("a.txt b.mod --tomogram a.mrc --tomogram b.mrc"), UsageError,
         "--tomogram", "the one that a.txt has the picks of",
         both(text("a.txt", "1 2 3\n"), volume("a.mrc"), volume("b.mrc"))),
    Case("several tomograms for a table without names", line("c.csv b.tsv --tomogram a.mrc --tomogram b.mrc"),
         InputError, "c.csv", "a file called like one of a, b",
         both(text("c.csv", CSV), volume("a.mrc"), volume("b.mrc")), facts=("which tomogram it belongs to",)),
    Case("list with a score that is none", line("e.tsv b.csv"), InputError, "e.tsv, line 2", NUMBER,
         text("e.tsv", "image_name x_coord y_coord z_coord score\na 1 2 3 high\n")),
    Case("list of another header", line("e.tsv b.csv"), InputError, "e.tsv, line 1",
         "the header 'image_name x_coord y_coord z_coord'", text("e.tsv", "x y z\n1 2 3\n")),
]  # fmt: skip

CONTRADICTIONS = [
    Case("class of a format without", line("a.txt b.csv --class 1 --coords voxel --order xyz"), UsageError, "--class",
         WITH_CLASSES, text("a.txt", "1 2 3\n"), facts=("a.txt",)),
    Case("class that a Dynamo table has not", line("a.tbl b.csv --class 1"), InputError, "a.tbl", "one of 0 (1)",
         text("a.tbl", "0 " * 35 + "\n"), facts=("no class 1",)),
    Case("class of a Dynamo table without numbers of classes", line("a.tbl b.csv --class 1"), InputError, "a.tbl",
         "the class of each particle, to take those of one", text("a.tbl", "0 " * 21 + "NaN " + "0 " * 13 + "\n"),
         facts=("has no number in column 22",)),
    Case("binning of a format without", line("a.csv b.txt --binning 2"), UsageError, "--binning",
         "one of relion4, warp, tbl, ndjson", csv()),
    Case("shape of another tomogram", line("a.csv b.mod --tomogram a.mrc --shape 32 32 17"), ContradictionError,
         "a.mrc", "32 32 16, the size of the file", both(csv(), volume("a.mrc")), facts=("--shape 32 32 17",)),
    Case("picks outside the tomogram", line("a.csv b.mod --tomogram a.mrc"), ContradictionError, "a.csv",
         "positions inside 32 x 32 x 16 voxels (order xyz)", both(csv(CSV.replace("10,", "40,")), volume("a.mrc")),
         facts=("1 of 2 picks", "40.0, 12.0, 8.0", "--order")),
    Case("name that is none", line("a.csv b.star --to warp --name a/b"), InputError, "--name", IMAGE_NAME, csv(),
         facts=("'a/b'",)),
    Case("names in a format without", line("a.csv b.tbl --names series"), UsageError, "--names",
         "one of list, relion4, relion5, warp, copick", csv()),
    Case("list of tomograms for a format without names", line("a.csv b.txt --tomograms t.star"), UsageError,
         "--tomograms", "one of list, relion4, relion5, warp, copick", csv()),
    Case("list without the tomogram", line("a.csv b.star --to warp --tomograms t.star"), InputError, "t.star",
         "all tomograms, under the same names but for what programs add", both(csv(), tomograms("TS_1")),
         facts=("none that is a",)),
    Case("list of tomograms as the output", line("a.csv t.star --to warp --tomograms t.star --overwrite"), UsageError,
         "t.star", "another file to write to", both(csv(), tomograms("a"))),
    Case("name with spaces in a STAR file", line('a.csv b.star --to relion4 --name "a b"'), InputError, "b.star",
         STAR_NAMES, csv(),
         facts=("'a b'", "--name")),
]  # fmt: skip

CONTENT = [
    Case("picks that are not there", line("a.csv b.txt --order xyz --coords voxel"), InputError, "a.csv", TEXT),
    Case("no STAR file", line("a.star b.csv --from warp"), InputError, "a.star, line 1",
         "a STAR file: data_NAME, loop_, labels, rows of values", text("a.star", "1 2 3\n")),
    Case("binary STAR file", line("a.star b.csv --from warp"), InputError, "a.star", TEXT, text("a.star", b"\0\1\2")),
    Case("STAR of another program", line("a.star b.csv --from warp"), InputError, "a.star",
         "a STAR file with particles", text("a.star", STAR), facts=("--from relion5",)),
    Case("STAR row cut short", line("a.star b.csv --from warp"), InputError, "a.star, line 7",
         "one value for each label of the table", text("a.star", VOXELS + "4 5\n"), facts=("2 values", "3 labels")),
    Case("STAR with a word for a number", line("a.star b.csv --from relion4"), InputError,
         "a.star, line 7, rlnCoordinateY", NUMBER, text("a.star", VOXELS + "4 ? 6\n"), facts=("'?'",)),
    Case("tomogram that a STAR file has not", line(f"a.star b.csv --from relion5 --name TS_03 {SIZE}"), InputError,
         "a.star", SAME_NAMES, text("a.star", STAR), facts=("has picks of TS_01, TS_02", "TS_03")),
    Case("Dynamo table with few columns", line("a.tbl b.csv"), InputError, "a.tbl, line 1",
         DYNAMO, text("a.tbl", "1 2 3\n"), facts=("3 columns", "--from")),
    Case("Dynamo table without positions", line("a.tbl b.csv"), InputError, "a.tbl, line 1",
         DYNAMO, text("a.tbl", "0," * 24 + "0\n"), facts=("25 columns", "crop.tbl")),
    Case("Dynamo table with NaN for a position", line("a.tbl b.csv"), InputError, "a.tbl, line 2, column 24", NUMBER,
         text("a.tbl", "0 " * 35 + "\n" + "0 " * 23 + "NaN 0 0\n"), facts=("'NaN'",)),
    Case("Dynamo table with half a tomogram", line("a.tbl b.csv"), InputError, "a.tbl, line 1, column 20",
         "the number of a tomogram", text("a.tbl", "0 " * 19 + "1.5 " + "0 " * 15 + "\n"), facts=("'1.5'",)),
    Case("map with a number twice", line("a.tbl b.csv"), InputError, "a.doc, line 2",
         "each number and each tomogram once", both(text("a.tbl", TWO), text("a.doc", "0 TS_01\n0 TS_02\n"))),
    Case("map with a tomogram twice", line("a.tbl b.csv"), InputError, "a.doc, line 2",
         "each number and each tomogram once", both(text("a.tbl", TWO), text("a.doc", "0 TS_01\n1 TS_01\n"))),
    Case("map with words for numbers", line("a.tbl b.csv"), InputError, "a.doc, line 1",
         "the number of a tomogram (column 20), and its file", both(text("a.tbl", TWO), text("a.doc", "TS_01 0\n"))),
    Case("map without a line", line("a.tbl b.csv"), InputError, "a.doc", "lines of a number and a tomogram's file",
         both(text("a.tbl", TWO), text("a.doc", ""))),
    Case("map that is no text", line("a.tbl b.csv"), InputError, "a.doc", TEXT,
         both(text("a.tbl", TWO), text("a.doc", b"\xd0\xcf\x11\xe0\0"))),
    Case("map that lacks a number", line("a.tbl b.csv --name TS_01"), InputError, "a.doc",
         "the numbers in column 20 of a.tbl: 0, 1", both(text("a.tbl", TWO), text("a.doc", "0 TS_01\n")),
         facts=("tomogram 1",)),
    Case("map of other tomograms", line("a.tbl b.csv --name TS_03"), InputError, "a.tbl", SAME_NAMES,
         both(text("a.tbl", TWO), text("a.doc", "0 TS_01\n1 TS_02\n")), facts=("TS_01, TS_02", "TS_03")),
    Case("table beside a map that lacks the tomogram", line("a.csv d/b.tbl"), InputError, "d/tomograms.doc",
         "the tomogram of d/b.tbl", both(csv(), text("d/tomograms.doc", "1 TS_01.mrc\n")),
         facts=("does not name a", "--dynamo-tomogram")),
    Case("table beside a map in which two can be the tomogram", line("a.csv d/b.tbl --name TS_01"), InputError,
         "d/tomograms.doc", "one name for one tomogram",
         both(csv(), text("d/tomograms.doc", "1 TS_01_Vol.mrc\n2 rec_TS_01.mrc\n")),
         facts=("TS_01_Vol.mrc, rec_TS_01.mrc", "--dynamo-tomogram")),
    Case("Dynamo table with complex positions", line("a.tbl b.csv"), InputError, "a.tbl, line 1, column 24", NUMBER,
         text("a.tbl", "0 " * 23 + "1+2i 0 0\n"), facts=("'1+2i'",)),
    Case("Dynamo tomogram that is not there", line("a.tbl b.csv --dynamo-tomogram 3"), InputError, "a.tbl",
         "one of its numbers: 0", text("a.tbl", "0 " * 35 + "\n")),
    Case("copick file cut short", line("a.json b.csv --from copick"), InputError, "a.json", JSON,
         text("a.json", '{"points": [')),
    Case("copick file in nanometres", line("a.json b.csv --from copick"), InputError, "a.json", '"angstrom"',
         text("a.json", json.dumps({"unit": "nm", "points": [{"location": {"x": 1, "y": 2, "z": 3}}]})),
         facts=('"nm"',)),
    Case("copick points without coordinates", line("a.json b.csv --from copick"), InputError,
         "a.json, point 0, location z", "a finite number",
         text("a.json", json.dumps({"points": [{"location": {"x": 1, "y": 2}}]}))),
    Case("ndjson with another line", line("a.ndjson b.csv"), InputError, "a.ndjson, line 2", JSON,
         text("a.ndjson", '{"type": "point", "location": {"x": 1, "y": 2, "z": 3}}\n1 2 3\n')),
    Case("CSV without names of columns", line("a.csv b.tbl"), InputError, "a.csv", XYZ_NAMED, csv("1,2,3\n4,5,6\n"),
         facts=("columns 1, 2, 3", "voxels from 0")),
    Case("CSV without a line", line("a.csv b.tbl"), InputError, "a.csv", XYZ_NAMED, csv("")),
    Case("CSV with a column of names", line("a.csv b.tbl"), InputError, "a.csv", XYZ_NAMED,
         csv("name,x,y,z\na,1,2,3\n"), facts=("columns name, x, y, z",)),
    Case("points of napari in a plane", line("a.csv b.tbl --order xyz"), InputError, "a.csv",
         "axis-0, axis-1 and axis-2: a layer of points in three dimensions", csv("index,axis-0,axis-1\n0,1,2\n"),
         facts=("2 axes",)),
    Case("shapes of napari", line("a.csv b.tbl --order xyz"), InputError, "a.csv", "a points layer",
         csv("index,shape-type,vertex-index,axis-0,axis-1,axis-2\n0,path,0,1,2,3\n")),
    Case("CSV with decimal commas between commas", line("a.csv b.tbl"), InputError, "a.csv, line 2",
         "3, as in the first line", csv("x,y,z\n1,5,2,3\n"), facts=("4 cells", "with ; between cells")),
    Case("CSV with two decimal signs", line("a.csv b.tbl"), InputError, "a.csv, line 2",
         "one decimal sign, and none between thousands", csv("x;y;z\n1,5;2.5;3\n")),
    Case("CSV with a word for a number", line("a.csv b.tbl"), InputError, "a.csv, line 3, y", NUMBER,
         csv("x;y;z\n1;2;3\n1;two;3\n"), facts=("'two'",)),
    Case("CSV whose quotes do not end", line("a.csv b.tbl"), InputError, "a.csv", "a table of cells",
         csv('x,y,z\n1,2,"3\n4,5,6\n')),
    Case("CSV with a cell of 200,000 digits", line("a.csv b.tbl"), InputError, "a.csv", "a table of cells",
         csv(f"x,y,z\n1,2,{'3' * 200_000}\n")),
    Case("EMAN2 file with several classes", line("a.json b.csv --from eman"), InputError, "a.json", "those of one",
         text("a.json", CLASSES), facts=("0 ribosome (1), 1 (1)", "--class")),
    Case("class that an EMAN2 file has not", line("a.json b.csv --from eman --class 26S"), InputError, "a.json",
         "one of 0 ribosome (1), 1 (1)", text("a.json", CLASSES), facts=("no class 26S",)),
    Case("class that a STAR file has not", line("a.star b.csv --from warp --class 2"), InputError, "a.star",
         "one of 1 (1)", text("a.star", VOXELS.replace("Z\n1 2 3", "Z\n_rlnClassNumber\n1 2 3 1")),
         facts=("no class 2",)),
    Case("class of a STAR file without", line("a.star b.csv --from warp --class 1"), InputError, "a.star",
         "the class of each particle, to take those of one", text("a.star", VOXELS), facts=("rlnClassNumber",)),
    Case("EMAN2 file without boxes", line("a.json b.csv --from eman"), InputError, "a.json",
         "EMAN2's info file of a tomogram", text("a.json", "{}"), facts=("'boxes_3d'", "--from", "warning: EMAN2")),
    Case("EMAN2 boxes from an unknown centre", line("a.json b.csv --from eman"), UsageError, "a.json", FOR_FORMAT,
         text("a.json", json.dumps({"apix_unbin": 2.5, "boxes_3d": [[1, 2, 3]]})), facts=("--shape",)),
]  # fmt: skip

CASES = [*WHICH, *UNKNOWN, *SEVERAL, *CONTRADICTIONS, *CONTENT]
