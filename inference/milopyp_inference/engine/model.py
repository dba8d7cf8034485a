"""A model file opened for picking: on a provider that works here, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from milopyp_shared.errors import CheckError, ContradictionError
from milopyp_shared.recipe import Recipe
from milopyp_shared.system import allowed_threads
from milopyp_shared.tiles import Piece, Read, Shape

from .checkpoint import SUFFIXES, export_of
from .machine import AUTO, Machine
from .model_file import ModelFile, read_model_file
from .providers.base import Engine
from .providers.registry import PROVIDERS, Provider, choose, obstacle_to
from .runtime import first_line, runtime_errors


@dataclass(frozen=True)
class Model:
    """A model file in use.

    Attributes
    ----------
    path, sha256
        The file and its hash.
    recipe
        What the file says of itself.
    provider
        What it runs on.
    engine
        Makes heat maps there.
    threads
        Of the CPU that it may use.
    """

    path: Path
    sha256: str
    recipe: Recipe
    provider: Provider
    engine: Engine
    threads: int

    def iter_heat_map(self, read: Read, shape: Shape, input_range: tuple[float, float]) -> Iterator[Piece]:
        """The heat map of a volume, piece by piece, the way that costs least within the memory.

        Parameters
        ----------
        read
            Gives grey levels.
        shape
            ``(z, y, x)`` after pairing.
        input_range
            The grey levels that mean 0 and 1.

        Raises
        ------
        UsageError
            The memory is too small.
        CheckError
            onnxruntime stops.
        """
        yield from iter_pieces(self.engine, self.path, read, shape, input_range)


def iter_pieces(
    engine: Engine, path: Path, read: Read, shape: Shape, input_range: tuple[float, float]
) -> Iterator[Piece]:
    """What `engine` makes of a volume; `path` is the file that it runs, the rest as for `Model.iter_heat_map`."""
    tiling = engine.plan(shape)
    try:
        yield from engine.iter_heat_map(tiling, read, np.array(input_range, np.float32))
    except runtime_errors() as error:
        z, y, x = shape
        raise CheckError(
            f"{engine.runtime} stopped ({first_line(error)}) in a volume of {x} x {y} x {z} voxels",
            where=path,
            remedy="If it is the memory, give a smaller --memory or close other programs; else report it.",
        ) from error


def open_model(
    path: str | Path,
    machine: Machine | None = None,
    say: Callable[[str], None] = lambda text: None,
    *,
    leave_all: bool = False,
) -> Model:
    """Open an ONNX file made by ``milopyp-export``; for a checkpoint (``.pth``), its export, made where there is none.

    Parameters
    ----------
    say
        Is told what was chosen, if the choice was free, and what takes long.
    leave_all
        Write no export beside a checkpoint: one that is needed goes into the cache.

    Raises
    ------
    InputError
        No such file, a checkpoint that cannot be exported here, or a file without a recipe.
    ContradictionError
        The ONNX file beside the checkpoint was made from another one, and none can be made here; an int8 file on a
        GPU; two onnxruntimes.
    MissingDependency
        No onnxruntime is installed, or the provider cannot be used.
    CheckError
        It cannot be opened there, onnxruntime falls back to another provider, or OpenVINO gives another result.
    """
    machine = machine or Machine()
    path = Path(path)
    file = export_of(path, say, only_kept=leave_all) if _is_checkpoint(path) else read_model_file(path)
    precision = precision_of(file.recipe, machine.precision, file.path)
    if machine.provider != AUTO:
        choose(machine.provider, precision, gpu=machine.device)
        return _opened(file, PROVIDERS[machine.provider], machine, say)

    def obstacle(name: str) -> str | None:
        only_one = precision == "bf16"  # which nothing else has
        return obstacle_to(name) or (None if only_one else PROVIDERS[name].load().unsuited(file))

    choice = choose(AUTO, precision, obstacle, gpu=machine.device)
    say(f"running on {choice}")
    try:
        return _opened(file, PROVIDERS[choice.name], machine, say)
    except CheckError as error:
        if choice.name != "openvino" or precision == "bf16":
            raise
        say(f"running on cpu (not openvino: {error.found})")
        return _opened(file, PROVIDERS["cpu"], machine, say)


def precision_of(recipe: Recipe, wanted: str | None, where: Path) -> str:
    """The precision that a model is to run in: the file's, or another one that was asked for.

    Raises
    ------
    ContradictionError
        A file of integers or half precision is asked to run in another one.
    """
    if recipe.precision in ("fp32", "bf16"):  # the same graphs; every provider runs them in fp32
        return wanted or "fp32"
    if wanted not in (None, recipe.precision):
        raise ContradictionError(
            f"is an {recipe.precision} file, but --precision {wanted} is asked for",
            where=where,
            expected="an fp32 file beside --precision",
            remedy="Leave --precision out, or export the checkpoint in fp32.",
        )
    return recipe.precision


def _opened(file: ModelFile, provider: Provider, machine: Machine, say: Callable[[str], None]) -> Model:
    engine_of = provider.load()
    if file.recipe.precision == "bf16" and provider.name != "openvino":
        say(f"{file.path.name} was judged in bf16, which {provider.name} does not have: it runs in fp32")
    try:
        engine = engine_of(file, replace(machine, provider=provider.name), say)
    except runtime_errors() as error:
        raise CheckError(
            f"{engine_of.runtime} cannot open it on {provider.name} ({first_line(error)})",
            where=file.path,
            remedy="Run milopyp doctor; --provider cpu works everywhere.",
        ) from error
    return Model(file.path, file.sha256, file.recipe, provider, engine, machine.threads or allowed_threads())


def _is_checkpoint(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file()


def read_recipe(path: Path) -> Recipe:
    """The recipe in a model file; raises as `read_model_file` does."""
    return read_model_file(path).recipe
