"""What every provider is to milopyp: an engine, opened on a model file, that makes heat maps within the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.tiles import Piece, Read, Shape, Tiling

from ..machine import Machine
from ..model_file import ModelFile

Say = Callable[[str], None]


class Engine(Protocol):
    """A model on one provider.

    Parameters
    ----------
    file
        The model; engines keep of it what they need.
    machine
        Device, threads and memory; its provider is the name of this one.
    say
        Is told what takes long.

    Raises
    ------
    CheckError
        onnxruntime falls back to another provider.
    """

    runtime: str = "onnxruntime"  # what computes, in messages

    def __init__(self, file: ModelFile, machine: Machine, say: Say) -> None: ...

    @staticmethod
    def obstacle() -> str | None:
        """Why the provider cannot be used on this machine, in the loader's own words; None when it can."""
        return None

    @staticmethod
    def unsuited(file: ModelFile) -> str | None:
        """Why ``auto`` does not take it for a file, although it could; None when it does."""
        return None

    def plan(self, shape: Shape) -> Tiling:
        """The way of a volume ``(z, y, x)`` through the network that costs least within the memory.

        Raises
        ------
        UsageError
            The memory is too small.
        """
        ...

    def prepare(self, tiling: Tiling) -> None:
        """Do what takes long, once, before volumes go this way; without it, the first one waits.

        Raises
        ------
        CheckError
            It fails.
        """
        return None

    def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
        """The heat map of a volume, piece by piece.

        Parameters
        ----------
        tiling
            Made by `plan`.
        read
            Gives grey levels.
        input_range
            ``(2,)``, the grey levels that mean 0 and 1.
        """
        ...

    def operators(self) -> dict[str, int]:
        """How many of the network's operators run where, by the names that onnxruntime has; empty when unknown."""
        return {}
