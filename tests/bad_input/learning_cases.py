"""Rows of the bad-input table: ``milopyp learn``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from click import BadParameter, MissingParameter

from bad_input.builders import COORDINATES, Build, Case, both, lists, not_a_number, text, volume
from bad_input.expected import INSIDE, LIST, MASK
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from running import run_line

LEARN = "milopyp learn images.txt coords.txt --bbox 10 -o m.onnx --threads 1"
KEEP = f"{LEARN} --keep-features kept"
OURS = "features as milopyp learn keeps them"
OTHERS = "those of this one, its order, mask and contrast"
CORNER = np.pad(np.ones((4, 4, 4), np.int8), ((0, 12), (0, 28), (0, 28)))  # a mask that leaves next to nothing


def kept(edit: Callable[[Path], None]) -> Build:
    """Good lists beside the features of their tomogram in ``kept``, which `edit` changes."""

    def build(folder: Path) -> None:
        lists()(folder)
        assert run_line(KEEP).code == 0
        (folder / "m.onnx").unlink()
        edit(folder / "kept")

    return build


def described(**changes: object) -> Callable[[Path], None]:
    """Change entries of the description."""

    def edit(folder: Path) -> None:
        path = folder / "a.features.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def one_bit(folder: Path) -> None:
    path = folder / "a.features"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut_short(folder: Path) -> None:
    path = folder / "a.features"
    path.write_bytes(path.read_bytes()[:-100])


def gone(folder: Path) -> None:
    (folder / "a.features").unlink()


def no_json(folder: Path) -> None:
    (folder / "a.features.json").write_text("half a descr")


CASES = [
    Case("learning without a diameter", LEARN.replace("--bbox 10 ", ""), MissingParameter, "--bbox", build=lists()),
    Case("learning without a place for the model", LEARN.replace("-o m.onnx ", ""), MissingParameter, "-o",
         build=lists()),
    Case("learning from lists that are not there", LEARN, InputError, "images.txt", LIST),
    Case("learning from no labels", LEARN, InputError, "coords.txt", "at least one labelled tomogram",
         lists(coordinates="a none none none\n")),
    Case("learning from labels outside", LEARN, ContradictionError, "coords.txt", INSIDE,
         lists(coordinates="a 40 40 40\n"), facts=("1 of 1 label",)),
    Case("learning from labels of no tomogram", LEARN, InputError, "coords.txt", "image names such as a",
         lists(coordinates="a 10 12 8\nb 1 2 3\n")),
    Case("learning outside the mask", f"{LEARN} --mask m.mrc", InputError, "coords.txt",
         "at least one labelled tomogram", both(lists(), volume("m.mrc", CORNER))),
    Case("mask for learning that is not there", f"{LEARN} --mask gone.mrc", InputError, "gone.mrc", MASK, lists()),
    Case("learning from a tomogram without numbers", LEARN, InputError, "a.mrc", "finite numbers",
         both(lists(), not_a_number("a.mrc"))),
    Case("learning a particle larger than its tomogram", LEARN.replace("10", "100"), ContradictionError, "--bbox",
         "at most 16, the thinnest axis of a.mrc", lists()),
    Case("learning a particle of three voxels", LEARN.replace("10", "3"), UsageError, "--bbox",
         "4 to 176: the pre-trained network knows 8 to 22, and sees tomograms at 0.125 to 2 times their size", lists(),
         facts=("--preset scratch of milopyp-train",)),
    Case("learning a diameter that is no number", LEARN.replace("10", "wide"), BadParameter, "--bbox", build=lists()),
    Case("learning with less memory than there is to be had", f"{LEARN} --memory 10MB", UsageError, "--memory",
         "more than 300 MB, which the program itself takes", lists()),
    Case("a model that is there already", LEARN, UsageError, "m.onnx", "a name that is free",
         both(lists(), text("m.onnx", "one of yesterday")), facts=("--overwrite",)),
    Case("a model in place of a tomogram", LEARN.replace("m.onnx", "a.mrc --overwrite"), UsageError, "a.mrc",
         "a file that can be written over", lists()),
    Case("a model in place of its labels", LEARN.replace("m.onnx", "coords.txt --overwrite"), UsageError,
         "coords.txt", "another file to write to", lists()),
    Case("rejected places that are not there", f"{LEARN} --rejected gone.txt", InputError, "gone.txt", LIST, lists()),
    Case("rejected places outside", f"{LEARN} --rejected rejected.txt", ContradictionError, "rejected.txt", INSIDE,
         both(lists(), text("rejected.txt", COORDINATES + "a 10 12 8\na 10 40 8\n")), facts=("1 of 2 labels",)),
    Case("rejected places in a list of images", f"{LEARN} --rejected images.txt", InputError, "images.txt, line 1",
         "the header 'image_name x_coord y_coord z_coord'", lists()),
    Case("features in a file", KEEP, InputError, "kept", "a writable folder", both(lists(), text("kept", "a file"))),
    Case("features of another network", KEEP, ContradictionError, "kept/a.features", OTHERS,
         kept(described(network="0" * 64)), facts=("another network",)),
    Case("features of another tomogram", KEEP, ContradictionError, "kept/a.features", OTHERS,
         kept(described(tomogram="0" * 64)), facts=("another tomogram",)),
    Case("features of the other contrast", f"{KEEP} --contrast bright", ContradictionError, "kept/a.features", OTHERS,
         kept(lambda folder: None), facts=("another tomogram",)),
    *(
        Case(f"features {what}", KEEP, InputError, f"kept/{file}", OURS, kept(edit))
        for what, file, edit in (
            ("with a wrong bit", "a.features", one_bit),
            ("that are cut short", "a.features", cut_short),
            ("that are gone", "a.features.json", gone),
            ("whose description is half", "a.features.json", no_json),
            ("of no pieces", "a.features", described(pieces=[])),
        )
    ),
    Case("features with an unknown field", KEEP, InputError, "kept/a.features.json",
         "fields that this version knows", kept(described(colour="red"))),
]  # fmt: skip
