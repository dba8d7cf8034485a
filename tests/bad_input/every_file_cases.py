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
    nothing,
    picked,
    picking,
    published,
    volume,
)
from bad_input.expected import (
    CHECKPOINT,
    COORDINATE_LIST,
    EXPORTED,
    FROM_INFER,
    HEADER,
    IMAGE_LIST,
    IMOD,
    JSON,
    LIST,
    MASK,
    MODEL,
    MRC,
    PARQUET,
    TENSORS,
    TEXT,
    TOMOGRAM,
)
from milopyp_shared.errors import InputError

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


@dataclass(frozen=True)
class Kind:
    """A file that a command reads: its name, the command, what is expected of it, and what else is there.

    `otherwise` holds what is expected in single cases; a case with None is no mistake for this kind of file.
    """

    name: str
    line: str
    expected: str
    build: Build = nothing
    otherwise: dict[str, str | None] = field(default_factory=dict)
    facts: tuple[str, ...] = ()


def short(expected: str) -> dict[str, str | None]:
    """What is expected of the files that are shorter than a header."""
    return {"empty": HEADER, "UTF-16": HEADER, "Latin-1": HEADER} | no_file(expected)


def no_file(expected: str) -> dict[str, str | None]:
    """What is expected in the place of a folder and a broken link."""
    return {"a folder": expected, "a link to itself": expected}


def candidate() -> Build:
    """A run with one candidate."""
    return candidates("x,y,z,score\n10,10,8,0.9\n")


KINDS = {
    "tomogram": Kind("a.mrc", f"{INFER} a.mrc", MRC, picking(), short(TOMOGRAM)),
    "mask": Kind("m.mrc", f"{INFER} a.mrc --mask m.mrc", MRC, picking(volume("a.mrc")),
                 short(MASK) | {"a folder": "files such as a_mask.mrc"}),
    "image list": Kind("images.txt", TRAIN, TEXT, lists(), {"empty": IMAGE_LIST} | no_file(LIST)),
    "image list to pick": Kind("list.txt", f"{INFER} list.txt", TEXT, picking(volume("a.mrc")),
                               {"empty": IMAGE_LIST} | no_file(LIST)),
    "coordinate list": Kind("coords.txt", TRAIN, TEXT, lists(), {"empty": COORDINATE_LIST} | no_file(LIST)),
    "model": Kind("toy.onnx", f"{INFER} a.mrc", EXPORTED, volume("a.mrc"), no_file(MODEL)),
    "checkpoint": Kind("model.pth", "milopyp-export model.pth", TENSORS, otherwise=no_file(CHECKPOINT)),
    "weights to begin with": Kind("w.pth", f"{TRAIN} --load-model w.pth", TENSORS, lists(), no_file(CHECKPOINT)),
    "IMOD model": Kind("a.mod", "milopyp convert a.mod b.csv --order xyz --shape 32 32 16", IMOD,
                       otherwise=no_file("an IMOD model")),
    "STAR file": Kind("a.star", "milopyp convert a.star b.csv --from warp", TEXT, otherwise={"empty": "a STAR file"}),
    "Dynamo table": Kind("a.tbl", "milopyp convert a.tbl b.csv", TEXT, otherwise={"empty": None}),
    "copick file": Kind("a.json", "milopyp convert a.json b.csv --from copick", TEXT, otherwise={"empty": JSON}),
    "EMAN2 file": Kind("a.json", "milopyp convert a.json b.csv --from eman --shape 32 32 16", TEXT,
                       otherwise={"empty": JSON}, facts=("warning: EMAN2",)),
    "ndjson": Kind("a.ndjson", "milopyp convert a.ndjson b.csv", TEXT,
                   otherwise={"empty": None}),
    "text of picks": Kind("a.txt", "milopyp convert a.txt b.csv --order xyz --coords voxel", TEXT,
                          otherwise={"empty": None}),
    "table of candidates": Kind("picks/a.candidates.csv", EVALUATE, TEXT, candidate(),
                                {"empty": "a table written by milopyp-infer"}),
    "truth": Kind("coords.txt", EVALUATE, TEXT, candidate(),
                  {"empty": COORDINATE_LIST, "a folder": "files such as a.star",
                   "a link to itself": "positions of particles"}),
    "parquet table": Kind("p.parquet", "milopyp prepare -d data -e .mrc -o run --picks p.parquet", PARQUET,
                          volume("data/a.mrc"), {"a folder": "those of one tomogram at least: a"}),
    "summary of a run": Kind("picks/run.json", "milopyp report picks", FROM_INFER, picked("a.mrc")),
    "record of a tomogram": Kind("picks/records/a.json", "milopyp report picks", FROM_INFER, picked("a.mrc")),
    "options of the published program": Kind(
        "opt.txt", "milopyp-export model.pth", "the options of a training run", published(),
        # a file that is not there is no mistake; one without a line that is known says nothing
        {"empty": None, "zeros": None, "a folder": None, "a link to itself": None},
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
            expected = kind.otherwise.get(word, kind.expected)
            if expected is not None:
                build = replaced(kind, wrong)
                made.append(Case(f"{title}: {word}", kind.line, InputError, kind.name, expected, build, kind.facts))
    return made


CASES = cases()
