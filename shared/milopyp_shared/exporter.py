"""``milopyp-export`` in a process of its own, for packages that must not know it, and its errors as if it were here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from .errors import CheckError, InputError

_NEEDED = ("torch", "onnx", "onnxscript", "onnxruntime")
_REFUSED = InputError.exit_code


def missing_package() -> str:
    """The first package that ``milopyp-export`` needs and that is not installed; empty where it runs."""
    return next((name for name in _NEEDED if importlib.util.find_spec(name) is None), "")


def run_export(checkpoint: Path, target: Path, *, overwrite: bool = False) -> None:
    """Export `checkpoint` as ``milopyp-export CHECKPOINT -o TARGET`` does.

    Raises
    ------
    InputError, CheckError
        With the line that it ended with.
    """
    # without -P a random.py in the working directory would be taken for Python's own
    program = [sys.executable, "-P", "-m", "milopyp_export.cli"]
    line = [*program, str(checkpoint), "-o", str(target), "--quiet", *(["--overwrite"] if overwrite else [])]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        said = said.removeprefix("error: ").removeprefix(f"{checkpoint}: ").removesuffix(".")
        raise (InputError if done.returncode == _REFUSED else CheckError)(f"milopyp-export stopped ({said})")
