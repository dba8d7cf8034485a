"""Proof that an exported file does what the PyTorch network does, before the file gets its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from milopyp_shared.errors import CheckError
from milopyp_shared.recipe import Geometry

from .graph import INPUTS, OUTPUT, PickingGraph

LIMIT = 1e-4


def example_shapes(geometry: Geometry) -> list[tuple[int, int, int]]:
    """Three shapes ``(z, y, x)``: aligned, odd along every axis, and flat."""
    z, y, x = geometry.alignment
    return [(4 * z, 8 * y, 8 * x), (4 * z + 3, 6 * y + 5, 7 * x + 3), (1, 5 * y + 1, 4 * x)]


def largest_difference(graph: PickingGraph, path: Path, shapes: list[tuple[int, int, int]], seed: int = 1) -> float:
    """Largest heat-map difference between PyTorch and onnxruntime over random volumes of `shapes`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    worst = 0.0
    for shape in shapes:
        sections = rng.normal(127.5, 32.0, (1, *shape)).clip(0, 255).astype(np.uint8)
        levels = np.array([3.0, 251.0], dtype=np.float32)
        found = session.run([OUTPUT], dict(zip(INPUTS, (sections, levels), strict=True)))[0]
        with torch.inference_mode():
            wanted = graph(torch.from_numpy(sections), torch.from_numpy(levels)).numpy()
        if found.shape != wanted.shape:
            raise CheckError(f"shape {found.shape} for input {shape}", where=path, expected=str(wanted.shape))
        worst = max(worst, float(np.abs(found - wanted).max()))
    return worst


def check(graph: PickingGraph, path: Path, geometry: Geometry) -> dict[str, float]:
    """Compare and return the figures for the recipe.

    Raises
    ------
    CheckError
        The files differ by more than `LIMIT`.
    """
    shapes = example_shapes(geometry)
    difference = largest_difference(graph, path, shapes)
    if not difference <= LIMIT:
        raise CheckError(
            f"the exported heat map differs from PyTorch's by {difference:.2g}",
            where=path,
            expected=f"at most {LIMIT:g}",
            remedy="Nothing was written. Report the checkpoint and the versions of torch, onnx and onnxruntime.",
        )
    return {"shapes": float(len(shapes)), "max_difference": difference, "limit": LIMIT}
