"""Rows of the bad-input table: what ``milopyp evaluate`` is given to judge."""

from __future__ import annotations

from click import BadParameter, MissingParameter

from bad_input.builders import COORDINATES, EVALUATE, Case, both, model_of_one_object, picked, text
from bad_input.expected import FOR_FORMAT, FROM_INFER, JUDGED, RUN, SAME_NAMES, WITH_CLASSES
from milopyp_shared.errors import ContradictionError, InputError, UsageError

PARTICLES = "data_\nloop_\n_rlnTomoName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"
IN_ANGSTROM = "data_\nloop_\n" + "".join(f"_rlnCenteredCoordinate{axis}Angst\n" for axis in "XYZ") + "1 2 3\n"
TABLE = "x,y,z,score\n1,2,3,0.5\n"
LONE = EVALUATE.replace("picks", "a.star")

CASES = [
    Case("folder without picks", EVALUATE, InputError, "picks", "files such as NAME.star",
         both(text("picks/a.md", "1 2 3\n"), text("coords.txt", COORDINATES + "a 1 2 3\n"))),
    Case("folder of texts of unknown zero", EVALUATE, UsageError, "picks/a.txt", FOR_FORMAT,
         both(text("picks/a.txt", "1 2 3\n"), text("coords.txt", COORDINATES + "a 1 2 3\n")), facts=("order",)),
    Case("run that is not there", EVALUATE, InputError, "picks", JUDGED),
    Case("pattern of picks that fits nothing", EVALUATE.replace("picks", "'*.mod'"), InputError, "*.mod",
         "files such as NAME.star"),
    Case("record that is damaged, to evaluate", EVALUATE, InputError, "picks/records/a.json", FROM_INFER,
         both(picked("a.mrc"), text("picks/records/a.json", "{"))),
    Case("run without candidates", EVALUATE, InputError, "picks", RUN, text("picks/run.json", "{}")),
    Case("picks of two tomograms as two programs", EVALUATE.replace("picks", "a.csv b.csv"), InputError, "PICKS",
         "a tomogram that all have picks of: each is the picks of one program",
         both(text("a.csv", TABLE), text("b.csv", TABLE)),
         facts=("a.csv has picks of a", "b.csv has picks of b", "--tomogram")),
    Case("runs without a common tomogram", EVALUATE.replace("picks", "picks other"), InputError, "PICKS",
         "a tomogram that all have picks of: each is the picks of one program",
         both(picked("a.mrc"), text("other/b.candidates.csv", TABLE))),
    Case("the same picks twice", EVALUATE.replace("picks", "picks ./picks"), UsageError, "PICKS", "each once",
         picked("a.mrc")),
    Case("picks of other tomograms than the run's", EVALUATE.replace("picks", "picks a.star"), InputError, "a.star",
         SAME_NAMES, both(picked("a.mrc"), text("a.star", f"{PARTICLES}TS_1 1 2 3\n")), facts=("TS_1", "tomograms a;")),
    Case("picks in Angstrom without the voxel size", f"{LONE} --shape 32 32 16", UsageError, "a.star", FOR_FORMAT,
         text("a.star", IN_ANGSTROM), facts=("voxel size", "--voxel-size")),
    Case("picks from the centre of an unknown size", f"{LONE} --voxel-size 10", UsageError, "a.star", FOR_FORMAT,
         text("a.star", IN_ANGSTROM), facts=("size", "--tomogram FILE", "--shape")),
    Case("model as picks, order unknown", LONE.replace("a.star", "data/a.mod"), UsageError, "data/a.mod", FOR_FORMAT,
         model_of_one_object, facts=("order",)),
    Case("order to be told from nothing", f"{LONE} --order auto", UsageError, "--order",
         "--tomogram or --shape to tell the order from", text("a.star", IN_ANGSTROM)),
    Case("picks of unknown format", LONE, UsageError, "a.star", "--picks-from with one of relion4, relion5, warp",
         text("a.star", "data_\n")),
    Case("picks of one tomogram in two files", EVALUATE.replace("picks", "other"), InputError, "other",
         "one per tomogram", both(text("other/a.csv", TABLE), text("other/a.tbl", "")), facts=("--picks-from",)),
    Case("picks outside their tomogram", EVALUATE.replace("picks", "a.csv --shape 32 32 16"), ContradictionError,
         "a.csv", "positions inside 32 x 32 x 16 voxels (order xyz)", text("a.csv", "x,y,z,score\n40,1,1,1\n")),
    Case("tomogram to evaluate that is text", f"{LONE} --tomogram a.txt --tomogram b.mrc", InputError,
         "a.txt, line 1", "the header 'image_name rec_path'",
         both(text("a.star", IN_ANGSTROM), text("a.txt", "1 2 3\n"))),
    Case("tomogram beside a run", f"{EVALUATE} --tomogram a.mrc --order xyz", UsageError, "--tomogram, --order",
         "nothing: the records of picks say all that is known of its tomograms", picked("a.mrc")),
    Case("format of picks that are all runs", f"{EVALUATE} --picks-from mod --picks-binning 2", UsageError,
         "--picks-from, --picks-binning", "nothing: all PICKS are runs", picked("a.mrc")),
    Case("class of picks without classes", f"{LONE.replace('a.star', 'a.ndjson')} --picks-class 2", UsageError,
         "--picks-class", WITH_CLASSES, text("a.ndjson", "{}\n"), facts=("a.ndjson",)),
    Case("class that the picks have not", f"{LONE} --picks-class 2 --picks-from relion4", InputError, "a.star",
         "one of 1 (1)", text("a.star", f"{PARTICLES}_rlnClassNumber\na 1 2 3 1\n"), facts=("no class 2",)),
    Case("binning that is none", f"{EVALUATE} --picks-binning 0", BadParameter, "--picks-binning",
         build=picked("a.mrc")),
    Case("radius in Angstrom of picks without a voxel size", LONE.replace("a.star", "a.csv") + " --radius 50A",
         UsageError, "--radius", "--voxel-size, or --tomogram that says it", text("a.csv", TABLE)),
    Case("no radius of another program's picks", LONE.replace("a.star", "a.csv").replace("--radius 5", ""), UsageError,
         "--radius", "a number: a.csv is no run with particles of one size, to take half of it", text("a.csv", TABLE)),
    Case("figures over the picks", f"{LONE.replace('a.star', 'a.csv')} --json a.csv", UsageError, "a.csv",
         "another file to write to", both(text("a.csv", TABLE), text("coords.txt", COORDINATES + "a 1 2 3\n"))),
    Case("no picks to evaluate", "milopyp evaluate --truth coords.txt", MissingParameter, "PICKS"),
]  # fmt: skip
