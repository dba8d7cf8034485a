"""onnxruntime with CUDA: tiles of one size on one NVIDIA GPU, copied while the network is busy with another.

onnxruntime lists what it was built with, not what it can load, and goes on on the CPU without a word when a library
is missing. So libraries are tried before, and the session is asked afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.tiles import Piece, Read, Shape, Tiling

from ..machine import Machine
from ..model_file import ModelFile
from ..overlap import DeviceSession
from ..planning import plan_for_gpu
from ..runtime import import_onnxruntime, installed_runtimes, load_onnxruntime, release
from ..session import ProviderOptions, new_session, operators_by_provider
from . import cpu
from .base import Engine, Say
from .registry import PROVIDERS, Provider

DEVICE = "cuda"  # as onnxruntime calls its memory
FAST_UPSAMPLING = (1, 25)  # before, one up-sampling in three dimensions may take as long as all convolutions


def options(device: int = 0) -> ProviderOptions:
    """CUDA, and the CPU for what it does not have."""
    cuda = {
        "device_id": str(device),
        # All tiles have one size, so that a full search for the fastest convolution is made once.
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "1",
    }
    return [("CUDAExecutionProvider", cuda), *cpu.OPTIONS]


class CudaEngine(Engine):
    """A model on one GPU."""

    def __init__(self, file: ModelFile, machine: Machine, say: Say) -> None:
        self._recipe, self._memory, device = file.recipe, machine.memory, machine.device or 0
        self._session = DeviceSession(new_session(file.graph, machine, options(device)), (DEVICE, device), say)
        if release(onnxruntime := load_onnxruntime()) < FAST_UPSAMPLING:
            least = ".".join(map(str, FAST_UPSAMPLING))
            say(f"onnxruntime {onnxruntime.__version__} is slow on GPUs: {least} and newer enlarge volumes much faster")

    @staticmethod
    def obstacle() -> str | None:
        """A library that is missing, or the GPU."""
        return gpu_obstacle(PROVIDERS["cuda"])

    def plan(self, shape: Shape) -> Tiling:
        """Tiles of one size, within the memory of the GPU."""
        return plan_for_gpu(shape, self._recipe, self._memory)

    def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
        """Tile by tile, the next ones being read, copied and computed meanwhile."""
        return self._session.iter_heat_map(tiling, read, input_range, self._recipe.geometry)

    def operators(self) -> dict[str, int]:
        """Of the graph."""
        return operators_by_provider(self._session.session)


def gpu_obstacle(provider: Provider, preload: Callable[[Path], None] = lambda packages: None) -> str | None:
    """Why a provider for NVIDIA GPUs cannot be used, None when it can.

    Parameters
    ----------
    preload
        Loads further libraries that the provider's own wants, from wheels in the folder of all packages.
    """
    onnxruntime = import_onnxruntime()
    if provider.runtime_name not in onnxruntime.get_available_providers():
        hidden = [it for it in installed_runtimes() if not it.used and it.name != "onnxruntime"]
        others = "".join(f"; there is {runtime}" for runtime in hidden)
        return f"this onnxruntime {onnxruntime.__version__} was built without it{others}"
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find; the loader says it better
            onnxruntime.preload_dlls()
    package = Path(onnxruntime.__file__).parent
    preload(package.parent)
    try:
        ctypes.CDLL(str(package / "capi" / provider.library))
    except OSError as error:
        return str(error)
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides all GPUs"
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():  # the latter under WSL
        return "there is no GPU"
    return None
