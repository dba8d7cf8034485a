"""OpenVINO on the CPU: tiles of one size through the file's graphs of 3D convolutions.

A network is compiled for a size of tiles, which takes a tenth of a second and is not kept: reading it back would take
as long.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import MissingDependency
from milopyp_shared.graph_names import INPUTS, OUTPUT
from milopyp_shared.system import allowed_threads
from milopyp_shared.tiles import Piece, Read, Shape, Tile, Tiling, iter_heat_map

from ..machine import Machine
from ..model_file import GraphFile
from ..openvino_runtime import has_bf16, import_openvino, obstacle_to_openvino, openvino_core
from ..planning import DEFAULT_MEMORY, plan_equal_tiles
from ..session import new_session, run_on_cpu
from . import openvino_check
from .base import Engine, Say
from .cpu import OPTIONS

#: Memory per input voxel as a part of what onnxruntime takes in tiles, of the graph for any size and of the faster one.
#: Measured for the pre-trained network, `UNet3d` of 16 channels and ``unet_4``.
_MEMORY = {"fp32": (0.75, 0.45), "bf16": (0.42, 0.25), "int8": (0.45, 0.45)}
_OF_STREAMS = 0.6  # of what is known for streams and tiles together, where tiles have no figure of their own
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # the last one is of what is not in integers


class OpenvinoEngine(Engine):
    """A model on the CPU, or another network with the same inputs; `output` is what it is asked for.

    Raises
    ------
    MissingDependency
        bf16 is wanted, and this CPU does not have it.
    CheckError
        It gives another heat map than onnxruntime.
    """

    runtime = "OpenVINO"

    def __init__(self, file: GraphFile, machine: Machine, say: Say, output: str = OUTPUT) -> None:
        self._recipe, self._machine, self._output = file.recipe, machine, output
        self._precision = machine.precision or file.recipe.precision
        self._core = openvino_core()
        if self._precision == "bf16" and not has_bf16(self._core):
            if machine.precision == "bf16":
                raise MissingDependency(
                    "this CPU has no bf16 arithmetic",
                    where="--precision bf16",
                    expected="a CPU with avx512_bf16 or amx_bf16 (milopyp doctor)",
                    remedy="Leave it out.",
                )
            self._precision = "fp32"
            say(f"{file.path.name} was judged in bf16, which this CPU does not have: it runs in fp32")
        self._whole_graph, self._aligned_graph = file.graph, file.aligned_graph
        self._graph = file.volume_graph or file.graph
        self._compiled: tuple[object, Any] | None = None
        self._operators = 0
        if not file.volume_graph:
            say(f"{file.path.name} has no graph for OpenVINO, and is slower than it could be: export it again")
        if self._precision != "int8":  # whose sums are rounded differently
            openvino_check.compare(self, file, import_openvino().__version__, output)

    @staticmethod
    def obstacle() -> str | None:
        """What is wrong with the package, or with the CPU."""
        return obstacle_to_openvino()

    @staticmethod
    def unsuited(file: GraphFile) -> str | None:
        """Files of earlier versions, and networks without the faster graph in fp32, gain nothing."""
        if not file.volume_graph:
            return "the file has no graph for it, export it again"
        if file.recipe.precision == "fp32" and not file.aligned_graph:
            return "this network is no faster there in fp32"
        return None

    def plan(self, shape: Shape) -> Tiling:
        """Tiles of one size within the memory of the whole process."""
        memory = self._machine.memory or DEFAULT_MEMORY
        part = _MEMORY[self._precision][self._is_aligned(shape)]
        known = self._recipe.tile_bytes or self._recipe.working_bytes * _OF_STREAMS
        per_voxel = math.ceil(known * part)
        return plan_equal_tiles(shape, self._recipe.geometry, memory, per_voxel)

    def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
        """Tile by tile, those of one size after each other; the next one is read meanwhile."""

        def network(block: NDArray[np.uint8]) -> NDArray[np.float32]:
            return self.run(block, input_range)

        return iter_heat_map(_by_size(tiling), read, network, self._recipe.geometry)

    def run(
        self, block: NDArray[np.uint8], input_range: NDArray[np.float32], precision: str | None = None
    ) -> NDArray[np.float32]:
        """Heat map ``(z, y, x)`` of a tile, or another output; `precision` is the engine's when None."""
        hint = _HINTS[precision or self._precision]
        if any(n < window for n, window in zip(block.shape, self._recipe.geometry.alignment, strict=True)):
            # OpenVINO's pooling refuses less than a window, in what is too small for a tomogram
            return run_on_cpu(self._onnxruntime, block, input_range, self._output)
        request = self._request(block.shape, hint)
        inputs = dict(zip(INPUTS, (block[None], input_range), strict=True))
        found: NDArray[np.float32] = request.infer(inputs, share_inputs=True)[self._output][0]
        return found

    def operators(self) -> dict[str, int]:
        """Of what was compiled last; OpenVINO has its own."""
        name = "OpenVINO, bf16" if self._precision == "bf16" else "OpenVINO"
        return {name: self._operators} if self._operators else {}

    @cached_property
    def _onnxruntime(self) -> Any:
        return new_session(self._whole_graph, self._machine, OPTIONS)

    def _request(self, size: tuple[int, ...], hint: str) -> Any:
        """What runs tiles of a size; one at a time, because each keeps the memory that it works in."""
        if self._compiled is None or self._compiled[0] != (size, hint):
            self._compiled = None
            self._compiled = ((size, hint), self._compile(size, hint))
        return self._compiled[1]

    def _compile(self, size: tuple[int, ...], hint: str) -> Any:
        graph = self._aligned_graph if self._is_aligned(size) else self._graph
        model = self._core.read_model(graph)
        model.reshape(dict(zip(INPUTS, ([1, *size], [2]), strict=True)))
        options = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": self._machine.threads or allowed_threads(),
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several processes would meet on the first CPUs
        }
        compiled = self._core.compile_model(model, "CPU", options)
        self._operators = len(compiled.get_runtime_model().get_ops())
        return compiled.create_infer_request()

    def _is_aligned(self, size: tuple[int, ...]) -> bool:
        pairs = zip(size, self._recipe.geometry.alignment, strict=True)
        return bool(self._aligned_graph) and all(length % alignment == 0 for length, alignment in pairs)


def _by_size(tiling: Tiling) -> Iterator[Tile]:
    lengths = [dict.fromkeys(span.read for span in spans) for spans in (tiling.z, tiling.y, tiling.x)]
    for size in itertools.product(*lengths):
        yield from (tile for tile in tiling if tile.size == size)
