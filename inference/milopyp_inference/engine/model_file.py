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
from milopyp_shared.recipe import CHUNKS_KEY, METADATA_KEY, Recipe, Runnable

from .onnx_merge import extract_streaming_graph
from .runtime import first_line, installed_runtimes, load_onnxruntime, refuse_two_runtimes, runtime_errors
from .session import plain_options


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
    """

    path: Path
    sha256: str
    recipe: Recipe
    graph: bytes = field(repr=False)
    streaming_graph: bytes = field(repr=False)


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
    streaming_graph = b""
    if recipe.chunks is not None:
        try:
            streaming_graph = extract_streaming_graph(graph, entries[CHUNKS_KEY])
        except (KeyError, ValueError) as error:
            raise damaged_streaming_graph(path, error) from error
    return ModelFile(path, hashlib.sha256(graph).hexdigest(), recipe, graph, streaming_graph)


def damaged_streaming_graph(path: Path, error: BaseException) -> InputError:
    """The error for a streaming graph that is not what ``milopyp-export`` writes."""
    return _not_ours(f"its graph for chunks is damaged ({first_line(error)})", path, "a file made by milopyp-export")


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
