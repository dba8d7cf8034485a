"""Model files opened for picking: the recipe read and checked, sessions on the provider that was chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import CheckError, ContradictionError, InputError
from milopyp_shared.files import missing_file_error
from milopyp_shared.graph_names import INPUTS, OUTPUT
from milopyp_shared.recipe import CHUNKS_KEY, METADATA_KEY, Recipe
from milopyp_shared.tiles import Piece, Read, Shape, Tiling, iter_heat_map

from . import providers, tensorrt_cache
from . import session as sessions
from .onnx_merge import extract_streaming_graph
from .planning import DEFAULT_MEMORY, plan, plan_for_gpu
from .runtime import first_line, installed_runtimes, load_onnxruntime, refuse_two_runtimes, runtime_errors
from .streaming import iter_streamed


@dataclass(frozen=True)
class Machine:
    """Where and how a model runs; nothing of it changes results beyond rounding.

    Attributes
    ----------
    provider
        ``auto``, ``cpu``, ``cuda`` or ``tensorrt``.
    device
        GPU number.
    threads
        CPU threads; None for all that this process may use.
    memory
        Bytes: of the whole process on the CPU, of the network on a GPU.
    """

    provider: str = providers.AUTO
    device: int = 0
    threads: int | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Model:
    """A model file in use.

    Attributes
    ----------
    path, sha256
        The file and its hash.
    recipe
        What the file says of itself.
    machine
        Where it runs.
    choice
        The provider, and why no better one.
    session
        Session of the graph for tiles; None for TensorRT, which needs one per size.
    second
        The graph for chunks; nothing in files for GPUs.
    say
        Where it speaks, when something takes long.
    """

    path: Path
    sha256: str
    recipe: Recipe
    machine: Machine
    choice: providers.Choice
    session: Any
    second: bytes = field(default=b"", repr=False)
    say: Callable[[str], None] = lambda text: None

    @property
    def provider(self) -> str:
        """The provider as onnxruntime calls it."""
        return providers.NAMES[self.choice.name]

    @property
    def memory(self) -> int:
        """Bytes to get along with."""
        return self.machine.memory or DEFAULT_MEMORY

    @cached_property
    def chunk_session(self) -> Any:
        """Session of the graph for chunks."""
        try:
            return self._session(self.second)
        except runtime_errors() as error:
            raise _damaged(self.path, error) from error

    def iter_heat_map(self, read: Read, shape: Shape, input_range: tuple[float, float]) -> Iterator[Piece]:
        """The heat map of a volume, piece by piece, the way that costs least within the memory.

        Raises
        ------
        UsageError
            The memory is too small.
        CheckError
            onnxruntime stops.
        """
        limits = np.array(input_range, dtype=np.float32)
        try:
            if self.choice.name != providers.CPU:
                tiles = plan_for_gpu(shape, self.recipe, self.machine.memory)
                session = self.gpu_session(tiles)

                def on_gpu(block: NDArray[np.uint8]) -> NDArray[np.float32]:
                    return sessions.run_on_gpu(session, block, limits)

                yield from iter_heat_map(tiles, read, on_gpu, self.recipe.geometry)
                return
            tiling = plan(shape, self.recipe, self.memory)
            if tiling.streaming:
                yield from iter_streamed(self.chunk_session, tiling, read, limits, self.recipe)
            else:

                def on_cpu(block: NDArray[np.uint8]) -> NDArray[np.float32]:
                    return sessions.run_on_cpu(self.session, block, limits)

                yield from iter_heat_map(tiling, read, on_cpu, self.recipe.geometry)
        except runtime_errors() as error:
            z, y, x = shape
            raise CheckError(
                f"onnxruntime stopped ({first_line(error)}) in a volume of {x} x {y} x {z} voxels",
                where=self.path,
                remedy="If it is the memory, give a smaller --memory or close other programs; else report it.",
            ) from error

    def gpu_session(self, tiles: Tiling) -> Any:
        """The session for tiles on a GPU; TensorRT builds an engine for their size when there is none.

        Raises
        ------
        CheckError
            TensorRT cannot build it, or it cannot be kept.
        """
        if self.session is not None:
            return self.session
        tile = tiles.largest
        if tile in self._in_use:  # the next mirrored copy or tomogram
            return self._in_use[tile]
        self._in_use.clear()  # two engines may not fit into the GPU
        try:
            self._in_use[tile] = self._tensorrt(tile)
            return self._in_use[tile]
        except runtime_errors() as error:
            z, y, x = tile
            raise CheckError(
                f"TensorRT has no engine for tiles of {x} x {y} x {z} voxels ({first_line(error)})",
                where=self.path,
                remedy="If it is the memory, give a smaller --memory; --provider cuda needs no engine.",
            ) from error
        except OSError as error:
            raise CheckError(
                f"TensorRT's engine cannot be kept there ({error.strerror})",
                where=error.filename,
                remedy=f"Set {tensorrt_cache.CACHE} to a folder that can be written and has space.",
            ) from error

    @cached_property
    def _in_use(self) -> dict[Shape, Any]:
        return {}

    def _session(self, content: bytes, cache: Path | None = None, tile: Shape | None = None) -> Any:
        return sessions.new_session(content, self.choice.name, self.machine.threads, self.machine.device, cache, tile)

    def _tensorrt(self, tile: Shape) -> Any:
        content = self.path.read_bytes()

        def opened(folder: Path) -> Any:
            session = self._session(content, folder, tile)
            providers.verify(session, self.choice.name)
            return session

        def build(folder: Path) -> None:
            z, y, x = tile
            self.say(f"building TensorRT's engine for tiles of {x} x {y} x {z} voxels: minutes, once")
            sessions.run_on_gpu(opened(folder), np.zeros(tile, np.uint8), np.array([0, 255], np.float32))

        return opened(tensorrt_cache.ensure(tensorrt_cache.engine_key(self.sha256, self.machine.device, tile), build))


def open_model(
    path: str | Path, machine: Machine | None = None, say: Callable[[str], None] = lambda text: None
) -> Model:
    """Open an ONNX file made by ``milopyp-export``; for a checkpoint (``.pth``), the one exported beside it.

    Raises
    ------
    InputError
        No such file, a checkpoint without an ONNX file beside it, or a file without a recipe.
    ContradictionError
        The ONNX file beside the checkpoint was made from another one; an int8 file on a GPU; two onnxruntimes.
    MissingDependency
        No onnxruntime is installed, or the provider cannot be used.
    CheckError
        onnxruntime falls back to another provider.
    """
    path, machine = Path(path), machine or Machine()
    if not path.is_file():
        raise missing_file_error(path, "a model made by milopyp-export (.onnx)")
    if path.suffix in (".pth", ".pt"):
        return _exported_from(path, machine, say)
    refuse_two_runtimes(installed_runtimes())
    content = path.read_bytes()
    recipe, second = _recipe(content, path)
    choice = providers.choose(machine.provider, recipe.precision, providers.obstacle_to)
    sha256 = hashlib.sha256(content).hexdigest()
    session = None
    if choice.name != providers.TENSORRT:
        session = sessions.new_session(content, choice.name, machine.threads, machine.device)
        providers.verify(session, choice.name)
    return Model(path, sha256, recipe, machine, choice, session, second, say)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a model file; raises as `open_model` does."""
    return open_model(path, Machine(provider=providers.CPU, threads=1)).recipe


def _recipe(content: bytes, path: Path) -> tuple[Recipe, bytes]:
    """Recipe and second graph of a file that onnxruntime can read and that has the project's interface."""
    runtime = load_onnxruntime()
    options = sessions.plain_options(runtime)
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        session = runtime.InferenceSession(content, options, providers=[providers.NAMES[providers.CPU]])
        found: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    except runtime_errors() as error:
        raise InputError(
            f"onnxruntime cannot read it ({first_line(error)[:100]})",
            where=path,
            expected="an ONNX file made by milopyp-export, whole in itself",
        ) from error
    if METADATA_KEY not in found:
        raise InputError(
            "the ONNX file has no milopyp recipe",
            where=path,
            expected="a file made by milopyp-export",
            remedy="Export the checkpoint again: milopyp-export CHECKPOINT.",
        )
    recipe = Recipe.from_json(found[METADATA_KEY], path)
    names = [value.name for value in (*session.get_inputs(), *session.get_outputs())]
    if names != [*INPUTS, OUTPUT]:
        raise InputError(
            f"inputs and outputs are called {', '.join(names)}",
            where=path,
            expected=", ".join((*INPUTS, OUTPUT)),
            remedy="Export the checkpoint again: milopyp-export CHECKPOINT.",
        )
    if recipe.chunks is None:
        return recipe, b""
    try:
        return recipe, extract_streaming_graph(content, found[CHUNKS_KEY])
    except (KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> InputError:
    return InputError(
        f"its graph for chunks is damaged ({first_line(error)})",
        where=path,
        expected="a file made by milopyp-export",
        remedy="Export the checkpoint again: milopyp-export CHECKPOINT.",
    )


def _exported_from(checkpoint: Path, machine: Machine, say: Callable[[str], None]) -> Model:
    """The model beside `checkpoint` under the same name, provided that it was made from this very file."""
    exported = checkpoint.with_suffix(".onnx")
    if not exported.is_file():
        raise InputError(
            "is a PyTorch checkpoint",
            where=checkpoint,
            expected=f"an ONNX file, here or as {exported.name} beside it",
            remedy=f"Export it once, where PyTorch is: milopyp-export {checkpoint}",
        )
    model = open_model(exported, machine, say)
    found = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    made_from = model.recipe.checkpoint_sha256
    if made_from != found:
        raise ContradictionError(
            f"was made from another checkpoint (SHA-256 {made_from[:12] or 'unsaid'}) than {checkpoint.name} "
            f"({found[:12]})",
            where=exported,
            expected=f"the export of {checkpoint}",
            remedy=f"Export it again: milopyp-export --overwrite {checkpoint}",
        )
    return model
