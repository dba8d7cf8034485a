"""Proof that an exported file does what the PyTorch network does, before the file gets its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.model_file import GraphFile
from milopyp_inference.engine.providers.base import Engine
from milopyp_inference.engine.runtime import import_onnxruntime
from milopyp_inference.pipeline import prepare
from milopyp_shared import axes
from milopyp_shared.errors import CheckError
from milopyp_shared.graph_names import FEATURES, INPUTS, OUTPUT
from milopyp_shared.lists import ImageEntry
from milopyp_shared.matching import match_greedy
from milopyp_shared.peaks import above_threshold, find_candidates, nms
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import PreprocessedVolume
from milopyp_shared.recipe import Geometry, Recipe, Runnable
from milopyp_shared.system import allowed_threads
from milopyp_shared.tiles import Span, Tiling, box_of, cut_stream
from milopyp_shared.tomogram import open_tomogram
from milopyp_shared.tta import heat_map
from milopyp_shared.wording import counted

from .graph import FeatureGraph, PickingGraph

LIMIT = 1e-4
LIMITS = {"fp32": LIMIT, "fp16": 2e-2}
#: Least share of picks that an int8 file must have in common with PyTorch.
AGREEMENT = 0.9
_WORDS = {OUTPUT: "heat map", FEATURES: "features"}

#: Grey levels ``(z, y, x)`` and the two levels that mean 0 and 1 -> heat map.
#: Features likewise.
Runner = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]


def example_shapes(geometry: Geometry) -> list[tuple[int, int, int]]:
    """Three shapes ``(z, y, x)``: aligned, odd along every axis, and flat."""
    z, y, x = geometry.alignment
    return [(4 * z, 8 * y, 8 * x), (4 * z + 3, 6 * y + 5, 7 * x + 3), (1, 5 * y + 1, 4 * x)]


def largest_difference(
    graph: PickingGraph | FeatureGraph, path: Path, shapes: list[tuple[int, int, int]], seed: int = 1
) -> float:
    """Largest difference between PyTorch and onnxruntime over random volumes of `shapes`; NaN for a NaN."""
    wanted, found = _pytorch(graph), _onnxruntime(path, graph.output)
    rng = np.random.default_rng(seed)
    levels = np.array([3.0, 251.0], dtype=np.float32)
    differences = []
    for shape in shapes:
        sections = rng.normal(127.5, 32.0, shape).clip(0, 255).astype(np.uint8)
        a, b = wanted(sections, levels), found(sections, levels)
        if a.shape != b.shape:
            raise CheckError(f"shape {b.shape} for input {shape}", where=path, expected=str(a.shape))
        differences.append(np.abs(a - b).max())
    return float(np.max(differences))


def check(graph: PickingGraph | FeatureGraph, path: Path, geometry: Geometry, limit: float = LIMIT) -> dict[str, float]:
    """Compare on random volumes and return the figures for the recipe.

    Raises
    ------
    CheckError
        The heat maps, or features, differ by more than `limit`.
    """
    shapes = example_shapes(geometry)
    difference = largest_difference(graph, path, shapes)
    if not difference <= limit:
        raise _too_far(f"the exported {_WORDS[graph.output]} differs from PyTorch's by {difference:.2g}", path, limit)
    return {"shapes": float(len(shapes)), "max_difference": difference, "limit": limit}


def check_streaming(path: Path, recipe: Recipe) -> float:
    """Largest difference between the file's two graphs on random volumes.

    Raises
    ------
    CheckError
        They differ by more than the limit; of int8, whose sums are rounded differently, the difference is only told.
    """
    limit = math.inf if recipe.precision == "int8" else LIMIT
    return check_chunks(open_model(path, Machine(provider="cpu")).engine, path, recipe, limit=limit)


def check_chunks(engine: Engine, path: Path, recipe: Runnable, output: str = OUTPUT, limit: float = LIMIT) -> float:
    """Largest difference between the two graphs of the file that `engine` runs, on random volumes.

    Raises
    ------
    CheckError
        They differ by more than the limit.
    """
    whole = _onnxruntime(path, output)
    differences = []
    levels = np.array([3.0, 251.0], dtype=np.float32)
    for shape in example_shapes(recipe.geometry):
        sections = np.random.default_rng(1).normal(127.5, 32.0, shape).clip(0, 255).astype(np.uint8)
        depth, rows, columns = shape
        assert recipe.chunks is not None
        z = cut_stream(depth, recipe.chunks.multiple, recipe.chunks.delay)
        tiling = Tiling(z, (Span(0, rows, 0, rows),), (Span(0, columns, 0, columns),), streaming=True)
        wanted = whole(sections, levels)
        found = np.full_like(wanted, np.nan)
        for place, piece in engine.iter_heat_map(tiling, box_of(sections), levels):
            found[..., *place] = piece
        differences.append(np.abs(found - wanted).max())
    largest = float(np.max(differences))
    if not largest <= limit:
        raise _too_far(f"the {_WORDS[output]} of chunks differs from that of the whole by {largest:.2g}", path, limit)
    return largest


def check_volumes(file: GraphFile, output: str = OUTPUT, limit: float = LIMIT) -> float:
    """Largest difference between the graphs in 3D convolutions and the first one on random volumes.

    Raises
    ------
    CheckError
        They differ by more than the limit; of int8, whose sums are rounded differently, the difference is only told.
    """
    whole, volume = _onnxruntime(file.graph, output), _onnxruntime(file.volume_graph, output)
    aligned = _onnxruntime(file.aligned_graph, output) if file.aligned_graph else volume
    levels = np.array([3.0, 251.0], dtype=np.float32)
    differences = []
    for number, shape in enumerate(example_shapes(file.recipe.geometry)):
        sections = np.random.default_rng(1).normal(127.5, 32.0, shape).clip(0, 255).astype(np.uint8)
        wanted = whole(sections, levels)
        for run in (volume, aligned) if number == 0 else (volume,):  # the first one is whole pooling windows
            differences.append(np.abs(run(sections, levels) - wanted).max())
    largest = float(np.max(differences))
    if not largest <= limit:
        raise _too_far(f"the {_WORDS[output]} of 3D convolutions differs by {largest:.2g}", file.path, limit)
    return largest


def check_on(
    graph: PickingGraph,
    path: Path,
    recipe: Recipe,
    images: Sequence[ImageEntry],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:
    """Compare on real tomograms, prepared and picked as the recipe says, and return the figures for it.

    fp32 and fp16 are judged by the largest difference of the heat maps, int8 by the picks at the suggested threshold:
    the share of both sets that have a partner in the other one within half a particle radius.

    Raises
    ------
    InputError
        A tomogram that cannot be read.
    CheckError
        The file is not close enough, or, for int8, there are no picks to judge by.
    """
    wanted_by, found_by = _pytorch(graph), _onnxruntime(path)
    worst, total, voxels, partners, picks, wanted_picks = 0.0, 0.0, 0, 0, 0, 0
    for image in images:
        grey = prepare(open_tomogram(image.path, recipe.order or axes.AUTO), recipe).grey
        heats = [_heat_map(run, grey, recipe) for run in (wanted_by, found_by)]
        difference = np.abs(heats[0] - heats[1])
        worst = float(np.max([worst, difference.max()]))  # unlike max(), keeps a NaN
        total, voxels = total + float(difference.sum(dtype=np.float64)), voxels + difference.size
        wanted, found = (_picks(heat, recipe) for heat in heats)
        common = count_partners(wanted, found, recipe.diameter / 4)
        partners, picks, wanted_picks = partners + common, picks + len(wanted) + len(found), wanted_picks + len(wanted)
        say(
            f"{image.name}: heat maps differ by {difference.max():.2g} at most, {difference.mean():.2g} on average; "
            f"{common} of {counted(len(wanted), 'pick')} in common"
        )
    agreement = 2 * partners / picks if picks else 1.0
    figures = {
        "tomograms": float(len(images)),
        "tomogram_max_difference": worst,
        "tomogram_mean_difference": total / voxels,
        "picks": float(wanted_picks),
        "pick_agreement": agreement,
    }
    if recipe.precision == "int8":
        _judge_by_picks(agreement, picks, path)
        return figures | {"pick_agreement_limit": AGREEMENT}
    limit = LIMITS[recipe.precision]
    if not worst <= limit:
        raise _too_far(f"the exported heat map differs from PyTorch's by {worst:.2g} on a tomogram", path, limit)
    return figures


def count_partners(a: Picks, b: Picks, radius: float) -> int:
    """Pairs of picks of `a` and `b` within `radius` voxels, one to one."""
    if len(a) == 0 or len(b) == 0:
        return 0
    return int(match_greedy(b.xyz, b.score, a.xyz, radius).hit.sum())


def _judge_by_picks(agreement: float, picks: int, path: Path) -> None:
    if picks == 0:
        raise CheckError(
            "there are no picks at the suggested threshold to compare",
            where=path,
            expected="tomograms with particles",
            remedy="Name tomograms with particles in --verify-on, or export with --precision fp32.",
        )
    if agreement < AGREEMENT:
        raise CheckError(
            f"only {agreement:.0%} of the picks agree with PyTorch's",
            where=path,
            expected=f"at least {AGREEMENT:.0%}",
            remedy="Nothing was written. Calibrate with other tomograms, or export with --precision fp32.",
        )


def _too_far(found: str, path: Path, limit: float) -> CheckError:
    return CheckError(
        found,
        where=path,
        expected=f"at most {limit:g}",
        remedy="Nothing was written. Report the checkpoint and the versions of torch, onnx and onnxruntime.",
    )


def _heat_map(run: Runner, grey: PreprocessedVolume, recipe: Recipe) -> NDArray[np.float32]:
    """The heat map that picking would use."""
    levels = np.array(grey.input_range, dtype=np.float32)
    return heat_map(grey.box, grey.shape, lambda sections: run(sections, levels), recipe.geometry, flips=recipe.flips)


def _picks(heat: NDArray[np.float32], recipe: Recipe) -> Picks:
    candidates = find_candidates(heat, recipe.voxel_per_output)
    return above_threshold(nms(candidates, recipe.suppression_distance), recipe.threshold.score)


def _pytorch(graph: PickingGraph | FeatureGraph) -> Runner:
    def run(sections: NDArray[np.uint8], levels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            heat: NDArray[Any] = graph(torch.from_numpy(sections[None]), torch.from_numpy(levels)).numpy()[0]
        return heat

    return run


def _onnxruntime(graph: Path | bytes, output: str = OUTPUT) -> Runner:
    """A file or a graph on the CPU, whatever else this machine has."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = allowed_threads()
    session = onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
    )

    def run(sections: NDArray[np.uint8], levels: NDArray[np.float32]) -> NDArray[np.float32]:
        heat: NDArray[np.float32] = session.run([output], dict(zip(INPUTS, (sections[None], levels), strict=True)))[0][
            0
        ]
        return heat

    return run
