"""Providers in one table: what a network can run on, best first, and which of them to take here.

The table is light: an engine's module is imported when it is needed.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from milopyp_shared.errors import ContradictionError, MissingDependency, UsageError

from ..machine import AUTO, NO_GPU

if TYPE_CHECKING:  # the help must not pay for what this loads
    from .base import Engine

PRECISIONS = {"fp32": "all", "fp16": "GPUs", "int8": "CPUs"}  # of files, and what they are made for
#: Of the arithmetic that a file of ``fp32`` may be asked to run in.
ASKED_FOR = ("bf16",)


@dataclass(frozen=True)
class Provider:
    """A row of the table.

    Attributes
    ----------
    name
        Word of ``--provider``.
    runtime_name
        As onnxruntime calls it; records hold this.
    engine
        Class of its engines, ``module:class``; its options stand there.
    runs_on
        One phrase for people.
    refuses
        Precisions of model files, and of `ASKED_FOR`, that it does not run.
    gpu
        Whether ``--gpus`` names its device.
    library
        File beside onnxruntime's own that it cannot do without; empty when it is built in.
    remedy
        What to do when it cannot be used.
    """

    name: str
    runtime_name: str
    engine: str
    runs_on: str
    refuses: tuple[str, ...] = ()
    gpu: bool = False
    library: str = ""
    remedy: str = ""

    def load(self) -> type[Engine]:
        """The class of its engines."""
        loaded: type[Engine] = pkgutil.resolve_name(self.engine)
        return loaded


PROVIDERS: dict[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            "tensorrt",
            "TensorrtExecutionProvider",
            "milopyp_inference.engine.providers.tensorrt:TensorrtEngine",
            "one NVIDIA GPU, `--gpus NUMBER`, with an engine built for it",
            refuses=("int8", "bf16"),
            gpu=True,
            library="libonnxruntime_providers_tensorrt.so",
            remedy="Install it: pip install 'milopyp[gpu,tensorrt]' "
            "(TensorRT 10: version 11 does not fit onnxruntime).",
        ),
        Provider(
            "cuda",
            "CUDAExecutionProvider",
            "milopyp_inference.engine.providers.cuda:CudaEngine",
            "one NVIDIA GPU, `--gpus NUMBER`",
            refuses=("int8", "bf16"),
            gpu=True,
            library="libonnxruntime_providers_cuda.so",
            remedy="Install it: pip install 'milopyp[gpu]' (and uninstall onnxruntime first); "
            "a driver of series 580 or newer.",
        ),
        Provider(
            "openvino",
            "OpenVINO",
            "milopyp_inference.engine.providers.openvino:OpenvinoEngine",
            "CPUs, faster than `cpu`; `--precision bf16` where they have it",
            refuses=("fp16",),
            remedy="Install it: pip install 'milopyp[openvino]' (and uninstall other packages that contain openvino).",
        ),
        Provider(
            "cpu",
            "CPUExecutionProvider",
            "milopyp_inference.engine.providers.cpu:CpuEngine",
            "every machine, all threads that the process may use (`--threads`)",
            refuses=("bf16",),
        ),
    )
}  # best first


@dataclass(frozen=True)
class Choice:
    """What a model runs on.

    Attributes
    ----------
    name
        Of the provider.
    passed_over
        Why better ones were not taken, by name.
    """

    name: str
    passed_over: dict[str, str]

    def __str__(self) -> str:
        return f"{self.name} ({_reasons(self.passed_over)})" if self.passed_over else self.name


def choose(
    wanted: str, precision: str, obstacle: Callable[[str], str | None] | None = None, *, gpu: int | None = None
) -> Choice:
    """The provider to use.

    Parameters
    ----------
    wanted
        ``auto`` (the best that works), or one by name.
    precision
        Of the model file: ``int8`` is for CPUs only.
    obstacle
        Says why a provider cannot be used, None when it can; `obstacle_to` by default.
    gpu
        A GPU that is to be used: ``auto`` takes nothing else then. `NO_GPU`: it takes none.

    Raises
    ------
    UsageError
        There is no such provider.
    MissingDependency
        The one wanted cannot be used, or no GPU can.
    ContradictionError
        An int8 model on a GPU.
    """
    if wanted not in (AUTO, *PROVIDERS):
        raise UsageError(f"{wanted!r}", where="--provider", expected=f"one of {', '.join((AUTO, *PROVIDERS))}")
    where = f"--provider {wanted}" if wanted != AUTO or gpu is None else f"--gpus {gpu}"
    rows = [row for row in PROVIDERS.values() if wanted == row.name or (wanted == AUTO and _is_meant(row, gpu))]
    rows = [row for row in rows if precision not in row.refuses]
    if not rows and precision in ASKED_FOR:
        raise ContradictionError(
            f"beside --precision {precision}, which OpenVINO has", where=where, expected="--provider openvino, or auto"
        )
    if not rows:
        raise ContradictionError(
            f"{precision} models are for {PRECISIONS[precision]}",
            where=where,
            expected="--provider cpu, or an fp16 or fp32 model",
            remedy="Export it with milopyp-export --precision fp16.",
        )
    passed_over: dict[str, str] = {}
    for row in rows:
        reason = (obstacle or obstacle_to)(row.name)
        if reason is None:
            return Choice(row.name, passed_over)
        passed_over[row.name] = reason
    if wanted != AUTO:
        raise MissingDependency(f"{wanted} does not work here: {reason}", where=where, remedy=PROVIDERS[wanted].remedy)
    if precision in ASKED_FOR:
        raise MissingDependency(
            f"--precision {precision} cannot be had here ({_reasons(passed_over)})",
            where=where,
            expected="OpenVINO",
            remedy=PROVIDERS["openvino"].remedy,
        )
    raise MissingDependency(
        f"no GPU can be used here ({_reasons(passed_over)})",
        where=where,
        expected="a provider for GPUs that works: milopyp doctor",
        remedy="Leave --gpus out, or give -1, to pick on the CPU.",
    )


def _is_meant(row: Provider, gpu: int | None) -> bool:
    return gpu is None or row.gpu == (gpu != NO_GPU)


def obstacle_to(name: str) -> str | None:
    """Why a provider cannot be used on this machine; None when it can."""
    return PROVIDERS[name].load().obstacle()


def describe() -> list[tuple[str, str]]:
    """What works here and what does not, for people: best last."""
    return [(name, obstacle_to(name) or "works") for name in reversed(PROVIDERS)]


def _reasons(passed_over: dict[str, str]) -> str:
    names: dict[str, list[str]] = {}
    for name, reason in passed_over.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"not {' or '.join(both)}: {reason}" for reason, both in names.items())
