"""What OpenVINO computes, compared with onnxruntime once per model, version and CPU; what was found right is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.cpu import flags
from milopyp_shared.errors import CheckError, InputError

from ..cache import cache_folder
from ..machine import Machine
from ..model_file import GraphFile
from ..session import new_session, run_on_cpu
from .cpu import OPTIONS

LIMIT = 1e-4


class Runs(Protocol):
    """What is compared."""

    def run(
        self, block: NDArray[np.uint8], input_range: NDArray[np.float32], precision: str | None = None
    ) -> NDArray[np.float32]:
        """Heat map, or another output, of a tile."""
        ...


def compare(engine: Runs, file: GraphFile, version: str, output: str) -> None:
    """Compare on two blocks of noise, of whole pooling windows and of odd sizes, unless that was done before.

    Raises
    ------
    CheckError
        They differ by more than `LIMIT`.
    """
    mark = _mark(file, version)
    if mark is not None and mark.exists():
        return
    session = new_session(file.graph, Machine("cpu"), OPTIONS)
    levels = np.array([0.0, 255.0], np.float32)
    z, y, x = file.recipe.geometry.alignment
    for size in ((2 * z, 5 * y, 4 * x), (2 * z + 1, 4 * y + 3, 5 * x + 1)):
        block = np.random.default_rng(1).normal(127.5, 32.0, size).clip(0, 255).astype(np.uint8)
        difference = float(np.abs(engine.run(block, levels, "fp32") - run_on_cpu(session, block, levels, output)).max())
        if not difference <= LIMIT:
            raise CheckError(
                f"OpenVINO's result differs from onnxruntime's by {difference:.2g}",
                where=file.path,
                expected=f"at most {LIMIT:g}",
                remedy="Give --provider cpu, and report the CPU and the version of openvino.",
            )
    if mark is not None:
        _keep(mark)


def _mark(file: GraphFile, version: str) -> Path | None:
    """The file that says that it was right; None without a place for it."""
    parts = (file.graph, version.encode(), " ".join(sorted(flags())).encode())
    try:
        return cache_folder() / "compared" / hashlib.sha256(b"\0".join(parts)).hexdigest()
    except InputError:
        return None


def _keep(mark: Path) -> None:
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:  # it is compared again then
        return
