"""Picking runs where PyTorch is not: what the inference package loads, and what it must never load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from toys import TOY, clean_phantom, noise, write_tomogram

FRAMEWORKS = {"torch", "onnx"}
HEAVY = {"scipy.stats", "matplotlib", "pandas"}  # each costs a tenth of a second or more at the start

LOADED = """
import contextlib, io, json, sys
{body}
print(json.dumps(sorted(sys.modules)))
"""
RUN = """
from milopyp_shared.commandline import run
from {module} import {program}
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        run({program}, {arguments!r})
    except SystemExit as leave:
        code = leave.code
assert code == 0, out.getvalue()
"""


def loaded_after(body: str, folder: Path) -> set[str]:
    """Names of all modules that a fresh interpreter holds after `body`."""
    words = [sys.executable, "-c", LOADED.format(body=body)]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def running(module: str, program: str, *arguments: str) -> str:
    return RUN.format(module=module, program=program, arguments=list(arguments))


@pytest.mark.parametrize(
    "body",
    [
        "import milopyp_inference",
        "import milopyp_inference.cli",
        "import milopyp_inference.infer",
        running("milopyp_inference.cli", "infer_command", "--help"),
        running("milopyp.cli", "milopyp", "--help"),
    ],
    ids=["the package", "its command line", "its steps", "milopyp-infer --help", "milopyp --help"],
)
def test_the_start_is_light(body: str, tmp_path: Path) -> None:
    loaded = loaded_after(body, tmp_path)
    assert not loaded & (FRAMEWORKS | HEAVY | {"onnxruntime", "numba", "scipy"})


@pytest.mark.parametrize(
    ("module", "program", "words"),
    [
        ("milopyp_inference", "infer_command", []),
        ("milopyp_training", "train_command", []),
        ("milopyp_export", "export_command", []),
        ("milopyp", "milopyp", ["train"]),
    ],
)
def test_help_needs_no_arrays(module: str, program: str, words: list[str], tmp_path: Path) -> None:
    loaded = loaded_after(running(f"{module}.cli", program, *words, "--help"), tmp_path)
    assert not loaded & {"numpy", "msgspec", "importlib.metadata"}


def test_no_module_of_the_package_loads_a_framework(tmp_path: Path) -> None:
    body = (
        "import importlib, pkgutil, milopyp_inference as package\n"
        "for found in pkgutil.walk_packages(package.__path__, 'milopyp_inference.'):\n"
        "    importlib.import_module(found.name)"
    )
    loaded = loaded_after(body, tmp_path)
    assert {"milopyp_inference.batch.outputs", "milopyp_inference.engine.session"} <= loaded
    assert not loaded & (FRAMEWORKS | HEAVY | {"onnxruntime"})


def test_picking_needs_onnxruntime_and_no_framework(tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    arguments = ("a.mrc", "--model", str(TOY), "--out", "picks", "--threads", "1")
    loaded = loaded_after(running("milopyp_inference.cli", "infer_command", *arguments), tmp_path)
    assert "onnxruntime" in loaded
    assert not loaded & (FRAMEWORKS | HEAVY)
    assert (tmp_path / "picks" / "a.txt").stat().st_size > 0


def test_numba_is_loaded_for_peaks_only(tmp_path: Path) -> None:
    """It takes as long as preparing a tomogram; so does scipy, which comes with it."""
    write_tomogram(tmp_path / "a.mrc", noise())
    prepared = (
        "from milopyp_shared.preprocessing import Preprocessing, grey_levels\n"
        "from milopyp_shared.tomogram import open_tomogram\n"
        "grey_levels(open_tomogram('a.mrc'), Preprocessing(), threads=2)"
    )
    assert not loaded_after(prepared, tmp_path) & {"numba", "scipy"}
    arguments = ("a.mrc", "--model", str(TOY), "--out", "picks", "--threads", "1")
    picking = running("milopyp_inference.cli", "infer_command", *arguments)
    assert "numba" in loaded_after(picking, tmp_path)
    assert not loaded_after(picking, tmp_path) & {"numba", "scipy"}  # all is done
