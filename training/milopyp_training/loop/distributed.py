"""Which device, and which part of the work: one process, or several started by ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from milopyp_shared import cpu
from milopyp_shared.errors import UsageError

from ..data.dataset import CrossValidated, LabelledVolume
from ..methods.base import WorldInfo
from ..methods.default_patches import patch_shape
from ..methods.presets import DefaultPreset, Preset


@contextmanager
def process_group(gpus: str) -> Iterator[tuple[torch.device, WorldInfo]]:
    """Device and share of this process; under ``torchrun`` it joins the others for the time of the block.

    Parameters
    ----------
    gpus
        A GPU number, ``-1`` for the CPU, or ``auto``.

    Raises
    ------
    UsageError
        No such GPU.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield _device(gpus), WorldInfo()
        return
    local = os.environ.get("LOCAL_RANK", "0")
    device = _device(local if gpus == "auto" and torch.cuda.is_available() else gpus)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device, WorldInfo(torch.distributed.get_rank(), world)
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def broadcast_from_rank0(found: CrossValidated, device: torch.device) -> CrossValidated:
    """What the first process has found, in every process.

    Their networks have the same weights, but each has seen batches of its own, so that the statistics of the
    normalisation differ, and with them what looks like a particle.
    """
    names = list(found.ignored_candidates)
    sizes = torch.tensor([len(found.ignored_candidates[name]) for name in names], device=device)
    torch.distributed.broadcast(sizes, 0)
    counts = [3 * int(size) for size in sizes]
    values = np.concatenate(
        [[found.unlabelled], found.label_scores, *(p.ravel() for p in found.ignored_candidates.values())]
    )
    shared = torch.zeros(1 + len(found.label_scores) + sum(counts), dtype=torch.float64, device=device)
    if torch.distributed.get_rank() == 0:
        shared.copy_(torch.from_numpy(values))
    torch.distributed.broadcast(shared, 0)
    unlabelled, scores, *places = shared.cpu().split([1, len(found.label_scores), *counts])
    ignored_candidates = {name: own.numpy().reshape(-1, 3) for name, own in zip(names, places, strict=True)}
    return CrossValidated(ignored_candidates, float(unlabelled), scores.numpy())


def mixed_precision_pays(device: torch.device, preset: Preset, volumes: Sequence[LabelledVolume]) -> bool:
    """Whether `preset` trains faster and as well in bfloat16 on `device`.

    On CPUs that is known of the default preset with patches of full size only: of layers with two sections, PyTorch
    2.13 leaves parts of the weights' gradient unset.
    """
    if device.type == "cuda":
        return True
    return isinstance(preset, DefaultPreset) and patch_shape(preset, volumes) == preset.patch and cpu.bfloat16_pays()


def _device(gpus: str) -> torch.device:
    """The device that ``--gpus`` names."""
    if gpus == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if gpus == "-1":
        return torch.device("cpu")
    if not gpus.isdigit():
        raise UsageError(
            f"{gpus!r}",
            where="--gpus",
            expected="a GPU number, -1 or auto",
            remedy="Several GPUs are used through torchrun --nproc-per-node N.",
        )
    if not torch.cuda.is_available() or int(gpus) >= torch.cuda.device_count():
        raise UsageError(
            f"GPU {gpus} is not there ({torch.cuda.device_count()} found)",
            where="--gpus",
            expected="a GPU that PyTorch sees",
            remedy="Give -1 for the CPU.",
        )
    return torch.device("cuda", int(gpus))
