"""``milopyp doctor``: what this machine and this installation can do, on one screen."""

from __future__ import annotations

import importlib
import io
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared import cpu, pretrained_weights
from milopyp_shared.commandline import command
from milopyp_shared.errors import CheckError, ContradictionError, InputError
from milopyp_shared.system import affinity, allowed_threads
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from milopyp_inference.engine.runtime import Runtime

PACKAGES = ("numpy", "scipy", "numba", "mrcfile", "torch", "onnx", "openvino")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "asimd")


@dataclass(frozen=True)
class Processor:
    """The CPU; `threads` is what this process may use of it, `quota` the CPU time of its group, in CPUs, if any."""

    name: str
    cores: int
    threads: int
    quota: float | None
    flags: tuple[str, ...]
    int8_pays: bool


@dataclass(frozen=True)
class Folder:
    """A folder that may not be there yet: can it be written, and how many bytes are free?"""

    path: str
    writable: bool
    free: int


@dataclass(frozen=True)
class Facts:
    """What `milopyp doctor` says.

    Attributes
    ----------
    packages
        Versions by name, "-" for what is not installed.
    problem
        Why nothing can be picked here and what to do; empty when something can.
    providers
        ``works`` or the reason why not, by name.
    auto
        What ``--provider auto`` takes; None when nothing works.
    gpus
        Names and drivers.
    kernels
        Where numba keeps compiled functions; None when numba cannot be loaded.
    engines
        Where TensorRT's engines are kept; None for a user without a home folder.
    temporary
        For grey levels and heat maps; None when there is none that can be written.
    weights
        What the pre-trained weights are, or what is wrong with them.
    """

    milopyp: str
    python: str
    packages: dict[str, str]
    problem: str
    providers: dict[str, str]
    auto: str | None
    gpus: list[str]
    processor: Processor
    kernels: Folder | None
    engines: Folder | None
    temporary: Folder | None
    weights: str


@command("doctor", speaks=False)
@click.option("--json", "as_json", is_flag=True, help="The facts as JSON.")
@click.version_option(package_name="milopyp")
def doctor(as_json: bool) -> None:
    """Say what this machine and this installation can do.

    The exit code is 0 when milopyp-infer can pick on some provider, and 3 when it cannot.

    \b
    Example:
      milopyp doctor --json
    """
    facts = gather()
    click.echo(json.dumps(asdict(facts), indent=1) if as_json else describe(facts))
    if facts.problem:
        raise CheckError(facts.problem)


def gather() -> Facts:
    """All facts."""
    from milopyp_inference.engine import tensorrt_cache
    from milopyp_inference.engine.machine import AUTO
    from milopyp_inference.engine.providers.registry import choose
    from milopyp_inference.engine.runtime import import_onnxruntime, installed_runtimes

    runtimes = installed_runtimes()
    runtime_error = _loading_error("onnxruntime", import_onnxruntime)
    numba_error = _loading_error("numba", lambda: importlib.import_module("numba"))
    states = _provider_states(runtime_error)
    obstacles = {name: state for name, state in states.items() if state != "works"}
    problem = _conflict(runtimes) or runtime_error or numba_error
    return Facts(
        milopyp=metadata.version("milopyp"),
        python=platform.python_version(),
        packages=_packages(runtimes),
        problem=problem,
        providers=states,
        auto=None if problem else choose(AUTO, "fp32", obstacles.get).name,
        gpus=list(takewhile(bool, map(tensorrt_cache.gpu_name, count()))),
        processor=processor(),
        kernels=None if numba_error else _kernels(),
        engines=_engines(),
        temporary=_temporary(),
        weights=_weights(),
    )


def describe(facts: Facts) -> str:
    """The facts for people, one per line."""
    cpu = facts.processor
    rows = [
        ("milopyp", f"{facts.milopyp}, Python {facts.python}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in facts.packages.items())),
        *facts.providers.items(),
        (
            "auto",
            f"milopyp-infer --provider auto takes {facts.auto}"
            if facts.auto
            else "nothing can be picked here, see below",
        ),
        ("GPUs", "; ".join(facts.gpus) or "none that nvidia-smi names"),
        (
            "processor",
            f"{cpu.name}, {counted(cpu.cores, 'core')}, {counted(cpu.threads, 'thread')} for this process{_why(cpu)}",
        ),
        ("flags", f"{' '.join(cpu.flags) or '-'}; int8 models {'pay' if cpu.int8_pays else 'gain little (no VNNI)'}"),
        ("kernels", _describe_folder(facts.kernels, "NUMBA_CACHE_DIR")),
        ("engines", _describe_folder(facts.engines, "MILOPYP_CACHE")),
        ("temporary", _describe_folder(facts.temporary, "TMPDIR")),
        ("weights", facts.weights),
    ]
    return "\n".join(f"{title:<12}{text}" for title, text in rows)


def _why(processor: Processor) -> str:
    """What leaves this process less than the machine has."""
    reasons = []
    if affinity() < (os.cpu_count() or 1):
        reasons.append(f"its affinity has {affinity()} of {os.cpu_count()} CPUs")
    if processor.quota is not None:
        reasons.append(f"its control group may use the time of {processor.quota:.3g}")
    return f" ({', '.join(reasons)})" if reasons else ""


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """The CPU as the kernel describes it, as far as it does."""
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    blocks = [_fields(block) for block in text.split("\n\n") if "processor" in block]
    first = blocks[0] if blocks else {}
    cores = {(block.get("physical id"), block.get("core id", block["processor"])) for block in blocks}
    has = cpu.flags(cpuinfo)
    return Processor(
        name=first.get("model name", platform.machine()),
        cores=len(cores) or os.cpu_count() or 1,
        threads=allowed_threads(),
        quota=cpu.quota(),
        flags=tuple(flag for flag in FLAGS if flag in has),
        int8_pays=cpu.int8_pays(cpuinfo),
    )


def folder(path: Path) -> Folder:
    """What can be said of a folder, judged by the nearest one above it when it is not there yet."""
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return Folder(str(path), os.access(there, os.W_OK | os.X_OK), shutil.disk_usage(there).free)


def _fields(block: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}


def _packages(runtimes: list[Runtime]) -> dict[str, str]:
    installed = {(entry.metadata["Name"] or "").lower(): entry.version for entry in metadata.distributions()}
    tensorrt = {name: installed[name] for name in sorted(installed) if name.startswith("tensorrt")}
    fixed = {name: installed.get(name, "-") for name in PACKAGES}
    used = {runtime.name: runtime.version for runtime in runtimes if runtime.used}
    others = {f"{it.name} in {it.folder}": f"{it.version} (not used)" for it in runtimes if not it.used}
    return fixed | (used or {"onnxruntime": "-"}) | others | (tensorrt or {"tensorrt": "-"})


def _conflict(runtimes: list[Runtime]) -> str:
    from milopyp_inference.engine.runtime import refuse_two_runtimes

    try:
        refuse_two_runtimes(runtimes)
    except ContradictionError as error:
        return str(error)
    return ""


def _loading_error(name: str, load: Callable[[], Any]) -> str:
    """Why a package cannot be loaded and what to do; empty when it can."""
    remedy = "Run: pip install 'milopyp[cpu]' (or [gpu])."
    try:
        module = load()
    except ImportError as error:
        installed = not isinstance(error, ModuleNotFoundError) or error.name != name
        return f"{name} cannot be loaded ({error}). {remedy}" if installed else f"{name} is not installed. {remedy}"
    if (
        getattr(module, "__file__", None) is None
    ):  # what is left of onnxruntime when one of two that shared the folder was removed
        return f"{name} is installed in part only. Uninstall it and all packages that contain it. {remedy}"
    return ""


def _provider_states(runtime_error: str) -> dict[str, str]:
    from milopyp_inference.engine.providers import registry

    if runtime_error:
        return dict.fromkeys(reversed(registry.PROVIDERS), runtime_error.partition(". ")[0])
    with redirect_stdout(io.StringIO()):  # onnxruntime prints what it could not load, and so would spoil the JSON
        return dict(registry.describe())


def _kernels() -> Folder:
    from milopyp_shared.kernels import places

    found = [folder(place) for place in places()]
    return next((place for place in found if place.writable), found[-1])


def _engines() -> Folder | None:
    from milopyp_inference.engine.cache import cache_folder

    try:
        return folder(cache_folder() / "engines")
    except InputError:
        return None


def _temporary() -> Folder | None:
    try:
        return folder(Path(tempfile.gettempdir()))
    except FileNotFoundError:
        return None


def _weights() -> str:
    try:
        description = pretrained_weights.read_pretrained().description
        pretrained_weights.read_graph()
    except InputError as error:
        return str(error)
    return f"pre-trained network with {description.options.features} features, arrays and graph whole"


def _describe_folder(place: Folder | None, variable: str) -> str:
    if place is None:
        return f"none that can be used; set {variable}"
    state = f"{place.free / 2**30:.1f} GiB free" if place.writable else f"cannot be written; set {variable}"
    return f"{place.path}, {state}"
