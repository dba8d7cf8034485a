"""What a network can run on: onnxruntime's providers, which of them really work here, and their options.

onnxruntime lists what it was built with, not what it can load, and goes on on the CPU without a word when a library
is missing. So libraries are tried before, and the session is asked afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milopyp_shared.errors import CheckError, ContradictionError, MissingDependency

from .runtime import import_onnxruntime

CPU, CUDA, TENSORRT = "cpu", "cuda", "tensorrt"
AUTO = "auto"
NAMES = {
    TENSORRT: "TensorrtExecutionProvider",
    CUDA: "CUDAExecutionProvider",
    CPU: "CPUExecutionProvider",
}  # best first
_LIBRARIES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
_REMEDIES = {
    CUDA: "Install it: pip install 'milopyp[gpu]' (and uninstall onnxruntime first); a driver of series 580 or newer.",
    TENSORRT: "Install it: pip install 'milopyp[gpu,tensorrt]' (TensorRT 10: version 11 does not fit onnxruntime).",
}
_TENSORRT_LIBRARIES = ("libnvinfer.so.10", "libnvonnxparser.so.10")


@dataclass(frozen=True)
class Choice:
    """What a model runs on.

    Attributes
    ----------
    name
        ``cpu``, ``cuda`` or ``tensorrt``.
    passed_over
        Why better ones were not taken, by name.
    """

    name: str
    passed_over: dict[str, str]

    def __str__(self) -> str:
        names: dict[str, list[str]] = {}
        for name, reason in self.passed_over.items():
            names.setdefault(reason, []).append(name)
        reasons = "; ".join(f"not {' or '.join(both)}: {reason}" for reason, both in names.items())
        return f"{self.name} ({reasons})" if reasons else self.name


def allowed_threads() -> int:
    """Threads that this process may use: its CPU affinity, which clusters restrict, not the machine's cores."""
    return len(os.sched_getaffinity(0))


def choose(wanted: str, precision: str, obstacle: Callable[[str], str | None]) -> Choice:
    """The provider to use.

    Parameters
    ----------
    wanted
        ``auto`` (the best that works), or one by name.
    precision
        Of the model file: ``int8`` is for CPUs only.
    obstacle
        Says why a provider cannot be used, None when it can: `obstacle_to` of this machine.

    Raises
    ------
    MissingDependency
        The one wanted cannot be used.
    ContradictionError
        An int8 model on a GPU.
    """
    if wanted != CPU and precision == "int8":
        if wanted != AUTO:
            raise ContradictionError(
                "int8 models are for CPUs",
                where=f"--provider {wanted}",
                expected="--provider cpu, or an fp16 or fp32 model",
                remedy="Export it with milopyp-export --precision fp16.",
            )
        return Choice(CPU, {})
    if wanted != AUTO:
        if wanted != CPU and (reason := obstacle(wanted)):
            raise MissingDependency(
                f"{wanted} does not work here: {reason}", where=f"--provider {wanted}", remedy=_REMEDIES[wanted]
            )
        return Choice(wanted, {})
    passed_over: dict[str, str] = {}
    for name in NAMES:
        reason = None if name == CPU else obstacle(name)
        if reason is None:
            return Choice(name, passed_over)
        passed_over[name] = reason
    raise AssertionError("the CPU always works")


def obstacle_to(name: str) -> str | None:
    """Why a GPU provider cannot be used on this machine, in the loader's own words; None when it can."""
    onnxruntime = import_onnxruntime()
    if NAMES[name] not in onnxruntime.get_available_providers():
        return f"this onnxruntime {onnxruntime.__version__} was built without it"
    preload(name)
    library = Path(onnxruntime.__file__).parent / "capi" / _LIBRARIES[name]
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides all GPUs"
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():  # the latter under WSL
        return "there is no GPU"
    return None


def preload(name: str) -> None:
    """Load what the provider's library wants from the wheels that bring it; what is missing shows afterwards."""
    onnxruntime = import_onnxruntime()
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find; the loader says it better
            onnxruntime.preload_dlls()
    if name != TENSORRT:
        return
    for folder in ("tensorrt_libs", "tensorrt_cu13_libs"):
        place = Path(onnxruntime.__file__).parents[1] / folder
        for library in _TENSORRT_LIBRARIES:
            if (place / library).is_file():
                ctypes.CDLL(str(place / library), mode=ctypes.RTLD_GLOBAL)


def provider_options(
    name: str, device: int = 0, cache: Path | None = None, tile: tuple[int, int, int] | None = None
) -> list[tuple[str, dict[str, str]]]:
    """Providers for a session, best first, with their options.

    Parameters
    ----------
    device
        GPU number.
    cache, tile
        TensorRT's folder for engines, and the largest tile ``(z, y, x)`` that it prepares itself for.
    """
    cpu: tuple[str, dict[str, str]] = (NAMES[CPU], {})
    cuda = (
        NAMES[CUDA],
        {
            "device_id": str(device),
            # All tiles have one size, so that a full search for the fastest convolution is made once.
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "cudnn_conv_use_max_workspace": "1",
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": "1",
        },
    )
    if name == CPU:
        return [cpu]
    if name == CUDA:
        return [cuda, cpu]
    options = {"device_id": str(device), "trt_builder_optimization_level": "4"}
    if cache is not None:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
        }
    if tile is not None:  # the last tile of an axis may be a little smaller, see `tiles.cut_fixed`
        largest = "x".join(map(str, tile))
        smallest = "x".join(str(max(size // 2, 1)) for size in tile)
        options |= {
            "trt_profile_min_shapes": f"sections:1x{smallest},levels:2",
            "trt_profile_opt_shapes": f"sections:1x{largest},levels:2",
            "trt_profile_max_shapes": f"sections:1x{largest},levels:2",
        }
    return [(NAMES[TENSORRT], options), cuda, cpu]


def verify(session: Any, name: str) -> None:
    """The session must run on what was asked for.

    Raises
    ------
    CheckError
        onnxruntime fell back to another provider.
    """
    got = session.get_providers()[0]
    if got != NAMES[name]:
        raise CheckError(
            f"onnxruntime fell back to {got}",
            where=f"--provider {name}",
            expected=NAMES[name],
            remedy="Run milopyp doctor; --provider cpu works everywhere.",
        )


def nodes_per_provider(session: Any) -> dict[str, int]:
    """How many of the graph's operators each provider runs; empty when this onnxruntime does not say."""
    counts: dict[str, int] = {}
    for part in getattr(session, "get_provider_graph_assignment_info", list)():
        counts[part.ep_name] = counts.get(part.ep_name, 0) + len(part.get_nodes())
    return counts


def describe(names: Sequence[str] = tuple(NAMES)) -> list[tuple[str, str]]:
    """What works here and what does not, for people."""
    return [(name, "works" if name == CPU else obstacle_to(name) or "works") for name in names]
