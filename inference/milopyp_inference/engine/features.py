"""The shipped network without a head: features of a volume, piece by piece, on machines without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from milopyp_shared import pretrained_weights
from milopyp_shared.errors import CheckError, InputError
from milopyp_shared.graph_names import FEATURES, INPUTS
from milopyp_shared.pretrained_weights import GRAPH, REINSTALL, Description, GraphFacts, read_graph
from milopyp_shared.tiles import Piece, Read, Shape

from .machine import AUTO, Machine
from .model import iter_pieces
from .model_file import further_graphs, look_inside
from .openvino_runtime import obstacle_to_openvino
from .providers.base import Engine, Say
from .providers.cpu import CpuEngine
from .providers.openvino import OpenvinoEngine


@dataclass(frozen=True)
class FeatureFile:
    """What ``features.onnx`` holds; attributes as in a `ModelFile`."""

    path: Path
    recipe: GraphFacts
    graph: bytes = field(repr=False)
    streaming_graph: bytes = field(repr=False)
    volume_graph: bytes = field(repr=False)
    aligned_graph: bytes = field(repr=False)


@dataclass(frozen=True)
class FeatureNetwork:
    """The shipped network in use.

    Attributes
    ----------
    file
        What it was read from.
    description
        How grey levels are made for it, and how many features it gives.
    engine
        Makes features on the CPU, with OpenVINO where that works.
    """

    file: FeatureFile
    description: Description
    engine: Engine

    def iter_features(self, read: Read, shape: Shape, input_range: tuple[float, float]) -> Iterator[Piece]:
        """The features of a volume, piece by piece, the way that costs least within the memory.

        Parameters
        ----------
        read
            Gives grey levels.
        shape
            ``(z, y, x)`` after pairing.
        input_range
            The grey levels that mean 0 and 1.

        Yields
        ------
        A piece's place in the grid ``(z, ceil(y/2), ceil(x/2))``, and its features, float32 ``(d, z, y, x)``, none
        of them negative.

        Raises
        ------
        UsageError
            The memory is too small.
        CheckError
            onnxruntime stops.
        """
        return iter_pieces(self.engine, self.file.path, read, shape, input_range)


def open_features(
    folder: Path | None = None, machine: Machine | None = None, say: Say = lambda text: None
) -> FeatureNetwork:
    """Open the shipped network.

    Parameters
    ----------
    folder
        None: the one that every installation has.
    machine
        Threads and memory, and ``cpu`` for onnxruntime in any case.
    say
        Is told why OpenVINO is left, where it could be used.

    Raises
    ------
    InputError
        A file is missing, damaged or not the one that was described.
    MissingDependency
        No onnxruntime is installed.
    """
    file, description = read_feature_file(folder)
    machine = machine or Machine()
    if machine.provider == AUTO and obstacle_to_openvino() is None:
        try:
            return FeatureNetwork(file, description, OpenvinoEngine(file, machine, say, FEATURES))
        except CheckError as error:
            say(f"looking at tomograms with onnxruntime ({error.found})")
    return FeatureNetwork(file, description, CpuEngine(file, machine, say, FEATURES))


def read_feature_file(folder: Path | None = None) -> tuple[FeatureFile, Description]:
    """``features.onnx`` and its description; raises as `open_features` does."""
    path = (folder or pretrained_weights.FOLDER) / GRAPH
    graph, description = read_graph(folder)
    assert description.graph is not None
    entries, names = look_inside(graph, path)
    try:
        further = further_graphs(graph, entries, streams=True)
    except ValueError as error:
        raise _not_ours(str(error), path) from error
    if names != (*INPUTS, FEATURES):
        raise _not_ours(f"inputs and outputs are called {', '.join(names)}", path)
    return FeatureFile(path, description.graph, graph, *further), description


def _not_ours(found: str, path: Path) -> InputError:
    return InputError(found, where=path, expected="the network that milopyp ships", remedy=REINSTALL)
