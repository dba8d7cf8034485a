"""Rows of the bad-input table: several classes of particles, in labels, options and runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from click import BadParameter

from bad_input.builders import (
    COORDINATES,
    EVALUATE,
    INFER,
    PREPARE,
    TRAIN,
    Build,
    Case,
    both,
    density_map,
    lists,
    nothing,
    picked,
    picking,
    text,
    volume,
    wide,
)
from bad_input.expected import FROM_INFER, RUN
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.formats.mod import PointObject, write_objects
from milopyp_shared.particles import WORDS
from toys import TOY_OF_TWO

LEARN = "milopyp learn images.txt coords.txt -o m.onnx --threads 1 --bbox"
TWO = f"{LEARN} big=10,small=8"
TRAIN_TWO = TRAIN.replace("--bbox 10", "--bbox big=10,small=8")
VALIDATED = f"{TRAIN_TWO} --val-img-txt images.txt --val-coord-txt v.txt"
HEAD = "\t".join([*COORDINATES.split(), "class"]) + "\n"
NAMES = f"names of {WORDS}, which differ by more than case"
OF_EACH = "a diameter for each class of the labels: --bbox big=VOXELS,small=VOXELS"
WHERE = "NAME=ENDING (_ribo.mod), NAME=FILE, NAME=FILE#CLASS, or NAME=#OBJECT of the models"
FOUND = "one of ribosome, proteasome, as toy.onnx finds them"
THEIRS = "one of them: picks/x, picks/y"
OF_TRUTH = "a coordinate list with a column class: x, y"
OF_LABELS = "those of the labels: big, small"
OWN = f"{PREPARE} --labels b=_b.txt"


def rows(name: str, *lines: str) -> Build:
    """A coordinate list with a column of classes."""
    return text(name, HEAD + "".join("\t".join(line.split()) + "\n" for line in lines))


def labelled(*lines: str) -> Build:
    """Lists with a column of classes, and the tomogram."""
    return both(lists(), rows("coords.txt", *(lines or ("a 10 12 8 big", "a 20 20 8 small"))))


def several(names: str = '["x", "y"]') -> Build:
    """The folder of runs of these classes."""
    return text("picks/classes.json", f'{{"classes": {names}}}')


def two(folder: Path) -> None:
    """A model of two classes, and a tomogram."""
    volume("a.mrc")(folder)
    shutil.copy(TOY_OF_TWO, folder / "toy.onnx")


ALL_PICKS = EVALUATE.replace("picks", "all.tsv")
OF_BOTH = "a coordinate list with a column 'class': PICKS are of ribosome, proteasome"
TABLE = text("all.csv", "tomogram,x,y,z,class\na,1,2,3,big\na,9,9,9,small\nb,5,5,5,big\n")


def models_of_two(folder: Path) -> None:
    """Models of two tomograms; the second one lacks an object that the first one has."""
    both(lists(), rows("all.tsv", "a 1 2 3 ribosome", "b 9 9 9 proteasome"))(folder)
    (folder / "models").mkdir()
    for name, kinds in (("a", ("ribosome", "proteasome")), ("b", ("ribosome",))):
        objects = [PointObject([[1.0, 2.0, 3.0]], [1.0], 5.0, kind) for kind in kinds]
        write_objects(folder / "models" / f"{name}.mod", objects, size_xyz=(32, 32, 16))


LISTED = rows("all.tsv", "a 1 2 3 ribosome", "a 9 9 9 proteasome")
JUDGED_TWO = both(
    lists(), several('["ribosome", "proteasome"]'),
    *(text(f"picks/{kind}/a.candidates.csv", "x,y,z,score\n1,2,3,0.5\n") for kind in ("ribosome", "proteasome")),
)  # fmt: skip


def run_of_both(folder: Path) -> None:
    """A run of the classes x and y over the tomogram ``a``."""
    both(volume("a.mrc"), several())(folder)
    for kind in ("x", "y"):
        picked("a.mrc")(folder / kind)
        shutil.move(folder / kind / "picks", folder / "picks" / kind)


def renamed(folder: Path) -> None:
    """Let the class y have another tomogram."""
    record = folder / "picks/y/records/a.json"
    record.with_name("b.json").write_text(record.read_text().replace('"a"', '"b"'))
    record.unlink()


FILES = both(volume("data/a.rec"), text("data/a_b.txt", "5 5 5\n"), text("data/a_s.txt", "9 9 9\n"))
ONE = picking(volume("a.mrc"))

CASES = [
    Case("models of classes, one of which lacks an object",
         "milopyp evaluate models --truth all.tsv --radius 5 --order xyz --shape 32 32 16", InputError, "models/b.mod",
         "one of 1 ribosome", models_of_two,
         facts=("no object proteasome", "an empty object of this name")),
    Case("classes that differ in case", f"{LEARN} big=10,Big=8", InputError, "coords.txt", NAMES,
         labelled("a 10 12 8 big", "a 20 20 8 Big"), facts=("'big'", "'Big'")),
    Case("class outside the folder", TWO, InputError, "coords.txt", NAMES,
         labelled("a 10 12 8 ../x", "a 20 20 8 small"), facts=("'../x'",)),
    Case("class called none", TWO, InputError, "coords.txt", NAMES, labelled("a 10 12 8 big", "a 20 20 8 none"),
         facts=("'none'",)),
    Case("class without a diameter", f"{LEARN} big=10", UsageError, "--bbox", OF_EACH, labelled(), facts=("small",)),
    Case("one diameter for two classes", f"{LEARN} 10", UsageError, "--bbox", OF_EACH, labelled()),
    Case("diameter of a class without labels", f"{TWO},tiny=5", UsageError, "--bbox", OF_EACH, labelled(),
         facts=("tiny",)),
    Case("diameters of classes where labels have none", TWO, UsageError, "--bbox",
         "one, since the labels have no column 'class'", lists(), facts=("2 classes", "--labels ribosome=FOLDER")),
    Case("two diameters of one class", f"{LEARN} big=10,big=8", BadParameter, "--bbox", build=labelled(),
         facts=("'big=10,big=8'",)),
    Case("diameter without a class among others", f"{LEARN} big=10,8", BadParameter, "--bbox", build=labelled(),
         facts=("'big=10,8'",)),
    *(
        Case(f"class without a label, {name}", line, InputError, "coords.txt", "at least one labelled tomogram",
             labelled("a 10 12 8 big", "a none none none small"), facts=("small",))
        for name, line in (("learned", TWO), ("trained", TRAIN_TWO))
    ),
    Case("training a class without a diameter", TRAIN.replace("--bbox 10", "--bbox big=10"), UsageError, "--bbox",
         OF_EACH, labelled(), facts=("small",)),
    Case("validation of another class", VALIDATED, InputError, "v.txt", OF_LABELS,
         both(labelled(), rows("v.txt", "a 10 12 8 other")), facts=("'other'",)),
    Case("published method for two classes", f"{TRAIN_TWO} --preset published", UsageError, "--preset",
         "pretrained or scratch", both(wide("a 10 12 8\n"), rows("coords.txt", "a 40 40 8 big", "a 20 20 8 small")),
         facts=("2",)),
    Case("diameters of classes beside a template",
         "milopyp learn images.txt --template map.mrc --bbox a=10,b=8 -o m.onnx", UsageError, "--bbox", "one diameter",
         both(lists(), density_map()), facts=("2 classes",)),
    *(
        Case(f"rejected places of an unknown class, {name}", f"{line} --rejected r.txt", InputError, "r.txt", OF_LABELS,
             both(labelled(), rows("r.txt", "a 10 12 8 other")), facts=("'other'",))
        for name, line in (("learned", TWO), ("trained", TRAIN_TWO))
    ),
    Case("rejected places of a class where labels have none", f"{LEARN} 10 --rejected r.txt", InputError, "r.txt",
         "those of the labels: none, since they have no column 'class'",
         both(lists(), rows("r.txt", "a 10 12 8 other")), facts=("'other'",)),
    *(
        Case(f"labels {name}", f"{PREPARE} --labels {word}", UsageError, "--labels", WHERE, FILES, facts=(f"'{word}'",))
        for name, word in (("without a place", "big"), ("at an empty place", "big="), ("of no object", "big=#"))
    ),
    Case("labels of one class twice", f"{OWN} --labels b=_s.txt --bbox 10", UsageError, "--labels", "each once", FILES),
    Case("labels of classes beside picks", f"{OWN} --labels s=_s.txt --picks x.star", UsageError, "--labels",
         "it alone", FILES, facts=("--picks",)),
    Case("labels of classes, only to pick", f"{OWN} --labels s=_s.txt --inference", UsageError, "--labels",
         "one of them: --inference lists no labels", FILES),
    Case("labels of a class outside the folder", f"{OWN} --labels a/b=_s.txt", InputError, "--labels", NAMES, FILES,
         facts=("'a/b'",)),
    Case("labels of a class without a diameter", f"{OWN} --labels s=_s.txt --bbox b=10", UsageError, "--bbox",
         "a diameter for each class of the labels: --bbox b=VOXELS,s=VOXELS", FILES),
    Case("diameters of classes without their labels", f"{PREPARE} --bbox b=10,s=8", UsageError, "--bbox",
         "one diameter", both(volume("data/a.rec"), text("data/a.txt", "5 5 5\n")), facts=("2 classes",)),
    *(
        Case(f"{option} of a class that the model has not", f"{INFER} a.mrc {option} other={value}", UsageError,
             option, FOUND, two, facts=("other",))
        for option, value in (("--out-thresh", 0.5), ("--K", 5), ("--margin", 50))
    ),
    Case("class of a model but for its letters", f"{INFER} a.mrc --K Ribosome=5", UsageError, "--K", FOUND, two,
         facts=("Only the case differs: 'Ribosome' and 'ribosome'.",)),
    Case("threshold of a class for a model of one", f"{INFER} a.mrc --out-thresh other=0.5", UsageError, "--out-thresh",
         "a value without a class, as toy.onnx finds them", ONE, facts=("other",)),
    Case("two thresholds of one class", f"{INFER} a.mrc --out-thresh ribosome=0.5,ribosome=0.4", UsageError,
         "--out-thresh", "one score, or one for each class: ribosome=0.3", two),
    Case("two limits of one class", f"{INFER} a.mrc --K ribosome=5,ribosome=4", BadParameter, "--K", build=two,
         facts=("'ribosome=5,ribosome=4'",)),
    Case("classes for themselves by a model of one", f"{INFER} a.mrc --no-exclusive", UsageError, "--no-exclusive",
         "a model of several classes", ONE),
    Case("published decoding of two classes", f"{INFER} a.mrc --published", UsageError, "--published",
         "a model of one; toy.onnx finds ribosome, proteasome", two),
    Case("classes into runs of others", f"{INFER} a.mrc", ContradictionError, "picks",
         "ribosome, proteasome, or nothing", both(two, several()), facts=("x, y",)),
    Case("classes into a run of one", f"{INFER} a.mrc", ContradictionError, "picks",
         "ribosome, proteasome, or nothing", both(two, picked("a.mrc"))),
    Case("one class into runs of several", f"{INFER} a.mrc", ContradictionError, "picks",
         "a run of one class, or nothing", both(ONE, several()), facts=("x, y",)),
    Case("cut list of classes", f"{INFER} a.mrc", InputError, "picks/classes.json", FROM_INFER,
         both(two, text("picks/classes.json", '{"classes": '))),
    Case("classes outside the folder of runs", "milopyp collect picks --to list -o out", InputError,
         "picks/classes.json", NAMES, several('["..", "y"]'), facts=("'..'",)),
    Case("list of classes that is no object", "milopyp report picks", InputError, "picks/classes.json", "object",
         text("picks/classes.json", '["x"]')),
    *(
        Case(f"{name} of runs of several classes", line, InputError, "picks", THEIRS, both(lists(), several()))
        for name, line in (
            ("evaluation, beside others,", EVALUATE.replace("picks", "picks other")),
            ("evaluation by one class", f"{EVALUATE} --class x"),
            ("threshold", "milopyp threshold picks --value 0.5"),
        )
    ),
    Case("evaluation of runs of different classes", EVALUATE.replace("picks", "picks/ribosome picks/proteasome"),
         UsageError, "PICKS", "runs of one class, or the folder of all classes alone", JUDGED_TWO,
         facts=("ribosome, proteasome",)),
    Case("classes in the head of a list with commas", "milopyp apply picks all.tsv", InputError, "all.tsv", NAMES,
         both(run_of_both, text("all.tsv", f"# classes: x, y\n{HEAD}a\t1\t2\t3\tx\n")), facts=("'x, y'",)),
    Case("report of a class without a run", "milopyp report picks", InputError, "picks/x", RUN, several()),
    Case("report of classes without a tomogram in common", "milopyp report picks", InputError, "picks",
         "a run of milopyp-infer", both(run_of_both, renamed)),
    Case("report of classes with a truth of none", "milopyp report picks --truth coords.txt", InputError, "coords.txt",
         OF_TRUTH, both(run_of_both, text("coords.txt", f"{COORDINATES}a 1 2 3\n"))),
    Case("report of classes with a truth of others", "milopyp report picks --truth coords.txt", InputError,
         "coords.txt", OF_TRUTH, both(run_of_both, rows("coords.txt", "a 1 2 3 big")), facts=("no class big",)),
    Case("report of classes with one of the truth", "milopyp report picks --truth coords.txt --class x", UsageError,
         "--class", "none: each class has its own of a list", both(run_of_both, rows("coords.txt", "a 1 2 3 x"))),
    Case("edits of other classes", "milopyp apply picks e.tsv", InputError, "e.tsv", "a column class with x, y",
         both(run_of_both, rows("e.tsv", "a 1 2 3 x", "a 9 9 9 z")), facts=("picks of z",)),
    Case("edits whose head names another class", "milopyp apply picks e.tsv", InputError, "e.tsv",
         "a column class with x, y", both(run_of_both, text("e.tsv", f"# classes:\tx\tz\n{HEAD}a\t1\t2\t3\tx\n")),
         facts=("picks of z",)),
    Case("edits without classes, of several", "milopyp apply picks e.tsv", InputError, "e.tsv",
         "a column class with x, y", both(run_of_both, text("e.tsv", f"{COORDINATES}a 1 2 3\n"))),
    Case("edits of one class outside the tomogram", "milopyp apply picks e.tsv", ContradictionError, "e.tsv, a",
         "positions inside 32 x 32 x 16 voxels (order xyz)",
         both(run_of_both, rows("e.tsv", "a 1 2 3 x", "a 90 9 9 y"))),
    Case("nothing to undo in any class", "milopyp apply picks --undo", InputError, "picks",
         "a run that milopyp apply has changed", run_of_both),
    Case("summary of a class that is damaged", "milopyp show picks", InputError, "picks/y/run.json", FROM_INFER,
         both(run_of_both, text("picks/y/run.json", "{"))),
    Case("truth without classes for runs of several", EVALUATE, InputError, "coords.txt", OF_BOTH, JUDGED_TWO,
         facts=("Or judge one by itself: picks/ribosome",)),
    Case("truth without classes for a list of several", ALL_PICKS, InputError, "coords.txt", OF_BOTH,
         both(text("coords.txt", f"{COORDINATES}a 1 2 3\n"), LISTED)),
    Case("truth of several classes that is a star file", f"{ALL_PICKS} --from relion4", InputError, "coords.txt",
         OF_BOTH, both(text("coords.txt", "data_\n"), LISTED)),
    Case("truth of other classes than the picks", ALL_PICKS, InputError, "coords.txt",
         "those of a class that was picked: ribosome, proteasome", both(labelled(), LISTED),
         facts=("particles of big, small",)),
    Case("truth whose classes have other letters than the picks", ALL_PICKS, InputError, "coords.txt",
         "those of a class that was picked: ribosome, proteasome", both(labelled("a 1 2 3 Ribosome"), LISTED),
         facts=("Only the case differs: 'Ribosome' and 'ribosome'. Rename",)),
    *(
        Case(f"class but for its letters, for {name}", line, error, where, expected, both(files, labelled()),
             facts=("Only the case differs: 'Big' and 'big'.",))
        for name, line, error, where, expected, files in (
            ("convert", "milopyp convert coords.txt b.csv --from list --name a --class Big", InputError, "coords.txt",
             "one of big, small", nothing),
            ("labels of one class", f"{PREPARE} --labels Big=coords.txt", InputError, "coords.txt", "one of big, small",
             volume("data/a.rec")),
            ("diameters", f"{LEARN} Big=10,small=8", UsageError, "--bbox", OF_EACH, nothing),
            ("rejected places", f"{TWO} --rejected r.txt", InputError, "r.txt", OF_LABELS,
             rows("r.txt", "a 10 12 8 Big")),
        )
    ),
    Case("truth that is not there, for classes", ALL_PICKS, InputError, "coords.txt", "positions of particles", LISTED),
    *(
        Case(f"{option[2:]} of a class that there is not", f"{ALL_PICKS} {option} other=5", UsageError, option,
             "one of ribosome, proteasome, big, small", both(labelled(), LISTED), facts=("class other",))
        for option in ("--radius", "--distance")
    ),
    Case("radius of a class but for its letters", ALL_PICKS.replace("--radius 5", "--radius Ribosome=5"),
         UsageError, "--radius", "one of ribosome, proteasome, big, small", both(labelled(), LISTED),
         facts=("Only the case differs: 'Ribosome' and 'ribosome'.",)),
    Case("radius of a class for picks that name none", "milopyp evaluate a.csv --truth coords.txt --radius big=5",
         UsageError, "--radius", "a length without a class: PICKS name none",
         both(text("a.csv", "x,y,z,score\n1,2,3,0.5\n"), lists())),
    Case("no radius of one class of a list", ALL_PICKS.replace("--radius 5", "--radius ribosome=5"), UsageError,
         "--radius", "a number, or proteasome=NUMBER and so on for each class: "
         "all.tsv is no run with particles of one size, to take half of it",
         both(rows("coords.txt", "a 1 2 3 ribosome", "a 9 9 9 proteasome"), LISTED)),
    *(
        Case(f"coordinate list of several classes for {name}", line, InputError, where, "those of one",
             both(files, labelled("a 10 12 8 big", "a 20 20 8 small")),
             facts=("2 classes: big, small", "--class of milopyp convert"))
        for name, line, where, files in (
            ("a run without a class", "milopyp evaluate picks --truth coords.txt --radius 5", "coords.txt",
             text("picks/a.candidates.csv", "x,y,z,score\n1,2,3,0.5\n")),
            ("one of several programs", "milopyp evaluate a.csv coords.txt --truth coords.txt --radius 5", "coords.txt",
             text("a.csv", "x,y,z,score\n1,2,3,0.5\n")),
            ("convert", "milopyp convert coords.txt b.csv --from list --name a", "coords.txt", nothing),
            ("prepare", f"{PREPARE} --picks coords.txt", "coords.txt", volume("data/a.rec")),
            ("the page of a run", "milopyp report picks --truth coords.txt", "coords.txt", picked("a.mrc")),
            ("edits of a run", "milopyp apply picks coords.txt", "coords.txt", picked("a.mrc")),
            ("a template", "milopyp learn images.txt coords.txt --template map.mrc -o m.onnx", "coords.txt",
             density_map()),
            ("a simulated training", f"{TRAIN} --template map.mrc --exp-id x", "coords.txt", density_map()),
        )
    ),
    *(
        Case(f"table of several classes for {name}", line, InputError, "all.csv", "those of one",
             both(files, TABLE), facts=("2 classes: big, small", "--class of milopyp convert"))
        for name, line, files in (
            ("convert", "milopyp convert all.csv b.tsv", nothing),
            ("prepare", f"{PREPARE} --picks all.csv", volume("data/a.rec")),
            ("a run without a class", "milopyp evaluate picks --truth all.csv --radius 5",
             text("picks/a.candidates.csv", "x,y,z,score\n1,2,3,0.5\n")),
        )
    ),
    *(
        Case(f"table for {name}, which takes lists", line, InputError, "all.csv, line 1",
             "the header 'image_name x_coord y_coord z_coord'", both(files, TABLE),
             facts=("milopyp prepare makes them of labels, milopyp collect --to list of picks",))
        for name, line, files in (
            ("a training", LEARN.replace("coords.txt", "all.csv") + " big=10,small=8", lists()),
            ("edits", "milopyp apply picks all.csv", picked("a.mrc")),
        )
    ),
    Case("table of several tomograms for one", "milopyp convert all.csv b.csv --class big", UsageError, "all.csv",
         "those of one", TABLE, facts=("2 tomograms", "--name of milopyp convert", "OUT be a folder")),
    Case("class of a table that it has not", "milopyp convert all.csv b.tsv --class other", InputError, "all.csv",
         "one of big, small", TABLE, facts=("'other'",)),
    Case("class of a table without classes", "milopyp convert a.csv b.tsv --class big", InputError, "a.csv",
         "one, to take those of class 'big'", text("a.csv", "x,y,z\n1,2,3\n")),
    Case("classes of a table that differ in case", "milopyp convert a.csv b.tsv", InputError, "a.csv", NAMES,
         text("a.csv", "x,y,z,class\n1,2,3,big\n1,2,3,Big\n")),
    Case("name of a tomogram in a table", "milopyp convert a.csv b.tsv", InputError, "a.csv, line 3",
         "a name without '/', '..' and control characters, because results are named after it",
         text("a.csv", "tomogram,x,y,z\na,1,2,3\n../b,1,2,3\n"), facts=("'../b'",)),
    *(
        Case(f"class of a list that it has not, for {name}", line, InputError, "coords.txt",
             "one of big, small", both(files, labelled()), facts=("'other'",))
        for name, line, files in (
            ("convert", "milopyp convert coords.txt b.csv --from list --name a --class other", nothing),
            ("evaluate", "milopyp evaluate a.csv --truth coords.txt --radius 5 --class other",
             text("a.csv", "x,y,z,score\n1,2,3,0.5\n")),
            ("prepare", f"{PREPARE} --picks coords.txt --class other", volume("data/a.rec")),
            ("labels of one class", f"{PREPARE} --labels other=coords.txt", volume("data/a.rec")),
            ("report", "milopyp report picks --truth coords.txt --class other", picked("a.mrc")),
        )
    ),
    Case("class of a list without classes", "milopyp convert coords.txt b.csv --from list --class big", InputError,
         "coords.txt", "one, to take those of class 'big'", lists()),
    Case("validation without classes", VALIDATED, InputError, "v.txt", OF_LABELS,
         both(labelled(), text("v.txt", f"{COORDINATES}a 10 12 8\n")), facts=("no column 'class'",)),
    Case("names for classes that have their own", "milopyp collect picks -o out --to list --class-names a,b",
         UsageError, "--class-names", "runs of one class with names, or runs of several", several()),
]  # fmt: skip
