"""onnxruntime on the CPU, in tiles or with sections that pass by: whatever costs least within the memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.graph_names import OUTPUT
from milopyp_shared.tiles import Piece, Read, Shape, Tiling, iter_heat_map

from ..machine import Machine
from ..model_file import GraphFile, damaged_graph
from ..planning import DEFAULT_MEMORY, plan
from ..runtime import runtime_errors
from ..session import ProviderOptions, new_session, operators_by_provider, run_on_cpu
from ..streaming import iter_streamed
from .base import Engine, Say

OPTIONS: ProviderOptions = [("CPUExecutionProvider", {})]


class CpuEngine(Engine):
    """A model on the CPU, or another network with the same inputs; `output` is what it is asked for."""

    def __init__(self, file: GraphFile, machine: Machine, say: Say, output: str = OUTPUT) -> None:
        self._path, self._recipe, self._streaming_graph = file.path, file.recipe, file.streaming_graph
        self._machine, self._output = machine, output
        self._session = new_session(file.graph, machine, OPTIONS)

    def plan(self, shape: Shape) -> Tiling:
        """Tiles, or sections that pass by, within the memory of the whole process."""
        return plan(shape, self._recipe, self._machine.memory or DEFAULT_MEMORY)

    def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
        """Piece by piece, the next one being read meanwhile."""
        if tiling.streaming:
            return iter_streamed(self.streaming_session, tiling, read, input_range, self._recipe, output=self._output)

        def network(block: NDArray[np.uint8]) -> NDArray[np.float32]:
            return run_on_cpu(self._session, block, input_range, self._output)

        return iter_heat_map(tiling, read, network, self._recipe.geometry)

    def operators(self) -> dict[str, int]:
        """Of the graph for tiles."""
        return operators_by_provider(self._session)

    @cached_property
    def streaming_session(self) -> Any:
        """Session of the streaming graph, opened when it is first needed."""
        try:
            return new_session(self._streaming_graph, self._machine, OPTIONS)
        except runtime_errors() as error:
            raise damaged_graph(self._path, error, "chunks") from error
