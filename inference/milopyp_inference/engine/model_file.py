"""Model files on disk: read, and refused where they are not what ``milopyp-export`` writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from milopyp_shared.errors import InputError
from milopyp_shared.files import missing_file_error
from milopyp_shared.graph_names import INPUTS, OUTPUT
from milopyp_shared.recipe import ALIGNED_KEY, CHUNKS_KEY, METADATA_KEY, VOLUME_KEY, Recipe, Runnable

from .onnx_merge import extract_graph
from .runtime import first_line, installed_runtimes, load_onnxruntime, refuse_two_runtimes, runtime_errors
from .session import plain_options

_FURTHER = {CHUNKS_KEY: "chunks", VOLUME_KEY: "volumes", ALIGNED_KEY: "whole pooling windows"}


class GraphFile(Protocol):
    """What an engine wants of a file; attributes as in a `ModelFile`, which is one."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def recipe(self) -> Runnable:
        """How the graphs are run."""
        ...

    @property
    def graph(self) -> bytes:
        """For tiles."""
        ...

    @property
    def streaming_graph(self) -> bytes:
        """For sections that pass by."""
        ...

    @property
    def volume_graph(self) -> bytes:
        """In 3D convolutions, for tiles."""
        ...

    @property
    def aligned_graph(self) -> bytes:
        """The same, faster, for tiles of multiples of the alignment only."""
        ...


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Attributes
    ----------
    path, sha256
        The file and its hash.
    recipe
        What the file says of itself.
    graph
        Model for tiles, as onnxruntime takes it: the whole file.
    streaming_graph
        Model for sections that pass by; nothing in files for GPUs.
    volume_graph, aligned_graph
        Models in 3D convolutions for tiles: of any size, and of multiples of the alignment only; nothing in files for
        GPUs and in those of earlier versions.
    """

    path: Path
    sha256: str
    recipe: Recipe
    graph: bytes = field(repr=False)
    streaming_graph: bytes = field(repr=False)
    volume_graph: bytes = field(default=b"", repr=False)
    aligned_graph: bytes = field(default=b"", repr=False)


def read_model_file(path: str | Path) -> ModelFile:
    """Read an ONNX file made by ``milopyp-export``.

    Raises
    ------
    InputError
        No such file, or a file without a recipe.
    ContradictionError
        Two onnxruntimes are installed.
    MissingDependency
        No onnxruntime is installed.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file_error(path, "a model made by milopyp-export (.onnx)")
    refuse_two_runtimes(installed_runtimes())
    graph = path.read_bytes()
    entries, names = look_inside(graph, path)
    if METADATA_KEY not in entries:
        raise _not_ours("the ONNX file has no milopyp recipe", path, "a file made by milopyp-export")
    recipe = Recipe.from_json(entries[METADATA_KEY], path)
    if names != (*INPUTS, OUTPUT):
        raise _not_ours(f"inputs and outputs are called {', '.join(names)}", path, ", ".join((*INPUTS, OUTPUT)))
    try:
        further = further_graphs(graph, entries, streams=recipe.chunks is not None)
    except ValueError as error:
        raise damaged_graph(path, error) from error
    return ModelFile(path, hashlib.sha256(graph).hexdigest(), recipe, graph, *further)


def further_graphs(model: bytes, entries: Mapping[str, str], *, streams: bool) -> tuple[bytes, bytes, bytes]:
    """The streaming graph of a file, if it is to have one, and its graphs in 3D convolutions, as far as it has them.

    Raises
    ------
    ValueError
        One is damaged; the message names it.
    """
    found = []
    for key, words in _FURTHER.items():
        try:
            needed = streams if key == CHUNKS_KEY else key in entries
            found.append(extract_graph(model, entries[key]) if needed else b"")
        except (KeyError, ValueError) as error:
            raise ValueError(f"its graph for {words} is damaged ({first_line(error)})") from error
    streaming, volume, aligned = found
    return streaming, volume, aligned


def damaged_graph(path: Path, error: BaseException, words: str = "") -> InputError:
    """The error for a further graph that is not what ``milopyp-export`` writes."""
    found = f"its graph for {words} is damaged ({first_line(error)})" if words else str(error)
    return _not_ours(found, path, "a file made by milopyp-export")


def look_inside(graph: bytes, path: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Metadata, and names of inputs and outputs, as far as onnxruntime can read the file."""
    runtime = load_onnxruntime()
    options = plain_options(runtime)
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        entries: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    except runtime_errors() as error:
        raise InputError(
            f"onnxruntime cannot read it ({first_line(error)[:100]})",
            where=path,
            expected="an ONNX file made by milopyp-export, whole in itself",
        ) from error
    return entries, tuple(value.name for value in (*session.get_inputs(), *session.get_outputs()))


def _not_ours(found: str, path: Path, expected: str) -> InputError:
    remedy = "Export the checkpoint again: milopyp-export CHECKPOINT."
    return InputError(found, where=path, expected=expected, remedy=remedy)
