"""Rows of the bad-input table: every kind of file that is read, replaced by what it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bad_input.builders import (
    EVALUATE,
    INFER,
    TRAIN,
    Build,
    Case,
    both,
    candidates,
    lists,
    picked,
    picking,
    published,
    volume,
)

NOISE = np.random.default_rng(1).bytes(3000)
WRONG: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(NOISE),
    "zeros": lambda path: path.write_bytes(bytes(3000)),
    "UTF-16": lambda path: path.write_bytes("image_name\trec_path\na\ta.mrc\n".encode("utf-16")),
    "Latin-1": lambda path: path.write_bytes("image_name\trec_path\nä\tä.mrc\n".encode("latin-1")),
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
FOLDER, LINK = "is a folder", "is a link that leads nowhere"
OPENED = {"a folder": "cannot be read (Is a directory)", "a link to itself": "cannot be read (Too many levels"}


def nothing(folder: Path) -> None:
    """Nothing else is needed."""


@dataclass(frozen=True)
class Kind:
    """A file that a command reads: its name, the command, what else is there, and what is said of it.

    `expected` is how the words after "expected" begin, as far as that is the same in all cases; `otherwise` holds what
    is said in single cases; a case with None is no mistake for this kind of file.
    """

    name: str
    line: str
    expected: str
    found: str
    otherwise: dict[str, str | None] = field(default_factory=dict)
    build: Build = nothing
    also: str = ""


TEXT = "is not UTF-8 text"
LIST = {"empty": "is empty", "a folder": FOLDER, "a link to itself": LINK}
KINDS = {
    "tomogram": Kind(
        "a.mrc", f"{INFER} a.mrc", "", "no MRC header",
        {"empty": "ends after 0 bytes", "UTF-16": "ends after 58 bytes", "Latin-1": "ends after", "a folder": FOLDER,
         "a link to itself": LINK}, picking(),
    ),
    "mask": Kind(
        "m.mrc", f"{INFER} a.mrc --mask m.mrc", "", "no MRC header",
        {"empty": "ends after 0 bytes", "UTF-16": "ends after 58 bytes", "Latin-1": "ends after",
         "a folder": "no mask of a", "a link to itself": "no such file or folder"}, picking(volume("a.mrc")),
    ),
    "image list": Kind("images.txt", TRAIN, "", TEXT, LIST, lists()),
    "image list to pick": Kind("list.txt", f"{INFER} list.txt", "", TEXT, LIST, picking(volume("a.mrc"))),
    "coordinate list": Kind("coords.txt", TRAIN, "", TEXT, LIST, lists()),
    "model": Kind(
        "toy.onnx", f"{INFER} a.mrc", "a", "onnxruntime cannot read it",
        {"a folder": FOLDER, "a link to itself": LINK}, volume("a.mrc"),
    ),
    "checkpoint": Kind(
        "model.pth", "milopyp-export model.pth", "", "cannot be read as a checkpoint",
        {"a folder": FOLDER, "a link to itself": LINK},
    ),
    "weights to begin with": Kind(
        "w.pth", f"{TRAIN} --load-model w.pth", "", "cannot be read as a checkpoint",
        {"a folder": FOLDER, "a link to itself": LINK}, lists(),
    ),
    "IMOD model": Kind(
        "a.mod", "milopyp convert a.mod b.csv --order xyz --shape 32 32 16", "a", "begins with b'", OPENED
    ),
    "STAR file": Kind(
        "a.star", "milopyp convert a.star b.csv --from warp", "a", TEXT, OPENED | {"empty": "holds no block"}
    ),
    "Dynamo table": Kind("a.tbl", "milopyp convert a.tbl b.csv", "a", TEXT, OPENED | {"empty": "holds no particles"}),
    "copick file": Kind(
        "a.json", "milopyp convert a.json b.csv --from copick", "a", TEXT, OPENED | {"empty": "is no JSON"}
    ),
    "EMAN2 file": Kind(
        "a.json", "milopyp convert a.json b.csv --from eman --shape 32 32 16", "a", TEXT,
        OPENED | {"empty": "is no JSON"}, also="warning: EMAN2's coordinates",
    ),
    "ndjson": Kind("a.ndjson", "milopyp convert a.ndjson b.csv", "", TEXT, OPENED | {"empty": "holds no points"}),
    "text of picks": Kind(
        "a.txt", "milopyp convert a.txt b.csv --order xyz --coords voxel", "", TEXT,
        OPENED | {"empty": "holds no points"},
    ),
    "table of candidates": Kind(
        "picks/a.candidates.csv", EVALUATE, "a", TEXT, OPENED | {"empty": "has no line 'x,y,z,score'"},
        candidates("x,y,z,score\n10,10,8,0.9\n"),
    ),
    "truth": Kind(
        "coords.txt", EVALUATE, "", TEXT,
        {"empty": "is empty", "a folder": "no file of a", "a link to itself": "no such file or folder"},
        candidates("x,y,z,score\n10,10,8,0.9\n"),
    ),
    "parquet table": Kind(
        "p.parquet", "milopyp prepare -d data -e .mrc -o run --picks p.parquet", "", "cannot be read as parquet",
        {"a folder": "names no tomogram", "a link to itself": LINK}, volume("data/a.mrc"),
    ),
    "summary of a run": Kind("picks/run.json", "milopyp report picks", "what milopyp-infer wrote",
                             "is no summary of a run", build=picked("a.mrc")),
    "record of a tomogram": Kind("picks/records/a.json", "milopyp report picks", "what milopyp-infer wrote",
                                 "is no record of a tomogram", build=picked("a.mrc")),
    "options of the published program": Kind(
        "opt.txt", "milopyp-export model.pth", "the options of a training run", "cannot be read ('utf-8' codec",
        # a file that is not there is no mistake; one without a line that is known says nothing
        {"empty": None, "zeros": None, "a folder": None, "a link to itself": None}, published(),
    ),
}  # fmt: skip


def replaced(kind: Kind, wrong: Callable[[Path], object]) -> Build:
    """What the command needs, with its file replaced."""

    def build(folder: Path) -> None:
        path = folder / kind.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        wrong(path)

    return both(kind.build, build)


def cases() -> list[Case]:
    """Every kind of file with everything that it is not."""
    made = []
    for title, kind in KINDS.items():
        for word, wrong in WRONG.items():
            found = kind.otherwise.get(word, kind.found)
            if found is not None:
                made.append(
                    Case(
                        f"{title}: {word}", kind.line, kind.name, found, f"expected {kind.expected}",
                        build=replaced(kind, wrong), also=kind.also,
                    )
                )  # fmt: skip
    return made


CASES = cases()
