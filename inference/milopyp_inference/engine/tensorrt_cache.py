"""TensorRT's engines: built once per model, GPU, versions and tile size, and kept.

Building takes minutes. It happens under a lock in a folder of another name, which is renamed when everything is in
it: of the jobs of an array one builds and the others wait, and a killed one leaves nothing that looks finished.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from milopyp_shared.tiles import Shape

from .cache import cache_folder

_BUILDING = ".part"


@dataclass(frozen=True)
class EngineKey:
    """What an engine belongs to."""

    model_sha256: str
    gpu: str
    onnxruntime: str
    tensorrt: str
    tile: Shape

    @property
    def name(self) -> str:
        """Name of its folder: readable, and different for whatever is different."""
        text = "|".join(map(str, (self.model_sha256, self.gpu, self.onnxruntime, self.tensorrt, self.tile)))
        z, y, x = self.tile
        return f"{self.model_sha256[:8]}_{x}x{y}x{z}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def engine_key(model_sha256: str, device: int, tile: Shape) -> EngineKey:
    """The key of an engine on this machine."""
    return EngineKey(model_sha256, gpu_name(device), _version("onnxruntime-gpu"), _tensorrt_version(), tile)


def ensure(key: EngineKey, build: Callable[[Path], None], folder: Path | None = None) -> Path:
    """The folder of the engine `key`; built by `build`, which gets a folder to fill, when there is none.

    Parameters
    ----------
    folder
        Where engines are kept; ``engines`` in `cache_folder` by default.
    """
    folder = folder or cache_folder() / "engines"
    target = folder / key.name
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key.name}.lock"):  # the system frees it when its holder is killed
        if not target.is_dir():  # another process may have built it while this one waited
            part = folder / f"{key.name}{_BUILDING}"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            build(part)
            part.rename(target)
    return target


def kept(folder: Path | None = None) -> list[tuple[str, int]]:
    """Names and bytes of the engines that are kept."""
    folder = folder or cache_folder() / "engines"
    found = sorted(path for path in folder.glob("*") if path.is_dir() and path.suffix != _BUILDING)
    return [(path.name, sum(file.stat().st_size for file in path.rglob("*") if file.is_file())) for path in found]


def clear(folder: Path | None = None) -> int:
    """Remove all engines; returns how many there were."""
    folder = folder or cache_folder() / "engines"
    count = len(kept(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return count


def gpu_name(device: int) -> str:
    """Name and driver of a GPU as ``nvidia-smi`` has them; empty without it."""
    command = ["nvidia-smi", f"--id={smi_id(device)}", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def smi_id(device: int) -> str:
    """What ``nvidia-smi`` calls a GPU; onnxruntime counts the visible ones."""
    visible = [word for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word]
    return visible[device] if device < len(visible) else str(device)


def _tensorrt_version() -> str:
    return next((found for name in ("tensorrt-cu13", "tensorrt-cu12", "tensorrt") if (found := _version(name))), "")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
