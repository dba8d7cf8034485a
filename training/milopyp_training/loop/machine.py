"""What a training runs on: the device, the other processes, the precision."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from milopyp_shared.errors import UsageError
from milopyp_shared.system import allowed_threads

from ..methods.base import ALONE, Method, WorldInfo
from ..networks.precision import trains_in_bfloat16


@dataclass(frozen=True)
class Machine:
    """How a training is computed; of all this, only the number of processes changes more of its result than rounding.

    Attributes
    ----------
    world
        Which of the processes that train together this one is.
    mixed_precision
        Run the network in bfloat16; losses stay in float32. None: not decided, see `decided`.
    ahead
        Batches that a background thread prepares ahead.
    """

    device: torch.device
    world: WorldInfo = ALONE
    mixed_precision: bool | None = False
    ahead: int = 0

    def decided(self, method: Method) -> Machine:
        """The same with a precision, chosen for `method` where none is."""
        if self.mixed_precision is not None:
            return self
        return replace(self, mixed_precision=mixed_precision_pays(self.device, method))


def use_threads(threads: int | None) -> None:
    """Compute with so many threads; without a number with PyTorch's own, but no more than the process may use.

    PyTorch knows of the CPUs that a process may run on, not of the CPU time that a container has.
    """
    if threads is None and allowed_threads() < torch.get_num_threads():
        threads = allowed_threads()
    if threads is not None:
        torch.set_num_threads(threads)


def mixed_precision_pays(device: torch.device, method: Method) -> bool:
    """Whether `method` trains faster and as well in bfloat16 on `device`."""
    return trains_in_bfloat16(device, on_cpus=method.bfloat16_on_cpu)


def device_of(gpus: str) -> torch.device:
    """The device that ``--gpus`` names.

    Parameters
    ----------
    gpus
        A GPU number, ``-1`` for the CPU, or ``auto`` for a GPU if there is one.

    Raises
    ------
    UsageError
        No such GPU.
    """
    if gpus == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if gpus == "-1":
        return torch.device("cpu")
    if not gpus.isdecimal():
        raise UsageError(
            f"{gpus!r}",
            where="--gpus",
            expected="a GPU number, -1 or auto",
            remedy="Several GPUs are used through torchrun --nproc-per-node N.",
        )
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(gpus) >= found:
        raise UsageError(
            f"GPU {gpus} is not there ({found} found)",
            where="--gpus",
            expected="a GPU that PyTorch sees",
            remedy="Give --gpus -1 for the CPU.",
        )
    return torch.device("cuda", int(gpus))
