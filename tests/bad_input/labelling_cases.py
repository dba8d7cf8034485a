"""Rows of the bad-input table: ``milopyp label``. A page that began would never end: each of them must be refused."""

from __future__ import annotations

import atexit
import socket
from pathlib import Path

from click import BadParameter, MissingParameter
from filelock import FileLock

from bad_input.builders import COORDINATES, Build, Case, both, edited, text, volume
from bad_input.expected import INSIDE, SAME_NAMES, TOMOGRAM, WHOLE_IMOD, WRITABLE
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.particles import WORDS

LABEL = "milopyp label a.mrc --bbox 10 --no-browser"
BEGIN = '{"do": "begin", "diameter": 10.0, "schema": 1}\n{"do": "open", "name": "a", "path": "/data/a.mrc"}\n'
OURS = "a new folder, or one of its own"
TWO, BOTH = "milopyp label a.mrc --bbox {} --no-browser", "big=10,small=8"
CLASS = '{"do": "class", "name": "big", "diameter": 10.0}\n'
OF_CLASSES = text("coords.txt", COORDINATES.strip() + " class\na 5 5 5 big\na 9 9 9 tiny\n")
NAMES = f"names of {WORDS}, which differ by more than case"

_taken = socket.create_server(("127.0.0.1", 0))  # as long as the tests run
atexit.register(_taken.close)
_held: list[FileLock] = []


def held(folder: Path) -> None:
    """Another command is at work on ``labels``."""
    (folder / "labels").mkdir()
    lock = FileLock(folder / "labels/.journal.lock")
    lock.acquire()
    _held.append(lock)


def journal(lines: str) -> Build:
    """Labels that were made before."""
    return both(volume("a.mrc"), text("labels/.journal.lock", ""), text("labels/journal.jsonl", lines))


def clicked(x: float) -> str:
    return f'{{"do": "step", "what": "add", "labels": [[1, {{"tomogram": "a", "xyz": [{x}, 5, 5], "kind": 1}}]]}}\n'


def labels(rows: str) -> Build:
    return both(volume("a.mrc"), text("coords.txt", COORDINATES + rows))


CASES = [
    Case("a page of nothing", "milopyp label --no-browser", MissingParameter, "TOMOGRAM..."),
    Case("a page of a pattern without match", LABEL.replace("a.mrc", "'*.mrc'"), UsageError, "*.mrc",
         "tomograms or an image list"),
    Case("a page of a tomogram that is not there", LABEL, InputError, "a.mrc", TOMOGRAM),
    Case("a page of a tomogram that is cut short", LABEL, InputError, "a.mrc",
         "33792 for the 32 x 32 x 16 voxels its header claims",
         both(volume("a.mrc"), edited("a.mrc", lambda data: data[:5000]))),
    Case("a page of two tomograms of one name", LABEL.replace("a.mrc", "a.mrc b/a.mrc"), InputError, "b/a.mrc",
         "different names, since outputs are named after them", both(volume("a.mrc"), volume("b/a.mrc")),
         facts=("Name them in an image list",)),
    Case("a page for particles larger than the tomogram", LABEL.replace("10", "30"), ContradictionError, "--bbox",
         "at most 16, the thinnest axis of a.mrc", volume("a.mrc")),
    Case("a page for particles of three voxels", LABEL.replace("10", "3"), UsageError, "--bbox",
         "4 to 176: the pre-trained network knows 8 to 22, and sees tomograms at 0.125 to 2 times their size",
         volume("a.mrc")),
    Case("a page for particles in Angstrom of unknown voxels", LABEL.replace("10", "100A"), UsageError, "--bbox",
         "--voxel-size, or a tomogram whose header says it", volume("a.mrc")),
    Case("a page for particles of no size", LABEL.replace("10", "wide"), BadParameter, "--bbox", build=volume("a.mrc")),
    Case("a port that is taken", f"{LABEL} --port {_taken.getsockname()[1]}", UsageError, "--port",
         "a port that is free", volume("a.mrc")),
    Case("a port that is none", f"{LABEL} --port 70000", BadParameter, "--port", build=volume("a.mrc")),
    Case("labels in a folder of other things", LABEL, UsageError, "labels", OURS,
         both(volume("a.mrc"), text("labels/thesis.tex", "mine")), facts=("--out",)),
    Case("labels in a folder where another page is open", LABEL, UsageError, "labels", "one at a time",
         both(volume("a.mrc"), held)),
    Case("labels in a file", LABEL, InputError, "labels", WRITABLE, both(volume("a.mrc"), text("labels", "a file"))),
    Case("labels below a file", f"{LABEL} --out file/labels", InputError, "file/labels", WRITABLE,
         both(volume("a.mrc"), text("file", "a file"))),
    Case("labels whose journal is damaged", LABEL, InputError, "labels/journal.jsonl, line 3",
         "a journal of milopyp label", journal(BEGIN + "half a li\n" + clicked(5))),
    Case("labels of a later version", LABEL, InputError, "labels/journal.jsonl, line 1",
         "a journal of milopyp label, schema 1", journal(BEGIN.replace('"schema": 1', '"schema": 2'))),
    Case("labels of another tomogram of that name", LABEL, UsageError, "labels", "labels inside 32 x 32 x 16 voxels",
         journal(BEGIN + clicked(40)), facts=("--out",)),
    Case("labels to begin with that are not there", f"{LABEL} --labels gone.txt", InputError, "gone.txt",
         "positions of particles", volume("a.mrc")),
    Case("labels to begin with that lie outside", f"{LABEL} --labels coords.txt", ContradictionError, "coords.txt",
         INSIDE, labels("a 40 40 40\n")),
    Case("labels to begin with of other tomograms", f"{LABEL} --labels coords.txt", InputError, "coords.txt",
         SAME_NAMES, labels("b 1 2 3\nc 1 2 3\n")),
    Case("labels to begin with that are damaged", f"{LABEL} --labels a.mod", InputError, "a.mod", WHOLE_IMOD,
         both(volume("a.mrc"), text("a.mod", b"IMODV1.2" + bytes(20)))),
    Case("labels to begin with that can be of several formats", f"{LABEL} --labels a.star", UsageError, "a.star",
         "milopyp convert --from with one of relion4, relion5, warp", both(volume("a.mrc"), text("a.star", "1 2 3\n"))),
    *(
        Case(f"a page of classes, {what}", f"{TWO.format(bbox)}", InputError, "--bbox", NAMES, volume("a.mrc"),
             facts=facts)
        for what, bbox, facts in (
            ("two that differ in case", "big=10,BIG=9", ("'big' and 'BIG'",)),
            ("one that cannot be a name", "../big=10,small=9", ("'../big'",)),
        )
    ),
    Case("a page of more classes than keys", TWO.format(",".join(f"c{number}=10" for number in range(10))), UsageError,
         "--bbox", "at most 9: each has a key", volume("a.mrc"), facts=("10 classes",)),
    Case("a page of classes, one without a diameter", TWO.format("big=10,small"), BadParameter, "--bbox",
         build=volume("a.mrc")),
    Case("a page of classes that no network sees at once", TWO.format("big=16,small=4"), UsageError, "--bbox",
         "sizes that a network sees at once: the largest at most 2.8 times the smallest", volume("a.mrc")),
    Case("labels of classes to begin with, on a page of one", f"{LABEL} --labels coords.txt", UsageError, "--bbox",
         "a diameter for each class of the labels: --bbox big=VOXELS,tiny=VOXELS",
         both(volume("a.mrc"), OF_CLASSES), facts=("big, tiny",)),
    Case("labels to begin with of a class without a diameter", f"{TWO.format(BOTH)} --labels coords.txt", UsageError,
         "--bbox", "a diameter for each class of the labels: --bbox big=VOXELS,tiny=VOXELS",
         both(volume("a.mrc"), OF_CLASSES), facts=("tiny",)),
    Case("labels to begin with of nobody knows which class", f"{TWO.format(BOTH)} --labels coords.txt", UsageError,
         "coords.txt", "a column 'class' with big, small", labels("a 5 5 5\n"),
         facts=("--labels big=coords.txt",)),
    Case("labels to begin with of a class that is not there", f"{TWO.format(BOTH)} --labels tiny=coords.txt",
         InputError, "--labels", "those of the labels: big, small", labels("a 5 5 5\n"), facts=("'tiny'",)),
    Case("labels without a class, and several classes", TWO.format(BOTH), UsageError, "labels", "labels of classes",
         journal(BEGIN + clicked(5)), facts=("1 label", "--bbox big=10", "--out")),
    Case("labels of classes, and one more that differs in case", TWO.format("BIG=10,small=8"), InputError, "--bbox",
         NAMES, journal(BEGIN + CLASS), facts=("'big' and 'BIG'",)),
    Case("labels of classes, and one more that no network sees beside them", TWO.format("tiny=4"), UsageError,
         "--bbox", "sizes that a network sees at once: the largest at most 2.8 times the smallest",
         journal(BEGIN.replace("10.0", "16.0") + CLASS.replace("10.0", "16.0"))),
    Case("labels of a class that was not named", LABEL, InputError, "labels/journal.jsonl, line 3",
         "one of a class named before", journal(BEGIN + clicked(5).replace('"kind": 1', '"kind": 1, "species": 1'))),
    Case("a page with a contrast of its own", f"{LABEL} --contrast grey", BadParameter, "--contrast",
         build=volume("a.mrc")),
]  # fmt: skip
