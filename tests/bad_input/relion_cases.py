"""Rows of the bad-input table for ``milopyp relion``."""

from __future__ import annotations

from click import MissingParameter

from bad_input.builders import Case, both, model, picking, text, volume
from bad_input.expected import TEXT
from milopyp_shared.errors import InputError, UsageError

JOB = "milopyp relion --o job --in_mics t.star --model toy.onnx"
LABELS = "_rlnTomoName\n_rlnTomoReconstructedTomogram\n"
FAILED = frozenset({"job", "job/RELION_JOB_EXIT_FAILURE"})


def said(rows: str, labels: str = LABELS) -> str:
    """RELION's list."""
    return f"data_global\nloop_\n{labels}{rows}"


CASES = [
    Case("a job of RELION without its folder", "milopyp relion --in_mics t.star --model toy.onnx", MissingParameter,
         "--o", build=model()),
    Case("a job of RELION without tomograms", "milopyp relion --o job --model toy.onnx", MissingParameter, "--in-mics",
         build=model(), facts=("--tomograms",)),
    Case("a job of RELION with a list that is not there", JOB, InputError, "t.star", TEXT, model(), leaves=FAILED),
    Case("a job of RELION with another list", JOB, InputError, "t.star", "RELION's list of tomograms",
         both(model(), text("t.star", said("a b\n", "_rlnMicrographName\n_rlnCtfImage\n"))), leaves=FAILED,
         facts=("rlnTomoName",)),
    Case("tomograms.star before they are reconstructed", JOB, InputError, "t.star", "tomograms that are reconstructed",
         both(model(), text("t.star", said("TS_01\nTS_02\n", "_rlnTomoName\n"))), leaves=FAILED,
         facts=("rlnTomoReconstructedTomogram", "--column")),
    Case("tomograms.star without files in its column", JOB, InputError, "t.star", "tomograms that are reconstructed",
         both(model(), text("t.star", said("TS_01 None\n"))), leaves=FAILED),
    Case("tomograms.star that names what is not there", JOB, InputError, "t.star",
         "files below the working directory, RELION's project folder",
         picking(volume("a.mrc"), text("t.star", said("TS_01 a.mrc\nTS_02 Tomograms/b.mrc\n"))), leaves=FAILED,
         facts=("Tomograms/b.mrc, which is not there",)),
    Case("tomograms.star with a name that is a path", JOB, InputError, "t.star",
         "a name without '/', '..' and control characters, because results are named after it",
         picking(volume("a.mrc"), text("t.star", said("../TS_01 a.mrc\n"))), leaves=FAILED),
    Case("a job of RELION with a folder of its own", f"{JOB} --out picks", UsageError, "parameters",
         "none that the job itself decides", picking(volume("a.mrc"), text("t.star", said("TS_01 a.mrc\n"))),
         leaves=FAILED, facts=("--out of milopyp-infer",)),
]  # fmt: skip
