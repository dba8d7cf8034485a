"""Rows of the bad-input table for ``milopyp collect``."""

from __future__ import annotations

import shutil
from pathlib import Path

from click import BadParameter, MissingParameter

from bad_input.builders import Build, Case, both, edited, picked, text, tomograms, void
from bad_input.expected import FOR_FORMAT, FROM_INFER, IMAGE_NAME, RUN, STAR_NAMES
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.formats.mod import write_mod

COLLECT = "milopyp collect picks -o out"
LABELS = "_rlnTomoName\n_rlnTomoSizeX\n_rlnTomoSizeY\n_rlnTomoSizeZ\n_rlnTomoTiltSeriesPixelSize\n"
PUBLISHED = b'{"limit": 900, "nms": 3, "cutoff_z": 10, "fibre": null}'
NAMED = "all tomograms, under the same names but for what programs add"


def line(words: str) -> str:
    """A command line of collect."""
    return f"{COLLECT} {words}"


def sizes(row: str) -> Build:
    """The run, and RELION's list with one row."""
    return both(picked("a.mrc"), text("t.star", f"data_global\nloop_\n{LABELS}{row}\n"))


def run_twice(*more: Build) -> Build:
    """The run, changed by `more`, and a copy of it as it was."""
    return both(picked("a.mrc"), lambda folder: void(shutil.copytree(folder / "picks", folder / "b")), *more)


def renamed(new: str) -> Build:
    """The first of two runs, whose tomogram has another name in files."""
    said = f'"name": "a", "tomo_name": "{new}"'.encode()
    return edited("picks/records/a.json", lambda data: data.replace(b'"name": "a"', said))


def model(folder: Path) -> None:
    """The run's picks as a model."""
    write_mod(folder / "picks/a.mod", [[1, 2, 3]], radius=2, size_xyz=(32, 32, 16))


def taken(folder: Path) -> None:
    """A person's file where one is to be written."""
    text("out/particles.tsv", "mine\n")(folder)


CASES = [
    Case("collecting nothing", "milopyp collect --to list -o out", MissingParameter, "RUN...", build=picked("a.mrc")),
    Case("collecting for no program", line("--to eman"), BadParameter, "--to", build=picked("a.mrc"),
         facts=("'eman'",)),
    Case("collecting a folder that is not there", line("--to list"), InputError, "picks", RUN),
    Case("collecting what is no run", line("--to list"), InputError, "picks", RUN, text("picks/a.mod", "x")),
    Case("collecting a damaged record", line("--to list"), InputError, "picks/records/a.json", FROM_INFER,
         both(picked("a.mrc"), text("picks/records/a.json", "{"))),
    Case("collecting a run without picks", line("--to list"), InputError, "picks", "a run with picks",
         both(picked("a.mrc"), text("picks/a.candidates.csv", "x,y,z,score\n")), facts=("1 tomogram",)),
    Case("collecting picks of the published program that are gone", line("--to list"), InputError, "picks",
         "the picks of every tomogram", both(picked("a.mrc"), edited("picks/records/a.json", lambda data: data.replace(
             b'"published": null', b'"published": ' + PUBLISHED))), facts=("a.mod",)),
    Case("collecting two runs of the same tomogram", f"{line('--to list')} b", UsageError, "RUN",
         "every tomogram once, or other particles in each run, which --class-names names", run_twice(),
         facts=("a is in picks and in b",)),
    Case("collecting a run twice as one class", f"{line('--to list --class-names x,x')} b", UsageError, "RUN",
         "every tomogram once, or other particles in each run, which --class-names names", run_twice()),
    Case("fewer classes than runs", f"{line('--to list --class-names x')} b", UsageError, "--class-names",
         "one for each run, in their order", run_twice(), facts=("1 name for 2 runs",)),
    Case("an empty name of a class", line("--to list --class-names ,x"), UsageError, "--class-names",
         "names with commas between them", picked("a.mrc")),
    Case("a class that copick cannot name", line("--to copick --class-names my_ribosome"), InputError,
         "--class-names", "names without spaces and _, which copick's files cannot hold", picked("a.mrc"),
         facts=("my_ribosome",)),
    Case("collecting one tomogram under two names", f"{line('--to list --class-names x,y')} b", InputError, "RUN",
         "one name for one tomogram", run_twice(renamed("rec_a")), facts=("rec_a of picks", "a of b", "--tomograms")),
    Case("collecting one tomogram of two sizes", f"{line('--to list --class-names x,y')} b", ContradictionError, "RUN",
         "the same tomogram in all runs", run_twice(edited("picks/records/a.json", lambda data: data.replace(
             b"[16, 32, 32]", b"[16, 32, 64]"))), facts=("64 x 32 x 16", "32 x 32 x 16")),
    Case("collecting beside a list of other sizes", line("--to relion5 --tomograms t.star"), ContradictionError,
         "t.star", "the figures of the files within 5% (a)", sizes("a 256 128 64 2.5"),
         facts=("64 x 32 x 16", "32 x 32 x 16")),
    Case("collecting beside a list of other tomograms", line("--to relion5 --tomograms t.star"), InputError, "t.star",
         NAMED, both(picked("a.mrc"), tomograms("TS_1"))),
    Case("collecting beside a damaged list", line("--to relion5 --tomograms t.star"), InputError, "t.star, line 8",
         "one value for each label of the table", sizes("a 128 128")),
    Case("collecting beside a list with a size that is no number", line("--to relion5 --tomograms t.star"), InputError,
         "t.star, line 8, rlnTomoSizeX", "a finite number with a decimal point", sizes("a many 128 64 2.5")),
    Case("collecting beside a list that is not there", line("--to relion5 --tomograms t.star"), InputError, "t.star",
         "RELION's tomograms.star, or a folder of .tomostar, .aln or .edf files", picked("a.mrc")),
    Case("collecting beside a pixel size of etomo that is no number", line("--to relion5 --tomograms imod"), InputError,
         "imod/a.edf, line 1", "a finite number with a decimal point",
         both(picked("a.mrc"), text("imod/a.edf", "Setup.PixelSize=small\n"))),
    Case("collecting beside a folder with a tilt series twice", line("--to relion5 --tomograms imod"), InputError,
         "imod/a.edf", "a folder that has every tilt series once",
         both(picked("a.mrc"), text("imod/a.edf", ""), text("imod/a/a.edf", ""))),
    Case("collecting beside names and a list", line("--to relion5 --tomograms t.star --names series"), UsageError,
         "--names", "one of them: both say the names", both(picked("a.mrc"), tomograms("a"))),
    Case("collecting names for a STAR file that it cannot hold", line("--to warp"), InputError, "RUN", STAR_NAMES,
         both(picked("a.mrc"), renamed("a b")), facts=("a b",)),
    Case("collecting names that climb", line("--to list"), InputError, "RUN", IMAGE_NAME,
         both(picked("a.mrc"), renamed("../a"))),
    Case("names for Dynamo", line("--to dynamo --names series"), UsageError, "--names",
         "another program: the map of Dynamo's table has the tomograms' paths", picked("a.mrc")),
    Case("binning for RELION 5", line("--to relion5 --binning 4"), UsageError, "--binning",
         "--to with one of relion4, warp, dynamo", picked("a.mrc")),
    Case("collecting for RELION 5 without a voxel size", line("--to relion5"), UsageError, "out", FOR_FORMAT,
         both(picked("a.mrc"), edited("picks/records/a.json", lambda data: data.replace(
             b'"voxel_size": 10.0', b'"voxel_size": null'))), facts=("--voxel-size",)),
    Case("turning picks of the published program", line("--to list --turn rotx"), UsageError, "--turn",
         "a run without it", both(picked("a.mrc"), edited(
             "picks/records/a.json", lambda data: data.replace(b'"published": null', b'"published": ' + PUBLISHED)),
             model)),
    Case("collecting over a person's file", line("--to list"), UsageError, "out/particles.tsv", "a name that is free",
         both(picked("a.mrc"), taken), facts=("--overwrite",)),
    Case("collecting into a file", line("--to list"), InputError, "out", "a writable folder",
         both(picked("a.mrc"), text("out", "mine\n"))),
    Case("collecting into the run", "milopyp collect picks --to list -o picks", UsageError, "picks",
         "a folder for the files alone", picked("a.mrc")),
    Case("collecting for RELION into a folder with a space", "milopyp collect picks --to relion5 -o 'my out'",
         InputError, "my out", "a path without spaces, quotes and #", picked("a.mrc")),
]  # fmt: skip
