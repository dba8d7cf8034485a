"""Where and how a model is to run."""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"
NO_GPU = -1


@dataclass(frozen=True)
class Machine:
    """Where and how a model runs; nothing of it but the precision changes results beyond rounding.

    Attributes
    ----------
    provider
        A name of `providers.registry.PROVIDERS`, or ``auto`` for the best that works here.
    device
        GPU number; one that is given is a wish for a GPU, `NO_GPU` for none. None: the first GPU, if any.
    threads
        CPU threads; None for all that this process may use.
    memory
        Bytes: of the whole process on the CPU, of the network on a GPU.
    precision
        Of the arithmetic, another one than the file's: ``bf16``; None: the file's.
    """

    provider: str = AUTO
    device: int | None = None
    threads: int | None = None
    memory: int | None = None
    precision: str | None = None
