"""The trained model as an ONNX file, made by the exporter in a process of its own: training does not know it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def can_export(wanted: bool | None) -> bool:
    """Whether the last model is to be written as an ONNX file: as `wanted`, else where that is possible.

    Raises
    ------
    MissingDependency
        It is wanted and the packages are not installed.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if wanted and missing:
        raise MissingDependency(
            f"the package {missing[0]} is not installed",
            where="--export",
            remedy="Run: pip install 'milopyp[export,cpu]', or leave --export out.",
        )
    return wanted is not False and not missing


def export_model(checkpoint: Path, console: Console) -> Path | None:
    """Export a checkpoint under its own name; a failure is a warning, since the training itself has succeeded."""
    target = checkpoint.with_suffix(".onnx")
    # without -P a random.py in the working directory would be taken for Python's own
    program = [sys.executable, "-P", "-m", "milopyp_export.cli"]
    line = [*program, str(checkpoint), "-o", str(target), "--overwrite", "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        console.warn(f"no ONNX file was written: {done.stderr.strip() or done.returncode}")
        return None
    return target
