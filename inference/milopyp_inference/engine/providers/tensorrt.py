"""onnxruntime with TensorRT: tiles on one NVIDIA GPU, with an engine of TensorRT's built for their size and kept."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import CheckError
from milopyp_shared.tiles import Piece, Read, Shape, Tiling

from .. import tensorrt_cache
from ..cache import CACHE
from ..machine import Machine
from ..model_file import ModelFile
from ..overlap import DeviceSession
from ..planning import plan_for_gpu
from ..runtime import first_line, runtime_errors
from ..session import ProviderOptions, new_session, operators_by_provider
from . import cuda
from .base import Engine, Say
from .registry import PROVIDERS

_LIBRARIES = ("libnvinfer.so.10", "libnvonnxparser.so.10")


def options(device: int, cache: Path, tile: Shape) -> ProviderOptions:
    """TensorRT, and the next best for what it does not have.

    Parameters
    ----------
    cache
        Folder for its engine.
    tile
        Largest tile ``(z, y, x)`` that it prepares itself for; the last one of an axis may be a little smaller, see
        `milopyp_shared.tiles.cut_fixed`.
    """
    largest = "x".join(map(str, tile))
    smallest = "x".join(str(max(size // 2, 1)) for size in tile)
    tensorrt = {
        "device_id": str(device),
        "trt_builder_optimization_level": "4",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        "trt_profile_min_shapes": f"sections:1x{smallest},levels:2",
        "trt_profile_opt_shapes": f"sections:1x{largest},levels:2",
        "trt_profile_max_shapes": f"sections:1x{largest},levels:2",
    }
    return [("TensorrtExecutionProvider", tensorrt), *cuda.options(device)]


class TensorrtEngine(Engine):
    """A model on one GPU, with one session per size of tiles; one at a time, because two may not fit into the GPU."""

    def __init__(self, file: ModelFile, machine: Machine, say: Say) -> None:
        self._file, self._machine, self._say = file, machine, say
        self._sessions: dict[Shape, DeviceSession] = {}

    @staticmethod
    def obstacle() -> str | None:
        """A library that is missing, or the GPU."""
        return cuda.gpu_obstacle(PROVIDERS["tensorrt"], _preload)

    def plan(self, shape: Shape) -> Tiling:
        """Tiles of one size, within the memory of the GPU."""
        return plan_for_gpu(shape, self._file.recipe, self._machine.memory)

    def prepare(self, tiling: Tiling) -> None:
        """Build TensorRT's engine for the size of these tiles when there is none.

        Raises
        ------
        CheckError
            TensorRT cannot build it, or it cannot be kept.
        """
        self._session(tiling.largest)

    def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
        """Tile by tile, the next ones being read, copied and computed meanwhile."""
        return self._session(tiling.largest).iter_heat_map(tiling, read, input_range, self._file.recipe.geometry)

    def operators(self) -> dict[str, int]:
        """Of the session in use."""
        return next((operators_by_provider(kept.session) for kept in self._sessions.values()), {})

    def _session(self, tile: Shape) -> DeviceSession:
        if tile in self._sessions:  # the next mirrored copy or tomogram
            return self._sessions[tile]
        self._sessions.clear()
        try:
            self._sessions[tile] = self._built(tile)
        except runtime_errors() as error:
            z, y, x = tile
            raise CheckError(
                f"TensorRT has no engine for tiles of {x} x {y} x {z} voxels ({first_line(error)})",
                where=self._file.path,
                remedy="If it is the memory, give a smaller --memory; --provider cuda needs no engine.",
            ) from error
        except OSError as error:
            raise CheckError(
                f"TensorRT's engine cannot be kept there ({error.strerror})",
                where=error.filename,
                remedy=f"Set {CACHE} to a folder that can be written and has space.",
            ) from error
        return self._sessions[tile]

    def _built(self, tile: Shape) -> DeviceSession:
        device = self._machine.device or 0

        def opened(folder: Path) -> DeviceSession:
            session = new_session(self._file.graph, self._machine, options(device, folder, tile))
            return DeviceSession(session, (cuda.DEVICE, device), self._say)

        def build(folder: Path) -> None:
            z, y, x = tile
            self._say(f"building TensorRT's engine for tiles of {x} x {y} x {z} voxels: minutes, once")
            opened(folder).run(np.zeros(tile, np.uint8), np.array([0, 255], np.float32))

        return opened(tensorrt_cache.ensure(tensorrt_cache.engine_key(self._file.sha256, device, tile), build))


def _preload(packages: Path) -> None:
    """Load TensorRT's libraries from the wheels that bring them, where they are found there."""
    for folder in ("tensorrt_libs", "tensorrt_cu13_libs"):
        for library in _LIBRARIES:
            if (packages / folder / library).is_file():
                ctypes.CDLL(str(packages / folder / library), mode=ctypes.RTLD_GLOBAL)
