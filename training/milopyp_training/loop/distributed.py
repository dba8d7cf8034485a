"""Several processes that train one model together, started by ``torchrun``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np
import torch
from torch import nn

from milopyp_shared.messages import LOGGER

from ..data.cross_validated import CrossValidated
from ..methods.base import ALONE, WorldInfo
from .machine import device_of
from .rendezvous import meet, read_invitation

#: PyTorch's first step of an optimiser imports this, whose functions have the group of that moment as default: it would
#: never end then, and its threads abort the process now and then when the interpreter ends (seen with 2.13).
_KEEPS_GROUPS = "torch.distributed.nn.functional"


@contextmanager
def process_group(gpus: str) -> Iterator[tuple[torch.device, WorldInfo]]:
    """Device and rank of this process; under ``torchrun`` it joins the others for the time of the block.

    Parameters
    ----------
    gpus
        See `device_of`; under ``torchrun`` ``auto`` gives each process a GPU of its own.

    Raises
    ------
    UsageError, ContradictionError
        No such GPU, or an environment that does not say which of several processes this is.
    CheckError
        The others do not come.
    """
    invitation = read_invitation()
    world = invitation.world
    if world == ALONE:
        yield device_of(gpus), ALONE
        return
    device = device_of(invitation.local_rank if gpus == "auto" and torch.cuda.is_available() else gpus)
    store = meet(invitation, LOGGER.warning)
    import_module(_KEEPS_GROUPS)
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo", store=store, rank=world.rank, world_size=world.size
    )
    try:
        yield device, world
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def average_gradients(network: nn.Module, world: WorldInfo) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= world.size
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


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
    message = torch.zeros(1 + len(found.label_scores) + sum(counts), dtype=torch.float64, device=device)
    if torch.distributed.get_rank() == 0:
        message.copy_(torch.from_numpy(values))
    torch.distributed.broadcast(message, 0)
    unlabelled, scores, *places = message.cpu().split([1, len(found.label_scores), *counts])
    ignored_candidates = {name: own.numpy().reshape(-1, 3) for name, own in zip(names, places, strict=True)}
    return CrossValidated(ignored_candidates, float(unlabelled), scores.numpy())
