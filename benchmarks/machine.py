"""What every table says about the machine and the versions it was measured with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "numpy", "numba")
FLAGS = ("avx2", "avx512f", "avx512_vnni")


def describe_machine() -> str:
    """Cores, CPU, the flags that matter, versions: one line."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    flags = [flag for flag in FLAGS if flag in facts.get("flags", "").split()]
    versions = [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    cores = len(os.sched_getaffinity(0))
    cpu = facts.get("model name", platform.machine())
    return f"{cores} cores of {cpu} ({', '.join(flags)}), Python {platform.python_version()}, {', '.join(versions)}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
