"""Rows of the bad-input table: ``milopyp prepare`` and ``milopyp evaluate``."""

from __future__ import annotations

import struct

from bad_input.builders import (
    COORDINATES,
    EVALUATE,
    PREPARE,
    Case,
    both,
    candidates,
    edited,
    mod_outside,
    text,
    volume,
)

CASES = [
    Case("no folder to prepare", PREPARE, "data", "is no folder", "a folder with tomograms"),
    Case("no tomograms to prepare", PREPARE, "data", "no file ends in .rec", "tomograms", "Give --ext",
         volume("data/a.mrc")),
    Case(
        "tomograms without picks", PREPARE, "data", "no tomogram has picks", "tomo_coord.txt, tomo.txt, tomo.mod",
        "Give --inference", volume("data/a.rec"), also="warning: a.rec has no picks (a_coord.txt, a.txt, a.mod)",
    ),
    Case(
        "picks in columns of another order", PREPARE, "data/a.txt", "2 of 2 labels of a.rec lie outside",
        "coordinates inside 32 x 32 x 16 voxels (order xyz)",
        "All of them fit when the columns are read as x z y or",
        both(volume("data/a.rec"), text("data/a.txt", "10.5 15.5 20\n12.5 3.5 30\n")),
    ),
    Case("picks outside in every order", PREPARE, "data/a.txt", "1 of 1 labels of a.rec lie outside", "", "binning",
         both(volume("data/a.rec"), text("data/a.txt", "10.5 100.5 4\n"))),
    Case("model drawn on the other order", PREPARE, "data/a.mod", "1 of 1 labels of a.rec lie outside", "",
         "All of them fit when the columns are read as x z y or", mod_outside),
    Case("text as a model of IMOD", PREPARE, "data/a.mod", "begins with b'object 1'", "a binary IMOD model",
         "Save it with 3dmod", both(volume("data/a.rec"), text("data/a.mod", "object 1 contour 1\n1 2 3\n"))),
    Case("model with a signalling NaN", PREPARE, "data/a.mod", "holds points that are not finite numbers", "",
         "Save it again", both(mod_outside, edited("data/a.mod", lambda data: data.replace(
             struct.pack(">f", 25.0), b"\x7f\x80\x00\x01")))),
    Case("words among picks", PREPARE, "data/a.txt, line 2", "'x'", "a finite number", "",
         both(volume("data/a.rec"), text("data/a.txt", "1 2 3\nx y z\n"))),
    Case("picks with a score", PREPARE, "data/a.txt, line 1", "4 columns", "3 numbers", "Is the last column a score?",
         both(volume("data/a.rec"), text("data/a.txt", "1 2 3 0.5\n"))),
    Case("lists outside the folder", f"{PREPARE[:-3]} ../run", "--out", "'../run'", "without '/'", "",
         both(volume("data/a.rec"), text("data/a.txt", "1 2 3\n"))),
    Case("folder that is no run", EVALUATE, "picks", "no *.candidates.csv in it", "a folder written by", "",
         both(text("picks/a.txt", "1 2 3\n"), text("coords.txt", COORDINATES + "a 1 2 3\n"))),
    Case("run that is not there", EVALUATE, "picks", "no such file or folder", "a run folder or NAME.candidates.csv"),
    Case("truth of other tomograms", EVALUATE, "coords.txt", "no tomogram of picks (a) is in the list",
         "the same names in both", "",
         both(candidates("x,y,z,score\n1,2,3,0.5\n"), text("coords.txt", COORDINATES + "b 1 2 3\n"))),
    Case("candidates without their header", EVALUATE, "picks/a.candidates.csv", "has no line 'x,y,z,score'",
         "a table written by milopyp-infer", "", candidates("1,2,3,0.5\n")),
    Case("candidates with a short line", EVALUATE, "picks/a.candidates.csv, line 3", "3 columns", "x,y,z,score", "",
         candidates("x,y,z,score\n1,2,3,0.5\n1,2,3\n")),
    Case("radius that is no number", f"{EVALUATE} --radius nan", "--radius", "not a finite number", usage=True,
         build=candidates("x,y,z,score\n")),
    Case("distance that is no number", f"{EVALUATE} --distance nan", "--distance", "not a finite number", usage=True,
         build=candidates("x,y,z,score\n")),
    Case("phantom without room", "milopyp phantom --out p --size 32,64,64 --diameter 18 --particles 90", "",
         "of 115 particles and distractors", "room for all without overlap", "Ask for fewer"),
    Case("phantom larger than memory", "milopyp phantom --out p --size 90000,90000,90000 --particles 0", "",
         "not enough memory", "", "Use smaller", code=3),
    Case("phantom of two sizes", "milopyp phantom --out p --size 32,64", "--size", "not three whole numbers",
         usage=True),
    Case("unknown command", "milopyp prepair", "", "No such command 'prepair'", usage=True),
]  # fmt: skip
