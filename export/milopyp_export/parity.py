"""Proof that an exported file does what the PyTorch network does, before the file gets its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.model_file import GraphFile, read_model_file
from milopyp_inference.engine.openvino_runtime import obstacle_to_openvino
from milopyp_inference.engine.providers.base import Engine
from milopyp_inference.engine.providers.openvino import OpenvinoEngine
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
from milopyp_shared.tiles import Span, Tiling, box_of, by_class, cut_stream
from milopyp_shared.tomogram import open_tomogram
from milopyp_shared.tta import heat_map
from milopyp_shared.wording import counted

from .graph import FeatureGraph, PickingGraph

LIMIT = 1e-4
LIMITS = {"fp32": LIMIT, "fp16": 2e-2}
JUDGED_BY_PICKS = ("int8", "bf16")
#: Least share of picks that such a file must have in common with PyTorch.
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


@dataclass(frozen=True)
class _Compared:
    """Heat maps of tomograms and the picks in them, PyTorch's beside those of one way to run the file."""

    worst: float = 0.0
    total: float = 0.0
    voxels: int = 0
    partners: int = 0
    picks: int = 0
    wanted_picks: int = 0

    @classmethod
    def of(cls, wanted: NDArray[np.float32], found: NDArray[np.float32], recipe: Recipe) -> _Compared:
        """Of one tomogram, all classes together."""
        result = cls()
        for one, *heats in zip(recipe.classes, by_class(wanted), by_class(found), strict=True):
            difference = np.abs(heats[0] - heats[1])
            a, b = (_picks(heat, one) for heat in heats)
            partners = count_partners(a, b, one.diameter / 4)
            total = float(difference.sum(dtype=np.float64))
            result += cls(float(difference.max()), total, difference.size, partners, len(a) + len(b), len(a))
        return result

    def __add__(self, other: _Compared) -> _Compared:
        return _Compared(
            float(np.max([self.worst, other.worst])),  # unlike max(), keeps a NaN
            self.total + other.total,
            self.voxels + other.voxels,
            self.partners + other.partners,
            self.picks + other.picks,
            self.wanted_picks + other.wanted_picks,
        )

    @property
    def mean(self) -> float:
        """Difference of a voxel."""
        return self.total / self.voxels

    @property
    def agreement(self) -> float:
        """Share of the picks of both that have a partner in the other one."""
        return 2 * self.partners / self.picks if self.picks else 1.0


def check_on(
    graph: PickingGraph,
    path: Path,
    recipe: Recipe,
    images: Sequence[ImageEntry],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, float]:
    """Compare on real tomograms, prepared and picked as the recipe says, and return the figures for it.

    fp32 and fp16 are judged by the largest difference of the heat maps, int8 and bf16 by the picks at the suggested
    threshold: the share of both sets that have a partner in the other one within half a particle radius. int8 is judged
    as onnxruntime runs it and as OpenVINO does, and the figures are those of the worse one.

    Raises
    ------
    InputError
        A tomogram that cannot be read.
    CheckError
        The file is not close enough, or, for int8 and bf16, there are no picks to judge by.
    """
    wanted_by = _pytorch(graph)
    ways = _ways(path, recipe)
    found = dict.fromkeys(ways, _Compared())
    for image in images:
        grey = prepare(open_tomogram(image.path, recipe.order or axes.AUTO), recipe).grey
        wanted = _heat_map(wanted_by, grey, recipe)
        for name, run in ways.items():
            one = _Compared.of(wanted, _heat_map(run, grey, recipe), recipe)
            found[name] += one
            difference = f"{one.worst:.2g} at most, {one.mean:.2g} on average"
            say(
                f"{image.name}{_in(name, ways)}: heat maps differ by {difference}; "
                f"{one.partners} of {counted(one.wanted_picks, 'pick')} in common"
            )
    worst = min(found.values(), key=lambda compared: (compared.agreement, -compared.worst))
    figures = {
        "tomograms": float(len(images)),
        "tomogram_max_difference": worst.worst,
        "tomogram_mean_difference": worst.mean,
        "picks": float(worst.wanted_picks),
        "pick_agreement": worst.agreement,
    }
    if recipe.precision in JUDGED_BY_PICKS:
        _judge_by_picks(worst.agreement, worst.picks, path)
        return figures | {"pick_agreement_limit": AGREEMENT}
    limit = LIMITS[recipe.precision]
    if not worst.worst <= limit:
        raise _too_far(f"the exported heat map differs from PyTorch's by {worst.worst:.2g} on a tomogram", path, limit)
    return figures


def _in(name: str, ways: dict[str, Runner]) -> str:
    """Which one, where there are several, or none that is taken for granted."""
    return "" if list(ways) == ["onnxruntime"] else f" in {name}"


def _ways(path: Path, recipe: Recipe) -> dict[str, Runner]:
    """How the file is to be compared, by what runs it."""
    if recipe.precision not in JUDGED_BY_PICKS:
        return {"onnxruntime": _onnxruntime(path)}
    file = read_model_file(path)
    if recipe.precision == "bf16":
        return {"OpenVINO": OpenvinoEngine(file, Machine(precision="bf16"), lambda text: None).run}
    ways = {"onnxruntime": _onnxruntime(path)}
    if not file.volume_graph:
        return ways
    if obstacle_to_openvino() is None:
        return ways | {"OpenVINO": OpenvinoEngine(file, Machine(), lambda text: None).run}
    return ways | {"3D convolutions": _onnxruntime(file.volume_graph)}


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
    return heat_map(
        grey.box, grey.shape, lambda sections: run(sections, levels), recipe.geometry,
        flips=recipe.flips, classes=len(recipe.classes),
    )  # fmt: skip


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
